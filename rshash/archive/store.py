"""The directory of an archive: new files, the commit that makes them count, the sweep of those nobody needs.

A commit is one atomic rename of the manifest, after everything it names has reached the disk.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rshash.archive.entries import FileEntry
from rshash.archive.lock import remove_unpinned
from rshash.archive.manifest import MANIFEST, Manifest, manifest_bytes, read_manifest
from rshash.files import naming

REMEDY = 'restore it from a copy, or open the rest with damaged="skip" (--damaged skip)'

_OURS = re.compile(
    r"(codes|relaxed|boxes|moments|blocks)-\d{6,}\.npy|items-\d{6,}\.parquet|alive-\d{6,}-\d{6,}\.npy|hasher-[0-9a-f]{12}"
    r"|manifest\.json\.new|manifest-\d{6,}\.json"
)


class Draft:
    """Files of the next commit; nobody sees them before `commit`, and `discard` removes them.

    Args:
        folder: the archive.
        commit: number of the commit they belong to.
    """

    def __init__(self, folder: Path, commit: int) -> None:
        self.folder = folder
        self.number = commit
        self.name = f"{commit:06d}"
        self._written: list[Path] = []

    def path(self, name: str) -> Path:
        """Return the path of a new file, to be written and then sealed."""
        self._written.append(self.folder / name)
        return self._written[-1]

    def write_array(self, name: str, blocks: Iterable[NDArray[Any]], shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Write a ``.npy`` file of consecutive blocks of rows.

        Raises:
            OSError: if the disk does not take it.
        """
        path = self.path(name)
        with naming(path), open(path, "wb") as file:
            descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
            np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype).data)

    def sealed(self, *names: str) -> dict[str, FileEntry]:
        """Bring files to the disk and return their entries."""
        return {name: seal(self.folder / name) for name in names}

    def commit(self, manifest: Manifest) -> None:
        """Make the files count.

        The manifest is first kept under its number, for readers to hold, and then takes its place in one rename.
        """
        content = manifest_bytes(manifest)
        for name in (manifest.snapshot, f"{MANIFEST}.new"):
            path = self.path(name)
            with naming(path), open(path, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _flush_directory(self.folder)
        self._written.clear()  # before they count, lest an interrupt in between has `discard` remove them
        os.replace(self.folder / f"{MANIFEST}.new", self.folder / MANIFEST)
        _flush_directory(self.folder)

    def discard(self) -> None:
        """Remove what was written and not committed."""
        for path in self._written:
            with suppress(OSError):  # the next writer sweeps it
                path.unlink(missing_ok=True)
        self._written.clear()


def seal(path: Path) -> FileEntry:
    """Bring a file to the disk and return its entry."""
    with naming(path), open(path, "rb") as file:
        os.fsync(file.fileno())
    return fingerprint(path)


def fingerprint(path: Path) -> FileEntry:
    """Return size and sha256 of a file."""
    with open(path, "rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
        return FileEntry(file.tell(), digest)


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove files that neither the newest manifest nor a snapshot in use names. Call it with the write lock.

    Snapshots go first: once its manifest is gone, no reader can take up a snapshot any more.
    """
    kept = {name.split("/")[0] for name in manifest.files()} | {manifest.snapshot}
    ours = sorted(entry.name for entry in os.scandir(folder) if _OURS.fullmatch(entry.name))
    for name in (name for name in ours if name.startswith("manifest-") and name not in kept):
        if not remove_unpinned(folder / name):
            try:
                held = read_manifest(folder, name).files()
            except (OSError, ValueError):
                return  # a reader holds something unknown: nothing may go
            kept |= {file.split("/")[0] for file in held} | {name}
    for name in (name for name in ours if name not in kept):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Problem:
    """A file that is not what was committed, and why."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def damage(folder: Path, name: str, entry: FileEntry) -> Iterator[Problem]:
    """Yield what is wrong with the bytes of one file."""
    try:
        check_size(folder / name, entry)
        if fingerprint(folder / name).sha256 != entry.sha256:
            yield Problem(name, "its bytes are not those that were committed (sha256 differs)")
    except (OSError, ValueError) as error:
        yield Problem(name, str(error))


def check_size(path: Path, entry: FileEntry) -> None:
    """Refuse a file that is missing or has another size than was committed.

    Raises:
        FileNotFoundError, ValueError: naming the file.
    """
    try:
        n_bytes = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path} is missing: {REMEDY}") from None
    if n_bytes != entry.n_bytes:
        raise ValueError(f"{path} is damaged: it has {n_bytes} bytes, {entry.n_bytes} were committed; {REMEDY}")


def map_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Memory-map an array.

    Raises:
        ValueError: if it is not what the manifest says.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise ValueError(f"{path} is damaged: {error}; {REMEDY}") from error
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        raise ValueError(
            f"{path} is damaged: it holds {array.dtype} {array.shape}, the manifest says {dtype} {shape}; {REMEDY}"
        )
    return array


def _flush_directory(path: Path) -> None:
    """Make names inside a directory last."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(handle)
    finally:
        os.close(handle)
