"""The options that say what ``rshash index`` takes in, and the source they add up to."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rshash.cli import options

if TYPE_CHECKING:
    from rshash.data.dataset import CaptionDataset
    from rshash.ingest.entry import Source
    from rshash.ingest.listing import Listing
    from rshash.ingest.scenes import Cutting
    from rshash.models.hasher import CrossModalHasher


@dataclass(frozen=True)
class SourceOptions:
    """What the user named; see the help of each option."""

    images: Path | None
    captions: Path | None
    table: Path | None
    scenes: Path | None
    modality: str
    half: str | None
    prefix: str
    chip: int
    stride: int | None
    bands: str | None
    stretch: str
    max_nodata: float
    crs: str | None

    def check(self) -> None:
        """Refuse combinations that mean nothing, before anything is loaded.

        Raises:
            click.UsageError: naming them.
        """
        if not any((self.images, self.captions, self.table, self.scenes)):
            raise click.UsageError("give --images FOLDER, --captions FILE, --table FILE or --scenes PATH")
        if self.scenes and (self.images or self.captions):
            raise click.UsageError("--scenes goes with --table only: index images and scenes one after the other")
        if self.captions and self.table:
            raise click.UsageError("give --captions or --table, not both")
        if not self.captions and (self.half or self.modality == "captions"):
            raise click.UsageError("--half and --of captions need --captions FILE")
        given = click.get_current_context().get_parameter_source
        for name in ("chip", "stride", "bands", "stretch", "max_nodata", "crs"):
            if not self.scenes and given(name) is ParameterSource.COMMANDLINE:
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(f"{option} says how scenes are cut into chips: give --scenes PATH, too")

    def open(self, hasher: "CrossModalHasher", progress: bool) -> "Source":
        """Return the source.

        Raises:
            ValueError, OSError: if it cannot be read.
            ImportError: if a package it needs is missing.
        """
        from rshash.data.images import IMAGE_SUFFIXES
        from rshash.ingest.pictures import DatasetSource, PictureSource

        if self.captions is not None:
            return DatasetSource(self._dataset(hasher, progress), self.modality, self.prefix)
        if self.scenes is not None:
            from rshash.ingest.scenes import SceneSource
            from rshash.raster.scene import SCENE_SUFFIXES

            cutting = self._cutting()
            return SceneSource(self._listing(self.scenes, SCENE_SUFFIXES), cutting)
        return PictureSource(self._listing(self.images, IMAGE_SUFFIXES))

    def _listing(self, folder: Path | None, suffixes: Any) -> "Listing":
        from rshash.ingest.listing import FolderListing
        from rshash.ingest.table import TableListing

        if self.table is not None:
            return TableListing(self.table, folder, self.prefix)
        return FolderListing(str(folder), suffixes, self.prefix)

    def _cutting(self) -> "Cutting":
        from rshash.ingest.scenes import Cutting
        from rshash.raster.stretch import Stretch

        try:
            bands = None if self.bands is None else tuple(int(band) for band in self.bands.split(","))
        except ValueError:
            raise ValueError(f"--bands is {self.bands!r}, expected numbers counted from 1, as 4,3,2") from None
        return Cutting(
            size=self.chip,
            stride=self.stride,
            bands=bands,
            stretch=Stretch.parse(self.stretch),
            most_nodata=self.max_nodata,
            crs=self.crs,
        )

    def _dataset(self, hasher: "CrossModalHasher", progress: bool) -> "CaptionDataset":
        """Read the captions, and take the half that was asked for."""
        from rshash.data.captions import read_captions

        dataset = read_captions(str(self.captions), self.images, on_bad="skip")
        if self.half is None:
            return dataset
        trained = options.trained_split(hasher)
        if trained is None:
            raise ValueError("the hasher does not say which split it was trained on: leave out --half")
        if self.images is not None:
            dataset = dataset.check_images(on_bad="skip", progress=progress)  # as training did: rows must be the same
        if trained["data"] != dataset.fingerprint():
            raise ValueError(
                f"--half {self.half} counts rows of the data that the hasher was trained on, {dataset.name} is other "
                "data: give the same --captions and --images, or leave out --half"
            )
        return dataset.subset(getattr(options.make_split(dataset, trained["name"], trained["seed"]), self.half))


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a source; the command receives them as one ``source``."""
    names = SourceOptions.__dataclass_fields__

    @wraps(command)
    def gather(**given: Any) -> Any:
        source = SourceOptions(**{name: given.pop(name) for name in names})
        return command(source=source, **given)

    wrapped: Callable[..., Any] = gather
    for option in reversed(
        (
            click.option("--images", type=options.PATH, help="Folder of images; with --table, where its paths begin."),
            click.option("--captions", type=options.PATH, help="Caption file, Karpathy-style JSON (dataset_*.json)."),
            click.option(
                "--table",
                type=options.PATH,
                help="Parquet or CSV with a column path and what else is known; .parquet, .geoparquet, .csv, .tsv.",
            ),
            click.option("--scenes", type=options.PATH, help="Folder of GeoTIFF or JPEG 2000 scenes, or one of them."),
            click.option(
                "--of",
                "modality",
                type=click.Choice(["images", "captions"]),
                default="images",
                show_default=True,
                help="What the rows of --captions are; either kind can be asked with a sentence or an image.",
            ),
            click.option(
                "--half",
                type=click.Choice(["train", "query", "database"]),
                help="Index this part of the split the hasher was trained on.  [default: everything]",
            ),
            click.option("--prefix", default="", help="Put before every id, to keep folders with equal names apart."),
            click.option("--chip", type=click.IntRange(1), default=256, show_default=True, help="Edge in pixels."),
            click.option("--stride", type=click.IntRange(1), help="Pixels from chip to chip.  [default: --chip]"),
            click.option("--bands", help="Bands to show, one or three, from 1, as 4,3,2.  [default: the file's RGB]"),
            click.option(
                "--stretch",
                default="auto",
                show_default=True,
                help="Values that become 0 and 255: LOW:HIGH, or percentiles of the scene LOW%:HIGH%. auto: 8-bit as "
                "they are, else 2%:98%.",
            ),
            click.option(
                "--max-nodata",
                type=click.FloatRange(0, 1),
                default=0.5,
                show_default=True,
                help="Leave out chips with a larger share without data.",
            ),
            click.option("--crs", help="Taken for scenes whose file says none, as EPSG:32632."),
        )
    ):
        wrapped = option(wrapped)
    return wrapped
