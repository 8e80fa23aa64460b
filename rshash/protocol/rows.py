"""Records in, rows out: means over runs that differ in seeds only, kept as CSV, where they outlive their records.

A row holds one ranking of one method at one place: data set, split, noise and width. Tables, pages and pictures are
made of rows.
"""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, get_type_hints

from rshash.files import write_atomically
from rshash.methods import METHODS
from rshash.protocol.perform import Settings
from rshash.protocol.record import MEAN_RECALL, Record, check_alike, main_ranking, run_of, score

PAPER_SEED = 42
"""Split seed of the papers' code, on which methods were tuned; runs of all other seeds share a row."""

PAPER_METRIC = "DUCH mAP@20"
"""The one that most papers of this field print."""

METRICS = {
    "duch": (PAPER_METRIC, "mAP@20", "mAP"),
    "official": ("expected R@1", "expected R@5", "expected R@10", MEAN_RECALL),
}
"""Split → what tables show unless others are asked for, and what is kept as CSV."""

DIRECTIONS = {"i2t": "image → text", "t2i": "text → image"}

Figure = tuple[float, float | None]
"""Mean and sample standard deviation, None of a single run."""


@dataclass(frozen=True)
class Row:
    """Runs that differ in seeds only.

    Attributes:
        data: name of the data set.
        split: "duch 42", "duch, other seeds" or "official".
        noise: probability of a wrong caption.
        n_bits: width of the codes.
        method: key of `METHODS`.
        variant: empty for the method's defaults.
        ranking: "hamming" or "cosine".
        image_encoder: of the features.
        caption_encoder: likewise.
        runs: how many.
        seconds: of training, their mean.
        figures: (direction, metric) → mean and deviation; `MEAN_RECALL` has the direction "".
    """

    data: str
    split: str
    noise: float
    n_bits: int
    method: str
    variant: str
    ranking: str
    image_encoder: str
    caption_encoder: str
    runs: int
    seconds: float
    figures: dict[tuple[str, str], Figure]

    @property
    def label(self) -> str:
        """Method, variant, whether it is ranked by floats, and the image encoder where it is not the default."""
        variant = f" ({self.variant})" if self.variant else ""
        features = "" if self.image_encoder == Settings.image_encoder else f", {self.image_encoder}"
        return self.method + variant + ("" if self.ranking == "hamming" else ", float") + features

    @property
    def place(self) -> tuple[str, str, float, int]:
        """Where methods are held against each other: data set, split, noise, bits."""
        return self.data, self.split, self.noise, self.n_bits

    @property
    def supervision(self) -> str:
        """What the method needs beside pairs, as METHODS says."""
        return METHODS[self.method].supervision if self.method in METHODS else "unknown"

    def figure(self, direction: str, metric: str) -> Figure | None:
        """Return mean and deviation, or None where a run lacks the figure."""
        return self.figures.get((direction, metric))

    def mean_of_both(self, metric: str) -> float | None:
        """Return the mean of both directions, by which methods are ranked; None where one is missing."""
        known = [figure[0] for way in DIRECTIONS if (figure := self.figure(way, metric))]
        return fmean(known) if len(known) == len(DIRECTIONS) else None


_CELLS = {name: kind for name, kind in get_type_hints(Row).items() if name != "figures"}
"""Columns of the CSV before the figures → what they hold."""


def columns_of(metrics: Iterable[str]) -> list[tuple[str, str]]:
    """Return the columns of a table as (direction, metric): both directions, but of `MEAN_RECALL`, which is of both."""
    return [(way, metric) for metric in metrics for way in ([""] if metric == MEAN_RECALL else DIRECTIONS)]


def rows_of(records: Sequence[Record], floats: bool = False) -> list[Row]:
    """Gather records into rows, in order of data, split, noise, bits and name.

    Args:
        records: of a comparison.
        floats: also make a row of the same heads ranked by cosine, before signs are taken.

    Raises:
        ValueError: if the runs of a row differ in more than their seeds.
    """
    check_alike(records)
    rows: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        run, settings = run_of(record), record["settings"]
        split = run.split
        if split == "duch":
            split += f" {PAPER_SEED}" if run.split_seed == PAPER_SEED else ", other seeds"
        encoders = settings["image_encoder"], settings["caption_encoder"]
        for ranking in dict.fromkeys([main_ranking(run), *(["cosine"] if floats else [])]):
            key = (run.data, split, run.noise, run.n_bits, run.method, run.variant, ranking, *encoders)
            rows.setdefault(key, []).append(record)
    found = []
    for key, alike in rows.items():
        seconds = fmean(record["seconds"]["train"] for record in alike)
        found.append(Row(*key, runs=len(alike), seconds=seconds, figures=_figures(alike, ranking=key[6])))
    return _in_order(found)


