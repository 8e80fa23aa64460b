"""Opening an archive: memory-mapped codes, items by row, queries by text, image or code."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.writer import FORMAT, FORMAT_VERSION, KINDS
from rshash.codes import MAX_BITS, Codes, check_codes, code_bytes
from rshash.index.hits import Hits
from rshash.search import search

if TYPE_CHECKING:
    from rshash.models.hasher import CrossModalHasher


class Archive:
    """A read-only view of an archive on disk; nothing is read before it is needed.

    Attributes:
        path: the directory.
        n_bits: width of the codes.
        kind: what a row is, "images" or "captions".
        codes: (N, n_bytes) uint8, memory-mapped.
        provenance: what the writer noted down.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        manifest = _read_manifest(self.path)
        self.n_bits: int = manifest["n_bits"]
        self.kind: str = manifest["kind"]
        self.provenance: dict[str, Any] = manifest["provenance"]
        self.codes: Codes = _map(self.path / "codes.npy", np.uint8, (manifest["n_rows"], code_bytes(self.n_bits)))
        self._offsets: NDArray[np.int64] = _map(self.path / "item_offsets.npy", np.int64, (manifest["n_rows"],))

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"Archive({str(self.path)!r}: {len(self):,} {self.kind} at {self.n_bits} bits)"

    @cached_property
    def hasher(self) -> "CrossModalHasher":
        """The hasher that made the codes, loaded at first use (this imports torch).

        Raises:
            ValueError: if the archive was written without one, or it does not fit.
            ImportError: if the packages it needs are missing.
        """
        if not (self.path / "hasher").is_dir():
            raise ValueError(f"{self.path} holds codes only, no hasher: ask it with packed codes")
        from rshash.models.hasher import CrossModalHasher

        hasher = CrossModalHasher.load(self.path / "hasher")
        if hasher.n_bits != self.n_bits:
            raise ValueError(
                f"{self.path} has codes of {self.n_bits} bits but its hasher makes {hasher.n_bits}: index it again"
            )
        return hasher

    def items(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> list[dict[str, Any]]:
        """Return the items of some rows, each a dict with at least ``"id"``.

        Args:
            rows: row numbers, 0..N-1, in any order.

        Raises:
            IndexError: if a row is outside the archive.
            ValueError: if the items file is damaged.
        """
        found: list[dict[str, Any]] = []
        with open(self.path / "items.jsonl", "rb") as file:
            for row in rows:
                if not 0 <= row < len(self):
                    raise IndexError(f"row {row} is outside the archive's rows 0..{len(self) - 1}")
                try:
                    file.seek(int(self._offsets[row]))
                    item = json.loads(file.readline())
                    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
                        raise ValueError("expected an object with a string id")
                except (ValueError, OSError) as error:
                    raise ValueError(f"{file.name} is damaged at row {row}: {error}; index it again") from error
                found.append(item)
        return found

    def encode(self, query: Any) -> Codes:
        """Return packed codes of a query.

        Args:
            query: a sentence, a list of sentences, an image (H, W, 3) uint8, or packed codes (Q, n_bytes) uint8, which
                are checked and passed through.

        Returns:
            (Q, n_bytes) uint8.

        Raises:
            TypeError, ValueError: if it is none of these or of another width.
        """
        if isinstance(query, str):
            return self.hasher.encode_captions([query])
        if isinstance(query, list | tuple) and query and all(isinstance(sentence, str) for sentence in query):
            return self.hasher.encode_captions(query)
        if isinstance(query, np.ndarray) and query.ndim == 3:
            return self.hasher.encode_images([query])
        codes = query[None] if isinstance(query, np.ndarray) and query.ndim == 1 else query
        return check_codes(codes, "queries", n_bits=self.n_bits)

    def search(self, query: Any, k: int | None = None, radius: int | None = None, **options: Any) -> Hits:
        """Search by sentence, image or codes; see `encode` for queries.

        Args:
            query: what to ask.
            k: number of hits; 10 unless a radius is given.
            radius: return instead every row within this distance.
            options: ``filter``, ``exclude``, ``plan`` and ``n_threads`` of `rshash.search`.

        Returns:
            Hits whose ids are row numbers of this archive; `items` tells what they are.

        Raises:
            TypeError, ValueError: as `encode` and `rshash.search`.
        """
        return search(self.codes, self.encode(query), k=k, radius=radius, **options)


def open_archive(path: str | os.PathLike[str]) -> Archive:
    """Open an archive in milliseconds, whatever its size.

    Raises:
        FileNotFoundError: if there is none under this name.
        ValueError: if it is damaged or was written by a newer rshash.
    """
    return Archive(path)


def _read_manifest(path: Path) -> dict[str, Any]:
    """Read and check the manifest."""
    file = path / "manifest.json"
    if not file.is_file():
        raise FileNotFoundError(f"{path} is no archive (no manifest.json in it): build one with rshash index")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}; index it again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"{file} is not the manifest of an rshash archive")
    if manifest.get("version") != FORMAT_VERSION:
        raise ValueError(
            f"{file} is of format version {manifest.get('version')!r}, this rshash reads {FORMAT_VERSION}: "
            "a newer rshash may be able to open it"
        )
    n_rows, n_bits = manifest.get("n_rows"), manifest.get("n_bits")
    numbers = isinstance(n_rows, int) and n_rows > 0 and isinstance(n_bits, int) and 0 < n_bits <= MAX_BITS
    if not numbers or manifest.get("kind") not in KINDS or not isinstance(manifest.get("provenance"), dict):
        raise ValueError(f"{file} is damaged: n_rows, n_bits, kind or provenance is missing or wrong; index it again")
    return manifest


def _map(path: Path, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """Memory-map an array and hold it against what the manifest says."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: copy the whole archive, or index it again") from None
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged or cut short: {error}; index it again") from error
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"{path} holds {array.dtype} {array.shape}, the manifest says {np.dtype(dtype)} {shape}: index it again"
        )
    return np.asarray(array)
