"""Pixel values of any type in, bytes out: one linear stretch for each band, stated in words."""

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float64]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FIXED = re.compile(f"({_NUMBER}):({_NUMBER})")
_SHARES = re.compile(f"({_NUMBER})%:({_NUMBER})%")


@dataclass(frozen=True, slots=True)
class Stretch:
    """How values become bytes.

    ``auto`` leaves 8-bit values as they are and stretches others from the 2nd to the 98th percentile of each band of
    the scene; ``none`` takes 8-bit values only; ``0:3000`` sends these two values to 0 and 255; ``1%:99%`` names the
    percentiles, also of 8-bit scenes. What lies outside is clipped.

    Attributes:
        text: as written.
        low: value or percentile that becomes 0.
        high: value or percentile that becomes 255.
        of_scene: whether they are percentiles.
    """

    text: str
    low: float
    high: float
    of_scene: bool

    @classmethod
    def parse(cls, text: str) -> "Stretch":
        """Read a stretch as the command line takes it.

        Raises:
            ValueError: if it is none of the four forms, or its bounds do not ascend.

        >>> Stretch.parse("0:3000").high, Stretch.parse("auto").of_scene
        (3000.0, True)
        """
        if text in ("auto", "none"):
            return cls(text, 2.0, 98.0, text == "auto")
        fixed, shares = _FIXED.fullmatch(text), _SHARES.fullmatch(text)
        match = fixed or shares
        if match is None:
            raise ValueError(f"stretch is {text!r}, expected auto, none, LOW:HIGH or LOW%:HIGH%, as 0:3000 or 2%:98%")
        low, high = float(match[1]), float(match[2])
        if not (low < high and math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"stretch is {text!r}, expected a low end below a finite high end")
        if shares and not (low >= 0 and high <= 100):
            raise ValueError(f"stretch is {text!r}, expected percentiles from 0% to 100%")
        return cls(text, low, high, shares is not None)

    def keeps(self, dtype: str) -> bool:
        """Say whether values of a type are taken as they are.

        Raises:
            ValueError: if the stretch is ``none`` and the values are no bytes.
        """
        if self.text == "none" and dtype != "uint8":
            raise ValueError(f"its values are {dtype}, which need a stretch: leave out none, or give LOW:HIGH")
        return self.text in ("auto", "none") and dtype == "uint8"

    def levels(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Levels:
        """Fit the two ends of each band.

        Args:
            values: (bands, H, W) sample of the scene.
            valid: (H, W), where there is data.

        Returns:
            (bands, 2) float64: the value that becomes 0 and the one that becomes 255.
        """
        if not self.of_scene:
            return np.tile([self.low, self.high], (len(values), 1))
        ends = np.zeros((len(values), 2))
        for band, plane in enumerate(values):
            data = plane[valid & np.isfinite(plane)].astype(np.float64)
            if data.size:
                ends[band] = np.percentile(data, (self.low, self.high))
                if ends[band, 0] == ends[band, 1]:
                    ends[band] = data.min(), data.max()
        return ends


def to_bytes(values: NDArray[np.generic], levels: Levels) -> NDArray[np.uint8]:
    """Stretch each band linearly between its two levels; a band whose levels are equal is 0, as is what is not finite.

    Args:
        values: (bands, H, W) of any real type.
        levels: (bands, 2).

    Returns:
        (bands, H, W) uint8.

    >>> to_bytes(np.array([[[0, 500, 1000, 9000]]], np.uint16), np.array([[0.0, 1000.0]]))
    array([[[  0, 128, 255, 255]]], dtype=uint8)
    """
    low, span = levels[:, :1, None], (levels[:, 1] - levels[:, 0])[:, None, None]
    scale = np.divide(255.0, span, out=np.zeros_like(span), where=span > 0)
    scaled = np.clip((values.astype(np.float64) - low) * scale, 0.0, 255.0)
    stretched: NDArray[np.uint8] = (np.nan_to_num(scaled, nan=0.0) + 0.5).astype(np.uint8)
    return stretched
