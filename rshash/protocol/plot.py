"""Rows in, pictures out: methods ranked, mAP against bits and noise, precision at k and against recall."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from rshash.extras import require
from rshash.files import write_atomically
from rshash.methods import METHODS
from rshash.protocol.published import published
from rshash.protocol.rows import DIRECTIONS, PAPER_METRIC, PAPER_SPLIT, Row

COLOURS = ("#1b6ca8", "#e08e2b", "#5d9e4f", "#b5475a", "#7a66a8", "#8c8c8c", "#3fa7a7", "#a6813f", "#d16ba5", "#34495e")

FOUND = "precision within r, of queries that find anything"

Line = tuple[str, list[float], list[float], list[float]]
"""Name, places, heights and half widths of the band around them."""


def plot_all(rows: Sequence[Row], folder: Path, metric: str = PAPER_METRIC, n_bits: int | None = None) -> list[Path]:
    """Draw every picture that the rows have enough points for.

    Args:
        rows: of a comparison; those of the DUCH split are drawn.
        folder: made where it is missing.
        metric: column that is drawn against bits and noise.
        n_bits: width of the codes in pictures that are of one width; None takes 64, or the widest if none has 64.

    Returns:
        The files: for each data set and group of split seeds ``methods-…``, ``bits-…``, ``noise-…``, ``precision-…``,
        ``recall-…``.

    Raises:
        ImportError: if matplotlib is not installed.
        OSError: if a file cannot be written.
        ValueError: if there is nothing to draw.
    """
    require("matplotlib.figure", "bench")
    rows = [row for row in rows if row.protocol == "duch"]
    widths = {row.n_bits for row in rows}
    if n_bits is None:
        n_bits = 64 if 64 in widths else max(widths, default=64)
    looks = {label: _look(number) for number, label in enumerate(dict.fromkeys(row.label for row in rows))}
    drawn = []
    for (data, split), group in groupby(rows, key=lambda row: (row.data, row.split)):
        here = list(group)
        clean = [row for row in here if not row.noise]
        place = f"{data}, split seed{split.removeprefix('duch').removeprefix(',')}"
        wide = f", {n_bits} bits"
        pictures: dict[str, tuple[str, str, str, Callable[[str], list[Line]]]] = {
            "bits": ("bits", metric, "", partial(_against, clean, metric=metric, axis="n_bits")),
            "noise": (
                "probability of a wrong caption",
                metric,
                wide,
                partial(_against, _of_width(here, n_bits), metric=metric, axis="noise"),
            ),
            "precision": ("k", "P@k", wide, partial(_precision_at_k, _of_width(clean, n_bits))),
            "recall": ("recall within r", FOUND, wide, partial(_within, _of_width(clean, n_bits))),
        }
        ending = f"{re.sub(r'[^A-Za-z0-9]+', '-', f'{data}-{split}')}.png"
        means = [(row.mean_of_both(metric), row) for row in _of_width(clean, n_bits)]
        ranked = sorted(((mean, row) for mean, row in means if mean is not None), key=lambda pair: pair[0])
        if len(ranked) > 1:
            drawn.append(folder / f"methods-{ending}")
            _draw_ranking(drawn[-1], place + wide, metric, [row for _, row in ranked])
        for name, (x, y, at, lines_of) in pictures.items():
            lines = {way: lines_of(way) for way in DIRECTIONS}
            if any(len(places) > 1 for _, places, _, _ in lines["i2t"]):
                references = _published(data, split, metric, name, n_bits)
                path = folder / f"{name}-{ending}"
                _draw(path, place + at, x, y, lines, references, looks, logarithmic=name in ("bits", "precision"))
                drawn.append(path)
    if not drawn:
        raise ValueError("no picture has two points: run more widths, or more noise, on the DUCH split")
    return drawn


def _of_width(rows: Sequence[Row], n_bits: int) -> list[Row]:
    return [row for row in rows if row.n_bits == n_bits]


def _against(rows: Sequence[Row], way: str, metric: str, axis: str) -> list[Line]:
    """Return a line for each method with two points: a metric against bits or noise, with its deviation as a band."""
    points: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        figure = row.figure(way, metric)
        if figure is not None:
            points.setdefault(row.label, []).append((float(getattr(row, axis)), figure[0], figure[1] or 0.0))
    return [(label, *_columns(sorted(found))) for label, found in points.items() if len(found) > 1]


def _precision_at_k(rows: Sequence[Row], way: str) -> list[Line]:
    lines: list[Line] = [(row.label, *_columns(_numbered(row, way, r"P@(\d+)"))) for row in rows]
    return [line for line in lines if line[1]]


def _within(rows: Sequence[Row], way: str) -> list[Line]:
    """Return precision against recall, a point for each radius at which any query finds anything."""
    lines: list[Line] = []
    for row in rows:
        columns = (_numbered(row, way, rf"{name} within (\d+)") for name in ("P", "recall", "empty"))
        points = [(r, p / (1 - empty), 0.0) for (_, p, _), (_, r, _), (_, empty, _) in zip(*columns, strict=True) if p]
        lines.append((row.label, *_columns(points)))
    return [line for line in lines if line[1]]


def _numbered(row: Row, way: str, pattern: str) -> list[tuple[float, float, float]]:
    """Return (number, mean, deviation) of the columns whose name fits a pattern with a number in it."""
    numbered = {column: re.fullmatch(pattern, column[1]) for column in row.figures if column[0] == way}
    found = [(float(match[1]), *row.figures[column]) for column, match in numbered.items() if match]
    return sorted((number, mean, deviation or 0.0) for number, mean, deviation in found)


def _columns(points: Sequence[tuple[float, float, float]]) -> tuple[list[float], list[float], list[float]]:
    return [x for x, _, _ in points], [y for _, y, _ in points], [band for _, _, band in points]


def _published(data: str, split: str, metric: str, name: str, n_bits: int) -> dict[str, list[Line]]:
    """Return published lines of the same metric, for the pictures against bits and noise of the papers' split."""
    if split != PAPER_SPLIT or name not in ("bits", "noise"):
        return {way: [] for way in DIRECTIONS}
    printed = [row for row in published() if row.data == data and row.metric == metric]
    printed = [row for row in printed if (row.noise == 0 if name == "bits" else row.n_bits == n_bits)]
    axis = "n_bits" if name == "bits" else "noise"
    lines: dict[str, list[Line]] = {way: [] for way in DIRECTIONS}
    for label in dict.fromkeys(row.label for row in printed):
        for way in DIRECTIONS:
            points = [(float(getattr(row, axis)), getattr(row, way), 0.0) for row in printed if row.label == label]
            if len(points) > 1:
                lines[way].append((label, *_columns(sorted(points))))
    return lines


