"""The directory of an archive: new files, the commit that makes them count, the sweep of those nobody needs.

A commit is one atomic rename of the manifest, after everything it names has reached the disk.
"""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rshash.archive.lock import remove_unpinned
from rshash.archive.manifest import MANIFEST, FileEntry, Manifest, manifest_bytes, read_manifest

_OURS = re.compile(
    r"(codes|relaxed)-\d{6,}\.npy|items-\d{6,}\.parquet|alive-\d{6,}-\d{6,}\.npy|hasher-[0-9a-f]{12}"
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
        with open(self.path(name), "wb") as file:
            descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
            header = {"descr": descr, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype).data)

    def sealed(self, *names: str) -> dict[str, FileEntry]:
        """Bring files to the disk and return their entries."""
        return {name: sealed(self.folder / name) for name in names}

    def commit(self, manifest: Manifest) -> None:
        """Make the files count.

        The manifest is first kept under its number, for readers to hold, and then takes its place in one rename.
        """
        content = manifest_bytes(manifest)
        for name in (manifest.snapshot, f"{MANIFEST}.new"):
            with open(self.path(name), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        flush_directory(self.folder)
        os.replace(self.folder / f"{MANIFEST}.new", self.folder / MANIFEST)
        self._written.clear()
        flush_directory(self.folder)

    def discard(self) -> None:
        """Remove what was written and not committed."""
        for path in self._written:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._written.clear()


def sealed(path: Path) -> FileEntry:
    """Bring a file to the disk and return its entry."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
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


def flush_directory(path: Path) -> None:
    """Make names inside a directory last."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
