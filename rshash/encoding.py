"""A whole data set to the packed codes of a database, block by block: one block of images is in memory at a time.

In: a hasher and a `CaptionDataset`. Out: blocks of codes (n, n_bytes) uint8 in the order of the data set, with the
items they belong to where an archive wants them.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes, pack_codes
from rshash.data.dataset import CaptionDataset
from rshash.models.cache import FeatureCache
from rshash.models.features import caption_features, iterate_image_features
from rshash.models.hasher import CrossModalHasher

IMAGES_AT_ONCE = 4096
"""Images whose captions are encoded together."""


def image_codes(
    hasher: CrossModalHasher, dataset: CaptionDataset, *, cache: FeatureCache | None = None, progress: bool = True
) -> Iterator[Codes]:
    """Yield the codes of consecutive blocks of images.

    Args:
        hasher: trained hasher.
        dataset: N images, opened a few at a time.
        cache: where features are kept between runs; None keeps none.
        progress: show a bar on stderr where that is a terminal.

    Yields:
        (n, n_bytes) uint8; the blocks add up to N rows.

    Raises:
        ValueError: if an image cannot be read.
    """
    return map(pack_codes, relaxed_image_codes(hasher, dataset, cache=cache, progress=progress))


def caption_codes(
    hasher: CrossModalHasher, dataset: CaptionDataset, *, cache: FeatureCache | None = None, progress: bool = True
) -> Iterator[Codes]:
    """Yield the codes of consecutive blocks of captions: those of image 0 in their order, then image 1, and so on.

    Arguments as `image_codes`; the blocks add up to as many rows as the data set has captions.
    """
    return map(hasher.pack_captions, relaxed_caption_codes(hasher, dataset, cache=cache, progress=progress))


def relaxed_image_codes(
    hasher: CrossModalHasher, dataset: CaptionDataset, *, cache: FeatureCache | None = None, progress: bool = True
) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (n, n_bits) float32 of what `image_codes` packs."""
    encoder = hasher.load_image_encoder()
    views = [
        iterate_image_features(dataset, encoder, view, cache=cache, progress=progress) for view in hasher.image_views
    ]
    for blocks in zip(*views, strict=True):
        yield hasher.relaxed_images(*(features for _, features in blocks))


def relaxed_caption_codes(
    hasher: CrossModalHasher, dataset: CaptionDataset, *, cache: FeatureCache | None = None, progress: bool = True
) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (n, n_bits) float32 of what `caption_codes` packs."""
    for start in range(0, len(dataset), IMAGES_AT_ONCE):
        part = dataset.subset(np.arange(start, min(start + IMAGES_AT_ONCE, len(dataset))))
        if any(part.captions):
            features = caption_features(part, hasher.load_caption_encoder(), cache=cache, progress=progress)
            yield hasher.relaxed_captions(features)


def encode_rows(
    hasher: CrossModalHasher,
    dataset: CaptionDataset,
    modality: str,
    *,
    cache: FeatureCache | None = None,
    progress: bool = True,
) -> Iterator[tuple[Codes, list[dict[str, Any]]]]:
    """Yield blocks of codes with their items, ready for an archive.

    An image's item has ``id`` (its file name), ``source`` (its path, where there is a folder), ``class`` and
    ``captions`` (where given). A caption's item has ``id`` (file name # position), ``caption`` and those of its image.

    Args:
        hasher: trained hasher.
        dataset: what to encode.
        modality: "images" or "captions".
        cache: where features are kept between runs.
        progress: show a bar.

    Yields:
        codes (n, n_bytes) uint8 and n items.

    Raises:
        ValueError: if the modality is unknown or the data set has nothing of it.
    """
    if modality not in ("images", "captions"):
        raise ValueError(f"unknown modality {modality!r}: choose images or captions")
    encode, describe = (image_codes, _image_items) if modality == "images" else (caption_codes, _caption_items)
    items = describe(dataset)
    n_rows = 0
    for codes in encode(hasher, dataset, cache=cache, progress=progress):
        n_rows += len(codes)
        yield codes, list(islice(items, len(codes)))
    if not n_rows:
        raise ValueError(f"{dataset.name} has no {modality} to encode")


def _image_items(dataset: CaptionDataset) -> Iterator[dict[str, Any]]:
    """Yield one item an image."""
    for row, name in enumerate(dataset.ids):
        item: dict[str, Any] = {"id": name}
        if dataset.folder is not None:
            item["source"] = str((dataset.folder / name).resolve())
        if dataset.labels is not None:
            item["class"] = dataset.classes[dataset.labels[row]]
        if dataset.captions[row]:
            item["captions"] = list(dataset.captions[row])
        yield item


def _caption_items(dataset: CaptionDataset) -> Iterator[dict[str, Any]]:
    """Yield one item a caption."""
    for item in _image_items(dataset):
        for position, caption in enumerate(item.pop("captions", ())):
            yield {**item, "id": f"{item['id']}#{position}", "caption": caption}
