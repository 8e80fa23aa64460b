"""Locks between processes: one writer an archive, and pins that keep the files of a snapshot while it is read.

Both are ``flock`` locks, which end with their process however it ends: none can be left behind.
"""

import errno
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: archives can be read there
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Be the one writer of an archive while the block runs.

    The file holds host, process, time and command of the writer, for the message that the next one gets.

    Raises:
        BlockingIOError: if another writer is at work; the message says which.
        PermissionError: if this user may not write the archive.
        OSError: if the file system has no locks.
    """
    if fcntl is None:
        raise OSError(f"{folder} cannot be written: this system has no flock; write it on Linux or macOS")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be written: it may not be written by this user, or is read-only")
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(f"{folder} is being written by {_holder(handle)}: wait until it is done") from None
        note = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(sys.argv),
        }
        os.ftruncate(handle, 0)
        with suppress(OSError):  # a full disk: the lock holds without its note
            os.pwrite(handle, json.dumps(note).encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def pin(path: Path) -> int | None:
    """Hold a file so that no writer removes it (`remove_unpinned`) before `unpin`.

    Returns:
        A handle for `unpin`; None if the file is gone.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return None
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):
                os.close(handle)
                raise  # file systems without locks can be read, with no promise while others write
    if os.fstat(handle).st_nlink == 0:  # removed between open and flock
        os.close(handle)
        return None
    return handle


def unpin(handle: int) -> None:
    """Let a pinned file go."""
    os.close(handle)


def remove_unpinned(path: Path) -> bool:
    """Remove a file unless a process has pinned it; return whether it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _holder(handle: int) -> str:
    """Say who holds the lock, as far as its note tells."""
    try:
        note = json.loads(os.pread(handle, 1 << 16, 0))
        return f"process {note['pid']} on {note['host']} since {note['time']} ({note['command']})"
    except (ValueError, KeyError, TypeError):
        return "another process"
