"""One scene: opened to learn its grid, then read window by window from several threads."""

import os
import re
import threading
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.data.images import BadImage
from rshash.extras import require
from rshash.raster.stretch import Levels, Stretch, to_bytes
from rshash.raster.windows import Window

SCENE_SUFFIXES = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2OpenJPEG"}
"""Suffix of a scene's file → GDAL's driver for it. No other is tried: some follow references to other places."""

_SAMPLE_SIDE = 1024  # pixels of a scene that percentiles are taken from, along each side
_CACHE_BYTES = 128 << 20  # of decoded blocks, for all threads; GDAL would take a twentieth of the machine's memory
_RECIPE = re.compile(r"bands (\d+(?:,\d+)*), values (.+)")
_open_files = threading.local()


class EmptyChip(Exception):
    """A chip has less data than wanted: neither a row nor a fault."""


class Scene:
    """A scene on a grid. Made by `open_scene`; may be read from several threads.

    Attributes:
        path: absolute path of the file.
        width: columns of pixels.
        height: rows of pixels.
        transform: affine transform, pixels → coordinates.
        crs: coordinate reference system.
        time: TIFFTAG_DATETIME, where there is one.
        recipe: how its values become pictures, in words.
    """

    def __init__(
        self, path: Path, source: Any, bands: tuple[int, ...], crs: Any, stretch: Stretch, most_nodata: float
    ) -> None:
        self.path = path
        self.width: int = source.width
        self.height: int = source.height
        self.transform = source.transform
        self.crs = crs
        self.time: str | None = source.tags().get("TIFFTAG_DATETIME")
        self._bands = bands
        self._stretch = stretch
        self._keeps = stretch.keeps(source.dtypes[bands[0] - 1])
        self._most_nodata = most_nodata
        self._lock = threading.Lock()
        self.recipe = write_recipe(bands, stretch, self._keeps)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read one chip.

        Returns:
            (height, width, 3) uint8 RGB, 0 where there is no data.

        Raises:
            EmptyChip: if too little of it has data.
            BadImage: if it cannot be read.
        """
        column, row, width, height = window
        values, valid = self._values(place=((row, row + height), (column, column + width)))
        if 1.0 - valid.mean() > self._most_nodata:
            raise EmptyChip
        pixels = values.astype(np.uint8) if self._keeps else to_bytes(values, self._levels_once())
        pixels *= valid
        planes = pixels if len(pixels) == 3 else np.repeat(pixels, 3, axis=0)  # (3, H, W)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))

    def _levels_once(self) -> Levels:
        with self._lock:
            return self._levels

    @cached_property
    def _levels(self) -> Levels:
        """Ends of the stretch, from a sample of the whole scene so that its chips look alike."""
        if not self._stretch.of_scene:
            return self._stretch.levels(np.zeros((len(self._bands), 0, 0)), np.zeros((0, 0), bool))
        shape = min(self.height, _SAMPLE_SIDE), min(self.width, _SAMPLE_SIDE)
        return self._stretch.levels(*self._values(shape=shape))

    def _values(
        self, place: tuple[tuple[int, int], tuple[int, int]] | None = None, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read (bands, H, W) values and where there is data (H, W): of a window, or of all at a smaller shape."""
        try:
            with require("rasterio", "raster").Env(GDAL_CACHEMAX=_CACHE_BYTES):
                source = _opened(self)
                values = source.read(self._bands, window=place, out_shape=shape and (len(self._bands), *shape))
                valid = source.dataset_mask(window=place, out_shape=shape) > 0
        except require("rasterio.errors", "raster").RasterioError as error:
            raise BadImage(self.path, " ".join(str(error.__cause__ or error).split())) from None
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        return values, valid


