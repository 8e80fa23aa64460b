"""Case reports in; plain data and lines for a terminal out."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rshash.bench.limits import binding
from rshash.bench.machine import name_of_searcher
from rshash.bench.measure import CaseReport
from rshash.bench.outcome import Clock, Rules
from rshash.codes import code_bytes

FORMAT = 1
"""Version of the JSON document."""


def document_of(machine: dict[str, Any], rules: Rules, clock: Clock, missing: list[str]) -> dict[str, Any]:
    """Return a run that has no cases yet."""
    return {
        "format": FORMAT,
        "machine": machine,
        "rules": asdict(rules),
        "clock": clock,
        "missing": missing,
        "limits": [],
        "cases": [],
    }


def read_document(path: Path) -> dict[str, Any]:
    """Read a run that was written with ``--json FILE``.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no such file, or of another version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or "cases" not in document:
        raise ValueError(
            f"{path} is no run of rshash bench in format {FORMAT}: write one with rshash bench --json FILE"
        )
    return document


def case_document(report: CaseReport, clock: Clock = "wall") -> dict[str, Any]:
    """Return one case as plain data.

    Args:
        report: what was measured.
        clock: whose seconds count, "wall" or "cpu"; with several threads it is always the wall's.

    Returns:
        title, case, clock, load, bounds (resource → pairs a second), results (one a contender: what `Outcome` holds,
        and gcq_a_second, gb_a_second, seconds, spread, share_of_limit and times_best_exact_peer where it was
        measured) and best_exact_peer (contender, variant and gcq_a_second, or None).
    """
    case = report.case
    used: Clock = clock if case.n_threads == 1 else "wall"
    limit = binding(report.bounds)
    results = []
    for outcome in report.outcomes:
        result: dict[str, Any] = asdict(outcome)
        if outcome.measured:
            scans = outcome.exact and "index" not in outcome.plan  # looks at every code
            pairs = outcome.pairs_a_second(case.n_rows, used)
            result |= {
                "gcq_a_second": pairs / 1e9,
                "gb_a_second": pairs * code_bytes(case.n_bits) / 1e9,
                "seconds": outcome.seconds(used),
                "spread": outcome.spread(used),
                "share_of_limit": pairs / limit[1] if limit and scans else None,
            }
        results.append(result)
    best = _best_exact_peer(results)
    for result in results:
        if "gcq_a_second" in result and best is not None:
            result["times_best_exact_peer"] = result["gcq_a_second"] / best["gcq_a_second"]
    return {
        "title": case.title,
        "case": asdict(case),
        "clock": used,
        "load": report.load,
        "bounds": report.bounds,
        "binding": limit[0] if limit else None,
        "results": results,
        "best_exact_peer": best,
    }


def _best_exact_peer(results: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the name, setting and speed of the fastest exact peer."""
    peers = [result for result in results if "gcq_a_second" in result and result["exact"] and not result["ours"]]
    if not peers:
        return None
    best = max(peers, key=lambda result: result["gcq_a_second"])
    return {name: best[name] for name in ("contender", "variant", "gcq_a_second")}


def header_lines(document: dict[str, Any]) -> list[str]:
    """Return what a reader must know of the machine and the rules before the figures."""
    machine, rules = document["machine"], document["rules"]
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in machine["versions"].items())
    caches = ", ".join(f"{name} {size >> 10:,} KiB" for name, size in machine["caches"].items())
    lines = [
        f"{machine['processor']} ({machine['architecture']}), {machine['cores']} cores, {caches or 'caches unknown'}",
        f"{machine['platform']}, Python {machine['python']}, {versions}",
        f"rshash searches on {name_of_searcher(machine)}; {machine['date']}",
        f"load average {_load(machine['load'])} at the start; above the threads in use the figures are noisy",
        f"Gcq/s = 1e9 pairs of code and query a second, median of at least {rules['repeats']} interleaved runs by "
        f"{'this process' if document['clock'] == 'cpu' else 'wall'} clock; answers checked, seed {rules['seed']}",
    ]
    return lines + [f"missing: {how}" for how in document["missing"]]


def case_lines(case: dict[str, Any]) -> list[str]:
    """Return one case as a table for the terminal."""
    bounds = " · ".join(f"{name} {pairs / 1e9:.3g}" for name, pairs in case["bounds"].items())
    lines = ["", case["title"], f"  limits in Gcq/s: {bounds or 'not measured (no native kernels)'}"]
    lines.append(
        f"  {'':44} {'Gcq/s':>8} {'GB/s':>7} {'spread':>7} {'of limit':>8} {'× exact':>8} {'recall':>7} {'cpu/wall':>8}"
    )
    left_out = []
    for result in case["results"]:
        name = " ".join(filter(None, (result["contender"], result["variant"], result["plan"])))
        if result["wrong"]:
            lines.append(f"  {name}: WRONG, {result['wrong']}")
        elif result["reason"]:
            left_out.append(f"{name} ({result['reason']})")
        else:
            share = "–" if result["share_of_limit"] is None else f"{result['share_of_limit']:.0%}"
            times = f"{result['times_best_exact_peer']:.3g}" if "times_best_exact_peer" in result else "–"
            fewer = result["n_queries"] < case["case"]["n_queries"]
            lines.append(
                f"  {name:44} {result['gcq_a_second']:8.3f} {result['gb_a_second']:7.1f} {result['spread']:7.0%} "
                f"{share:>8} {times:>8} {result['recall']:7.3f} {sum(result['cpu']) / sum(result['wall']):8.2f}"
                + (f"  scaled from Q = {result['n_queries']}" if fewer else "")
            )
    lines.append(f"  × exact: speed over that of the best exact peer; load {_load(case['load'])}")
    return [*lines, f"  left out: {'; '.join(left_out)}"] if left_out else lines


def _load(load: Sequence[float] | None) -> str:
    """Return the load of the last minute."""
    return "unknown" if load is None else f"{load[0]:.1f}"
