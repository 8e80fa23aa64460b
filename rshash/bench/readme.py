"""A finished run in; the Markdown table of a README's performance section out."""

from pathlib import Path
from typing import Any

from rshash.bench.cases import Device
from rshash.bench.machine import name_of_searcher
from rshash.files import check_marked, replace_marked

START, END = "<!-- bench:start -->", "<!-- bench:end -->"
MARKERS: dict[Device, tuple[str, str]] = {
    "cpu": (START, END),
    "cuda": ("<!-- bench-cuda:start -->", "<!-- bench-cuda:end -->"),
}
"""Device → what stands before and behind its table."""


def markdown(document: dict[str, Any]) -> str:
    """Return a row a case: rshash beside the machine's limit, the best exact peer, indexes and approximate peers."""
    lines = [
        "| search | `rshash.search` Gcq/s | of the machine's limit | best exact peer Gcq/s | rshash is | others |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        *(_row(case) for case in document["cases"]),
    ]
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    lines += [
        "",
        f"*{name_of_searcher(machine)}, {versions}; {machine['date'][:10]}. "
        "Gcq/s: 1e9 pairs of code and query a second. Written by `rshash bench`; benchmarks/README.md says how.*",
    ]
    return "\n".join(lines)


def update_readme(path: Path, document: dict[str, Any]) -> None:
    """Replace what stands between the markers of a file, those of the run's device, with the table.

    Raises:
        OSError: if the file cannot be read or written.
        ValueError: if it does not hold both markers once, in order.
    """
    device: Device = "cuda" if "gpu" in document["machine"] else "cpu"
    replace_marked(path, *MARKERS[device], markdown(document))


def check_markers(path: Path, device: Device = "cpu") -> None:
    """Refuse a file without markers, before any long work.

    Raises:
        OSError, ValueError: as `update_readme`.
    """
    check_marked(path, *MARKERS[device])


def _row(case: dict[str, Any]) -> str:
    """Return a case as a row; what searches an index, and what is not exact, stands in the last column."""
    measured = {result["contender"]: result for result in case["results"] if "gcq_a_second" in result}
    best = case["best_exact_peer"]
    fastest = "–" if best is None else f"{best['gcq_a_second']:.3g} ({best['contender']})"
    others = "; ".join(
        f"{name.removeprefix('rshash ')} {result['gcq_a_second']:.3g}"
        + ("" if result["exact"] else f" at recall {result['recall']:.2f}")
        for name, result in measured.items()
        if name != "rshash" and (result["ours"] or not result["exact"])
    )
    ours = measured.get("rshash")
    if ours is None:
        return f"| {case['title']} | – | – | {fastest} | – | {others or '–'} |"
    share = "–" if ours["share_of_limit"] is None else f"{ours['share_of_limit']:.0%} of {case['binding']}"
    ratio = f"**{ours['times_best_exact_peer']:.3g}×**" if best is not None else "–"
    return f"| {case['title']} | {ours['gcq_a_second']:.3g} | {share} | {fastest} | {ratio} | {others or '–'} |"