def _figures(records: Sequence[Record], ranking: str) -> dict[tuple[str, str], Figure]:
    """Return the means of every column that all records have."""
    ways = [record["scores"].get(ranking, {}) for record in records]
    names = dict.fromkeys((way, name) for each in ways for way, scores in each.items() for name in scores)
    figures: dict[tuple[str, str], Figure] = {}
    for way, name in [*names, ("", MEAN_RECALL)]:
        found = [score(record, way, name, ranking) for record in records]
        values = [value for value in found if value is not None]
        if len(values) == len(found):
            figures[way, name] = fmean(values), stdev(values) if len(values) > 1 else None
    return figures


def keep_rows(path: Path, measured: Sequence[Row]) -> list[Row]:
    """Put rows into a CSV file: one that it holds of the same place and label is replaced, all others stay.

    Args:
        path: of the file; made where it is missing.
        measured: rows to put in; with none the file must be there.

    Returns:
        All rows that it holds now, in order; those just measured with all their figures.

    Raises:
        OSError, ValueError: as `read_rows` and `write_rows`.
    """
    kept = read_rows(path) if path.exists() or not measured else []
    rows = _in_order({(*row.place, row.label): row for row in [*kept, *measured]}.values())
    write_rows(path, rows)
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV, whole or not at all: names, runs and seconds, then means and deviations of `METRICS`.

    Args:
        path: of the file.
        rows: what to keep; other figures than those of `METRICS` are left out.

    Raises:
        OSError: if it cannot be written.
    """
    splits = [split for split in METRICS if any(row.split.startswith(split) for row in rows)]
    columns = columns_of(metric for split in splits for metric in METRICS[split])
    with write_atomically(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_CELLS, *(name for column in columns for name in _headings(*column))])
        for row in rows:
            figures = [number for column in columns for number in row.figures.get(column, (None, None))]
            writer.writerow([_cell(value) for value in (*(getattr(row, name) for name in _CELLS), *figures)])


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the line, if it is no such file or is damaged.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        try:
            lines = [(reader.line_num, cells) for cells in reader]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no CSV of results: {error}") from None
        names = reader.fieldnames or []
    if missing := [name for name in _CELLS if name not in names]:
        raise ValueError(
            f"{path} is no CSV of results: it lacks {', '.join(missing)}; rshash compare --results makes one"
        )
    known = columns_of(metric for metrics in METRICS.values() for metric in metrics)
    columns = [column for column in known if _headings(*column)[0] in names]
    rows = []
    for number, cells in lines:
        try:
            if None in cells or None in cells.values():
                raise ValueError(f"expected {len(names)} cells")
            values = {name: kind(cells[name]) for name, kind in _CELLS.items()}
            figures = {column: figure for column in columns if (figure := _figure(cells, column))}
            rows.append(Row(**values, figures=figures))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number} is damaged: {error}") from None
    return rows


def _figure(cells: dict[str, str], column: tuple[str, str]) -> Figure | None:
    mean, deviation = (cells.get(name) for name in _headings(*column))
    if not mean:
        return None
    figure = float(mean), float(deviation) if deviation else None
    if not all(math.isfinite(number) for number in figure if number is not None):
        raise ValueError(f"{' '.join(column).strip()} is {mean} ± {deviation}; expected finite numbers")
    return figure


def _headings(way: str, metric: str) -> tuple[str, str]:
    """Return the names of the two columns of a figure in the CSV."""
    name = f"{metric} {way}".strip()
    return name, f"{name} sd"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _in_order(rows: Iterable[Row]) -> list[Row]:
    """Return rows by data, split, noise, bits and name."""
    return sorted(rows, key=lambda row: (*row.place, row.label))
