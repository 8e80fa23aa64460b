"""Columns of integers that come to hold fractions: the archive's columns and a new batch in, the columns' types out.

A column is of one type in the whole archive. One of integers becomes one of doubles with the first batch of floats;
segments of before stay as they are and are cast when they are read.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rshash.archive.columns import Column
from rshash.archive.items import STANDARD, name_of, reading

if TYPE_CHECKING:
    from rshash.archive.reader import Archive

INTEGERS, FLOATS = "BIGINT", "DOUBLE"

EXACT = 1 << 53
"""The greatest integer up to which a double tells all integers apart."""


def widen(archive: "Archive", columns: Mapping[str, Column]) -> dict[str, str]:
    """Return the types of an archive's columns as they are with a new batch.

    Args:
        archive: with its lock held.
        columns: the batch, as `rshash.archive.columns.read_columns` gives it.

    Raises:
        ValueError: if integers of either are too great to be doubles.
        OSError: if the items cannot be read.
    """
    types = dict(archive.columns)
    for name in (types.keys() - STANDARD.keys()) & columns.keys():
        kind = columns[name].dtype.kind
        if types[name] == FLOATS and kind == "i":
            _check_exact(name, columns[name].min(), columns[name].max())
        elif types[name] == INTEGERS and kind == "f":
            column = name_of(name)
            with reading(archive.segments):
                (ends,) = archive.connection.execute(f"SELECT min({column}), max({column}) FROM items").fetchall()
            _check_exact(name, *ends)
            types[name] = FLOATS
    return types


def _check_exact(name: str, *ends: int | None) -> None:
    """Refuse integers that a double would round."""
    for end in ends:
        if isinstance(end, int | np.integer) and abs(int(end)) > EXACT:
            raise ValueError(
                f"column {name} would hold {end} among numbers with fractions, which are exact up to 2^53 only: give "
                "one of them another name"
            )
