"""Columns of items → a GeoParquet 1.1 file, written by DuckDB; and the bounds of what is in it."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.columns import Column
from rshash.archive.entries import Bounds
from rshash.archive.geometry import BOX_BYTES, BOX_TO_WKB, SIDES, box_columns
from rshash.archive.items import STANDARD, connect, name_of, one_line, quote
from rshash.archive.places import NEVER
from rshash.archive.zone import ZONE_PATTERN, warn_zoneless
from rshash.extras import require

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS_A_GROUP = 32_768
"""Rows a row group: small enough that a filter by place and month leaves most groups of an ordered file unread, large
enough that their statistics are read in little time (1e7 rows, box and month: 15 ms at 16,384, 9 ms here, 8 ms at
65,536, where the items of ten rows take half as long again)."""


FIRST_MOMENT, LAST_MOMENT = np.array(["0001-01-01", "9999-12-31T23:59:59.999999"], "datetime64[us]")


@contextmanager
def _storing() -> Iterator[None]:
    """Turn DuckDB's errors about values into ValueError."""
    duckdb = require("duckdb", "archive")
    try:
        yield
    except duckdb.Error as error:
        raise ValueError(f"the items cannot be stored: {one_line(error)}") from None


@_storing()
def write_items(
    path: Path,
    columns: Mapping[str, Column],
    known: Mapping[str, str],
    connection: "DuckDBPyConnection | None" = None,
) -> dict[str, str]:
    """Write columns as GeoParquet 1.1.

    Args:
        path: file to write.
        columns: as `read_columns` gives them, at least ``id``.
        known: columns the archive has → DuckDB type; the standard ones at least.
        connection: that may write there; None opens one.

    Returns:
        Column → DuckDB type of the known columns and those that are new.

    Raises:
        ValueError: if a column has another type than before, differs from one in upper and lower case only, or holds
            what DuckDB cannot; or a datetime cannot be read.
        OSError: if the disk does not take the file.
    """
    _check_names(columns, known)
    n_rows = len(columns["id"])
    nested = any(_is_nested(values) for values in columns.values())
    if nested or connection is None:
        connection = connect(path.parent, sample=n_rows if nested else 1000)
    given = {name: f"c{position}" for position, name in enumerate(columns)}
    data = {"r": np.arange(n_rows)}  # a first column that is never an object: DuckDB takes the length from it
    data |= {given[name]: values for name, values in columns.items() if name != "bbox"}
    table = "given"
    if "bbox" in columns:
        data |= box_columns(columns["bbox"])
        table = f"(SELECT *, {BOX_BYTES} FROM given)"
    connection.register("given", data)
    found = {row[0]: str(row[1]) for row in connection.execute("DESCRIBE SELECT * FROM given").fetchall()}
    types, selected = dict(known), []
    for name in [*known, *(name for name in columns if name not in known)]:
        if name == "bbox" and name in columns:
            box = "{" + ", ".join(f"'{side}': {side}" for side in SIDES) + "}"
            expression = f"CASE WHEN xmin IS NOT NULL THEN {box} END"
        elif name == "geometry" and "bbox" in columns:
            expression = f"coalesce({given[name]}::BLOB, {BOX_TO_WKB})" if name in columns else BOX_TO_WKB
        elif name in columns:
            types[name] = known.get(name, found[given[name]])
            expression = f"{given[name]}::{types[name]}"
            if (found[given[name]], types[name]) == ("TIMESTAMP", STANDARD["datetime"]):
                expression = f"make_timestamptz(epoch_us({given[name]}))"  # UTC as it is: a cast asks the time zone
            _check_type(connection, name, found[given[name]], types[name])
        elif name in STANDARD:
            expression = f"NULL::{known[name]}"
        else:
            continue
        selected.append(f"{expression} AS {name_of(name)}")
    copy_items(connection, f"SELECT {', '.join(selected)} FROM {table}", path, bounds_of(columns.get("bbox")))
    connection.unregister("given")
    return types


def _is_nested(values: Column) -> bool:
    """Return whether a column holds lists or dicts, whose type takes looking at all of them."""
    if values.dtype != object:
        return False
    return isinstance(next((value for value in values if value is not None), None), list | dict)


