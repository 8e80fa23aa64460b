"""PostgreSQL, with or without pgvector: a table with codes as ``bit(n)``, in a folder.

``load.sql`` makes the table and fills it from ``items.copy`` (COPY, text format), ``query.sql`` asks it exactly; both
want nothing but PostgreSQL 14. ``pgvector.sql`` asks with ``<~>`` and makes an approximate index.

Geometries stay WKB (``bytea``), which PostGIS reads; a bbox becomes four columns; lists and dicts become ``jsonb``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rshash.archive.geometry import SIDES
from rshash.archive.items import reading
from rshash.export.chosen import Chosen, column_of, free_name
from rshash.export.npy import write_about
from rshash.export.sql import scripts

TYPES = {
    "VARCHAR": "text",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "BLOB": "bytea",
}
"""DuckDB type → PostgreSQL type; what is not here becomes jsonb."""

SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
"""Names of columns that every table of PostgreSQL has; a column so called gets an underscore behind it."""

LONGEST_NAME = 63
"""Bytes of a name that PostgreSQL keeps."""

LINES_AT_ONCE = 10_000


class Column(NamedTuple):
    """A column of the table: its name, its type, and the SQL that gives its text, NULL for none."""

    name: str
    kind: str
    text: str


def write(chosen: Chosen, folder: Path) -> None:
    """Write the folder.

    Raises:
        ValueError: if a name or a value has no place in PostgreSQL.
    """
    columns = _columns(chosen)
    folder.mkdir()
    with open(folder / "items.copy", "w", encoding="utf-8", newline="\n") as file:
        file.writelines(_lines(chosen, columns))
    code = "0" * chosen.archive.n_bits
    if len(chosen):
        code = "".join(f"{byte:08b}" for byte in chosen.codes[0].tolist())[: chosen.archive.n_bits]
    about = f"{len(chosen)} items of {chosen.archive.path.name} at commit {chosen.archive.manifest.commit}"
    for name, text in scripts(about, [(column.name, column.kind) for column in columns], code).items():
        (folder / name).write_text(text, encoding="utf-8")
    write_about(chosen, folder)


def _columns(chosen: Chosen) -> list[Column]:
    """Return the columns of the table: id and code, then the other columns of the items.

    Raises:
        ValueError: if a name is too long.
    """
    archive = chosen.archive
    found = [Column("id", TYPES[archive.columns["id"]], _text("items.id", archive.columns["id"]))]
    found.append(Column(chosen.code_name, f"bit({archive.n_bits})", chosen.code_bits))
    for name, kind in archive.columns.items():
        taken = [
            *SYSTEM_COLUMNS,
            *(column.name for column in found),
            *(other for other in archive.columns if other != name),
        ]
        if name == "bbox":
            for side in SIDES:
                found.append(Column(free_name(f"bbox_{side}", taken), TYPES["DOUBLE"], f"items.bbox.{side}::VARCHAR"))
        elif name != "id":
            found.append(Column(free_name(name, taken), TYPES.get(kind, "jsonb"), _text(column_of(name), kind)))
    for column in found:
        if len(column.name.encode()) > LONGEST_NAME:
            raise ValueError(
                f"column {column.name} has more than the {LONGEST_NAME} bytes that PostgreSQL gives a name"
            )
    return found


def _text(value: str, kind: str) -> str:
    """Return SQL of a value as PostgreSQL reads it in COPY's text format."""
    if kind == "BLOB":
        return rf"'\\x' || lower(hex({value}))"  # a backslash, escaped
    text = f"{value}::VARCHAR" if kind in TYPES else f"to_json({value})::VARCHAR"
    if kind not in ("VARCHAR", "BLOB") and kind in TYPES:
        return text
    for plain, escaped in ((r"'\'", r"'\\'"), ("chr(9)", r"'\t'"), ("chr(10)", r"'\n'"), ("chr(13)", r"'\r'")):
        text = f"replace({text}, {plain}, {escaped})"
    return text


def _lines(chosen: Chosen, columns: list[Column]) -> Iterator[str]:
    """Yield the lines of the COPY file, many at once.

    Raises:
        ValueError: if a text holds the character NUL.
    """
    cells = ", ".join(rf"coalesce({column.text}, '\N')" for column in columns)
    with reading(chosen.archive.segments):
        result = chosen.connect().execute(chosen.select(f"concat_ws(chr(9), {cells})"))
        while rows := result.fetchmany(LINES_AT_ONCE):
            for (line,) in rows:
                if "\0" in line:
                    raise ValueError(
                        f"item {line.split(chr(9))[0]} holds the character NUL, which PostgreSQL cannot keep"
                    )
            yield "".join(f"{line}\n" for (line,) in rows)
