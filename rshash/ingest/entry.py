"""What every source yields: one `Entry` for each row an archive should have, one `BadInput` for each it cannot."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

DIGEST_CHARACTERS = 16
"""Hex characters of a digest that the archive keeps: two states of a file are taken for one once in 2^64."""

Content = NDArray[np.uint8] | str


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size and time of a file: while both stay, its content is taken to be the same."""

    n_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> "Stamp":
        """Ask the file system.

        Raises:
            OSError: if the file is not there or may not be seen.
        """
        status = os.stat(path)
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row to be: what it is called, what is said of it, and how to get at its content.

    Attributes:
        id: unique within a source.
        columns: item columns beside the id, such as ``source``, ``geometry``, ``datetime`` and ``caption``.
        read: returns the picture, (H, W, 3) uint8 RGB, or the caption; raises `BadImage` (or another ValueError) where
            it cannot. Called from several threads.
        digest: returns the hex digest of the content that ``read`` starts from.
        stamp: of the file behind it; None where there is none, and the digest is cheap.
        recipe: how the content becomes the picture, in words (bands, stretch); None where there is no choice.
        is_zoneless: whether its ``datetime`` was told without a zone, and taken as UTC.
    """

    id: str
    columns: Mapping[str, Any]
    read: Callable[[], Content]
    digest: Callable[[], str]
    stamp: Stamp | None = None
    recipe: str | None = None
    is_zoneless: bool = False

    @property
    def source(self) -> str | None:
        """Path of the file it comes from."""
        source: str | None = self.columns.get("source")
        return source

    def columns_digest(self) -> str:
        """Digest of the item columns, so that a new caption or place is noticed where the pixels stayed."""
        text = json.dumps(dict(self.columns), sort_keys=True, default=_as_text)
        return digest_text(text)[:DIGEST_CHARACTERS]


@dataclass(frozen=True, slots=True)
class BadInput:
    """Something that cannot become a row.

    Attributes:
        id: id it would have had, or the path or row number where it has none.
        file: path of the file that is at fault.
        reason: what was expected and what came.
    """

    id: str
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.id}: {self.reason}"


class Source(Protocol):
    """Where rows come from: a name for provenance and messages, and rows of one kind, "images" or "captions"."""

    @property
    def name(self) -> str:
        """What it is."""
        ...

    @property
    def kind(self) -> str:
        """What its rows are."""
        ...

    def __len__(self) -> int:
        """Count what iterating will yield, for the progress bar; cheap beside encoding."""
        ...

    def __iter__(self) -> Iterator[Entry | BadInput]:
        """Yield one by one, in the same order every time; nothing is kept."""
        ...


def digest_text(text: str) -> str:
    """Return the hex digest of a text, 32 characters."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def digest_content(path: str | os.PathLike[str]) -> str:
    """Return the hex digest of a file's bytes, 32 characters.

    Raises:
        BadImage: if it cannot be read.
    """
    from rshash.data.images import digest_file

    return digest_file(Path(path)).hex()


def _as_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes | bytearray) else str(value)
