"""The SQL that goes with a COPY file: make and fill the table, ask it exactly, ask it through pgvector."""

from collections.abc import Sequence

from rshash.archive.items import name_of

TABLE = "items"


def scripts(about: str, columns: Sequence[tuple[str, str]], code: str) -> dict[str, str]:
    """Return file name → SQL.

    Args:
        about: what the rows are, for a comment.
        columns: name and type; the first is the id, the second the code.
        code: zeros and ones to ask with.
    """
    names = [name_of(name) for name, _ in columns]
    notes = [" PRIMARY KEY", " NOT NULL"] + [""] * (len(columns) - 2)
    defined = [f"  {name} {kind}{note}" for name, (_, kind), note in zip(names, columns, notes, strict=True)]
    fields = {
        "about": " ".join(about.split()),
        "table": TABLE,
        "columns": ",\n".join(defined),
        "names": ", ".join(names),
        "id": names[0],
        "code": names[1],
        "asked": f"B'{code}'",
    }
    return {name: text.format_map(fields) for name, text in TEXTS.items()}


LOAD = r"""-- {about}, exported by rshash. In this folder, into a database of PostgreSQL 14 or newer:
--   psql -d DATABASE -f load.sql
\set ON_ERROR_STOP on
\encoding UTF8
BEGIN;
CREATE TABLE {table} (
{columns}
);
\copy {table} ({names}) FROM 'items.copy'
COMMIT;
ANALYZE {table};
-- With PostGIS: ALTER TABLE {table} ALTER geometry TYPE geometry USING ST_GeomFromWKB(geometry, 4326);
"""

QUERY = """-- The ten items nearest to a code (here that of the first item), exactly, without any extension.
SELECT {id}, bit_count({code} # {asked}) AS distance
FROM {table}
ORDER BY distance, {id}
LIMIT 10;
"""

PGVECTOR = """-- The same through pgvector 0.7 or newer, still exactly: every row is looked at.
CREATE EXTENSION IF NOT EXISTS vector;
SELECT {id}, {code} <~> {asked} AS distance
FROM {table}
ORDER BY distance, {id}
LIMIT 10;
-- With an index the same question is answered sooner, but approximately: neighbours may be missed. It is asked without
-- a second ORDER BY, and hnsw.ef_search says how far it looks.
CREATE INDEX ON {table} USING hnsw ({code} bit_hamming_ops);
SET hnsw.ef_search = 100;
SELECT {id}, {code} <~> {asked} AS distance
FROM {table}
ORDER BY {code} <~> {asked}
LIMIT 10;
"""

TEXTS = {"load.sql": LOAD, "query.sql": QUERY, "pgvector.sql": PGVECTOR}
