"""Items by DuckDB: a connection that sees one archive only, the view of its items, ids → rows, rows → items."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.columns import Column
from rshash.archive.geometry import wkb_to_geojson
from rshash.archive.segment import Segment
from rshash.extras import require
from rshash.kernels import threads

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Rows = NDArray[np.int64]

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


def connect(*folders: Path, sample: int = 1000) -> "DuckDBPyConnection":
    """Open an in-memory DuckDB that can read the files of one archive and nothing else of this machine.

    Args:
        folders: the archive, and where else it may read and write.
        sample: how many objects of a column DuckDB looks at to tell their type.

    Raises:
        ImportError: if duckdb is missing.
    """
    duckdb = require("duckdb", "archive")
    connection: DuckDBPyConnection = duckdb.connect(":memory:")
    allowed = ", ".join(quote(os.path.abspath(folder)) for folder in folders)
    connection.execute(
        f"SET temp_directory = {quote(os.path.join(gettempdir(), f'rshash-{os.getpid()}'))};"
        f"SET allowed_directories = [{allowed}]; SET enable_external_access = false;"
        f"SET threads = {threads(None)}; SET TimeZone = 'UTC'; SET pandas_analyze_sample = {sample};"
        "SET autoinstall_known_extensions = false; SET autoload_known_extensions = false;"
        "SET parquet_metadata_cache = true"  # a file of this name never changes
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
        f"SELECT file_row_number + {segment.first_row} AS row, * EXCLUDE (file_row_number) "
        f"FROM {items_table(segment.items_path)}"
        for segment in segments
    ]
    return " UNION ALL BY NAME ".join(parts)


def create_view(connection: "DuckDBPyConnection", segments: Sequence[Segment], columns: Mapping[str, str]) -> None:
    """Create the view ``items`` of `union_sql`."""
    with reading(segments):
        connection.execute(f"CREATE OR REPLACE VIEW items AS {union_sql(segments, columns)}")


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
    span = [np.asarray(end).item() for end in (ids.min(), ids.max())]
    connection.register("wanted", {"position": np.arange(len(ids)), "id": ids})
    try:
        with reading(segments):
            # new ids mostly lie beyond the old, which statistics of row groups tell
            if not connection.execute("SELECT EXISTS (FROM items WHERE id BETWEEN ? AND ?)", span).fetchall()[0][0]:
                return found
            result = connection.execute(
                "SELECT wanted.position, items.row FROM items JOIN wanted USING (id)"
            ).fetchnumpy()
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
    """Return the items of global rows, in their order; columns that are NULL are left out.

    Raises:
        IndexError: if a row is of none of these segments.
        OSError: if the items cannot be read.
    """
    names = list(columns)
    zoned = {name for name, kind in columns.items() if kind == STANDARD["datetime"]}
    found: dict[int, dict[str, Any]] = {}
    for segment in segments:
        local = np.unique(rows[(rows >= segment.first_row) & (rows < segment.first_row + segment.n_rows)])
        if not len(local):
            continue
        local -= segment.first_row
        with reading([segment]):
            table = items_table(segment.items_path)
            here = {row[0]: str(row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()}
            mine = [name for name in names if name in here]
            casts = dict.fromkeys(zoned, "::TIMESTAMP")
            casts |= {name: "::DOUBLE" for name in mine if (here[name], columns[name]) == ("BIGINT", "DOUBLE")}
            selected = ", ".join(name_of(name) + casts.get(name, "") for name in mine)
            connection.register("wanted", {"wanted_row": local})
            try:
                cells = connection.execute(
                    f"SELECT file_row_number, {selected} FROM {table} "
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
    lost = next((row for row in rows.tolist() if row not in found), None)
    if lost is not None:
        raise IndexError(f"row {lost} lies in a segment that is damaged and was left out")
    return [dict(found[row]) for row in rows.tolist()]


@contextmanager
def reading(segments: Sequence[Segment]) -> Iterator[None]:
    """Turn DuckDB's errors about damaged files into one that says what to do."""
    duckdb = require("duckdb", "archive")
    try:
        yield
    except duckdb.Error as error:
        names = ", ".join(str(segment.items_path) for segment in segments)
        raise OSError(
            f"the items of {names} cannot be read: {one_line(error)}; rshash verify says what is damaged"
        ) from error


def quote(text: str) -> str:
    """Return a string as SQL."""
    return "'" + text.replace("'", "''") + "'"


def name_of(column: str) -> str:
    """Return a column's name as SQL."""
    return '"' + column.replace('"', '""') + '"'


def items_table(path: Path) -> str:
    """Return an items file as SQL of a table."""
    return f"read_parquet({quote(os.path.abspath(path))}, file_row_number = true)"


def one_line(error: BaseException) -> str:
    """Return an error's text without its line breaks."""
    return " ".join(str(error).split())
