"""Encoded rows in, commits of an archive out: every so many rows or seconds."""

import time
from typing import Any

import numpy as np

from rshash.archive.reader import Archive
from rshash.codes import Codes

WAIT_SECONDS = 60.0
"""How long a commit waits for another writer to be done."""

FEW_SEGMENTS = 8
"""As many segments as this cost a search nothing to speak of; more are merged."""


class Committer:
    """Collects rows and commits them; a row whose id is there replaces it.

    Args:
        archive: an open archive.
        rows: commit as soon as this many wait.
        seconds: commit as soon as a row has waited this long and another comes.
    """

    def __init__(self, archive: Archive, rows: int, seconds: float) -> None:
        self._archive, self._rows, self._seconds = archive, rows, seconds
        self._codes: list[Codes] = []
        self._items: list[dict[str, Any]] = []
        self._first = 0.0

    def add(self, code: Codes, item: dict[str, Any]) -> None:
        """Add a row, (n_bytes,) uint8 and its item.

        Raises:
            ValueError, OSError: as `Archive.append`, if it is time to commit.
        """
        now = time.monotonic()
        if not self._items:
            self._first = now
        self._codes.append(code)
        self._items.append(item)
        if len(self._items) >= self._rows or now - self._first >= self._seconds:
            self.commit()

    def commit(self) -> None:
        """Commit what waits; it waits no longer, whether that succeeds or not.

        Raises:
            ValueError, OSError: as `Archive.append`.
        """
        codes, items, self._codes, self._items = self._codes, self._items, [], []
        deadline = time.monotonic() + WAIT_SECONDS
        while items:
            try:
                self._archive.append(np.stack(codes), items, on_duplicate="replace")
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def merge(self) -> None:
        """Merge segments where there are more than a few."""
