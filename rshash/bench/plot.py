"""A finished run in; a picture of its speeds, their limits and the peers out."""

from pathlib import Path
from typing import Any

from rshash.bench.machine import name_of_searcher
from rshash.extras import require
from rshash.files import write_atomically

COLOURS = ("#1b6ca8", "#e08e2b", "#5d9e4f", "#b5475a", "#7a66a8", "#8c8c8c", "#3fa7a7", "#a6813f")


def plot(document: dict[str, Any], path: Path) -> None:
    """Draw a group of bars a case: every measured contender, and the binding limit as a line.

    Args:
        document: a finished run, as `rshash.bench.run.measure_all` returns it.
        path: picture to write; its suffix says the format (.png, .svg, .pdf).

    Raises:
        ImportError: if matplotlib is not installed.
        OSError: if the file cannot be written.
        ValueError: if nothing was measured, or the format is unknown.
    """
    figures = require("matplotlib.figure", "bench")
    cases = [case for case in document["cases"] if any("gcq_a_second" in result for result in case["results"])]
    if not cases:
        raise ValueError("nothing was measured, so there is nothing to draw")
    names = list(
        dict.fromkeys(result["contender"] for case in cases for result in case["results"] if "gcq_a_second" in result)
    )
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    figure = figures.Figure(figsize=(9, 1.2 + 0.95 * len(cases)), layout="constrained")
    axes = figure.add_subplot()
    for row, case in enumerate(cases):
        measured = [result for result in case["results"] if "gcq_a_second" in result]
        height = 0.8 / len(measured)
        for i, result in enumerate(measured):
            recall = "" if result["exact"] else f", recall {result['recall']:.2f}"
            middle = row - 0.4 + (i + 0.5) * height
            axes.barh(middle, result["gcq_a_second"], 0.9 * height, color=colours[result["contender"]])
            axes.text(result["gcq_a_second"], middle, f" {result['gcq_a_second']:.3g}{recall}", va="center", size=6)
        if case["binding"] is not None:
            limit = case["bounds"][case["binding"]] / 1e9
            axes.plot([limit, limit], [row - 0.42, row + 0.42], color="black", linewidth=1)
            axes.text(limit, row - 0.43, case["binding"], size=6, ha="center", va="bottom")
    axes.set_xscale("log")
    axes.set_xlabel("Gcq/s: 1e9 pairs of code and query a second (black: the machine's limit)")
    axes.set_yticks(range(len(cases)), [case["title"].replace(", Q", "\nQ") for case in cases], size=7)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    patches = [require("matplotlib.patches", "bench").Patch(color=colours[name], label=name) for name in names]
    figure.legend(handles=patches, loc="outside upper center", ncols=3, fontsize=7)
    machine = document["machine"]
    figure.supxlabel(f"{name_of_searcher(machine)}, {machine['date'][:10]}", size=7)
    with write_atomically(path) as draft:
        figure.savefig(draft, dpi=150)