def open_scene(
    path: str | os.PathLike[str],
    bands: tuple[int, ...] | None,
    stretch: Stretch,
    *,
    most_nodata: float,
    crs: str | None = None,
) -> Scene:
    """Open a scene and check that it can be cut; no pixel is read.

    Args:
        path: GeoTIFF or JPEG 2000.
        bands: one or three, counted from 1; None chooses as `Cutting` says.
        stretch: how values become bytes.
        most_nodata: largest share of pixels without data.
        crs: taken where the file says none.

    Raises:
        BadImage: if it is no such file, is not placed on a grid, or lacks a band.
        ImportError: if rasterio is missing.
    """
    rasterio = require("rasterio", "raster")
    errors = require("rasterio.errors", "raster")
    place = Path(path).resolve()
    if not place.is_file():
        raise BadImage(place, "no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.NotGeoreferencedWarning)  # said below, in the report
            with rasterio.open(place, driver=_driver(place)) as source:
                return Scene(
                    place,
                    source,
                    _choose_bands(source, bands),
                    _crs_of(source, crs),
                    stretch,
                    most_nodata,
                )
    except errors.RasterioError as error:
        raise BadImage(place, " ".join(str(error).split())) from None
    except ValueError as error:
        raise error if isinstance(error, BadImage) else BadImage(place, str(error)) from None


def read_chip(path: str | os.PathLike[str], window: Sequence[int], recipe: str) -> NDArray[np.uint8]:
    """Read a chip as it was indexed.

    Args:
        path: the scene.
        window: column, row, width and height in pixels.
        recipe: as `Scene` wrote it.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        BadImage: if it cannot be read, or the recipe is none.
    """
    try:
        bands, stretch = read_recipe(recipe)
    except ValueError as error:
        raise BadImage(path, str(error)) from None
    anywhere = "EPSG:4326"  # pixels do not depend on it, and a file that has none was placed when it was indexed
    return open_scene(path, bands, stretch, most_nodata=1.0, crs=anywhere).read(Window(*window))


def write_recipe(bands: tuple[int, ...], stretch: Stretch, keeps: bool) -> str:
    """Say how values become pictures: the bands, and the stretch where one is applied.

    >>> write_recipe((4, 3, 2), Stretch.parse("auto"), keeps=False)
    'bands 4,3,2, values 2%:98%'
    """
    values = "as they are" if keeps else stretch.text.replace("auto", "2%:98%")
    return f"bands {','.join(map(str, bands))}, values {values}"


def read_recipe(recipe: str) -> tuple[tuple[int, ...], Stretch]:
    """Return the bands and the stretch that `write_recipe` wrote.

    Raises:
        ValueError: if it did not.

    >>> read_recipe("bands 4,3,2, values 0:3000")[0]
    (4, 3, 2)
    """
    match = _RECIPE.fullmatch(recipe)
    if match is None:
        raise ValueError(f"{recipe!r} is no recipe of a chip: index its scene again")
    return tuple(map(int, match[1].split(","))), Stretch.parse(match[2].replace("as they are", "none"))


def _opened(scene: Scene) -> Any:
    """Return this thread's handle of a scene; GDAL's may not be shared, and opening costs as much as a chip."""
    held: tuple[Scene, Any] | None = getattr(_open_files, "held", None)
    if held is not None and held[0] is scene:
        return held[1]
    if held is not None:
        held[1].close()
    source = require("rasterio", "raster").open(scene.path, driver=_driver(scene.path))
    _open_files.held = scene, source
    return source


def _driver(path: Path) -> str:
    return SCENE_SUFFIXES.get(path.suffix.lower(), "GTiff")


def parse_crs(text: str) -> Any:
    """Return a CRS by its name, for example ``"EPSG:32632"``.

    Raises:
        ValueError: if it names none.
        ImportError: if rasterio is missing.
    """
    try:
        return require("rasterio.crs", "raster").CRS.from_user_input(text)
    except (require("rasterio.errors", "raster").CRSError, ValueError) as error:
        raise ValueError(f"{text!r} is no CRS ({error}): give a code, for example EPSG:32632") from None


def _crs_of(source: Any, assumed: str | None) -> Any:
    """Return the CRS of a scene, or say why it has no place on the earth."""
    if source.crs is None and source.gcps[0]:
        raise ValueError("it is placed by ground control points, not on a grid: warp it first (gdalwarp)")
    if source.transform.is_identity:
        raise ValueError("it is not placed on a grid: it has no geotransform")
    if source.crs is None and assumed is None:
        raise ValueError("it has no CRS: name the one to take for such files (--crs EPSG:32632)")
    return source.crs or parse_crs(str(assumed))


def _choose_bands(source: Any, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the bands to show: those wanted, else red, green and blue, else the first three, else the only one."""
    if any(kind.startswith("complex") for kind in source.dtypes):
        raise ValueError("its values are complex: write their magnitude first")
    if wanted is not None:
        if max(wanted) > source.count:
            raise ValueError(f"it has {source.count} bands, band {max(wanted)} was asked for")
        return wanted
    names = [colour.name for colour in source.colorinterp]
    if {"red", "green", "blue"} <= set(names):
        return names.index("red") + 1, names.index("green") + 1, names.index("blue") + 1
    if "palette" in names:
        raise ValueError("its values are numbers of a palette: expand it to RGB first (gdal_translate -expand rgb)")
    data = tuple(number for number, name in enumerate(names, start=1) if name != "alpha")
    if len(data) == 2:
        raise ValueError("it has 2 bands: choose one, or three with one twice (--bands 1,2,1)")
    if not data:
        raise ValueError("it has no band but alpha")
    return data[:3]
