"""Checking an archive: every byte against its checksum, every segment against what the format promises."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rshash.archive.entries import SegmentEntry
from rshash.archive.items import connect, reading, union_sql
from rshash.archive.manifest import MANIFEST, Manifest, read_manifest
from rshash.archive.places import Places, block_bounds
from rshash.archive.placing import ROWS_AT_ONCE, read_boxes, read_moments
from rshash.archive.segment import Segment, open_segment
from rshash.archive.store import Problem, damage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from rshash.archive.reader import Archive


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        path: the archive.
        commit: the commit that was checked.
        n_files: files that were read.
        n_bytes: their size.
        problems: in the order of the manifest; none if the archive is whole.
    """

    path: Path
    commit: int
    n_files: int
    n_bytes: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        head = f"{self.path}: {self.n_files} files, {self.n_bytes:,} bytes at commit {self.commit}"
        return "\n".join(
            [f"{head}, {'whole' if self.ok else f'{len(self.problems)} damaged'}", *map(str, self.problems)]
        )


def verify(archive: "Archive") -> Report:
    """Read every file of a snapshot and hold it against the manifest.

    Checksums find every changed, cut or missing byte. Where they agree, segments are also checked for what the format
    promises: as many items as codes, no bit beyond a code's width, ids that are unique and not missing, boxes and
    moments beside the codes that are those of the items.

    Args:
        archive: an open archive; one opened with ``damaged="skip"`` is checked whole, too.

    Returns:
        The report; it is not an error that something is damaged.
    """
    manifest, folder = archive.manifest, archive.path
    found = list(_damaged_manifests(archive))
    found += [problem for name, entry in manifest.files().items() for problem in damage(folder, name, entry)]
    broken = {problem.file for problem in found}
    segments: list[Segment] = []
    first_row = 0
    for entry in manifest.segments:
        if not broken & entry.files.keys():
            try:
                segments.append(open_segment(folder, manifest, entry, first_row))
                found += _broken_promises(manifest, entry, segments[-1])
            except (OSError, ValueError) as error:
                found.append(Problem(entry.codes, str(error)))
        first_row += entry.n_rows
    found += _repeated_ids(folder, manifest, segments)
    files = manifest.files()
    return Report(folder, manifest.commit, len(files) + 1, sum(e.n_bytes for e in files.values()), tuple(found))


def _damaged_manifests(archive: "Archive") -> Iterator[Problem]:
    """Yield a problem if a manifest of this commit does not read as the archive does."""
    for name in (MANIFEST, archive.manifest.snapshot):
        try:
            manifest = read_manifest(archive.path, name)
        except FileNotFoundError:
            if name == MANIFEST:
                yield Problem(name, "it is missing")
        except (OSError, ValueError) as error:
            yield Problem(name, str(error))
        else:
            if name != MANIFEST and manifest != archive.manifest:
                yield Problem(name, f"it is of commit {manifest.commit}, not the same as {MANIFEST}")


def _broken_promises(manifest: Manifest, entry: SegmentEntry, segment: Segment) -> Iterator[Problem]:
    """Yield what a segment with the right bytes does against the format."""
    pad_bits = 8 * segment.codes.shape[1] - manifest.n_bits
    if pad_bits and (segment.codes[:, -1] & ((1 << pad_bits) - 1)).any():
        yield Problem(entry.codes, f"codes have bits set behind bit {manifest.n_bits - 1}")
    if segment.alive is not None:
        n_alive = int(np.bitwise_count(segment.alive).sum())
        if n_alive != segment.n_alive or segment.living().sum() != n_alive:
            yield Problem(str(entry.alive), f"{n_alive} rows live, the manifest says {segment.n_alive}")
    connection = connect(segment.items_path.parent)
    table = union_sql([segment], manifest.columns)
    try:
        with reading([segment]):
            (counts,) = connection.execute(f"SELECT count(*), count(id) FROM ({table})").fetchall()
    except OSError as error:
        yield Problem(entry.items, str(error))
        return
    if counts != (segment.n_rows, segment.n_rows):
        yield Problem(entry.items, f"it has {counts} items and ids for {segment.n_rows} codes")
    elif segment.places is not None:
        yield from _misplaced(entry, segment.places, segment.items_path, connection)


def _misplaced(entry: SegmentEntry, places: Places, items: Path, connection: "DuckDBPyConnection") -> Iterator[Problem]:
    """Yield what places say otherwise than the items."""
    bounds = block_bounds(places.boxes, places.moments, places.n_rows)
    if not np.array_equal(bounds, places.blocks):
        yield Problem(str(entry.blocks), "it does not bound the boxes and moments of its blocks")
    for start in range(0, places.n_rows, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, places.n_rows)
        boxes, moments = places.between(start, stop)
        if not np.array_equal(boxes, read_boxes(connection, items, start, stop), equal_nan=True):
            yield Problem(entry.boxes or entry.items, f"boxes of rows {start} to {stop - 1} are not those of the items")
        if not np.array_equal(moments, read_moments(connection, items, start, stop)):
            yield Problem(entry.moments or entry.items, f"moments of rows {start} to {stop - 1} are not the items'")


def _repeated_ids(folder: Path, manifest: Manifest, segments: list[Segment]) -> Iterator[Problem]:
    """Yield a problem if two living rows share an id."""
    if not segments:
        return
    dead = [np.flatnonzero(~segment.living()) + segment.first_row for segment in segments]
    connection = connect(folder)
    connection.register("dead", {"row": np.concatenate(dead)})
    living = f"SELECT id FROM ({union_sql(segments, manifest.columns)}) ANTI JOIN dead USING (row)"
    try:
        with reading(segments):
            query = f"SELECT id FROM ({living}) GROUP BY id HAVING count(*) > 1 LIMIT 1"
            repeated = connection.execute(query).fetchall()
    except OSError:
        return  # said of its file already
    for (id,) in repeated:
        yield Problem(MANIFEST, f"id {id!r} is of two living rows")
