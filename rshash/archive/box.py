"""The box of a filter: west, south, east, north in, checked degrees out, possibly across the antimeridian."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Box:
    """A box in WGS84 degrees; one whose west is greater than its east crosses the antimeridian (RFC 7946 §5.2)."""

    west: float
    south: float
    east: float
    north: float

    def halves(self) -> list["Box"]:
        """Return the box, or the two boxes on either side of the antimeridian."""
        if self.west <= self.east:
            return [self]
        return [Box(self.west, self.south, 180.0, self.north), Box(-180.0, self.south, self.east, self.north)]

    def touches(self, other: "Box") -> bool:
        """Tell whether two boxes share a point, their edges included."""
        return any(
            mine.west <= theirs.east
            and mine.east >= theirs.west
            and mine.south <= theirs.north
            and mine.north >= theirs.south
            for mine in self.halves()
            for theirs in other.halves()
        )

    def __str__(self) -> str:
        return ", ".join(f"{side:g}" for side in (self.west, self.south, self.east, self.north))


def read_box(bbox: Any) -> Box:
    """Read west, south, east, north in WGS84 degrees.

    Raises:
        ValueError: if it is not four numbers, outside the world, or upside down.

    >>> read_box((170, -20, -170, -10)).halves()
    [Box(west=170.0, south=-20.0, east=180.0, north=-10.0), Box(west=-180.0, south=-20.0, east=-170.0, north=-10.0)]
    """
    try:
        sides = [] if isinstance(bbox, str | bytes) else [float(side) for side in bbox]
    except (TypeError, ValueError):
        sides = []
    if len(sides) != 4:
        raise ValueError(f"bbox must be four numbers west, south, east, north in degrees, got {bbox!r}")
    box = Box(*sides)
    if not (abs(box.west) <= 180 and abs(box.east) <= 180):
        raise ValueError(
            f"bbox {box} has longitudes outside -180..180: a box across the antimeridian has its west greater than "
            "its east, for example (170, -20, -170, -10)"
        )
    if not (abs(box.south) <= 90 and abs(box.north) <= 90 and box.south <= box.north):
        raise ValueError(f"bbox {box} must have latitudes in -90..90, south not above north: west, south, east, north")
    return box
