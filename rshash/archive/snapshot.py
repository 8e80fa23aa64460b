"""Taking a snapshot: the newest commit of an archive, its files held against sweeping and mapped."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rshash.archive.lock import pin, unpin
from rshash.archive.manifest import MANIFEST, Manifest, read_manifest
from rshash.archive.segment import Segment, open_segment
from rshash.archive.store import damage

ATTEMPTS = 100
"""How often a reader starts again because a writer swept the snapshot it was about to open."""

DAMAGED = ("refuse", "skip")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One commit, open.

    Attributes:
        manifest: the commit.
        segments: those that are whole, in order.
        skipped: name of a segment that was left out → what is wrong with it.
        held: handle of the pin, None where the archive was written without snapshots.
    """

    manifest: Manifest
    segments: list[Segment]
    skipped: dict[str, str]
    held: int | None

    def release(self) -> None:
        """Let the files go."""
        if self.held is not None:
            unpin(self.held)


def take_snapshot(path: Path, damaged: str) -> Snapshot:
    """Open the newest commit; arguments and errors as `rshash.archive.reader.Archive`."""
    for _ in range(ATTEMPTS):
        manifest = newest_manifest(path, damaged)
        held = pin(path / manifest.snapshot)
        if held is None and newest_manifest(path, damaged).commit != manifest.commit:
            continue  # swept meanwhile: there is a newer one
        try:
            segments, skipped = _open_segments(path, manifest, damaged == "skip")
        except BaseException:
            if held is not None:
                unpin(held)
            raise
        return Snapshot(manifest, segments, skipped, held)
    raise OSError(f"{path} changes faster than it can be opened: try again")


def newest_manifest(path: Path, damaged: str) -> Manifest:
    """Return the manifest; with ``damaged="skip"`` its newest copy that can be read.

    Raises:
        FileNotFoundError: if it is missing; the message names a copy that could take its place.
        ValueError: if it is damaged.
    """
    try:
        return read_manifest(path)
    except (FileNotFoundError, ValueError) as error:
        copy = _newest_copy(path)
        if copy is not None and damaged == "skip":
            return copy
        if copy is not None and isinstance(error, FileNotFoundError):
            raise FileNotFoundError(
                f"{path / MANIFEST} is missing, its copy {copy.snapshot} is whole: restore it with "
                f'cp {path / copy.snapshot} {path / MANIFEST}, or open the copy with damaged="skip" (--damaged skip)'
            ) from None
        raise


def _newest_copy(path: Path) -> Manifest | None:
    """Return the newest copy of a manifest that can be read, None if there is none."""
    for _, name in sorted(((len(file.name), file.name) for file in path.glob("manifest-*.json")), reverse=True):
        with suppress(OSError, ValueError):
            return read_manifest(path, name)
    return None


def _open_segments(folder: Path, manifest: Manifest, skip: bool) -> tuple[list[Segment], dict[str, str]]:
    """Map every segment; return those that are whole, and what is wrong with the others if they are to be skipped."""
    segments: list[Segment] = []
    skipped: dict[str, str] = {}
    first_row = 0
    for entry in manifest.segments:
        wrong = [problem for name, file in entry.files.items() if skip for problem in damage(folder, name, file)]
        try:
            if wrong:
                raise ValueError("; ".join(map(str, wrong)))
            segments.append(open_segment(folder, manifest, entry, first_row))
        except (OSError, ValueError) as error:
            if not skip:
                raise
            skipped[entry.name] = str(error)
        first_row += entry.n_rows
    return segments, skipped
