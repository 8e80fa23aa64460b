"""Frozen encoders: images or captions in, features out; one small interface, looked up by name.

A new encoder is a class that fulfils `ImageEncoder` or `CaptionEncoder` and one line in `ENCODERS`.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from rshash.extras import require
from rshash.names import unknown_name

if TYPE_CHECKING:
    from rshash.models.projection import Projection
    from rshash.models.tail import Tail

Modality = Literal["image", "caption"]


class ImageEncoder(Protocol):
    """Pixels → features.

    A row does not depend on the rows beside it: the same image in another batch gives features within 1e-4 of their
    largest magnitude (exactly the same bytes in the same batch and at the same number of threads).

    Attributes:
        name: key in ``ENCODERS["image"]``.
        version: changes whenever the features would.
        preprocessing: size, resampling and normalisation in words; part of the key of cached features.
        dim: width of the features.
    """

    name: str
    version: str
    preprocessing: str
    dim: int

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Encode images of any sizes, each (H, W, 3) uint8 RGB, to (B, dim) float32."""
        ...


class TrunkEncoder(ImageEncoder, Protocol):
    """An image encoder whose features are what the last blocks of a network read."""

    def load_tail(self, projection: "Projection | None") -> "Tail":
        """Return these blocks as they were trained before, followed by a projection of their features."""
        ...


class CaptionEncoder(Protocol):
    """Text → features; attributes and promises as in `ImageEncoder`."""

    name: str
    version: str
    preprocessing: str
    dim: int

    def encode(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """Encode captions to (B, dim) float32."""
        ...


ENCODERS: dict[Modality, dict[str, tuple[str, str]]] = {
    "image": {
        "efficientnet-lite0": ("rshash.models.pretrained", "EfficientNetLite0"),
        "efficientnet-lite0-levels": ("rshash.models.pretrained", "EfficientNetLite0Levels"),
        "efficientnet-lite0-trunk": ("rshash.models.pretrained", "EfficientNetLite0Trunk"),
        "small-cnn": ("rshash.models.fixed", "SmallCNN"),
    },
    "caption": {
        "bag-of-words": ("rshash.models.fixed", "BagOfWords"),
        "minilm": ("rshash.models.pretrained", "MiniLM"),
    },
}
"""Modality → name → (module, class); the module is imported when the encoder is loaded."""


def load_image_encoder(name: str, device: str = "cpu") -> ImageEncoder:
    """Load the image encoder of that name.

    Args:
        name: key of ``ENCODERS["image"]``.
        device: torch device to encode on.

    Raises:
        ValueError: unknown name; the message holds the nearest.
        ImportError: a package it needs is missing; the message holds the pip command.

    >>> load_image_encoder("small-cnn").encode([np.zeros((32, 48, 3), np.uint8)]).shape
    (1, 372)
    """
    encoder: ImageEncoder = _load("image", name, device)
    return encoder


def load_caption_encoder(name: str, device: str = "cpu") -> CaptionEncoder:
    """Load the caption encoder of that name; arguments and errors as `load_image_encoder`.

    >>> load_caption_encoder("bag-of-words").encode(["two planes on a runway"]).shape
    (1, 1024)
    """
    encoder: CaptionEncoder = _load("caption", name, device)
    return encoder


def load_trunk(encoder: ImageEncoder, device: str = "cpu") -> TrunkEncoder:
    """Load the encoder that stops before the last blocks of another.

    Raises:
        ValueError: if these blocks cannot be trained.
    """
    if not hasattr(encoder, "trunk"):
        raise ValueError(
            f"the last blocks of {encoder.name!r} cannot be trained; take the image encoder "
            "'efficientnet-lite0-levels', or leave tuned_epochs at 0"
        )
    trunk: TrunkEncoder = _load("image", encoder.trunk, device)
    return trunk


def _load(modality: Modality, name: str, device: str) -> Any:
    encoders = ENCODERS[modality]
    if name not in encoders:
        for other in get_args(Modality):
            if name in ENCODERS[other]:
                raise ValueError(
                    f"{name!r} encodes {other}s; expected an encoder of {modality}s: {', '.join(map(repr, encoders))}"
                )
        raise unknown_name(f"{modality} encoder", name, encoders)
    module, factory = encoders[name]
    return getattr(import_module(module), factory)(device=device)


def stack_images(images: Sequence[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    """Resize images of any sizes to (B, side, side, 3) uint8, bilinear with antialiasing; proportions are not kept.

    Raises:
        ValueError: unless every image is (H, W, 3) uint8 with at least one pixel.
    """
    pillow = require("PIL.Image", "train")
    pixels = np.empty((len(images), side, side, 3), dtype=np.uint8)
    for position, image in enumerate(images):
        shape: tuple[int, ...] = getattr(image, "shape", ())
        dtype = getattr(image, "dtype", None)
        if len(shape) != 3 or shape[2] != 3 or min(shape) == 0 or dtype != np.uint8:
            raise ValueError(
                f"image {position} of the batch is {dtype or type(image).__name__} of shape {shape}; "
                "expected (H, W, 3) uint8 RGB, as rshash.data.images.read_image gives"
            )
        if shape[:2] == (side, side):
            pixels[position] = image
        else:
            picture = pillow.fromarray(np.ascontiguousarray(image))
            pixels[position] = picture.resize((side, side), pillow.Resampling.BILINEAR)
    return pixels


def check_captions(captions: Sequence[str]) -> None:
    """Raise ValueError unless every caption is a string with more than white space, TypeError for a bare string."""
    if isinstance(captions, str):
        raise TypeError("captions is one string; expected a sequence of strings: encode([caption])")
    for position, caption in enumerate(captions):
        if not isinstance(caption, str) or not caption.strip():
            raise ValueError(f"caption {position} of the batch is {caption!r}; expected a non-empty string")
