"""What a manifest names: files, segments, the hasher."""

from collections.abc import Mapping
from dataclasses import dataclass

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class FileEntry:
    """A file as it was committed: its size in bytes and its sha256 (hex)."""

    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class SegmentEntry:
    """One segment: rows that were committed together, and what was deleted of them since.

    Attributes:
        name: number of the commit that wrote it, at least six digits.
        n_rows: rows in its files.
        n_alive: rows that were not deleted.
        files: name → entry of every file.
        bounds: xmin, ymin, xmax, ymax of all footprints in WGS84 degrees, or None.
        datetime: first and last moment (ISO 8601, UTC), or None.
    """

    name: str
    n_rows: int
    n_alive: int
    files: Mapping[str, FileEntry]
    bounds: Bounds | None = None
    datetime: tuple[str, str] | None = None

    @property
    def codes(self) -> str:
        """Name of the file of codes."""
        return f"codes-{self.name}.npy"

    @property
    def items(self) -> str:
        """Name of the file of items."""
        return f"items-{self.name}.parquet"

    @property
    def relaxed(self) -> str | None:
        """Name of the file of relaxed codes, None where they are not kept."""
        return self._if_there("relaxed")

    @property
    def boxes(self) -> str | None:
        """Name of the file of boxes, None where no item has one or they are in the items only."""
        return self._if_there("boxes")

    @property
    def moments(self) -> str | None:
        """Name of the file of moments, None where no item has one or they are in the items only."""
        return self._if_there("moments")

    @property
    def blocks(self) -> str | None:
        """Name of the file of bounds of blocks, None where there are neither boxes nor moments."""
        return self._if_there("blocks")

    def _if_there(self, what: str) -> str | None:
        name = f"{what}-{self.name}.npy"
        return name if name in self.files else None

    @property
    def alive(self) -> str | None:
        """Name of the bitmap of living rows, None while every row lives."""
        return next((name for name in self.files if name.startswith("alive-")), None)


@dataclass(frozen=True)
class HasherEntry:
    """The hasher that made the codes: its folder in the archive, its fingerprint, its files."""

    folder: str
    fingerprint: str
    files: Mapping[str, FileEntry]
