"""A folder in, its files out, one by one in a fixed order: nothing is kept, however many there are."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rshash.ingest.entry import BadInput


@dataclass(frozen=True, slots=True)
class Listed:
    """A file to take in.

    Attributes:
        id: what it is called in the archive.
        path: where it lies.
        columns: what is known of it beside its content.
        is_zoneless: whether its ``datetime`` was told without a zone, and taken as UTC.
    """

    id: str
    path: Path
    columns: Mapping[str, Any] = field(default_factory=dict)
    is_zoneless: bool = False


class Listing(Protocol):
    """Files to take in, in the same order every time, ids unique; what cannot be listed comes as `BadInput`."""

    @property
    def name(self) -> str:
        """What it is."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Listed | BadInput]: ...


class FolderListing:
    """The files of a folder and the folders below it whose suffix is wanted; hidden ones are passed over.

    An id is the path below the folder, ``/``-separated, in ascending order. Links to files are followed, links to
    folders are not.

    Args:
        folder: where to look; a single file is a folder of one.
        suffixes: wanted suffixes, lower case.
        prefix: put before every id.

    Raises:
        FileNotFoundError: if there is no such folder or file.
    """

    def __init__(self, folder: str | os.PathLike[str], suffixes: Collection[str], prefix: str = "") -> None:
        self._place = Path(folder)
        self._suffixes, self._prefix = suffixes, prefix
        if not self._place.exists():
            raise FileNotFoundError(f"{folder} is no folder: give the folder that holds the images")

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self._place.resolve().name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Listed | BadInput]:
        root = self._place.resolve()
        if root.is_file():
            yield Listed(self._prefix + root.name, root)
            return
        yield from self._walk(root, "")

    def _walk(self, folder: Path, above: str) -> Iterator[Listed | BadInput]:
        """Yield what one folder holds; sorting folders with their slash makes the whole walk ascend."""
        try:
            with os.scandir(folder) as found:
                inside = sorted(
                    (entry.name + "/" * entry.is_dir(follow_symlinks=False), entry.is_dir(follow_symlinks=False))
                    for entry in found
                    if not entry.name.startswith(".") and (entry.is_dir(follow_symlinks=False) or entry.is_file())
                )
        except OSError as error:
            yield BadInput(self._prefix + above, str(folder), f"cannot be listed: {error.strerror}")
            return
        for name, is_folder in inside:
            if is_folder:
                yield from self._walk(folder / name, above + name)
            elif os.path.splitext(name)[1].lower() in self._suffixes:
                yield self._listed(folder / name, above + name)

    def _listed(self, path: Path, name: str) -> Listed | BadInput:
        try:
            name.encode()
        except UnicodeEncodeError:
            return BadInput(ascii(name), ascii(str(path)), "the file name is no valid Unicode: rename it")
        return Listed(self._prefix + name, path)
