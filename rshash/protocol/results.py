"""Rows in a CSV file, where they outlive the records they were made of.

Its columns are the attributes of a row, then mean and sample standard deviation of each figure that tables show by
default: ``mAP i2t`` and ``mAP i2t sd`` are of images that ask for captions; a single run has no deviation.
"""

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

from rshash.files import write_atomically
from rshash.names import unknown_name
from rshash.protocol.claim import claimed
from rshash.protocol.rows import METRICS, Figure, Row, columns_of, merge_rows

SECONDS_BETWEEN_LOOKS = 0.02

_CELLS = {name: kind for name, kind in get_type_hints(Row).items() if name != "figures"}
_KINDS = {int: "a whole number", float: "a number", str: "a word"}
_FIGURES = {
    column: f"{column[1]} {column[0]}".strip() for metrics in METRICS.values() for column in columns_of(metrics)
}
"""(direction, metric) → its heading; that of the deviation ends in "sd"."""


def keep_rows(path: Path, measured: Sequence[Row]) -> list[Row]:
    """Put rows into the file: one that it holds of the same place and label is replaced, all others stay.

    Several processes may do so at a time; with nothing to put in, the file is read only.

    Args:
        path: of the file; made where it is missing and there is something to put in.
        measured: rows to put in.

    Returns:
        All rows that the file holds now, in order; those just measured with all their figures.

    Raises:
        OSError: if it cannot be read or written.
        ValueError: as `read_rows`; also if a row of more runs would give way to one of fewer.
    """
    if not measured:
        return read_rows(path)
    while True:
        with claimed(path) as mine:
            if mine:
                kept = read_rows(path) if path.exists() else []
                _check_more(path, kept, measured)
                rows = merge_rows([*kept, *measured])
                _write(path, rows)
                return rows
        time.sleep(SECONDS_BETWEEN_LOOKS)


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a file.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the line, if it is no such file or is damaged.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            lines = [(reader.line_num, cells) for cells in reader]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no CSV of results: {error}") from None
    names = lines[0][1] if lines else []
    _check_headings(path, names)
    rows: dict[tuple[object, ...], Row] = {}
    for number, cells in lines[1:]:
        try:
            row = _row(names, cells)
            if (*row.place, row.label) in rows:
                raise ValueError(f"{row.label} at {row.n_bits} bits on {row.data} stands further up, too")
        except ValueError as error:
            raise ValueError(f"{path}, line {number} is damaged: {error}") from None
        rows[*row.place, row.label] = row
    return merge_rows(rows.values())


def _check_headings(path: Path, names: Sequence[str]) -> None:
    if missing := [name for name in _CELLS if name not in names]:
        lacks = f"it lacks {', '.join(missing)}" if names else "it is empty"
        raise ValueError(f"{path} is no CSV of results, {lacks}; rshash compare --results makes one")
    known = [*_CELLS, *(heading + end for heading in _FIGURES.values() for end in ("", " sd"))]
    for name in names:
        if name not in known:
            raise ValueError(f"{path}: {unknown_name('column', name, known)}; other columns would be lost")
        if names.count(name) > 1:
            raise ValueError(f"{path} has two columns {name}: remove one")


def _row(names: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(names):
        raise ValueError(f"expected {len(names)} cells, got {len(cells)}")
    texts = dict(zip(names, cells, strict=True))
    values = {name: _value(name, kind, texts[name]) for name, kind in _CELLS.items()}
    figures: dict[tuple[str, str], Figure] = {}
    for column, heading in _FIGURES.items():
        mean, deviation = (
            _value(name, float, text) if (text := texts.get(name)) else None for name in (heading, f"{heading} sd")
        )
        if mean is not None:
            figures[column] = mean, deviation
        elif deviation is not None:
            raise ValueError(f"{heading} has a deviation and no mean")
    return Row(**values, figures=figures)


def _value(name: str, kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; expected {_KINDS[kind]}") from None


def _check_more(path: Path, kept: Sequence[Row], measured: Sequence[Row]) -> None:
    """Refuse to lose runs: a mean of more runs is not measured anew by one of fewer."""
    runs = {(*row.place, row.label): row.runs for row in kept}
    for row in measured:
        if (before := runs.get((*row.place, row.label), 0)) > row.runs:
            raise ValueError(
                f"{path} holds {row.label} at {row.n_bits} bits on {row.data} ({row.split}) as the mean of {before} "
                f"runs, here are {row.runs}: measure the others, too, or remove its line first"
            )


def _write(path: Path, rows: Sequence[Row]) -> None:
    """Write rows, whole or not at all; figures beside those of `METRICS` are left out."""
    protocols = [protocol for protocol in METRICS if any(row.protocol == protocol for row in rows)]
    columns = columns_of(metric for protocol in protocols for metric in METRICS[protocol])
    with write_atomically(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        headings = [_FIGURES[column] for column in columns]
        writer.writerow([*_CELLS, *(heading + end for heading in headings for end in ("", " sd"))])
        for row in rows:
            own = set(columns_of(METRICS[row.protocol]))
            figures = [row.figures.get(column, (None, None)) if column in own else (None, None) for column in columns]
            cells = [getattr(row, name) for name in _CELLS]
            writer.writerow([*cells, *(number for figure in figures for number in figure)])
