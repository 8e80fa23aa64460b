"""The order of rows in a compacted archive: by month, within a month along a Hilbert curve over the globe.

Rows of one place and month then lie together, so a filter by place and date finds them in few pages.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.geometry import Boxes
from rshash.archive.places import NEVER, Moments

Keys = NDArray[np.uint64]

HILBERT_BITS = 16
"""Steps along each axis: 2^16, so 0.0055 degrees of longitude."""


def row_keys(boxes: Boxes, months: NDArray[Any]) -> Keys:
    """Return the sort key of each row: month, then place.

    Args:
        boxes: (n, 4) xmin, ymin, xmax, ymax in degrees, NaN for none; their centres count.
        months: (n,) months since year 0, 0 for none.

    Returns:
        (n,) uint64: month in the high half, position on the curve in the low half, 0 where there is no footprint.

    >>> row_keys(np.array([[8.0, 50.0, 8.0, 50.0]]), np.array([24293])) >> 32
    array([24293], dtype=uint64)
    """
    xmin, ymin, xmax, ymax = boxes.T
    here = ~np.isnan(xmin)
    east = np.where(xmin > xmax, xmax + 360, xmax)  # across the antimeridian
    x = ((np.where(here, (xmin + east) / 2, 0) + 180) % 360) / 360
    y = (np.where(here, (ymin + ymax) / 2, 0) + 90) / 180
    steps = 1 << HILBERT_BITS
    cells = [np.minimum(axis * steps, steps - 1).astype(np.uint32) for axis in (x, y)]
    place = np.where(here, hilbert(*cells), np.uint32(0))
    keys: Keys = (months.astype(np.uint64) << np.uint64(2 * HILBERT_BITS)) | place.astype(np.uint64)
    return keys


def months_of(moments: Moments) -> NDArray[np.int64]:
    """Return the month since year 0 of each moment, 0 for none.

    >>> months_of(np.array([0, NEVER]))
    array([23641,     0])
    """
    months = moments.view("datetime64[us]").astype("datetime64[M]").astype(np.int64) + (12 * 1970 + 1)
    return np.where(moments == NEVER, 0, months)


def hilbert(x: NDArray[np.uint32], y: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return positions along the Hilbert curve that fills the 2^16 × 2^16 grid.

    The curve visits every cell once and steps to a neighbour each time (Hilbert, Math. Ann. 38, 1891). From the
    highest bit down, a point's quadrant gives two bits, and the quadrant is turned into the place of the whole.

    Args:
        x: (n,) columns, below 2^16.
        y: (n,) rows, below 2^16.

    >>> hilbert(np.array([0, 0, 1, 1], np.uint32), np.array([0, 1, 1, 0], np.uint32)).tolist()
    [0, 3, 2, 1]
    """
    x, y = x.copy(), y.copy()
    position = np.zeros(len(x), np.uint32)
    for bit in range(HILBERT_BITS - 1, -1, -1):
        right, upper = (x >> np.uint32(bit)) & np.uint32(1), (y >> np.uint32(bit)) & np.uint32(1)
        position = (position << np.uint32(2)) | ((right * np.uint32(3)) ^ upper)
        flip = (upper == 0) & (right == 1)
        mask = np.uint32((1 << bit) - 1)
        x, y = np.where(flip, ~x & mask, x & mask), np.where(flip, ~y & mask, y & mask)
        swap = upper == 0
        x, y = np.where(swap, y, x), np.where(swap, x, y)
    return position
