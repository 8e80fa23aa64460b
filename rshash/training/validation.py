"""Validation: retrieval among images held out of the training data, in both directions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rshash.codes import pack_codes
from rshash.metrics import average_precision
from rshash.search import search

_K = 20
_K_OWN = 10

Relax = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Validation:
    """Features of V held-out pairs; each item is a query, all items of the other modality are the database.

    With classes the metric is mAP@20 over items of the same class, the query's own partner left out, because DUCH
    searches images that are no query. Without classes it is recall@10 of the own partner. Codes are plain signs,
    neither expanded nor dithered.

    Attributes:
        images: (V, image dim) float32 for each view whose codes are averaged.
        captions: (V, caption dim) float32, one caption of each image.
        labels: (V,) int64 classes, or None.
    """

    images: Sequence[NDArray[np.float32]]
    captions: NDArray[np.float32]
    labels: NDArray[np.int64] | None

    @property
    def metric(self) -> str:
        """Name of the number that `measure` gives."""
        return f"recall@{_K_OWN}" if self.labels is None else f"mAP@{_K}"

    def measure(self, relax_images: Relax, relax_captions: Relax) -> dict[str, float]:
        """Return ``{"i2t": …, "t2i": …}`` of `metric`.

        Args:
            relax_images: features → relaxed codes.
            relax_captions: features → relaxed codes.
        """
        images = pack_codes(np.mean([relax_images(view) for view in self.images], axis=0))
        captions = pack_codes(relax_captions(self.captions))
        return {"i2t": self._score(images, captions), "t2i": self._score(captions, images)}

    def _score(self, queries: NDArray[np.uint8], database: NDArray[np.uint8]) -> float:
        own = np.arange(len(queries))[:, None]
        if self.labels is None:
            _, ids = search(database, queries, k=_K_OWN)
            return float((ids == own).any(axis=1).mean())
        _, ids = search(database, queries, k=_K + 1)
        others = np.argsort(ids == own, axis=1, kind="stable")[:, : max(1, min(_K, len(queries) - 1))]
        ids = np.take_along_axis(ids, others, axis=1)  # the own partner moved to the end and cut off
        relevant = (self.labels[ids] == self.labels[:, None]) & (ids != own)
        n_relevant = (self.labels[:, None] == self.labels).sum(axis=1) - 1
        counting = n_relevant > 0
        if not counting.any():
            return 0.0
        return float(average_precision(relevant[counting], n_relevant[counting], _K).mean())