def copy_items(connection: "DuckDBPyConnection", select: str, path: Path, bounds: Bounds | None) -> None:
    """Write what a query gives as an items file.

    Args:
        connection: that may write there.
        select: SQL that gives the columns in their order.
        path: file to write.
        bounds: of all footprints, for the metadata.

    Raises:
        OSError: if the disk does not take the file.
    """
    geometry: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": [],
        "covering": {"bbox": {side: ["bbox", side] for side in SIDES}},
    }
    geometry |= {} if bounds is None else {"bbox": bounds}
    geo = json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}})
    with _writing(path):
        connection.execute(
            f"COPY ({select}) TO {quote(os.path.abspath(path))} (FORMAT parquet, COMPRESSION zstd, "
            f"COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROWS_A_GROUP}, KV_METADATA {{geo: {quote(geo)}}})"
        )


def _check_names(columns: Mapping[str, Column], known: Mapping[str, str]) -> None:
    """Refuse names that SQL does not tell from those the archive has: no query could read both."""
    folded = {name.casefold(): name for name in known}
    for name in columns:
        other = folded.get(name.casefold(), name)
        if name != other:
            raise ValueError(f"column {name} is called {other} in this archive: give it that name, or quite another")


@_storing()
def to_moments(connection: "DuckDBPyConnection", values: Column, ids: Column) -> NDArray[np.datetime64]:
    """Return a column of datetimes, which may be text or dates, as datetime64[us] in UTC, NaT for none.

    A warning says how many texts name a time without a zone, which is taken as UTC.

    Args:
        connection: any.
        values: (n,) as `read_columns` gives them.
        ids: (n,), for messages.

    Raises:
        ValueError: if one cannot be read, or is of no year from 1 to 9999.
    """
    moments = values
    lacking = np.empty(0, np.int64)
    if values.dtype.kind != "M":
        connection.register("given", {"r": np.arange(len(values)), "c": values})
        ((_, kind, *_),) = connection.execute("DESCRIBE SELECT c FROM given").fetchall()
        zoneless = "false"
        if kind == "VARCHAR":  # a day alone needs no zone
            zoned = f"ends_with(c, 'Z') OR NOT contains(c, ':') OR regexp_matches(c, {quote(ZONE_PATTERN)})"
            zoneless = f"NOT coalesce({zoned}, true)"
        else:
            _check_type(connection, "datetime", kind, STANDARD["datetime"])
        cells = connection.execute(
            f"SELECT coalesce(epoch_us(TRY_CAST(c AS TIMESTAMPTZ)), {NEVER}) AS c, {zoneless} AS zoneless "
            "FROM given ORDER BY r"
        ).fetchnumpy()
        connection.unregister("given")
        moments = np.asarray(cells["c"], np.int64).view("datetime64[us]")
        lacking = np.flatnonzero(np.asarray(cells["zoneless"]))
    given = ~np.isnat(values) if moments is values else np.array([value is not None for value in values.tolist()])
    bad = given & ~((moments >= FIRST_MOMENT) & (moments <= LAST_MOMENT))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"datetime of item {ids[row : row + 1].tolist()[0]!r} is {str(values[row])!r}: expected ISO 8601, for "
            "example 2024-05-01T10:00:00Z"
        )
    if len(lacking):
        warn_zoneless(values[lacking[0]], len(lacking) - 1)
    return moments


def _check_type(connection: "DuckDBPyConnection", name: str, found: str, known: str) -> None:
    """Refuse a column whose values would change when they become what the column is."""
    ((allowed,),) = connection.execute(f"SELECT can_cast_implicitly(NULL::{found}, NULL::{known})").fetchall()
    if found != known and not allowed:
        raise ValueError(
            f"column {name} holds {found}, in this archive it is {known}: convert it, or give it another name"
        )


def bounds_of(boxes: NDArray[np.float64] | None) -> Bounds | None:
    """Return the box around boxes (n, 4), None if there is none; where one crosses the antimeridian, all longitudes."""
    if boxes is None or not len(boxes):
        return None
    xmin, ymin, xmax, ymax = boxes.T
    west, south = float(np.fmin.reduce(xmin)), float(np.fmin.reduce(ymin))
    east, north = float(np.fmax.reduce(xmax)), float(np.fmax.reduce(ymax))
    if math.isnan(west):
        return None
    return (-180.0, south, 180.0, north) if (xmin > xmax).any() else (west, south, east, north)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors about writing into OSError."""
    duckdb = require("duckdb", "archive")
    try:
        yield
    except (duckdb.IOException, duckdb.FatalException) as error:
        raise OSError(f"{path} cannot be written: {one_line(error)}") from error
