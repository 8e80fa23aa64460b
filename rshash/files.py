"""Files that are whole or absent (write under a temporary name, flush, rename), and maps of files that were cut."""

import mmap
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name; what is written there takes the place of ``path`` when the block ends well.

    The caller creates a file or a directory under the yielded name. On an error nothing of it stays and ``path`` is as
    it was. A file is replaced in one rename. A directory cannot be: an old one is first renamed aside, so that a reader
    sees the old, none, or the new one, never a mixture.

    Args:
        path: file or directory to write; its parent is created.

    Yields:
        Path to write to; it does not exist yet, and ends like ``path`` (``np.save`` adds no second suffix).

    Raises:
        OSError: if the place cannot be written.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with write_atomically(target) as draft:
    ...     _ = draft.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        draft = workshop / target.name
        yield draft
        _flush(draft)
        if target.is_dir():
            os.rename(target, workshop / "replaced")
        os.replace(draft, target)
        _flush_directory(target.parent)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def check_mapped(array: NDArray[Any], name: str = "codes") -> None:
    """Refuse an array whose file has become shorter than its map: reading beyond the end kills the process (SIGBUS).

    The file is asked for its size, not read. Views of a map count, and so does a file that was renamed or unlinked
    since: the map keeps it. Arrays in memory pass, as do those that hide their map, such as torch tensors over one.
    A file that is cut between this check and the end of the search still ends the process; whoever replaces a mapped
    file should write a new one and rename it (`write_atomically`), which leaves the map whole.

    Args:
        array: any array.
        name: what to call it in an error.

    Raises:
        OSError: if the file ends before the map.

    >>> check_mapped(np.zeros(3))
    """
    owner: object = array
    start, path = 0, "the mapped file"
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap):
            start = owner.offset - owner.offset % mmap.ALLOCATIONGRANULARITY
            path = str(owner.filename or path)
        owner = owner.base
    if not isinstance(owner, mmap.mmap):
        return
    try:
        found = owner.size()
    except OSError:
        return  # a map of memory, not of a file
    expected = start + len(owner)
    if found < expected:
        raise OSError(
            f"{name} are mapped from {path}, which has shrunk from {expected} bytes to {found}: restore the file, then "
            "map it again"
        )


def _flush(path: Path) -> None:
    """Ask the disk to keep a file, or every file under a directory."""
    if path.is_dir():
        for child in path.iterdir():
            _flush(child)
        _flush_directory(path)
        return
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _flush_directory(path: Path) -> None:
    """Make renames inside a directory last; systems without directory handles do it on their own."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
