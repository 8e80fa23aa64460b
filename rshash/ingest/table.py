"""A Parquet or CSV table with a row for each file in, its files with what the table knows of them out."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from rshash.archive.columns import RESERVED
from rshash.extras import require
from rshash.ingest.entry import BadInput
from rshash.ingest.listing import Listed
from rshash.ingest.place import PLACE_COLUMNS, is_zoneless, read_moment, read_place

_ROWS_AT_ONCE = 4096
_READERS = {
    ".parquet": "read_parquet(?)",
    ".geoparquet": "read_parquet(?)",
    ".csv": "read_csv(?, header = true, sample_size = -1)",
    ".tsv": "read_csv(?, header = true, sample_size = -1, delim = '\\t')",
}
_UNDERSTOOD = ("path", "id", "datetime", "caption", *PLACE_COLUMNS)
_ZONED = "TIMESTAMP WITH TIME ZONE"
_AS_TEXT = ("UUID", "TIME", "TIME WITH TIME ZONE", "INTERVAL", "BIT", "HUGEINT", "UHUGEINT", "UBIGINT")
_RESERVED = (
    *RESERVED,
    *("source", "window", "file_bytes", "file_modified_ns", "file_digest", "item_digest", "recipe"),
)


class TableListing:
    """The files that a table names.

    Columns: ``path`` (below ``folder``), and as wanted ``id`` (else the path is it), a place (``lon`` and ``lat``,
    ``bbox``, ``xmin``, ``ymin``, ``xmax``, ``ymax``, or ``geometry`` as WKB or WKT; longitude and latitude in
    degrees), ``datetime`` (naive is UTC), ``caption``, in any case. Others are kept as they are.

    Args:
        table: Parquet, GeoParquet or CSV with a header, told by its suffix. Read by DuckDB a few thousand rows at a
            time.
        folder: where paths begin; None takes the table's own folder.
        prefix: put before every id.

    Raises:
        OSError: if there is no such table.
        ValueError: if it cannot be read, has no ``path``, or a column whose name is taken.
        ImportError: if duckdb is missing.
    """

    def __init__(
        self, table: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None, prefix: str = ""
    ) -> None:
        self._table = Path(table)
        self._folder = (self._table.parent if folder is None else Path(folder)).resolve()
        self._prefix = prefix
        if self._table.suffix.lower() not in _READERS:
            raise ValueError(f"{table} is no table: expected a name that ends in {', '.join(_READERS)}")
        if not self._table.is_file():
            raise FileNotFoundError(f"{table} is no file: give a Parquet or CSV table")
        self._connection = require("duckdb", "archive").connect()
        types = {name: str(type) for name, type, *_ in self._select("*", "LIMIT 0").description}
        self._columns = [name.casefold() if name.casefold() in _UNDERSTOOD else name for name in types]
        self._wanted = ", ".join(_selected(name, type) for name, type in types.items())
        self._is_zoned = any(name.casefold() == "datetime" and type == _ZONED for name, type in types.items())
        if "path" not in self._columns:
            raise ValueError(f"{table} has no column path, which names each image; it has {', '.join(self._columns)}")
        if taken := [name for name in self._columns if name.casefold() in _RESERVED]:
            raise ValueError(f"{table} has a column {taken[0]}, which the archive fills itself: rename it")

    @property
    def name(self) -> str:
        """The table's file name without its suffix."""
        return self._table.stem

    def __len__(self) -> int:
        n_rows: int = self._select("count(*)").fetchone()[0]
        return n_rows

    def __iter__(self) -> Iterator[Listed | BadInput]:
        rows = self._select(self._wanted)
        seen: set[str] = set()
        number = 0
        while block := self._fetch(rows):
            for values in block:
                yield self._listed(number, dict(zip(self._columns, values, strict=True)), seen)
                number += 1

    def _fetch(self, rows: Any) -> list[tuple[Any, ...]]:
        try:
            found: list[tuple[Any, ...]] = rows.fetchmany(_ROWS_AT_ONCE)
            return found
        except require("duckdb", "archive").Error as error:
            raise ValueError(f"{self._table} cannot be read: {str(error).splitlines()[0]}") from None

    def _select(self, what: str, rest: str = "") -> Any:
        """Query the table with a cursor of its own, so that two may be read at once."""
        duckdb = require("duckdb", "archive")
        reader = _READERS[self._table.suffix.lower()]
        try:
            cursor = self._connection.cursor()
            return cursor.execute(f"SELECT {what} FROM {reader} {rest}", [str(self._table)])
        except duckdb.Error as error:
            raise ValueError(f"{self._table} cannot be read: {str(error).splitlines()[0]}") from None

    def _listed(self, number: int, row: dict[str, Any], seen: set[str]) -> Listed | BadInput:
        """Return one row's file, or what is wrong with it."""
        path = row.pop("path")
        id = row.pop("id", None)
        name = path if id is None else str(id)
        if not isinstance(path, str) or not path.strip() or not name:
            return BadInput(f"row {number}", str(self._table), f"expected the path of an image, got {path!r}")
        if name in self._doubles:
            if name in seen:
                return BadInput(self._prefix + name, str(self._table), f"row {number} has an id that came before")
            seen.add(name)
        try:
            columns = {name: value for name, value in row.items() if name not in PLACE_COLUMNS and value is not None}
            columns |= read_place(row)
            moment = row.get("datetime")
            if moment is not None:
                columns["datetime"] = read_moment(moment)
        except ValueError as error:
            return BadInput(self._prefix + name, str(self._table), f"row {number}: {error}")
        return Listed(self._prefix + name, self._folder / path, columns, not self._is_zoned and is_zoneless(moment))

    @cached_property
    def _doubles(self) -> set[str]:
        """Ids that several rows have."""
        id = "coalesce(id::VARCHAR, path)" if "id" in self._columns else "path"
        rows = self._select(f"{id} AS name", "GROUP BY 1 HAVING count(*) > 1")
        return {name for (name,) in rows.fetchall()}


def _selected(name: str, type: str) -> str:
    """Return the SQL that brings a column as Python has it."""
    quoted = '"' + name.replace('"', '""') + '"'
    if type == _ZONED:  # handed over only where pytz is installed; in UTC without a zone always
        return f"make_timestamp(epoch_us({quoted}))"
    if name.casefold() == "geometry" and type == "VARCHAR":
        return f"coalesce(try_cast({quoted} AS GEOMETRY)::BLOB, encode({quoted}))"
    if type.startswith("DECIMAL"):
        return f"{quoted}::DOUBLE"
    return f"{quoted}::VARCHAR" if type in _AS_TEXT or name.casefold() == "caption" else quoted
