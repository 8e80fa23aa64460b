"""Encoded rows in, commits of an archive out: every so many rows or seconds."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.reader import Archive
from rshash.codes import Codes

Relaxed = NDArray[np.floating[Any]]

WAIT_SECONDS = 60.0
"""How long a commit waits for another writer to be done."""

FEW_SEGMENTS, MANY_SEGMENTS = 8, 64
"""`Committer.merge` leaves few segments alone, and suffers no more than many however large the archive."""

SMALL_SHARE = 0.25
"""Between few and many, segments are merged when those beside the largest hold this share of the rows."""


class Committer:
    """Collects rows and commits them; a row whose id is there replaces it.

    Args:
        archive: an open archive.
        rows: commit as soon as this many wait.
        seconds: commit as soon as a row has waited this long and another comes.
        keep_relaxed: whether relaxed codes go into the archive, too.
    """

    def __init__(self, archive: Archive, rows: int, seconds: float, keep_relaxed: bool) -> None:
        self._archive, self._rows, self._seconds, self._keep_relaxed = archive, rows, seconds, keep_relaxed
        self._codes: list[Codes] = []
        self._relaxed: list[Relaxed] = []
        self._items: list[dict[str, Any]] = []
        self._removed: list[str] = []
        self._first = 0.0

    def add(self, code: Codes, relaxed: Relaxed | None, item: dict[str, Any]) -> None:
        """Add a row: its code (n_bytes,) uint8, its relaxed code (n_bits,) where such are kept, and its item.

        Raises:
            ValueError, OSError: as `Archive.append`, if it is time to commit.
        """
        self._codes.append(code)
        self._items.append(item)
        if self._keep_relaxed and relaxed is not None:
            self._relaxed.append(relaxed.astype(np.float16))
        self._commit_if_due()

    def remove(self, id: str) -> None:
        """Delete a row with the next commit."""
        self._removed.append(id)
        self._commit_if_due()

    def commit(self) -> None:
        """Commit what waits; it waits no longer, whether that succeeds or not.

        Raises:
            ValueError, OSError: as `Archive.append`.
        """
        codes, relaxed, items, removed = self._codes, self._relaxed, self._items, self._removed
        self._codes, self._relaxed, self._items, self._removed = [], [], [], []
        if items:
            floats = np.stack(relaxed) if self._keep_relaxed else None
            _patiently(lambda: self._archive.append(np.stack(codes), items, floats, on_duplicate="replace"))
        if removed:
            _patiently(lambda: self._archive.delete(removed))
        if len(self._archive.segments) > MANY_SEGMENTS:
            self.merge()

    def _commit_if_due(self) -> None:
        now = time.monotonic()
        n_waiting = len(self._items) + len(self._removed)
        if n_waiting == 1:
            self._first = now
        if n_waiting >= self._rows or now - self._first >= self._seconds:
            self.commit()

    def merge(self) -> None:
        """Merge segments where there are many, or more than a few whose small ones add up: each row is then rewritten
        a few times over the life of an archive, not at every run.

        Raises:
            OSError: as `Archive.compact`.
        """
        n_rows = [segment.n_rows for segment in self._archive.segments]
        worthwhile = sum(n_rows) - max(n_rows, default=0) >= SMALL_SHARE * sum(n_rows)
        if len(n_rows) > (FEW_SEGMENTS if worthwhile else MANY_SEGMENTS):
            _patiently(self._archive.compact)


def _patiently(change: Callable[[], object]) -> None:
    """Make a change, waiting a while for another writer."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            change()
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
