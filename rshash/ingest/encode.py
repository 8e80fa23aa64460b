"""Contents of entries in, relaxed codes out; features may come from a cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import pack_codes
from rshash.data.images import BadImage
from rshash.data.views import IMAGE_VIEWS
from rshash.ingest.entry import Content, Entry
from rshash.models.cache import FeatureCache, Shelf
from rshash.models.encoders import CaptionEncoder, ImageEncoder
from rshash.models.hasher import CrossModalHasher
from rshash.raster.scene import EmptyChip

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
        pack: relaxed codes → packed codes.
        seconds: time spent in the encoder and its head so far.
    """

    def __init__(self, hasher: CrossModalHasher, kind: str, cache: FeatureCache | None = None) -> None:
        images = kind == "images"
        self.pack = pack_codes if images else hasher.pack_captions
        encoder: ImageEncoder | CaptionEncoder
        encoder = hasher.load_image_encoder() if images else hasher.load_caption_encoder()
        self._relax: Callable[..., NDArray[np.float32]] = hasher.relaxed_images if images else hasher.relaxed_captions
        views = hasher.image_views if images else ("original",)
        self._views = [_View(encoder, view, None if cache is None else cache.shelf(encoder, view)) for view in views]
        self._cached = cache is not None
        self.seconds = 0.0

    def read(self, entry: Entry) -> Reading:
        """Read an entry, unless the cache has its features; safe to call from several threads."""
        try:
            if self._cached and entry.stamp is not None:
                reading = Reading(entry, entry.digest())
                if all(view.has(reading.cache_key) for view in self._views):
                    return reading
            content = entry.read()  # before its digest, which reads a whole scene for a chip that may be empty
            return Reading(entry, entry.digest(), content)
        except EmptyChip:
            return Reading(entry, empty=True)
        except (ValueError, OSError) as error:
            return Reading(entry, fault=error.reason if isinstance(error, BadImage) else str(error))

    def encode(self, readings: Sequence[Reading]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode readings without fault.

        Returns:
            relaxed codes (n, n_bits) float32, and good (n,) bool: false where the encoder gave numbers that are not
            finite; such a row is of no use.
        """
        started = perf_counter()
        features = [view.features(readings) for view in self._views]  # each (n, dim)
        good = np.all([np.isfinite(of_view).all(axis=1) for of_view in features], axis=0)
        relaxed = self._relax(*(np.where(good[:, None], of_view, 0) for of_view in features))
        self.seconds += perf_counter() - started
        return relaxed, good

    def finish(self) -> None:
        """Write to the cache what is not there yet."""
        for view in self._views:
            view.flush()


class _View:
    """One look of the encoder at its contents, with the shelf of the cache for it."""

    def __init__(self, encoder: ImageEncoder | CaptionEncoder, name: str, shelf: Shelf | None) -> None:
        self._encoder: Any = encoder
        self._look = IMAGE_VIEWS[name]
        self._shelf = shelf
        self._keys: list[bytes] = []
        self._waiting: list[NDArray[np.float32]] = []

    def has(self, key: bytes) -> bool:
        """Say whether the shelf has the features of a key."""
        return self._shelf is not None and key in self._shelf

    def features(self, readings: Sequence[Reading]) -> NDArray[np.float32]:
        """Return (n, dim) features, from the shelf where it has them."""
        keys = [reading.cache_key for reading in readings]
        if self._shelf is None:
            found: NDArray[np.float32] = self._encoder.encode([self._seen(reading) for reading in readings])
            return found
        found, known = self._shelf.get(keys)
        missing = np.flatnonzero(~known).tolist()
        if missing:
            found[missing] = self._encoder.encode([self._seen(readings[row]) for row in missing])
            self._keys += [keys[row] for row in missing]
            self._waiting.append(found[missing])
        if len(self._keys) >= _ROWS_A_BLOCK:
            self.flush()
        return found

    def flush(self) -> None:
        """Write what waits to the shelf."""
        if self._shelf is not None and self._keys:
            features = np.concatenate(self._waiting)
            whole = np.flatnonzero(np.isfinite(features).all(axis=1))
            if len(whole):
                self._shelf.put([self._keys[row] for row in whole], features[whole])
        self._keys, self._waiting = [], []

    def _seen(self, reading: Reading) -> Content:
        """Return the content under this view; read now where the cache had its features and has lost them since."""
        content = reading.entry.read() if reading.content is None else reading.content
        return content if isinstance(content, str) else self._look(content, np.random.default_rng(0))
