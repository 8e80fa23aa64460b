"""Items in Parquet, through DuckDB: columns → a GeoParquet file, ids → rows, rows → items."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.columns import Column
from rshash.archive.geometry import wkb_to_geojson
from rshash.archive.manifest import Bounds
from rshash.archive.segment import Segment
from rshash.extras import require
from rshash.kernels import threads

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Rows = NDArray[np.int64]

ROWS_A_GROUP = 16_384
"""Rows a row group: small enough that a filter by place and month leaves most groups of an ordered file unread."""

STANDARD = {
    "id": "VARCHAR",
    "geometry": "BLOB",
    "bbox": "STRUCT(xmin DOUBLE, ymin DOUBLE, xmax DOUBLE, ymax DOUBLE)",
    "datetime": "TIMESTAMP WITH TIME ZONE",
    "source": "VARCHAR",
    "caption": "VARCHAR",
}
"""Columns of every items file, in this order, with their DuckDB types; ``id`` is BIGINT where ids are integers."""


def standard_columns(id_type: str) -> dict[str, str]:
    """Return `STANDARD` for an archive's type of ids."""
    return STANDARD | {"id": "VARCHAR" if id_type == "string" else "BIGINT"}


def connect(folder: Path) -> "DuckDBPyConnection":
    """Open an in-memory DuckDB that can read the files of one archive and nothing else of this machine.

    Raises:
        ImportError: if duckdb is missing.
    """
    duckdb = require("duckdb", "archive")
    connection: DuckDBPyConnection = duckdb.connect(":memory:")
    connection.execute(
        f"SET allowed_directories = [{quote(os.path.abspath(folder))}]; SET enable_external_access = false;"
        f"SET threads = {threads(None)}; SET TimeZone = 'UTC'; SET pandas_analyze_sample = {1 << 31};"
        "SET autoinstall_known_extensions = false; SET autoload_known_extensions = false"
    )
    with suppress(duckdb.Error):  # a DuckDB that has no geometry of its own
        connection.execute("SET enable_geoparquet_conversion = false")  # geometry stays WKB
    connection.execute("SET lock_configuration = true")
    return connection


def union_sql(segments: Sequence[Segment], columns: Mapping[str, str]) -> str:
    """Return SQL of all rows of some segments: global ``row``, then every column; deleted rows included."""
    typed = ", ".join(f"NULL::{kind} AS {name_of(name)}" for name, kind in columns.items())
    parts = [f"SELECT NULL::BIGINT AS row, {typed} WHERE false"]  # every column, also where these segments lack it
    parts += [
        f"SELECT file_row_number + {segment.first_row} AS row, * EXCLUDE (file_row_number) FROM {_table(segment)}"
        for segment in segments
    ]
    return " UNION ALL BY NAME ".join(parts)


def create_view(connection: "DuckDBPyConnection", segments: Sequence[Segment], columns: Mapping[str, str]) -> None:
    """Create the view ``items`` of `union_sql`."""
    connection.execute(f"CREATE OR REPLACE VIEW items AS {union_sql(segments, columns)}")