def _draw(
    path: Path,
    title: str,
    x: str,
    y: str,
    lines: dict[str, list[Line]],
    references: dict[str, list[Line]],
    looks: dict[str, tuple[str, str]],
    logarithmic: bool,
) -> None:
    """Draw the two directions side by side: ours in the look of their name, published lines in grey, dashed."""
    figure = require("matplotlib.figure", "bench").Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (way, words) in zip(panels, DIRECTIONS.items(), strict=True):
        for label, places, heights, bands in lines[way]:
            colour, style = looks[label]
            axes.plot(places, heights, style, color=colour, marker="o", markersize=3, label=label)
            lower = [height - band for height, band in zip(heights, bands, strict=True)]
            upper = [height + band for height, band in zip(heights, bands, strict=True)]
            axes.fill_between(places, lower, upper, color=colour, alpha=0.15, linewidth=0)
        for number, (label, places, heights, _) in enumerate(references[way]):
            marker = "sv^Dx+*<>"[number % 9]
            axes.plot(
                places,
                heights,
                "--",
                color="#9a9a9a",
                marker=marker,
                markersize=3,
                linewidth=0.8,
                label=f"{label}, published",
            )
        if logarithmic:
            _powers(axes, [place for line in (*lines[way], *references[way]) for place in line[1]])
        axes.set_title(words, size=9)
        axes.set_xlabel(x)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(y)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=7)
    note = "grey: as published, with other features" if references["i2t"] else ""
    figure.suptitle(title, size=10)
    figure.supxlabel(note, size=7)
    with write_atomically(path) as draft:
        figure.savefig(draft, dpi=130)


def _draw_ranking(path: Path, title: str, metric: str, rows: Sequence[Row]) -> None:
    """Draw a line for each method, the best on top: both directions with their deviations, coloured by supervision."""
    figure = require("matplotlib.figure", "bench").Figure(figsize=(9, 1.3 + 0.24 * len(rows)), layout="constrained")
    axes = figure.subplots()
    kinds = sorted({method.supervision for method in METHODS.values()}, key=lambda kind: (kind != "none", kind))
    colours = dict(zip([*kinds, "unknown"], COLOURS, strict=False))  # the same in every picture
    for (way, words), marker, shift in zip(DIRECTIONS.items(), "os", (0.12, -0.12), strict=True):
        for height, row in enumerate(rows):
            if figure_of_row := row.figure(way, metric):
                axes.errorbar(
                    figure_of_row[0],
                    height + shift,
                    xerr=figure_of_row[1] or 0.0,
                    fmt=marker,
                    color=colours[row.supervision],
                    markerfacecolor=None if row.ranking == "hamming" else "white",
                    markersize=4.5,
                    elinewidth=1,
                )
        axes.plot([], [], marker, color="#555555", markersize=4.5, label=words)
    if any(row.ranking != "hamming" for row in rows):
        axes.plot([], [], "o", color="#555555", markerfacecolor="white", markersize=4.5, label="floats, not codes")
    for supervision in (kind for kind in colours if any(row.supervision == kind for row in rows)):
        axes.plot([], [], "-", color=colours[supervision], linewidth=4, label=f"supervision: {supervision}")
    axes.set_yticks(range(len(rows)), [row.label for row in rows], size=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel(metric)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left")
    axes.set_title(title, size=10)
    with write_atomically(path) as draft:
        figure.savefig(draft, dpi=130)


def _look(number: int) -> tuple[str, str]:
    """Return colour and style of the lines of a name, the same in every picture."""
    return COLOURS[number % len(COLOURS)], ("-", "--", ":")[number // len(COLOURS) % 3]


def _powers(axes: Any, places: Sequence[float]) -> None:
    axes.set_xscale("log", base=2)
    ticks = sorted(set(places))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
