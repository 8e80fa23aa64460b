"""What must hold of a data set before a training starts; each fault is one sentence."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rshash.data.dataset import CaptionDataset
from rshash.methods.method import Supervision


def split_rows(dataset: CaptionDataset, validation: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Check the data and return the rows to train on and those held out, each ascending.

    Raises:
        ValueError: the share is wrong, an image has no caption, or fewer than two remain to train on.
    """
    if not 0 <= validation < 1:
        raise ValueError(f"validation is {validation}; expected a share of the images, 0 <= validation < 1")
    bare = [name for name, captions in zip(dataset.ids, dataset.captions, strict=True) if not captions]
    if bare:
        raise ValueError(
            f"{len(bare)} of {len(dataset)} images have no caption, the first is {bare[0]!r}; "
            "train on a subset without them"
        )
    n_validation = round(validation * len(dataset))
    if len(dataset) - n_validation < 2:
        raise ValueError(f"{len(dataset)} images leave {len(dataset) - n_validation} to train on; expected 2 or more")
    order = np.random.default_rng([seed, 2]).permutation(len(dataset))
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])


def check_supervision(
    supervision: Supervision,
    dataset: CaptionDataset,
    train_rows: NDArray[np.int64],
    clean: Sequence[int] | NDArray[np.int64] | None,
) -> NDArray[np.bool_] | None:
    """Check that the data has what the method asks for.

    Args:
        supervision: of the method.
        dataset: N images.
        train_rows: (n,) int64 rows to train on.
        clean: rows of the data set whose pairs are known to be right, or None.

    Returns:
        (n,) bool, which of the rows to train on are known to be right, or None without ``clean``.

    Raises:
        ValueError: labels or clean rows are asked for and missing, too few, or out of range.
    """
    if "labels" in supervision:
        if dataset.labels is None:
            raise ValueError(
                f"the method learns from class labels, {dataset.name} has none; take a method without them"
            )
        if len(np.unique(dataset.labels[train_rows])) < 2:
            raise ValueError(f"the method tells classes apart, all images to train on of {dataset.name} are of one")
    if clean is None:
        if "clean subset" in supervision:
            raise ValueError("the method learns from pairs known to be right; name their rows in clean")
        return None
    known = np.unique(np.asarray(clean, dtype=np.int64))
    if known.size and not 0 <= known[0] <= known[-1] < len(dataset):
        raise ValueError(f"clean names rows {known[0]} to {known[-1]}; {dataset.name} has {len(dataset)} images")
    trusted: NDArray[np.bool_] = np.isin(train_rows, known)
    if "clean subset" in supervision and trusted.sum() < 2:
        raise ValueError(f"clean names {trusted.sum()} of the images to train on; expected 2 or more")
    return trusted
