"""Features of a whole data set: streamed in blocks, each distinct caption once, kept in a cache on disk.

In: a `CaptionDataset` and a frozen encoder. Out: float32 features in the order of the data set. Only one block is in
memory at a time when the caller consumes `iterate_image_features`, or gives `image_features` a memory-map to fill.
"""

from collections.abc import Callable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from rshash.data.dataset import CaptionDataset
from rshash.data.views import CAPTION_VIEWS, IMAGE_VIEWS
from rshash.models.cache import FeatureCache, Shelf
from rshash.models.encoders import CaptionEncoder, ImageEncoder
from rshash.names import unknown_name

Features = NDArray[np.float32]

_BLOCK = 256  # rows that reach the cache together, and are lost together when the process is killed
_AT_ONCE = 32  # images open at once


def iterate_image_features(
    dataset: CaptionDataset,
    encoder: ImageEncoder,
    view: str = "original",
    *,
    cache: FeatureCache | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Iterator[tuple[int, Features]]:
    """Yield (first row, features (rows, dim) float32) for consecutive blocks of at most 256 images.

    Args:
        dataset: its images are opened a few at a time, and only where the cache lacks their features.
        encoder: frozen encoder of images.
        view: key of `rshash.data.views.IMAGE_VIEWS`, applied to each image before it is encoded.
        cache: where features are looked up and stored; None computes all of them.
        seed: of random views. The view of an image depends on (seed, view, content), never on its row.
        progress: show a bar on stderr where that is a terminal.

    Raises:
        ValueError: the view is unknown, an image cannot be read, or features are not finite.
        OSError: the cache cannot be written.
    """
    if view not in IMAGE_VIEWS:
        raise unknown_name("image view", view, IMAGE_VIEWS)
    look = IMAGE_VIEWS[view]
    return _stream(
        len(dataset),
        key=dataset.image_key,
        encode=lambda rows, keys: encoder.encode(
            [look(dataset.image(row), _item_rng(seed, view, key)) for row, key in zip(rows, keys, strict=True)]
        ),
        dim=encoder.dim,
        shelf=cache.shelf(encoder, view, seed) if cache else None,
        title=f"{encoder.name}, {view} images",
        name=lambda row: dataset.ids[row],
        progress=progress,
    )


def image_features(
    dataset: CaptionDataset,
    encoder: ImageEncoder,
    view: str = "original",
    *,
    cache: FeatureCache | None = None,
    seed: int = 0,
    progress: bool = True,
    out: Features | None = None,
) -> Features:
    """Return the features of every image of a data set.

    Args:
        dataset: N images.
        encoder: frozen encoder of images.
        view: as in `iterate_image_features`, like ``cache``, ``seed``, ``progress`` and the errors.
        cache: where features are looked up and stored.
        seed: of random views.
        progress: show a bar.
        out: (N, dim) float32 to fill and return, for example a memory-map; None allocates it.

    Returns:
        (N, dim) float32, row i of image i.
    """
    shape = (len(dataset), encoder.dim)
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype != np.float32:
        raise ValueError(f"out is {out.dtype} of shape {out.shape}; expected float32 of shape {shape}")
    blocks = iterate_image_features(dataset, encoder, view, cache=cache, seed=seed, progress=progress)
    for start, features in blocks:
        out[start : start + len(features)] = features
    return out


def caption_features(
    dataset: CaptionDataset,
    encoder: CaptionEncoder,
    view: str = "original",
    *,
    cache: FeatureCache | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Features:
    """Return the features of every caption of a data set; each distinct caption is encoded once.

    Args:
        dataset: M captions in all.
        encoder: frozen encoder of captions.
        view: key of `rshash.data.views.CAPTION_VIEWS`, applied to each caption before it is encoded.
        cache: as in `iterate_image_features`, like ``progress`` and the errors.
        seed: of random views. The view of a caption depends on (seed, view, text): equal captions get equal views.
        progress: show a bar.

    Returns:
        (M, dim) float32: the captions of image 0 in their order, then those of image 1, …
    """
    if view not in CAPTION_VIEWS:
        raise unknown_name("caption view", view, CAPTION_VIEWS)
    look = CAPTION_VIEWS[view]
    captions = [caption for of_image in dataset.captions for caption in of_image]
    row_of = {caption: row for row, caption in enumerate(dict.fromkeys(captions))}
    distinct = list(row_of)
    features = np.empty((len(distinct), encoder.dim), dtype=np.float32)
    blocks = _stream(
        len(distinct),
        key=lambda row: distinct[row].encode(),
        encode=lambda rows, keys: encoder.encode(
            [look(distinct[row], _item_rng(seed, view, key)) for row, key in zip(rows, keys, strict=True)]
        ),
        dim=encoder.dim,
        shelf=cache.shelf(encoder, view, seed) if cache else None,
        title=f"{encoder.name}, {view} captions",
        name=lambda row: distinct[row],
        progress=progress,
    )
    for start, block in blocks:
        features[start : start + len(block)] = block
    return features[[row_of[caption] for caption in captions]]


def _stream(
    n: int,
    *,
    key: Callable[[int], bytes],
    encode: Callable[[list[int], list[bytes]], Features],
    dim: int,
    shelf: Shelf | None,
    title: str,
    name: Callable[[int], str],
    progress: bool,
) -> Iterator[tuple[int, Features]]:
    """Yield blocks of features of items 0..n-1, from the shelf where it has them, encoded and put there where not."""
    with tqdm(total=n, desc=title, unit="item", disable=None if progress else True) as bar:
        for start in range(0, n, _BLOCK):
            keys = [key(row) for row in range(start, min(start + _BLOCK, n))]
            if shelf is None:
                features, known = np.empty((len(keys), dim), np.float32), np.zeros(len(keys), bool)
            else:
                features, known = shelf.get(keys)
            bar.update(int(known.sum()))
            missing = np.flatnonzero(~known).tolist()
            for at in range(0, len(missing), _AT_ONCE):
                batch = missing[at : at + _AT_ONCE]
                features[batch] = encode([start + row for row in batch], [keys[row] for row in batch])
                bar.update(len(batch))
            wrong = ~np.isfinite(features).all(axis=1)
            if wrong.any():
                first = name(start + int(wrong.argmax()))
                raise ValueError(f"{title}: the features of {first!r} are not finite; encode it again, or leave it out")
            if shelf is not None and missing:
                shelf.put([keys[row] for row in missing], features[missing])
            yield start, features


def _item_rng(seed: int, view: str, key: bytes) -> np.random.Generator:
    """Random generator of one item under one view."""
    digest = blake2b(view.encode() + b"\0" + key, digest_size=16).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype="<u4").tolist()])
