"""Footprints: boxes and points of many rows as WKB, and the bounds of any geometry.

Longitudes and latitudes are WGS84 degrees in the order x, y. A box whose xmin is greater than its xmax crosses the
antimeridian (RFC 7946 §5.2); its geometry is two boxes that meet there.
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]

SIDES = ("xmin", "ymin", "xmax", "ymax")

TYPES = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
"""Name of WKB type 1, 2, …"""


def check_boxes(boxes: Any, name: str = "bbox") -> Boxes:
    """Return (n, 4) float64 xmin, ymin, xmax, ymax, side by side; rows that are all NaN stand for no footprint.

    Raises:
        ValueError: if the shape differs, or a row is outside the world or upside down.

    >>> check_boxes([(8.4, 49.9, 8.7, 50.1)]).shape
    (1, 4)
    """
    try:
        checked = np.asarray(boxes, np.float64, order="F")
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be four numbers for each item: xmin, ymin, xmax, ymax") from None
    if checked.ndim != 2 or checked.shape[1] != 4:
        raise ValueError(f"{name} must have shape (n, 4): xmin, ymin, xmax, ymax of each item, got {checked.shape}")
    xmin, ymin, xmax, ymax = checked.T
    good = (np.abs(xmin) <= 180) & (np.abs(xmax) <= 180) & (ymin >= -90) & (ymin <= ymax) & (ymax <= 90)
    bad = np.flatnonzero(~good)
    bad = bad[~np.isnan(checked[bad]).all(axis=1)]
    if len(bad):
        raise ValueError(
            f"{name} of item {bad[0]} is {tuple(checked[bad[0]].tolist())}: expected WGS84 degrees xmin, ymin, xmax, "
            "ymax with x in -180..180, y in -90..90 and ymin <= ymax (xmin > xmax crosses the antimeridian)"
        )
    return checked


def box_columns(boxes: Boxes) -> dict[str, NDArray[Any]]:
    """Return the columns that `BOX_BYTES` reads: each side as a number, and the integer of its bytes."""
    sides = {name: np.ascontiguousarray(boxes[:, axis]) for axis, name in enumerate(SIDES)}
    return sides | {f"{name}_bytes": side.view(np.int64).byteswap() for name, side in sides.items()}


def _blob(content: bytes) -> str:
    """Return bytes as SQL."""
    return "'" + "".join(f"\\x{byte:02X}" for byte in content) + "'::BLOB"


def _ring(west: str, south: str, east: str, north: str) -> str:
    """Return SQL of a counterclockwise polygon of bytes, joined in pairs, which copies least."""
    head, corner = _blob(struct.pack("<BIII", 1, 3, 1, 5)), f"({west} || {south})"
    return (
        f"(({head} || {corner}) || (({east} || {south}) || ({east} || {north})) || (({west} || {north}) || {corner}))"
    )


BOX_BYTES = ", ".join(
    f"{side}_bytes::BIT::BLOB AS {name}"  # DuckDB writes an integer's highest byte first
    for side, name in zip(SIDES, ("west", "south", "east", "north"), strict=True)
)
"""SQL over `box_columns`: the sides as eight bytes each, for `BOX_TO_WKB`."""

BOX_TO_WKB = (
    f"CASE WHEN xmin = xmax AND ymin = ymax THEN {_blob(struct.pack('<BI', 1, 1))} || west || south "
    f"WHEN xmin > xmax THEN {_blob(struct.pack('<BII', 1, 6, 2))} || "
    f"{_ring('west', 'south', _blob(struct.pack('<d', 180)), 'north')} || "
    f"{_ring(_blob(struct.pack('<d', -180)), 'south', 'east', 'north')} "
    f"WHEN xmin IS NOT NULL THEN {_ring('west', 'south', 'east', 'north')} END"
)
"""SQL over `box_columns` and `BOX_BYTES`: each box as WKB, a point where it has no extent, two boxes where it crosses
the antimeridian, NULL for none. DuckDB makes it because it takes bytes from Python one object at a time."""


def points_to_wkb(points: NDArray[np.float64]) -> list[bytes]:
    """Return (n, 2) points as WKB."""
    rows = np.empty(len(points), np.dtype([("head", "V5"), ("point", "<f8", (2,))]))
    rows["head"] = struct.pack("<BI", 1, 1)
    rows["point"] = points
    found: list[bytes] = rows.view(f"V{rows.itemsize}").tolist()
    return found


def wkb_bounds(wkb: bytes) -> tuple[float, float, float, float]:
    """Return xmin, ymin, xmax, ymax of all points of a geometry.

    A multipolygon whose parts end at the antimeridian, some on either side (RFC 7946 §3.1.9), crosses it: its xmin is
    greater than its xmax.

    Raises:
        ValueError: if it is no two- or three-dimensional WKB, or is empty.

    >>> wkb_bounds(points_to_wkb(np.array([[8.0, 50.0]]))[0])
    (8.0, 50.0, 8.0, 50.0)
    """
    geometry = wkb_to_geojson(wkb)
    xmin, ymin, xmax, ymax = _bounds(geometry)
    if geometry["type"] == "MultiPolygon" and (xmin, xmax) == (-180, 180):
        parts = [_bounds({"type": "Polygon", "coordinates": part}) for part in geometry["coordinates"] if any(part)]
        east = [part[0] for part in parts if part[0] > -180 and part[2] == 180]
        west = [part[2] for part in parts if part[0] == -180 and part[2] < 180]
        if len(east) + len(west) == len(parts) and min(east, default=-180) > max(west, default=180):
            return min(east), ymin, max(west), ymax
    return xmin, ymin, xmax, ymax


def _bounds(geometry: dict[str, Any]) -> tuple[float, float, float, float]:
    """Return xmin, ymin, xmax, ymax of all points."""
    points = list(walk_points(geometry))
    if not points:
        raise ValueError("the geometry is empty: leave it out, or give it a point")
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return min(xs), min(ys), max(xs), max(ys)


def walk_points(geometry: dict[str, Any]) -> Iterator[tuple[float, ...]]:
    """Yield every point of a GeoJSON geometry."""
    if geometry["type"] == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from walk_points(part)
        return
    pending = [geometry["coordinates"]]
    while pending:
        value = pending.pop()
        if value and not isinstance(value[0], list | tuple):
            yield tuple(value)
        else:
            pending.extend(value)


def wkb_to_geojson(wkb: bytes) -> dict[str, Any]:
    """Return a geometry as GeoJSON: ``type`` with ``coordinates`` or ``geometries``.

    Raises:
        ValueError: if it is no WKB of a known type.

    >>> wkb_to_geojson(points_to_wkb(np.array([[8.0, 50.0]]))[0])
    {'type': 'Point', 'coordinates': [8.0, 50.0]}
    """
    try:
        geometry, end = _read(wkb, 0)
    except (struct.error, IndexError, RecursionError):
        raise ValueError(f"the geometry is no WKB: {len(wkb)} bytes that end early") from None
    if end != len(wkb):
        raise ValueError(f"the geometry is no WKB: {len(wkb) - end} bytes follow its end")
    return geometry


def _read(wkb: bytes, start: int) -> tuple[dict[str, Any], int]:
    """Read one geometry and return it with the offset of its end."""
    order = "<" if wkb[start] else ">"
    (code,) = struct.unpack_from(f"{order}I", wkb, start + 1)
    start += 5
    if code & 0x20000000:  # EWKB: an SRID follows
        start += 4
    kind, n_axes = code & 0xFFFF, 2
    if code & 0x80000000 or kind // 1000 in (1, 3):  # z, as EWKB or ISO
        n_axes += 1
    if code & 0x40000000 or kind // 1000 in (2, 3):  # m
        n_axes += 1
    kind %= 1000
    if not 1 <= kind <= len(TYPES):
        raise ValueError(f"the geometry is no WKB of a known type: type {kind}")

    def points(offset: int) -> tuple[list[list[float]], int]:
        (n_points,) = struct.unpack_from(f"{order}I", wkb, offset)
        values = struct.unpack_from(f"{order}{n_points * n_axes}d", wkb, offset + 4)
        rows = [list(values[i : i + n_axes]) for i in range(0, len(values), n_axes)]
        return rows, offset + 4 + 8 * len(values)

    name = TYPES[kind - 1]
    if name == "Point":
        values = struct.unpack_from(f"{order}{n_axes}d", wkb, start)
        return {"type": name, "coordinates": list(values)}, start + 8 * n_axes
    if name == "LineString":
        line, end = points(start)
        return {"type": name, "coordinates": line}, end
    (n_parts,) = struct.unpack_from(f"{order}I", wkb, start)
    start += 4
    parts: list[Any] = []
    for _ in range(n_parts):
        part, start = points(start) if name == "Polygon" else _read(wkb, start)
        parts.append(part)
    if name == "GeometryCollection":
        return {"type": name, "geometries": parts}, start
    return {"type": name, "coordinates": parts if name == "Polygon" else [p["coordinates"] for p in parts]}, start


def geojson_to_wkb(geometry: Any) -> bytes:
    """Return a GeoJSON geometry as WKB of two dimensions; heights are left out.

    Raises:
        ValueError: if it is no GeoJSON geometry.

    >>> geojson_to_wkb({"type": "Point", "coordinates": [8.0, 50.0]}).hex()[:10]
    '0101000000'
    """
    try:
        return _write(geometry)
    except (KeyError, TypeError, IndexError, struct.error, RecursionError):
        raise ValueError(f"expected a GeoJSON geometry with type and coordinates, got {geometry!r:.100}") from None


def _write(geometry: Any) -> bytes:
    name = geometry["type"]
    if name not in TYPES:
        raise ValueError(f"expected a GeoJSON geometry of type {', '.join(TYPES)}, got {name!r}")
    head = struct.pack("<BI", 1, TYPES.index(name) + 1)
    if name == "GeometryCollection":
        parts = [_write(part) for part in geometry["geometries"]]
        return head + struct.pack("<I", len(parts)) + b"".join(parts)
    coordinates = geometry["coordinates"]
    if name == "Point":
        return head + struct.pack("<dd", *coordinates[:2])
    if name == "LineString":
        return head + _points(coordinates)
    if name == "Polygon":
        return head + struct.pack("<I", len(coordinates)) + b"".join(map(_points, coordinates))
    parts = [_write({"type": name.removeprefix("Multi"), "coordinates": part}) for part in coordinates]
    return head + struct.pack("<I", len(parts)) + b"".join(parts)


def _points(points: Any) -> bytes:
    return struct.pack("<I", len(points)) + b"".join(struct.pack("<dd", *point[:2]) for point in points)
