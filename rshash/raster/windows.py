"""The side of a scene in, the chips it is cut into out: pixel windows, row by row."""

from collections.abc import Iterator
from typing import NamedTuple


class Window(NamedTuple):
    """A rectangle of pixels: ``column`` and ``row`` of its upper left pixel, ``width`` and ``height``."""

    column: int
    row: int
    width: int
    height: int


def starts(length: int, size: int, stride: int) -> list[int]:
    """Return where the chips along one side begin; the last is moved back so that it ends at the edge.

    Args:
        length: pixels of the side.
        size: pixels of a chip.
        stride: pixels from one chip to the next.

    Returns:
        Ascending; 0 alone where the side is no longer than a chip.

    Raises:
        ValueError: if one of them is not at least 1.

    >>> starts(1000, 256, 256), starts(512, 256, 128), starts(100, 256, 256)
    ([0, 256, 512, 744], [0, 128, 256], [0])
    """
    for name, value in (("length", length), ("size", size), ("stride", stride)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1 pixel, got {value}")
    last = max(length - size, 0)
    regular = list(range(0, last + 1, stride))
    return regular if regular[-1] == last else [*regular, last]


def count_windows(width: int, height: int, size: int, stride: int) -> int:
    """Return how many chips `cut` yields."""
    return len(starts(width, size, stride)) * len(starts(height, size, stride))


def cut(width: int, height: int, size: int, stride: int) -> Iterator[list[Window]]:
    """Yield the chips of a scene, one list for each row of chips from the top; arguments as `starts`.

    Together they cover every pixel if the stride is no larger than the size. A scene smaller than a chip gives one
    chip of what there is.

    >>> [[tuple(window) for window in line] for line in cut(5, 3, size=3, stride=3)]
    [[(0, 0, 3, 3), (2, 0, 3, 3)]]
    """
    columns = starts(width, size, stride)
    for row in starts(height, size, stride):
        yield [Window(column, row, min(size, width), min(size, height)) for column in columns]
