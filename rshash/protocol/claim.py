"""Claims on runs, so that processes that fill one folder share the work instead of doing it twice."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: every process does all runs that have no record yet
    fcntl = None  # type: ignore[assignment]


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Claim what will be written to ``path`` while the block runs.

    A claim is a ``flock`` lock beside it, which ends with its process however it ends. Where the file system has none,
    everything may be claimed.

    Yields:
        Whether the claim was had; False where another process has it.

    Raises:
        OSError: if the folder cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.json"
    >>> with claimed(path) as first, claimed(path) as second:
    ...     first, second
    (True, False)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.claim")
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield _locked(handle)
    finally:
        if _locked(handle):
            lock.unlink(missing_ok=True)
        os.close(handle)


def _locked(handle: int) -> bool:
    """Lock a file unless another process has; what is locked already stays so."""
    if fcntl is not None:
        with suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
    return True
