"""Near-duplicates: groups of items whose codes lie within a radius, each of some other of its group."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.components import connect_rows
from rshash.archive.items import Rows
from rshash.archive.selection import codes_at, ids_at, select_rows
from rshash.codes import Codes
from rshash.index.arguments import check_integer
from rshash.join import first_equal, join_blocks

if TYPE_CHECKING:
    from rshash.archive.reader import Archive


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Groups of two or more, in ascending order of their first row; in a group rows ascend.

    A group holds every item that can be reached from another by steps of at most the radius, so two of a long chain may
    lie farther apart.

    Attributes:
        rows: (M,) int64 global rows of all groups, one after the other; valid in the snapshot that was asked.
        offsets: (G + 1,) int64: group i owns rows[offsets[i]:offsets[i + 1]].
        radius: greatest distance of a step.
        archive: what was looked through.
    """

    rows: Rows
    offsets: NDArray[np.int64]
    radius: int
    archive: "Archive"
    _commit: int

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.offsets) - 1

    @cached_property
    def ids(self) -> list[list[Any]]:
        """Ids of each group. Read at first use.

        Raises:
            ValueError: if the archive has moved to another commit since.
            OSError: if the items cannot be read.
        """
        if self.archive.manifest.commit != self._commit:
            raise ValueError("the archive has changed since duplicates were looked for: look again")
        found = ids_at(self.archive, self.rows).tolist()
        return [found[start:stop] for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True)]

    def __iter__(self) -> Iterator[list[Any]]:
        """Yield the ids of one group after the other."""
        return iter(self.ids)

    @property
    def surplus(self) -> list[Any]:
        """Ids of all but the first of each group: what to delete so that one of each stays."""
        return [name for group in self.ids for name in group[1:]]


def find_duplicates(
    archive: "Archive",
    radius: int,
    *,
    bbox: Any = None,
    datetime: Any = None,
    where: str | None = None,
    ids: Any = None,
    plan: str | None = None,
    n_threads: int | None = None,
) -> Duplicates:
    """Group the living items whose codes lie within a radius of each other.

    Equal codes are told by sorting; only distinct ones are compared, as `rshash.join` does. That takes about 60 bytes
    of memory a row, and with tables (see `rshash.MultiIndex`), where they pay, 110 for codes of 64 bits. Codes are read
    into memory besides where the archive has several segments or deleted rows.

    Args:
        archive: an open archive.
        radius: greatest Hamming distance of a step, 0 for equal codes only.
        bbox: as `Archive.search`: look only among items that fulfil these conditions.
        datetime: likewise.
        where: likewise.
        ids: likewise.
        plan: as `rshash.join`.
        n_threads: as `rshash.join`.

    Raises:
        TypeError, ValueError, ImportError, OSError: as `Archive.search` and `rshash.join`.
    """
    radius = check_integer("radius", radius, 0, archive.n_bits)
    rows = select_rows(archive, bbox=bbox, datetime=datetime, where=where, ids=ids)
    roots = _group(codes_at(archive, rows), radius, plan, n_threads)
    order = np.argsort(roots, kind="stable")
    members = np.bincount(roots, minlength=len(rows))  # of each group, at its first row
    sizes = members[members > 1]
    grouped = order[members[roots[order]] > 1]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
    return Duplicates(rows[grouped], offsets, radius, archive, archive.manifest.commit)


def _group(codes: Codes, radius: int, plan: str | None, n_threads: int | None) -> Rows:
    """Return for each code the first one of its group, (N,) int64."""
    first = first_equal(codes)
    if radius == 0:
        return first
    distinct = np.flatnonzero(first == np.arange(len(first)))
    alone = codes if len(distinct) == len(codes) else codes[distinct]
    parts = join_blocks(alone, None, radius, plan=plan, n_threads=n_threads)
    return connect_rows(first, ((distinct[part.rows_a], distinct[part.rows_b]) for part in parts))
