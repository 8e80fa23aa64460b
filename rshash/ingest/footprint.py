"""Chips in a scene's own coordinates in, footprints in longitude and latitude (WGS84) out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.geometry import geojson_to_wkb
from rshash.extras import require
from rshash.raster.windows import Window

Ring = NDArray[np.float64]

POLES = (90.0, -90.0)
NEARLY = 1e-3
"""Pixels by which a pole may lie outside a chip and still count as on its edge."""


def footprints(windows: Sequence[Window], transform: Any, crs: Any) -> list[dict[str, Any]]:
    """Return the footprints of windows of one scene.

    The four corners are transformed; between them a footprint is straight in longitude and latitude. One that crosses
    the antimeridian is cut there into a multipolygon (RFC 7946, section 3.1.9). One that holds a pole, or has it on its
    edge, reaches around the world and up to the pole.

    Args:
        windows: rectangles of pixels.
        transform: affine transform, pixels → coordinates of ``crs``.
        crs: coordinate reference system, as rasterio has it.

    Returns:
        ``geometry`` (WKB, longitude first, exterior rings counter-clockwise) and ``bbox`` of each.

    Raises:
        ValueError: if a corner has no longitude and latitude (it lies outside the projection).
    """
    warp = require("rasterio.warp", "raster")
    corners = np.array(
        [
            (column, row)
            for left, top, width, height in windows
            for column, row in ((left, top), (left, top + height), (left + width, top + height), (left + width, top))
        ],
        dtype=np.float64,
    )
    eastings = transform.a * corners[:, 0] + transform.b * corners[:, 1] + transform.c
    northings = transform.d * corners[:, 0] + transform.e * corners[:, 1] + transform.f
    try:
        longitudes, latitudes = warp.transform(crs, "EPSG:4326", eastings.tolist(), northings.tolist())
    except Exception as error:  # GDAL's own errors have no public base
        raise ValueError(f"its CRS leads to no longitude and latitude: {str(error)[:120]}") from None
    rings = np.stack([longitudes, latitudes], axis=1).reshape(-1, 4, 2)  # (n, corner, lon lat)
    if not (np.isfinite(rings).all() and (np.abs(rings[:, :, 1]) <= 90).all()):
        raise ValueError("its corners have no longitude and latitude: its CRS or its transform is wrong")
    found = [as_item(ring) for ring in rings]
    for latitude in POLES:
        for position in np.flatnonzero(_hold(windows, _pixel_of(latitude, transform, crs))):
            found[position] = around_pole(rings[position], latitude)
    return found


def as_item(ring: Ring) -> dict[str, Any]:
    """Return the item columns of a convex footprint, cut at the antimeridian where it spans it.

    Args:
        ring: (n, 2) longitude and latitude of its corners, not closed; a span of more than 180 degrees is taken to go
            the short way round.

    Returns:
        ``geometry`` as WKB and ``bbox``, whose xmin is greater than its xmax across the antimeridian.

    >>> as_item(np.array([[179.0, 0.0], [181.0, 0.0], [181.0, 1.0], [179.0, 1.0]]))["bbox"]
    (179.0, 0.0, -179.0, 1.0)
    """
    longitudes = np.where(ring[:, 0] > 180.0, ring[:, 0] - 360.0, ring[:, 0])
    longitudes = np.where(longitudes < -180.0, longitudes + 360.0, longitudes)
    south, north = float(ring[:, 1].min()), float(ring[:, 1].max())
    parts = [np.column_stack([longitudes, ring[:, 1]])]
    if np.ptp(longitudes) > 180.0:
        round_ring = np.column_stack([np.where(longitudes < 0, longitudes + 360.0, longitudes), ring[:, 1]])
        parts = [_clip(round_ring, keep_below=True), _clip(round_ring, keep_below=False) - [360.0, 0.0]]
        parts = [part for part in parts if len(part) >= 3]
    polygons = [[[*_counter_clockwise(part).tolist(), _counter_clockwise(part)[0].tolist()]] for part in parts]
    kind, coordinates = ("Polygon", polygons[0]) if len(polygons) == 1 else ("MultiPolygon", polygons)
    return {
        "geometry": geojson_to_wkb({"type": kind, "coordinates": coordinates}),
        "bbox": (float(parts[0][:, 0].min()), south, float(parts[-1][:, 0].max()), north),
    }


def around_pole(ring: Ring, latitude: float) -> dict[str, Any]:
    """Return the item columns of a footprint that holds a pole: all longitudes, from its corners to the pole.

    A side that is straight in a projection of the polar region runs nearer to the pole than the same side straight in
    longitude and latitude, so nothing of the chip lies outside.

    Args:
        ring: (n, 2) longitude and latitude of its corners, not closed.
        latitude: of the pole, 90 or -90.

    >>> around_pole(np.array([[-135.0, 88.0], [-45.0, 88.0], [45.0, 88.0], [135.0, 88.0]]), 90.0)["bbox"]
    (-180.0, 88.0, 180.0, 90.0)
    """
    corners = ring[np.abs(ring[:, 1] - latitude) > 1e-9]  # one at the pole has no longitude of its own
    corners = corners[np.argsort(corners[:, 0])]
    west, east = corners[0] + [360.0, 0.0], corners[-1]
    share = 0.0 if west[0] == east[0] else (180.0 - east[0]) / (west[0] - east[0])
    border = float(east[1] + share * (west[1] - east[1]))  # latitude at the antimeridian
    line = [(-180.0, border), *map(tuple, corners.tolist()), (180.0, border)]
    polygon = _counter_clockwise(np.array(list(dict.fromkeys([*line, (180.0, latitude), (-180.0, latitude)]))))
    south, north = float(polygon[:, 1].min()), float(polygon[:, 1].max())
    closed = [*polygon.tolist(), polygon[0].tolist()]
    return {
        "geometry": geojson_to_wkb({"type": "Polygon", "coordinates": [closed]}),
        "bbox": (-180.0, south, 180.0, north),
    }


def _pixel_of(latitude: float, transform: Any, crs: Any) -> tuple[float, float] | None:
    """Return the pixel at which a pole lies; None where the projection has no such point, or a line of them."""
    warp = require("rasterio.warp", "raster")
    try:
        places = warp.transform("EPSG:4326", crs, [0.0, 120.0, -120.0], [latitude] * 3)
    except Exception:  # as above
        return None
    offsets = np.array(places) - [[transform.c], [transform.f]]  # (x y, 3)
    linear = np.array([[transform.a, transform.b], [transform.d, transform.e]])
    if not np.isfinite(offsets).all() or np.linalg.det(linear) == 0:
        return None
    pixels = np.linalg.solve(linear, offsets)  # (column row, 3)
    return None if np.ptp(pixels, axis=1).max() > NEARLY else (float(pixels[0, 0]), float(pixels[1, 0]))


def _hold(windows: Sequence[Window], pixel: tuple[float, float] | None) -> NDArray[np.bool_]:
    """Tell of each window whether it holds a pixel, its edges included."""
    if pixel is None:
        return np.zeros(len(windows), bool)
    left, top, width, height = np.array(windows, np.float64).reshape(-1, 4).T
    column, row = pixel
    return (
        (left - NEARLY <= column)
        & (column <= left + width + NEARLY)
        & (top - NEARLY <= row)
        & (row <= top + height + NEARLY)
    )


def _clip(ring: Ring, *, keep_below: bool) -> Ring:
    """Cut a convex ring at longitude 180 and return one side of it (Sutherland and Hodgman, 1974)."""
    side = 1.0 if keep_below else -1.0
    kept: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
        inside, next_inside = side * (180.0 - x0) >= 0, side * (180.0 - x1) >= 0
        if inside:
            kept.append((x0, y0))
        if inside != next_inside:
            kept.append((180.0, y0 + (y1 - y0) * (180.0 - x0) / (x1 - x0)))
    return np.array(list(dict.fromkeys(kept)), dtype=np.float64).reshape(-1, 2)


def _counter_clockwise(ring: Ring) -> Ring:
    x, y = ring[:, 0], ring[:, 1]
    return ring[::-1] if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0 else ring