def write_items(path: Path, columns: Mapping[str, Column], known: Mapping[str, str]) -> dict[str, str]:
    """Write columns as GeoParquet 1.1.

    Args:
        path: file to write.
        columns: as `read_columns` gives them, at least ``id``.
        known: columns the archive has → DuckDB type; the standard ones at least.

    Returns:
        Column → DuckDB type of the known columns and those that are new.

    Raises:
        ValueError: if a column has another type than before, or a datetime cannot be read.
        OSError: if the disk does not take the file.
    """
    connection = connect(path.parent)
    n_rows = len(columns["id"])
    data = {"r": np.arange(n_rows)}  # a first column that is never an object: DuckDB takes the length from it
    sides = ("xmin", "ymin", "xmax", "ymax")
    for position, (name, values) in enumerate(columns.items()):
        if name == "bbox":
            data |= {side: np.ascontiguousarray(values[:, axis]) for axis, side in enumerate(sides)}
        else:
            data[f"c{position}"] = values
    connection.register("given", data)
    given = {name: f"c{position}" for position, name in enumerate(columns)}
    given["bbox"] = "CASE WHEN xmin IS NOT NULL THEN {" + ", ".join(f"'{side}': {side}" for side in sides) + "} END"
    types = dict(known)
    selected = []
    for name in [*known, *(name for name in columns if name not in known)]:
        if name in columns:
            expression, types[name] = _typed(connection, name, given[name], known.get(name), columns["id"])
        elif name in STANDARD:
            expression = f"NULL::{known[name]}"
        else:
            continue
        selected.append(f"{expression} AS {name_of(name)}")
    with writing(path):
        connection.execute(
            f"COPY (SELECT {', '.join(selected)} FROM given) TO {quote(str(path))} "
            f"({_options(_geo_metadata(columns.get('geometry'), columns.get('bbox')))})"
        )
    return types


def _typed(connection: "DuckDBPyConnection", name: str, given: str, known: str | None, ids: Column) -> tuple[str, str]:
    """Return the SQL that gives a column its type, and that type."""
    if name == "bbox":
        return given, STANDARD["bbox"]
    row = connection.execute(f"SELECT typeof({given}) FROM given LIMIT 1").fetchone()
    found = str(row[0]) if row else "VARCHAR"
    if name == "datetime":
        bad = connection.execute(
            f"SELECT r, {given} FROM given WHERE {given} IS NOT NULL AND TRY_CAST({given} AS TIMESTAMPTZ) IS NULL "
            "LIMIT 1"
        ).fetchone()
        if bad:
            raise ValueError(
                f"datetime of item {ids[bad[0]]!r} is {bad[1]!r}: expected ISO 8601, for example 2024-05-01T10:00:00Z"
            )
        return f"{given}::TIMESTAMPTZ", STANDARD["datetime"]
    if known is None or found == known:
        return given, found
    allowed = connection.execute(f"SELECT can_cast_implicitly(NULL::{found}, NULL::{known})").fetchone()
    if not allowed or not allowed[0]:
        raise ValueError(
            f"column {name} holds {found}, in this archive it is {known}: convert it, or give it another name"
        )
    return f"{given}::{known}", known


def _geo_metadata(geometry: Column | None, boxes: Column | None) -> str:
    """Return the ``geo`` metadata of GeoParquet 1.1, JSON."""
    sides = {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
    about: dict[str, Any] = {"encoding": "WKB", "geometry_types": [], "covering": {"bbox": sides}}
    if geometry is not None and boxes is not None:
        about["bbox"] = bounds_of(boxes)
    return json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}})


def bounds_of(boxes: NDArray[np.float64]) -> Bounds | None:
    """Return the box around boxes (n, 4), None if all are NaN; where one crosses the antimeridian, all longitudes."""
    boxes = boxes[~np.isnan(boxes[:, 0])]
    if not len(boxes):
        return None
    xmin, ymin, xmax, ymax = boxes.T
    west, east = (-180.0, 180.0) if (xmin > xmax).any() else (float(xmin.min()), float(xmax.max()))
    return west, float(ymin.min()), east, float(ymax.max())


def _options(geo: str) -> str:
    return f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_A_GROUP}, KV_METADATA {{geo: {quote(geo)}}}"


