"""Features on disk: a folder that several processes may use at once and that survives being killed at any time.

::

    CACHE/small-cnn-original-5f0c…/about.json        encoder, version, preprocessing, view, seed: what the name digests
    CACHE/small-cnn-original-5f0c…/1b9e….features    a block: sha256 of the rest, keys (n, 16) uint8, features (n, dim)

Blocks are written under a temporary name and renamed, so one that has its name is whole. A block that was damaged
afterwards fails its checksum: it is reported as a warning, removed, and its rows are computed again. Two processes
that compute the same row write it twice; neither waits, and both rows are right.
"""

import io
import json
import os
import re
import warnings
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rshash.data.views import VERSION
from rshash.files import write_atomically
from rshash.models.encoders import CaptionEncoder, ImageEncoder

_KEY_BYTES = 16
_CHECKSUM_BYTES = 32
_SUFFIX = ".features"


class FeatureCache:
    """A folder of features; one shelf for each encoder, version, preprocessing, view and seed of the view.

    Args:
        folder: made when the first block is written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def shelf(self, encoder: ImageEncoder | CaptionEncoder, view: str = "original", seed: int = 0) -> "Shelf":
        """Open the shelf of one encoder and view; the view "original" is the same under every seed."""
        about: dict[str, str | int] = {
            "encoder": encoder.name,
            "version": encoder.version,
            "preprocessing": encoder.preprocessing,
            "dim": encoder.dim,
            "view": view,
            "view_version": 0 if view == "original" else VERSION,
            "seed": 0 if view == "original" else seed,
        }
        return Shelf(self.folder, about)


class Shelf:
    """The cached rows of one encoder and view: content key → (dim,) float32."""

    def __init__(self, cache: Path, about: dict[str, str | int]) -> None:
        identity = json.dumps(about, sort_keys=True)
        name = re.sub(r"[^A-Za-z0-9-]", "_", f"{about['encoder']}-{about['view']}")
        self._folder = cache / f"{name}-{blake2b(identity.encode(), digest_size=8).hexdigest()}"
        self._about = about
        self._dim = int(about["dim"])
        self._block_of: dict[bytes, str] = {}
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                self._block_of.update(dict.fromkeys(_read_keys(path), path.name))
            except (OSError, ValueError, EOFError) as error:
                self._discard(path.name, error)

    def __len__(self) -> int:
        return len(self._block_of)

    def __contains__(self, key: bytes) -> bool:
        return _digest(key) in self._block_of

    def get(self, keys: list[bytes]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Look up rows.

        Args:
            keys: content key of each wanted row, of any length.

        Returns:
            features (len(keys), dim) float32, and known (len(keys),) bool; rows that are not known are zero.
        """
        digests = [_digest(key) for key in keys]
        features = np.zeros((len(keys), self._dim), dtype=np.float32)
        known = np.zeros(len(keys), dtype=bool)
        for name in sorted({self._block_of[digest] for digest in digests if digest in self._block_of}):
            try:
                rows = _read_block(self._folder / name, self._dim)
            except (OSError, ValueError, EOFError) as error:
                self._discard(name, error)
                continue
            for position, digest in enumerate(digests):
                if digest in rows:
                    features[position] = rows[digest]
                    known[position] = True
        return features, known

    def put(self, keys: list[bytes], features: NDArray[np.float32]) -> None:
        """Store rows as one new block.

        Raises:
            OSError: the folder cannot be written.
        """
        digests = [_digest(key) for key in keys]
        payload = io.BytesIO()
        np.save(payload, np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, _KEY_BYTES))
        np.save(payload, np.ascontiguousarray(features, dtype=np.float32))
        content = payload.getvalue()
        self._folder.mkdir(parents=True, exist_ok=True)
        if not (self._folder / "about.json").exists():
            with write_atomically(self._folder / "about.json") as draft:
                draft.write_text(json.dumps(self._about, indent=2) + "\n")
        path = self._folder / (blake2b(b"".join(digests), digest_size=16).hexdigest() + _SUFFIX)
        with write_atomically(path) as draft:
            draft.write_bytes(sha256(content).digest() + content)
        self._block_of.update(dict.fromkeys(digests, path.name))

    def _discard(self, name: str, error: Exception) -> None:
        """Report a damaged block, and forget and remove it."""
        self._block_of = {digest: block for digest, block in self._block_of.items() if block != name}
        path = self._folder / name
        if path.exists():  # another process may have removed it first
            warnings.warn(f"damaged feature cache {path} ({error}): computing its rows again", stacklevel=2)
            path.unlink(missing_ok=True)


def _digest(key: bytes) -> bytes:
    return blake2b(key, digest_size=_KEY_BYTES).digest()


def _read_keys(path: Path) -> list[bytes]:
    """Return the keys of a block without reading its features; the checksum is not tested."""
    with open(path, "rb") as file:
        file.seek(_CHECKSUM_BYTES)
        return _rows_of_keys(np.load(file, allow_pickle=False))


def _read_block(path: Path, dim: int) -> dict[bytes, NDArray[np.float32]]:
    """Return key → row of a block whose checksum is right."""
    content = path.read_bytes()
    if sha256(content[_CHECKSUM_BYTES:]).digest() != content[:_CHECKSUM_BYTES]:
        raise ValueError("its checksum is wrong")
    file = io.BytesIO(content[_CHECKSUM_BYTES:])
    keys = _rows_of_keys(np.load(file, allow_pickle=False))
    features = np.load(file, allow_pickle=False)
    if features.shape != (len(keys), dim):
        raise ValueError(f"its features have shape {features.shape}, expected {(len(keys), dim)}")
    return dict(zip(keys, features, strict=True))


def _rows_of_keys(keys: NDArray[np.uint8]) -> list[bytes]:
    if keys.ndim != 2 or keys.shape[1] != _KEY_BYTES or keys.dtype != np.uint8:
        raise ValueError(f"its keys are {keys.dtype} of shape {keys.shape}")
    return [row.tobytes() for row in keys]
