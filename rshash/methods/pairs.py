"""The training pairs of a method: features of every view in memory, drawn into batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Features of B image-caption pairs.

    Attributes:
        rows: (B,) int64 position of each pair in the training set; addresses targets, weights and memory banks.
        images: one (B, image dim) float32 for each image view.
        captions: one (B, caption dim) float32 for each caption view, all of the same caption of the image.
        labels: (B,) int64 classes, or None.
    """

    rows: Tensor
    images: tuple[Tensor, ...]
    captions: tuple[Tensor, ...]
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class TrainingPairs:
    """Features of N images and of their captions, of all views.

    Attributes:
        images: one (N, image dim) float32 for each image view.
        captions: one (M, caption dim) float32 for each caption view.
        first_caption: (N + 1,) int64; the captions of image i are rows first_caption[i] to first_caption[i + 1].
        chosen: (N,) int64 row of the one caption of each image, or None to draw one of its captions for each batch.
        labels: (N,) int64 classes, or None.
        clean: (N,) bool, whether a pair is known to be right, or None where nothing is known.
    """

    images: tuple[Tensor, ...]
    captions: tuple[Tensor, ...]
    first_caption: NDArray[np.int64]
    chosen: NDArray[np.int64] | None
    labels: Tensor | None
    clean: Tensor | None = None

    def __len__(self) -> int:
        return len(self.first_caption) - 1

    def batches(
        self, batch_size: int, rng: np.random.Generator, rows: NDArray[np.int64] | None = None
    ) -> Iterator[Batch]:
        """Yield every pair once, shuffled; a last batch of one pair joins the one before it (batch norm needs two).

        Args:
            batch_size: pairs of a batch.
            rng: of the order and of the captions.
            rows: (n,) pairs to go through; None takes all.
        """
        order = rng.permutation(len(self)) if rows is None else rng.permutation(rows)
        starts = list(range(0, len(order), batch_size))
        if len(starts) > 1 and len(order) - starts[-1] == 1:
            starts.pop()
        for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
            yield self.batch(order[start:stop], rng)

    def matched(self) -> tuple[Tensor, Tensor]:
        """Every pair at once: (P, image dim) and (P, caption dim).

        Each image view meets each caption view of the chosen caption, or of all captions of its image where captions
        are drawn anew for each batch.
        """
        n_captions = np.diff(self.first_caption)
        images = np.repeat(np.arange(len(self)), n_captions) if self.chosen is None else np.arange(len(self))
        captions = np.arange(self.first_caption[-1]) if self.chosen is None else self.chosen
        views = [(image, caption) for image in self.images for caption in self.captions]
        return torch.cat([image[images] for image, _ in views]), torch.cat([caption[captions] for _, caption in views])

    def batch(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """Gather the pairs of the given images."""
        if self.chosen is not None:
            captions = self.chosen[rows]
        else:
            captions = rng.integers(self.first_caption[rows], self.first_caption[rows + 1])
        device = self.images[0].device
        image_index = torch.from_numpy(rows).to(device)
        caption_index = torch.from_numpy(captions).to(device)
        return Batch(
            rows=image_index,
            images=tuple(view[image_index] for view in self.images),
            captions=tuple(view[caption_index] for view in self.captions),
            labels=None if self.labels is None else self.labels[image_index],
        )
