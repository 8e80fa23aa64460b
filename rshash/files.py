"""Files that are whole or absent (write under a temporary name, flush, rename), and maps of files that were cut."""

import mmap
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMPY_WROTE_LESS = re.compile(r"\d+ requested and \d+ written")  # all that numpy says of a full disk


@contextmanager
def write_atomically(path: str | os.PathLike[str], *, replaces: str | None = None) -> Iterator[Path]:
    """Yield a temporary name; what is written there takes the place of ``path`` when the block ends well.

    The caller creates a file or a directory under the yielded name. On an error nothing of it stays and ``path`` is as
    it was. A file is replaced in one rename. A directory cannot be: an old one is first renamed aside, so that a reader
    sees the old, none, or the new one, never a mixture.

    Args:
        path: file or directory to write; its parent is created.
        replaces: a directory that is in the way is replaced if it is empty or holds a file of this name, which tells
            that it is of the same kind; None replaces none. A file never takes the place of a directory.

    Yields:
        Path to write to; it does not exist yet, and ends like ``path`` (``np.save`` adds no second suffix).

    Raises:
        OSError: if the place cannot be written, or holds what must not be replaced.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with write_atomically(target) as draft:
    ...     _ = draft.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    check_place(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        draft = workshop / target.name
        with naming(target):
            yield draft
            _flush(draft)
        if target.is_dir():
            _check_replaceable(target, draft, replaces)
            os.rename(target, workshop / "replaced")
        try:
            os.replace(draft, target)
        except OSError:
            if (workshop / "replaced").exists():
                os.rename(workshop / "replaced", target)
            raise
        _flush_directory(target.parent)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put a file's name into errors that name none: a write to a full disk says only that there is no space left.

    Args:
        path: what the block writes.

    Raises:
        OSError: what the block raises, of the same type.

    >>> with naming("codes.npy"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
        ...
    OSError: [Errno 28] No space left on device: 'codes.npy'
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        if _NUMPY_WROTE_LESS.fullmatch(str(error)):
            raise OSError(f"{os.fspath(path)} cannot be written, is the disk full? {error}") from error
        raise


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


def replace_marked(path: Path, start: str, end: str, text: str) -> None:
    """Replace what stands between two markers of a text file; the markers stay.

    Args:
        path: UTF-8 text.
        start: marker before.
        end: marker behind.
        text: what stands between them afterwards, on lines of its own.

    Raises:
        OSError: if the file cannot be read or written.
        ValueError: if it does not hold both markers once, in order.
    """
    check_marked(path, start, end)
    before, rest = path.read_text(encoding="utf-8").split(start)
    after = rest.split(end)[1]
    with write_atomically(path) as draft:
        draft.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


def check_marked(path: Path, start: str, end: str) -> None:
    """Refuse a file without markers, before any long work.

    Raises:
        OSError, ValueError: as `replace_marked`.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"{path} must hold {start} and behind it {end}, once each: write them where the text goes")


def check_place(path: str | os.PathLike[str]) -> None:
    """Say before any long work that a file or directory cannot be written; nothing is created.

    Raises:
        OSError: if something above ``path`` is no directory or may not be written, or ``path`` is a device or a pipe.
    """
    target = Path(path)
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise FileExistsError(f"{target} is neither a file nor a directory: choose another name")
    place = next(above for above in target.absolute().parents if above.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"{target} cannot be written: {place} is a file, expected a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"{target} cannot be written: {place} may not be written by this user")


def _check_replaceable(target: Path, draft: Path, replaces: str | None) -> None:
    """Refuse to replace a directory by a file or by a directory of another kind."""
    if not draft.is_dir():
        raise IsADirectoryError(f"{target} is a directory, a file was to be written: choose another name")
    if any(target.iterdir()) and not (replaces and (target / replaces).is_file()):
        wanted = f" (no {replaces} in it)" if replaces else ""
        raise FileExistsError(f"{target} exists and is something else{wanted}: choose another name")


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
