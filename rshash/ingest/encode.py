"""Contents of entries in, packed codes out; features may come from a cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes, pack_codes
from rshash.data.images import BadImage
from rshash.ingest.entry import Content, Entry
from rshash.ingest.scene import EmptyChip
from rshash.models.cache import FeatureCache
from rshash.models.hasher import CrossModalHasher

_ROWS_A_BLOCK = 256  # rows that reach the cache together


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading an entry gave.

    Attributes:
        entry: which.
        digest: of its content; empty where it could not be read.
        content: picture or caption; None where the cache has its features, or there is none.
        fault: why it cannot become a row.
        empty: whether it is a chip without enough data.
    """

    entry: Entry
    digest: str = ""
    content: Content | None = None
    fault: str | None = None
    empty: bool = False

    @property
    def n_bytes(self) -> int:
        """Bytes of the content."""
        return self.content.nbytes if isinstance(self.content, np.ndarray) else 0

    @property
    def cache_key(self) -> bytes:
        """Key of its features: as training has it for whole pictures and captions, with window and recipe for chips."""
        if isinstance(self.content, str):
            return self.content.encode()
        key = bytes.fromhex(self.digest)
        return (
            key if self.entry.recipe is None else key + f"{self.entry.recipe} {self.entry.columns['window']}".encode()
        )


class Encoder:
    """Encodes entries with one hasher.

    Args:
        hasher: trained hasher.
        kind: "images" or "captions".
        cache: where features are looked up and kept; None keeps none.

    Attributes:
        seconds: time spent in the encoder and its head so far.
    """

    def __init__(self, hasher: CrossModalHasher, kind: str, cache: FeatureCache | None = None) -> None:
        images = kind == "images"
        self._encoder = hasher.load_image_encoder() if images else hasher.load_caption_encoder()
        self._relax = hasher.relaxed_images if images else hasher.relaxed_captions
        self._shelf = None if cache is None else cache.shelf(self._encoder)
        self._keys: list[bytes] = []
        self._features: list[NDArray[np.float32]] = []
        self.seconds = 0.0

    def read(self, entry: Entry) -> Reading:
        """Read an entry, unless the cache has its features; safe to call from several threads."""
        try:
            reading = Reading(entry, entry.digest())
            if self._shelf is not None and entry.stamp is not None and reading.cache_key in self._shelf:
                return reading
            return Reading(entry, reading.digest, entry.read())
        except EmptyChip:
            return Reading(entry, empty=True)
        except (ValueError, OSError) as error:
            return Reading(entry, fault=error.reason if isinstance(error, BadImage) else str(error))

    def encode(self, readings: Sequence[Reading]) -> tuple[Codes, NDArray[np.bool_]]:
        """Encode readings without fault.

        Returns:
            codes (n, n_bytes) uint8, and good (n,) bool: false where the encoder gave numbers that are not finite; such
            codes are zero.
        """
        keys = [reading.cache_key for reading in readings]
        if self._shelf is None:
            features, known = np.zeros((len(keys), self._encoder.dim), np.float32), np.zeros(len(keys), bool)
        else:
            features, known = self._shelf.get(keys)
        missing = np.flatnonzero(~known).tolist()
        contents: list[Any] = []
        for row in missing:
            content = readings[row].content  # None where the cache had it, and has lost it since
            contents.append(readings[row].entry.read() if content is None else content)
        started = perf_counter()
        if missing:
            features[missing] = self._encoder.encode(contents)
        good = np.asarray(np.isfinite(features).all(axis=1, keepdims=True))  # (n, 1)
        codes = pack_codes(self._relax(np.where(good, features, 0)))
        self.seconds += perf_counter() - started
        codes[~good[:, 0]] = 0
        self._keep([keys[row] for row in missing], features[missing])
        return codes, good[:, 0]

    def finish(self) -> None:
        """Write to the cache what is not there yet."""
        if self._shelf is not None and self._keys:
            self._shelf.put(self._keys, np.concatenate(self._features))
        self._keys, self._features = [], []

    def _keep(self, keys: list[bytes], features: NDArray[np.float32]) -> None:
        if self._shelf is None or not keys:
            return
        self._keys += keys
        self._features.append(features)
        if len(self._keys) >= _ROWS_A_BLOCK:
            self.finish()
