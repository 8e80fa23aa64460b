"""One contender and one case in: its fastest setting, how many queries it can be asked, and its times."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rshash.bench.cases import Case
from rshash.bench.contenders import Contender
from rshash.bench.outcome import Outcome, Rules
from rshash.bench.referee import Truth, WrongAnswer, check_radius, check_rows, check_top_k
from rshash.codes import Codes

TRIAL_SECONDS = 0.02
"""A trial grows until it takes so long, so that what it says of a query is worth something."""

PATIENCE = 4
"""A contender may exceed its budget so many times when a single query is slow; beyond that it is left out."""


@contextmanager
def held_to(simd: str | None) -> Iterator[None]:
    """Hold rshash to an instruction set for a while; None leaves it as it is."""
    before = os.environ.get("RSHASH_SIMD")
    if simd is not None:
        os.environ["RSHASH_SIMD"] = simd
    try:
        yield
    finally:
        os.environ.pop("RSHASH_SIMD", None)
        if before is not None:
            os.environ["RSHASH_SIMD"] = before


def timed(contender: Contender, variant: str, case: Case, queries: Codes) -> tuple[float, float]:
    """Ask once and return the seconds by the clock, and of this process on all cores.

    A device is idle before, and has done all of it when the clocks stop.
    """
    contender.use_threads(case.n_threads)
    contender.choose(variant)
    contender.wait()
    wall, cpu = time.perf_counter(), time.process_time()
    _ask(contender, case, queries)
    contender.wait()
    return time.perf_counter() - wall, time.process_time() - cpu


def qualify(
    contender: Contender,
    case: Case,
    codes: Codes,
    queries: Codes,
    truth: Truth,
    outcome: Outcome,
    rules: Rules,
) -> bool:
    """Find a contender's fastest setting and its number of queries, and check its answers, which also warms it up.

    Args:
        contender: has taken ``codes``.
        case: what is asked; k is at most the rows that may be hits.
        codes: (N, n_bytes) uint8.
        queries: (Q, n_bytes) uint8.
        truth: of all queries, from `rshash.bench.referee.true_answer`.
        outcome: is told the setting, the number of queries, the recall, or why there will be no times.
        rules: how much may be measured.

    Returns:
        Whether it is to be timed.
    """
    most = len(queries)
    if contender.max_pairs is not None:
        most = min(most, contender.max_pairs // len(codes))
    if most < 1:
        outcome.reason = f"keeps all distances of a call, too many already for one query of {len(codes):,} rows"
        return False
    try:
        trials = {
            variant: _seconds_a_query(contender, variant, case, queries[:most]) for variant in contender.variants()
        }
        outcome.variant = min(trials, key=trials.__getitem__)
        expected = trials[outcome.variant] * rules.repeats
        if expected > PATIENCE * rules.seconds:
            outcome.reason = f"{rules.repeats} runs of one query take {expected:.1f} s, allowed are {rules.seconds:g} s"
            return False
        outcome.n_queries = max(1, min(most, int(rules.seconds / expected)))
        contender.use_threads(case.n_threads)
        contender.choose(outcome.variant)
        asked = queries[: outcome.n_queries]
        if case.radius is None:
            answer = contender.search(asked, case.k)
            outcome.recall = check_top_k(answer, truth.distances[: len(asked)], codes, asked, outcome.exact)
            if contender.ours:
                check_rows(answer[1], truth.ids[: len(asked)])
        else:
            check_radius(contender.within_radius(asked, case.radius), truth.counts[: len(asked)])
            outcome.recall = 1.0
        outcome.plan = contender.plan
    except WrongAnswer as complaint:
        outcome.wrong = str(complaint)
        return False
    except Exception as error:  # whatever a peer raises costs only its own row
        outcome.reason = f"failed: {error}"
        return False
    return True


def _seconds_a_query(contender: Contender, variant: str, case: Case, queries: Codes) -> float:
    """Ask ever more queries until they take long enough to tell; the first call is a warm-up."""
    timed(contender, variant, case, queries[:1])
    n_queries = 1
    while True:
        seconds, _ = timed(contender, variant, case, queries[:n_queries])
        if seconds >= TRIAL_SECONDS or n_queries == len(queries):
            return seconds / n_queries
        n_queries = min(4 * n_queries, len(queries))


def _ask(contender: Contender, case: Case, queries: Codes) -> object:
    """Ask for what the case wants."""
    if case.radius is not None:
        return contender.within_radius(queries, case.radius)
    return contender.search(queries, case.k)