def datetime_range(path: Path) -> tuple[str, str] | None:
    """Return the first and last moment of an items file, ISO 8601 in UTC; None if it has none."""
    form = "strftime({}(datetime)::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%fZ')"
    table = f"read_parquet({quote(os.path.abspath(path))})"
    row = connect(path.parent).execute(f"SELECT {form.format('min')}, {form.format('max')} FROM {table}").fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def find_ids(connection: "DuckDBPyConnection", segments: Sequence[Segment], ids: Column) -> Rows:
    """Return the global row of each living id, -1 where there is none.

    Args:
        connection: with the view ``items``.
        segments: of the same snapshot.
        ids: (n,) strings (object) or integers.
    """
    found = np.full(len(ids), -1, np.int64)
    if not segments or not len(ids):
        return found
    connection.register("wanted", {"position": np.arange(len(ids)), "id": ids})
    try:
        with reading(segments):
            result = connection.execute("SELECT position, row FROM items JOIN wanted USING (id)").fetchnumpy()
    finally:
        connection.unregister("wanted")
    positions, rows = (np.asarray(result[name], np.int64) for name in ("position", "row"))
    living = are_alive(segments, rows)
    found[positions[living]] = rows[living]
    return found


def are_alive(segments: Sequence[Segment], rows: Rows) -> NDArray[np.bool_]:
    """Return for each global row whether it lives."""
    living = np.ones(len(rows), bool)
    for segment in segments:
        if segment.alive is not None:
            mine = np.flatnonzero((rows >= segment.first_row) & (rows < segment.first_row + segment.n_rows))
            local = rows[mine] - segment.first_row
            living[mine] = (segment.alive[local >> 3] >> (local & 7).astype(np.uint8)) & 1
    return living


def items_of(
    connection: "DuckDBPyConnection", segments: Sequence[Segment], columns: Mapping[str, str], rows: Rows
) -> list[dict[str, Any]]:
    """Return the items of global rows, in their order; columns that are NULL are left out."""
    names = list(columns)
    zoned = {name for name, kind in columns.items() if kind == STANDARD["datetime"]}
    found: dict[int, dict[str, Any]] = {}
    for segment in segments:
        local = np.unique(rows[(rows >= segment.first_row) & (rows < segment.first_row + segment.n_rows)])
        if not len(local):
            continue
        local -= segment.first_row
        with reading([segment]):
            here = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {_table(segment)}").fetchall()}
            mine = [name for name in names if name in here]
            selected = ", ".join(name_of(name) + ("::TIMESTAMP" if name in zoned else "") for name in mine)
            connection.register("wanted", {"wanted_row": local})
            try:
                cells = connection.execute(
                    f"SELECT file_row_number, {selected} FROM {_table(segment)} "
                    f"WHERE file_row_number BETWEEN {local[0]} AND {local[-1]} "
                    "AND file_row_number IN (SELECT wanted_row FROM wanted)"
                ).fetchall()
            finally:
                connection.unregister("wanted")
        for row, *values in cells:
            item = {name: value for name, value in zip(mine, values, strict=True) if value is not None}
            for name in zoned & item.keys():
                item[name] = item[name].replace(tzinfo=UTC)
            if "geometry" in item:
                item["geometry"] = wkb_to_geojson(item["geometry"])
            if "bbox" in item:
                item["bbox"] = tuple(item["bbox"].values())
            found[row + segment.first_row] = item
    return [dict(found[row]) for row in rows.tolist()]


@contextmanager
def reading(segments: Sequence[Segment]) -> Iterator[None]:
    """Turn DuckDB's errors about damaged files into one that says what to do."""
    duckdb = require("duckdb", "archive")
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as error:
        names = ", ".join(str(segment.items_path) for segment in segments)
        raise OSError(
            f"the items of {names} cannot be read: {_line(error)}; rshash verify says what is damaged"
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors about writing into OSError."""
    duckdb = require("duckdb", "archive")
    try:
        yield
    except (duckdb.IOException, duckdb.FatalException) as error:
        raise OSError(f"{path} cannot be written: {_line(error)}") from error


def quote(text: str) -> str:
    """Return a string as SQL."""
    return "'" + text.replace("'", "''") + "'"


def name_of(column: str) -> str:
    """Return a column's name as SQL."""
    return '"' + column.replace('"', '""') + '"'


def _table(segment: Segment) -> str:
    return f"read_parquet({quote(os.path.abspath(segment.items_path))}, file_row_number = true)"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
