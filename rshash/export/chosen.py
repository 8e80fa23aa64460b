"""The rows that are exported: their codes beside their items, in DuckDB."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.items import Rows, connect, name_of, union_sql
from rshash.archive.reader import Archive
from rshash.archive.selection import codes_at, ids_at
from rshash.codes import Codes

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, eq=False)
class Chosen:
    """Rows of an archive that are to be written elsewhere, in ascending order.

    Attributes:
        archive: where they are.
        rows: (n,) int64 global rows, ascending.
    """

    archive: Archive
    rows: Rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    @cached_property
    def codes(self) -> Codes:
        """Their codes, (n, n_bytes) uint8."""
        return codes_at(self.archive, self.rows)

    def ids(self) -> NDArray[Any]:
        """Return their ids, (n,) int64 or str; strings are as wide as the longest, so that no pickle is needed."""
        kind = np.int64 if self.archive.manifest.id_type == "integer" else str
        return ids_at(self.archive, self.rows).astype(kind)

    def connect(self, *folders: Path) -> "DuckDBPyConnection":
        """Open a DuckDB for `select` that may also write to some folders."""
        connection = connect(self.archive.path, *folders)
        words = {f"word{place}": word for place, word in enumerate(_words(self.codes))}
        connection.register("codes", {"row": self.rows} | words)
        return connection

    def select(self, *expressions: str) -> str:
        """Return SQL of expressions over ``items`` and ``codes``, a row each, in order."""
        items = union_sql(self.archive.segments, self.archive.columns)
        return f"SELECT {', '.join(expressions)} FROM ({items}) AS items JOIN codes USING (row) ORDER BY row"

    @property
    def code_bytes(self) -> str:
        """SQL of a code as bytes."""
        return " || ".join(f"({word}::BIT)::BLOB" for word in self._words)

    @property
    def code_bits(self) -> str:
        """SQL of a code as text of zeros and ones, bit 0 first."""
        return f"left({' || '.join(f'({word}::BIT)::VARCHAR' for word in self._words)}, {self.archive.n_bits})"

    @property
    def code_name(self) -> str:
        """A name for a column of codes that no column of the items has."""
        return free_name("code", self.archive.columns)

    @property
    def _words(self) -> list[str]:
        """SQL of the words that make up a code."""
        return [f"codes.word{place}" for place in range(len(_words(self.codes[:0])))]


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return a name that is not taken, in any case, with as many underscores behind it as that needs.

    >>> free_name("code", {"id", "Code"})
    'code_'
    """
    names = {other.casefold() for other in taken}
    while name.casefold() in names:
        name += "_"
    return name


def column_of(name: str) -> str:
    """Return a column of the items as SQL."""
    return f"items.{name_of(name)}"


def _words(codes: Codes) -> list[NDArray[Any]]:
    """Cut codes into columns of unsigned integers, as wide as can be; their highest bit is the first of the code."""
    words, start = [], 0
    for width in (8, 4, 2, 1):
        while codes.shape[1] - start >= width:
            word = np.ascontiguousarray(codes[:, start : start + width]).view(f">u{width}")[:, 0]
            words.append(word.astype(f"=u{width}"))
            start += width
    return words
