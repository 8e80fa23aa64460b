"""What the supervised methods make of class labels."""

import torch
from torch import Tensor

from rshash.methods.pairs import Batch, TrainingPairs


def labels_of(batch: Batch) -> Tensor:
    """Classes of a labelled batch, (B,) int64; `rshash.training.train` refuses unlabelled data before that.

    Raises:
        ValueError: if the batch has none.
    """
    if batch.labels is None:
        raise ValueError("this batch has no class labels; train the method on labelled data")
    return batch.labels


def same_class(batch: Batch) -> Tensor:
    """Tell which pairs of a labelled batch are of one class, (B, B) bool."""
    labels = labels_of(batch)
    return labels[:, None] == labels[None, :]


def count_classes(pairs: TrainingPairs) -> int:
    """Width of a one-hot label: one more than the greatest class of the training pairs.

    Raises:
        ValueError: if the pairs have no labels.
    """
    if pairs.labels is None:
        raise ValueError("these pairs have no class labels; train the method on labelled data")
    return int(torch.amax(pairs.labels)) + 1
