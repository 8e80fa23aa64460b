"""Scenes (GeoTIFF, JPEG 2000) in, chips out: read window by window, each with its footprint in WGS84."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any

from rshash.data.images import BadImage
from rshash.ingest.entry import BadInput, Entry, Stamp, digest_content
from rshash.ingest.footprint import footprints
from rshash.ingest.listing import Listed, Listing
from rshash.raster.scene import Scene, open_scene, parse_crs
from rshash.raster.stretch import Stretch
from rshash.raster.windows import count_windows, cut

_TIFF_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Cutting:
    """How scenes become chips.

    Attributes:
        size: edge of a chip in pixels.
        stride: pixels from one chip to the next; None for ``size``. The last of a line ends at the scene's edge.
        bands: one band (grey) or three (red, green, blue), counted from 1; None takes what the file calls red, green
            and blue, else its first three, or its only one.
        stretch: how values become bytes.
        most_nodata: chips whose share of pixels without data is larger are left out.
        crs: taken for files that say none, for example ``"EPSG:32632"``; None reports them.

    Raises:
        ValueError: if one of them is out of range.
    """

    size: int = 256
    stride: int | None = None
    bands: tuple[int, ...] | None = None
    stretch: Stretch = field(default_factory=lambda: Stretch.parse("auto"))
    most_nodata: float = 0.5
    crs: str | None = None

    def __post_init__(self) -> None:
        if self.size < 1 or self.step < 1:
            raise ValueError(f"chips have at least 1 pixel and stride, got {self.size} and {self.stride}")
        if self.bands is not None and (len(self.bands) not in (1, 3) or min(self.bands) < 1):
            raise ValueError(f"bands are {self.bands}, expected one or three numbers counted from 1")
        if not 0 <= self.most_nodata <= 1:
            raise ValueError(f"the largest share without data is {self.most_nodata}, expected 0 to 1")

    @property
    def step(self) -> int:
        """Pixels from one chip to the next."""
        return self.size if self.stride is None else self.stride


class SceneSource:
    """The chips of the scenes of a listing, scene by scene, row by row.

    A chip's id is ``<id of the scene>#xywh=<column>,<row>,<width>,<height>`` in pixels (the W3C's media fragments). Its
    item has ``source``, ``window`` (those four numbers), ``geometry`` and ``bbox`` (its own footprint), ``datetime``
    (as listed, else TIFFTAG_DATETIME, taken as UTC) and whatever else the listing knows.

    Args:
        listing: scenes.
        cutting: how they become chips.

    Raises:
        ValueError: if ``cutting`` names an unknown CRS.
    """

    kind = "images"

    def __init__(self, listing: Listing, cutting: Cutting | None = None) -> None:
        self._listing, self._cutting = listing, cutting or Cutting()
        if self._cutting.crs is not None:
            parse_crs(self._cutting.crs)

    @property
    def name(self) -> str:
        """The listing's name."""
        return self._listing.name

    def __len__(self) -> int:
        n_chips = 0
        for listed in self._listing:
            try:
                scene = None if isinstance(listed, BadInput) else self._open(listed)
            except BadImage:
                scene = None
            n_chips += 1 if scene is None else self._count(scene)
        return n_chips

    def __iter__(self) -> Iterator[Entry | BadInput]:
        for listed in self._listing:
            if isinstance(listed, BadInput):
                yield listed
                continue
            try:
                scene = self._open(listed)
                yield from self._chips(listed, scene)
            except (BadImage, OSError) as error:
                reason = error.reason if isinstance(error, BadImage) else str(error)
                yield BadInput(listed.id, str(listed.path), reason)

    def _open(self, listed: Listed) -> Scene:
        cutting = self._cutting
        return open_scene(listed.path, cutting.bands, cutting.stretch, most_nodata=cutting.most_nodata, crs=cutting.crs)

    def _count(self, scene: Scene) -> int:
        return count_windows(scene.width, scene.height, self._cutting.size, self._cutting.step)

    def _chips(self, listed: Listed, scene: Scene) -> Iterator[Entry | BadInput]:
        stamp = Stamp.of(listed.path)
        digest = _Once(partial(digest_content, scene.path))
        common: dict[str, Any] = {"datetime": read_time(scene.time), **listed.columns, "source": str(scene.path)}
        is_zoneless = listed.is_zoneless if "datetime" in listed.columns else common["datetime"] is not None
        if common["datetime"] is None:
            del common["datetime"]
        for windows in cut(scene.width, scene.height, self._cutting.size, self._cutting.step):
            try:
                places = footprints(windows, scene.transform, scene.crs)
            except ValueError as error:
                raise BadImage(scene.path, str(error)) from None
            for window, place in zip(windows, places, strict=True):
                yield Entry(
                    f"{listed.id}#xywh={','.join(map(str, window))}",
                    {**common, **place, "window": list(window)},
                    read=partial(scene.read, window),
                    digest=digest,
                    stamp=stamp,
                    recipe=scene.recipe,
                    is_zoneless=is_zoneless,
                )


class _Once:
    """Calls a function at most once, whichever of several threads asks first."""

    def __init__(self, function: Callable[[], str]) -> None:
        self._function, self._lock = function, Lock()
        self._result: str | None = None

    def __call__(self) -> str:
        with self._lock:
            if self._result is None:
                self._result = self._function()
            return self._result


def read_time(text: str | None) -> datetime | None:
    """Read a TIFF's own time, ``2024:05:31 10:21:09``; it has no zone and is taken as UTC.

    Returns:
        None where it is missing or no time.

    >>> read_time("2024:05:31 10:21:09").isoformat(), read_time("0000:00:00 00:00:00")
    ('2024-05-31T10:21:09+00:00', None)
    """
    match = _TIFF_TIME.match(text.strip()) if text else None
    try:
        return None if match is None else datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return None
