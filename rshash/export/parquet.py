"""Parquet: one GeoParquet 1.1 file, the items with their codes as bytes in the column ``code``.

In DuckDB ``bit_count(xor(code::BIT, x::BIT))`` is the Hamming distance to another code ``x``. The column is called
``code_`` where the items have a ``code`` of their own.
"""

from pathlib import Path

from rshash.archive.items import name_of, reading
from rshash.archive.parquet import copy_items
from rshash.export.chosen import Chosen, column_of


def write(chosen: Chosen, path: Path) -> None:
    """Write the file."""
    columns = [column_of(name) for name in chosen.archive.columns]
    code = f"{chosen.code_bytes} AS {name_of(chosen.code_name)}"
    with reading(chosen.archive.segments):
        copy_items(chosen.connect(path.parent), chosen.select(*columns, code), path, None)
