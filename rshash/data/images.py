"""An image file in, (H, W, 3) uint8 RGB out, whatever its mode; anything else is a ``BadImage`` with the reason.

What is done to each mode:

========================  ====================================================================
grey, 1-bit, palette      expanded to RGB
transparency of any kind  composited on black: no-data is black in aerial products
16/32-bit grey, float     one linear stretch, 2nd to 98th percentile of its finite pixels to 0..255
16-bit colour             the high byte (Pillow's reading)
CMYK, YCbCr, Lab, HSV     Pillow's conversion
EXIF orientation          applied; a corrupt EXIF block is ignored
several frames            the first
========================  ====================================================================
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rshash.extras import require

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 150_000_000
"""Images with more pixels are refused: 450 MB as RGB. A Sentinel-2 tile has 120 million."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2", ".ppm", ".pgm"})

_ORIENTATION = 0x0112
_open_lock = threading.Lock()


class BadImage(ValueError):
    """An image file that cannot be used; ``path`` and ``reason`` say which and why."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot use image {self.path}: {self.reason}"


def read_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image file.

    Returns:
        (H, W, 3) uint8, C-contiguous RGB; see the module's table for modes other than RGB.

    Raises:
        BadImage: if the file is missing, not an image, truncated or larger than ``max_pixels``.
    """
    with _opened(path, max_pixels) as image:
        try:
            image.load()
            return _to_rgb(_upright(image))
        except Exception as error:  # a decoder may raise anything on hostile bytes
            raise BadImage(path, _reason(error)) from None


def check_header(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> None:
    """Check cheaply that a file exists, is an image and is not too large, without decoding its pixels.

    Raises:
        BadImage: as :func:`read_image`; a truncated body is found only by decoding.
    """
    _opened(path, max_pixels).close()


def digest_file(path: str | os.PathLike[str]) -> bytes:
    """Return the 16-byte blake2b digest of a file's bytes.

    Raises:
        BadImage: if the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError as error:
        raise BadImage(path, _reason(error)) from None


def _opened(path: str | os.PathLike[str], max_pixels: int) -> Image.Image:
    if not os.path.isfile(path):  # also keeps a FIFO from blocking
        raise BadImage(path, "no such file" if not os.path.exists(path) else "not a regular file")
    pil = require("PIL.Image", "train")
    try:
        with _open_lock:  # Pillow's own limit is a global; ours is checked below, before any pixel is decoded
            limit, pil.MAX_IMAGE_PIXELS = pil.MAX_IMAGE_PIXELS, None
            try:
                image: Image.Image = pil.open(path)
            finally:
                pil.MAX_IMAGE_PIXELS = limit
    except Exception as error:  # as above
        raise BadImage(path, _reason(error)) from None
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise BadImage(path, f"{width} x {height} pixels are more than max_pixels={max_pixels}; cut it into tiles")
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a corrupt EXIF block says nothing about the pixels
        return image
    if orientation == 1:
        return image
    transposed: Image.Image | None = require("PIL.ImageOps", "train").exif_transpose(image)
    return image if transposed is None else transposed


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.repeat(stretch(np.asarray(image))[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"), dtype=np.uint16)
        pixels = (pixels[:, :, :3] * pixels[:, :, 3:] + 127) // 255
        return pixels.astype(np.uint8)
    return np.array(image.convert("RGB"))


def stretch(grey: np.ndarray) -> np.ndarray:
    """Stretch grey values linearly to bytes: 2nd percentile to 0, 98th to 255, clipped.

    Where the two percentiles are equal the whole range is used; a constant image is 0.

    Args:
        grey: (H, W) integer or float; not finite counts as the 2nd percentile.

    Returns:
        (H, W) uint8.

    >>> stretch(np.array([[0, 1000], [2000, 4000]], dtype=np.uint16))
    array([[  0,  63],
           [130, 255]], dtype=uint8)
    """
    values = grey.astype(np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(grey.shape, np.uint8)
    low, high = np.percentile(finite, (2, 98))
    if low == high:
        low, high = finite.min(), finite.max()
    if low == high:
        return np.zeros(grey.shape, np.uint8)
    values = np.where(np.isfinite(values), values, low)
    scaled: np.ndarray = np.clip((values - low) / (high - low), 0.0, 1.0) * 255.0 + 0.5
    return scaled.astype(np.uint8)


def _reason(error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image that Pillow can read"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
