"""Place and time as a table has them in, WGS84 degrees and a moment in UTC out; what is neither is refused."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from rshash.archive.geometry import wkb_bounds
from rshash.archive.zone import ZONE_PATTERN

SIDES = ("xmin", "ymin", "xmax", "ymax")
PLACE_COLUMNS = ("geometry", "bbox", *SIDES, "lon", "lat", "longitude", "latitude")
"""Columns that `read_place` reads."""


def read_place(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a row is: by its ``geometry``, else its box, else its point.

    Args:
        row: ``geometry`` (WKB), ``bbox`` (four numbers, a struct of xmin, ymin, xmax, ymax, or JSON of either), the
            four as columns, or ``lon`` and ``lat`` (also ``longitude`` and ``latitude``), in degrees.

    Returns:
        Item columns ``bbox`` and, where it was given, ``geometry``; none where the row says nothing.

    Raises:
        ValueError: if it says something that is no place on the earth.

    >>> read_place({"lon": 8.5, "lat": 49.9})
    {'bbox': (8.5, 49.9, 8.5, 49.9)}
    """
    if row.get("geometry") is not None:
        geometry = row["geometry"]
        if not isinstance(geometry, bytes | bytearray) or not geometry or geometry[0] > 1:
            raise ValueError(f"its geometry is no WKB or WKT: {str(geometry)[:60]!r}")
        return {"geometry": bytes(geometry), "bbox": _box(wkb_bounds(bytes(geometry)))}
    if row.get("bbox") is not None:
        return {"bbox": _box(row["bbox"])}
    corners = [row.get(name) for name in SIDES]
    if any(corner is not None for corner in corners):
        return {"bbox": _box(corners)}
    lon, lat = (row.get(short, row.get(long)) for short, long in (("lon", "longitude"), ("lat", "latitude")))
    if lon is None and lat is None:
        return {}
    point = _degrees("lon", lon, 180.0), _degrees("lat", lat, 90.0)
    return {"bbox": (*point, *point)}


def read_moment(value: Any) -> datetime:
    """Return a moment in UTC; one without a zone is taken as UTC.

    Args:
        value: a datetime, a date (its midnight), or ISO 8601 text of either.

    Raises:
        ValueError: if it is none of these.

    >>> read_moment("2024-05-31T10:21:09+02:00").isoformat(), read_moment("2024-05-31").isoformat()
    ('2024-05-31T08:21:09+00:00', '2024-05-31T00:00:00+00:00')
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"its datetime is {value!r}, expected ISO 8601 as 2024-05-31T10:21:09Z") from None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError(f"its datetime is {value!r}, expected a date or a time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def is_zoneless(value: Any) -> bool:
    """Tell whether what `read_moment` reads is a time without a zone; a date alone needs none.

    >>> [is_zoneless(text) for text in ("2024-05-31T10:21:09", "2024-05-31T10:21:09Z", "2024-05-31")]
    [True, False, False]
    """
    if isinstance(value, str):
        return ":" in value and re.search(ZONE_PATTERN, value) is None
    return isinstance(value, datetime) and value.tzinfo is None


def _box(value: Any) -> tuple[float, float, float, float]:
    """Check a box; west beyond east crosses the antimeridian."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f"its bbox is {value!r}, expected xmin, ymin, xmax, ymax") from None
    if isinstance(value, Mapping):
        value = [value.get(name) for name in SIDES]
    if not isinstance(value, Sequence) or len(value) != 4:
        raise ValueError(f"its bbox is {value!r}, expected xmin, ymin, xmax, ymax")
    xmin, xmax = _degrees("xmin", value[0], 180.0), _degrees("xmax", value[2], 180.0)
    ymin, ymax = _degrees("ymin", value[1], 90.0), _degrees("ymax", value[3], 90.0)
    if ymin > ymax:
        raise ValueError(f"its box has ymin {ymin} above ymax {ymax}")
    return xmin, ymin, xmax, ymax


def _degrees(name: str, value: Any, most: float) -> float:
    try:
        degrees = float(value)
    except (TypeError, ValueError):
        degrees = math.nan
    if not abs(degrees) <= most:
        raise ValueError(f"its {name} is {value!r}, expected degrees from {-most:g} to {most:g}")
    return degrees
