"""Cases and contenders in, times out: A B C A B C …, after a warm-up whose answers are checked."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from rshash.bench.cases import Case
from rshash.bench.contenders import Contender, Rshash
from rshash.bench.data import generate_bitmap, generate_codes, generate_queries
from rshash.bench.limits import MachineLimits
from rshash.bench.machine import load
from rshash.bench.outcome import Outcome, Rules
from rshash.bench.referee import true_answer
from rshash.bench.trial import held_to, qualify, timed
from rshash.codes import Codes
from rshash.kernels import describe, threads

MOST_ROUNDS = 50
"""Short runs are repeated until the median is worth something."""


SHORT_SECONDS = 0.05
"""Before runs shorter than this a contender is asked once untimed: its turn begins with the caches of the others."""


@dataclass
class CaseReport:
    """One case: what each contender did, what the machine allows, and the load average meanwhile."""

    case: Case
    outcomes: list[Outcome]
    bounds: dict[str, float]
    load: tuple[float, float, float] | None


@dataclass
class _Entrant:
    """A contender that has, or has not, taken the database."""

    contender: Contender
    build_seconds: float | None
    reason: str | None


def measure(
    cases: Iterable[Case],
    contenders: Sequence[type[Contender]],
    rules: Rules,
    limits: Callable[[Case], MachineLimits | None] = lambda case: None,
    progress: Callable[[str], None] = lambda line: None,
) -> Iterator[CaseReport]:
    """Measure case by case; the cases of one database must be neighbours, for it is generated once.

    Args:
        cases: what to measure.
        contenders: who takes part; rshash is asked for the truth whether it does or not.
        rules: how much is measured.
        limits: case → the limits of the machine on which it is searched.
        progress: is told what is going on.

    Yields:
        One report a case.

    Raises:
        WrongAnswer: if rshash itself is wrong.
    """
    for (n_bits, n_rows, kind), group in groupby(cases, key=lambda case: case.database):
        together = list(group)
        progress(f"generating {n_rows:,} {kind} codes of {n_bits} bits")
        codes = generate_codes(n_rows, n_bits, kind, rules.seed)
        n_threads = max(case.n_threads for case in together)
        entrants = [_enter(contender, codes, n_threads, rules, progress) for contender in contenders]
        for case in together:
            progress(case.title)
            queries = generate_queries(case.n_queries, n_bits, kind, rules.seed)
            yield _measure_case(case, codes, queries, entrants, rules, limits)
        entrants.clear()  # the next database shall find their memory free


def _enter(
    kind: type[Contender], codes: Codes, n_threads: int, rules: Rules, progress: Callable[[str], None]
) -> _Entrant:
    """Build a contender, or say why it is left out."""
    contender = kind()
    reason = kind.missing()
    if reason is None and kind.max_rows is not None and len(codes) > kind.max_rows:
        reason = f"not tried above {kind.max_rows:,} rows"
    expected = kind.expected_build_seconds(len(codes), 8 * codes.shape[1])
    if reason is None and expected > rules.build_seconds:
        reason = f"its build takes about {expected:,.0f} s of one core, allowed are {rules.build_seconds:g} s"
    if reason is not None:
        return _Entrant(contender, None, reason)
    progress(f"building {kind.name}")
    start = time.perf_counter()
    try:
        contender.build(codes)
        contender.use_threads(n_threads)
    except Exception as error:  # whatever a peer raises costs only its own rows
        return _Entrant(contender, None, f"its build failed: {error}")
    return _Entrant(contender, time.perf_counter() - start, None)


def _measure_case(
    case: Case,
    codes: Codes,
    queries: Codes,
    entrants: Sequence[_Entrant],
    rules: Rules,
    limits: Callable[[Case], MachineLimits | None],
) -> CaseReport:
    """Try, check and time every entrant."""
    outcomes = [_outcome(entrant, case) for entrant in entrants]
    if case.simd is not None and case.simd not in describe()["simd_available"]:
        for outcome in outcomes:
            outcome.reason = outcome.reason or f"this machine does not run {case.simd}"
        return CaseReport(case, outcomes, {}, load())
    bitmap, n_kept = None, len(codes)
    if case.keep is not None:
        bitmap = generate_bitmap(len(codes), case.keep, rules.seed)
        n_kept = int(np.bitwise_count(bitmap).sum(dtype=np.int64))
    asked = replace(case, k=min(case.k, n_kept))
    with held_to(case.simd):
        ours = Rshash()
        ours.build(codes)
        ours.bitmap = bitmap
        ours.use_threads(case.n_threads if case.device == "cpu" else threads())
        truth = true_answer(ours, codes, queries, asked.k, case.radius)
        playing = []
        for entrant, outcome in zip(entrants, outcomes, strict=True):
            entrant.contender.bitmap = bitmap
            if outcome.reason is None and qualify(entrant.contender, asked, codes, queries, truth, outcome, rules):
                playing.append((entrant.contender, outcome))
        start, n_rounds = time.perf_counter(), 0
        while n_rounds < rules.repeats or (n_rounds < MOST_ROUNDS and time.perf_counter() - start < rules.seconds):
            n_rounds += 1
            for contender, outcome in playing:
                if not outcome.wall or min(outcome.wall) < SHORT_SECONDS:
                    timed(contender, outcome.variant, asked, queries[: outcome.n_queries])
                wall, cpu = timed(contender, outcome.variant, asked, queries[: outcome.n_queries])
                outcome.wall.append(wall)
                outcome.cpu.append(cpu)
    allowed = limits(case)
    return CaseReport(case, outcomes, allowed.bounds(case) if allowed else {}, load())


def _outcome(entrant: _Entrant, case: Case) -> Outcome:
    """Open the record of an entrant in a case."""
    contender, reason = entrant.contender, entrant.reason
    if reason is None and case.radius is not None and not contender.can_radius():
        reason = "does not search by radius"
    if reason is None and case.keep is not None and not contender.can_filter:
        reason = "does not take a filter"
    exact = contender.exact or case.radius is not None
    return Outcome(contender.name, exact, contender.ours, build_seconds=entrant.build_seconds, reason=reason)
