"""Places as the items files say them, for those that are written after the items. In: a Parquet file. Out: arrays."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.geometry import SIDES
from rshash.archive.items import items_table
from rshash.archive.places import NEVER, Moments

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS_AT_ONCE = 1 << 20

_SIDES = [f"coalesce(bbox.{side}, 'nan'::DOUBLE)" for side in SIDES]
_MOMENT = f"coalesce(epoch_us(datetime), ({NEVER})::BIGINT)"


def read_boxes(connection: "DuckDBPyConnection", path: Path, start: int, stop: int) -> NDArray[np.float64]:
    """Return the boxes of rows ``start`` to ``stop`` of an items file, (4, stop - start) as `Places.boxes`."""
    return np.array(_read(connection, path, _SIDES, start, stop), np.float64)


def read_moments(connection: "DuckDBPyConnection", path: Path, start: int, stop: int) -> Moments:
    """Return the moments of rows ``start`` to ``stop`` of an items file, (stop - start,) as `Places.moments`."""
    return np.asarray(_read(connection, path, [_MOMENT], start, stop)[0], np.int64)


def stream_boxes(connection: "DuckDBPyConnection", path: Path, n_rows: int) -> Iterator[NDArray[np.float64]]:
    """Yield all boxes of an items file as the parts of `Places.boxes` in C order: side by side."""
    for side in _SIDES:
        for start in range(0, n_rows, ROWS_AT_ONCE):
            yield _read(connection, path, [side], start, min(start + ROWS_AT_ONCE, n_rows))[0]


def stream_moments(connection: "DuckDBPyConnection", path: Path, n_rows: int) -> Iterator[Moments]:
    """Yield all moments of an items file as the parts of `Places.moments`."""
    for start in range(0, n_rows, ROWS_AT_ONCE):
        yield read_moments(connection, path, start, min(start + ROWS_AT_ONCE, n_rows))


def _read(
    connection: "DuckDBPyConnection", path: Path, expressions: list[str], start: int, stop: int
) -> list[NDArray[Any]]:
    """Return the value of each expression for the rows of a file, in their order."""
    selected = ", ".join(f"{expression} AS c{position}" for position, expression in enumerate(expressions))
    found = connection.execute(
        f"SELECT file_row_number AS row, {selected} FROM {items_table(path)} "
        f"WHERE file_row_number BETWEEN {start} AND {stop - 1}"
    ).fetchnumpy()
    order = np.argsort(found["row"], kind="stable")
    return [np.asarray(found[f"c{position}"])[order] for position in range(len(expressions))]
