"""The log of a training: one JSON object a line, one line an epoch, readable while it runs."""

import json
import os
from pathlib import Path
from typing import Any

from rshash.files import write_atomically


class EpochLog:
    """A JSONL file.

    Args:
        path: file to write, or None for none; its folder is made.
        n_kept: lines of an earlier run that stay, the epochs that a resumed run does not repeat; None keeps all.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None, n_kept: int | None = 0) -> None:
        self._path = None if path is None else Path(path)
        if self._path is not None:
            kept: list[str] = []
            if n_kept != 0 and self._path.exists():
                kept = self._path.read_text(encoding="utf-8").splitlines(keepends=True)[:n_kept]
            with write_atomically(self._path) as draft:
                draft.write_text("".join(kept), encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        """Append one line and flush it."""
        if self._path is not None:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
