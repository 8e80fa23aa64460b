"""Changes of an archive: append, delete, update. Each is one commit; until it is made nothing is visible."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.checks import check_id_column, check_relaxed, check_text, check_unique, check_width
from rshash.archive.columns import Column, read_columns
from rshash.archive.entries import FileEntry, SegmentEntry
from rshash.archive.items import Rows, find_ids
from rshash.archive.lock import write_lock
from rshash.archive.manifest import Manifest
from rshash.archive.parquet import bounds_of, to_moments, write_items
from rshash.archive.places import span_of, write_places
from rshash.archive.store import Draft, sweep
from rshash.archive.widening import widen
from rshash.codes import Codes
from rshash.names import unknown_name

if TYPE_CHECKING:
    from rshash.archive.reader import Archive

ROWS_A_COMMIT = 65_536
"""Few enough to keep in memory, many enough that a long stream makes few segments."""

ON_DUPLICATE = ("refuse", "replace", "skip")


def append(archive: "Archive", codes: Any, items: Any, relaxed: Any = None, *, on_duplicate: str = "refuse") -> None:
    """Add rows in one commit and move the archive to it.

    Args:
        archive: an open archive.
        codes: (n, n_bytes) uint8, pad bits zero.
        items: n items: a list of dicts, a mapping of name → values (the fast way), a pandas or Arrow table, or a DuckDB
            relation. ``id`` is required. ``geometry`` is WKB, GeoJSON or points (n, 2); ``bbox`` is xmin, ymin, xmax,
            ymax; both in WGS84 degrees. ``datetime`` is ISO 8601, a datetime or datetime64; a time without a zone is
            taken as UTC, and a warning says so, but for datetime64, which never has one. A date is its midnight.
            ``source`` and ``caption`` are strings. Any further columns are kept; each has one type in an archive, but
            a column of integers becomes one of floats when floats come.
        relaxed: (n, n_bits) relaxed codes to keep as float16 for re-ranking; None if the archive keeps none.
        on_duplicate: what to do with an id that is there already: "refuse" the whole call, "replace" the old row, or
            "skip" the new one.

    Raises:
        TypeError, ValueError: if anything does not fit; the archive is untouched.
        BlockingIOError: if another process is writing it.
        OSError: if it cannot be written; the archive is untouched.
    """
    if on_duplicate not in ON_DUPLICATE:
        raise unknown_name("on_duplicate", on_duplicate, ON_DUPLICATE)
    _add(archive, codes, items, relaxed, on_duplicate)


def update(archive: "Archive", codes: Any, items: Any, relaxed: Any = None) -> None:
    """Replace rows whose ids exist, in one commit; arguments and errors as `append`.

    Raises:
        ValueError: if an id does not exist.
    """
    _add(archive, codes, items, relaxed, "must exist")


def delete(archive: "Archive", ids: Sequence[str] | Sequence[int] | NDArray[Any]) -> int:
    """Delete rows by id in one commit; their codes stay in the files until `compact`.

    Args:
        archive: an open archive.
        ids: ids of living rows; one that is named twice is deleted once.

    Returns:
        How many rows were deleted.

    Raises:
        ValueError: if an id does not exist; nothing is deleted.
        BlockingIOError, OSError: as `append`.
    """
    with changing(archive) as draft:
        rows = np.unique(archive.rows_of(ids))
        if len(rows):
            manifest = replace(archive.manifest, commit=draft.number, segments=_without(archive, draft, rows))
            draft.commit(manifest)
        return len(rows)


def append_blocks(archive: "Archive", blocks: Iterable[tuple[Codes, list[dict[str, Any]]]]) -> None:
    """Append a stream of blocks of codes and items, joined so that a commit holds `ROWS_A_COMMIT` rows or more.

    Raises:
        TypeError, ValueError, OSError: as `append`; what was committed before stays.
    """
    waiting: list[Codes] = []
    items: list[dict[str, Any]] = []
    for codes, more in blocks:
        waiting.append(codes)
        items += more
        if len(items) >= ROWS_A_COMMIT:
            append(archive, np.concatenate(waiting), items)
            waiting, items = [], []
    if waiting:
        append(archive, np.concatenate(waiting), items)


@contextmanager
def changing(archive: "Archive") -> Iterator[Draft]:
    """Hold the lock, start from the newest commit, and leave the archive at the newest commit."""
    opened = _nature(archive.manifest)
    with write_lock(archive.path):
        archive.refresh()
        if _nature(archive.manifest) != opened:
            raise ValueError(f"{archive.path} was replaced by quite another archive since it was opened: open it again")
        if archive.skipped:
            raise ValueError(f"{archive.path} is open without its damaged segments: restore them before changing it")
        sweep(archive.path, archive.manifest)
        draft = Draft(archive.path, archive.manifest.commit + 1)
        try:
            yield draft
        finally:
            draft.discard()
        archive.refresh()
        sweep(archive.path, archive.manifest)


def _nature(manifest: Manifest) -> tuple[Any, ...]:
    """Return what never changes in an archive, and what codes and ids were checked against."""
    return manifest.n_bits, manifest.id_type, manifest.kind, manifest.hasher


def _add(archive: "Archive", codes: Any, items: Any, relaxed: Any, on_duplicate: str) -> None:
    """Write one segment; rows that it replaces die in the same commit."""
    checked = check_width(codes, archive.n_bits)
    columns = read_columns(items, len(checked))
    if not len(checked):
        return
    if "id" not in columns:
        raise ValueError(f"every item needs an id ({archive.manifest.id_type}): add the column id")
    columns["id"] = check_id_column(columns["id"], archive.manifest.id_type)
    check_unique(columns["id"])
    check_text(columns)
    floats = None if relaxed is None else check_relaxed(relaxed, len(checked), archive.n_bits)
    with changing(archive) as draft:
        old = find_ids(archive.connection, archive.segments, columns["id"])
        kept = _settle(columns["id"], old, on_duplicate, archive.path)
        if kept is not None:
            if not kept.any():
                return
            checked, columns = checked[kept], {name: values[kept] for name, values in columns.items()}
            floats = None if floats is None else floats[kept]
            old = old[kept]
        if archive.segments and (archive.segments[0].relaxed is None) != (floats is None):
            has = "has no" if floats is not None else "keeps"
            raise ValueError(f"{archive.path} {has} relaxed codes: append all of its rows with them or all without")
        replaced = np.unique(old[old >= 0])
        segments = _without(archive, draft, replaced) if len(replaced) else archive.manifest.segments
        types, segment = _write_segment(draft, archive, checked, columns, floats)
        draft.commit(replace(archive.manifest, commit=draft.number, columns=types, segments=(*segments, segment)))


def _write_segment(
    draft: Draft, archive: "Archive", codes: Codes, columns: dict[str, Column], relaxed: NDArray[np.float16] | None
) -> tuple[dict[str, str], SegmentEntry]:
    """Write the files of a segment; return the types of all columns and its entry.

    Arrays go to the disk, which is mostly waiting, while DuckDB writes the items.
    """
    boxes, moments = columns.get("bbox"), columns.get("datetime")
    if moments is not None:
        moments = to_moments(archive.connection, moments, columns["id"])
        columns, moments = columns | {"datetime": moments}, moments.view(np.int64)
    known = widen(archive, columns)
    span = None if moments is None else span_of(moments)
    entry = SegmentEntry(draft.name, len(codes), len(codes), {}, bounds_of(boxes), span)

    def write_arrays() -> dict[str, FileEntry]:
        names = [entry.codes]
        draft.write_array(entry.codes, [codes], codes.shape, np.uint8)
        names += write_places(
            draft,
            len(codes),
            None if boxes is None or entry.bounds is None else boxes.T,
            None if moments is None or entry.datetime is None else [moments],
        )
        if relaxed is not None:
            names.append(f"relaxed-{draft.name}.npy")
            draft.write_array(names[-1], [relaxed], relaxed.shape, np.float16)
        return draft.sealed(*names)

    with ThreadPoolExecutor(1) as beside:
        arrays = beside.submit(write_arrays)
        types = write_items(draft.path(entry.items), columns, known, archive.connection)
        files = draft.sealed(entry.items) | arrays.result()
    return types, replace(entry, files=files)


def _without(archive: "Archive", draft: Draft, rows: Rows) -> tuple[SegmentEntry, ...]:
    """Write bitmaps in which global rows are dead; return the entries of the segments that still have rows."""
    entries = []
    for segment, entry in zip(archive.segments, archive.manifest.segments, strict=True):
        mine = rows[(rows >= segment.first_row) & (rows < segment.first_row + segment.n_rows)] - segment.first_row
        if not len(mine):
            entries.append(entry)
            continue
        living = segment.living()
        living[mine] = False
        n_alive = int(living.sum())
        if not n_alive:
            continue
        name = f"alive-{segment.name}-{draft.name}.npy"
        bitmap = np.packbits(living, bitorder="little")
        draft.write_array(name, [bitmap], bitmap.shape, np.uint8)
        files = {file: known for file, known in entry.files.items() if file != entry.alive} | draft.sealed(name)
        entries.append(replace(entry, n_alive=n_alive, files=files))
    return tuple(entries)


def _settle(ids: Column, old: Rows, on_duplicate: str, path: Path) -> NDArray[np.bool_] | None:
    """Return which new rows to keep, None for all, or refuse."""
    exists = old >= 0
    if on_duplicate == "skip":
        return ~exists if exists.any() else None
    wrong = {"refuse": exists, "must exist": ~exists}.get(on_duplicate)
    if wrong is not None and wrong.any():
        names = ", ".join(str(ids[row]) for row in np.flatnonzero(wrong)[:3]) + (", …" if wrong.sum() > 3 else "")
        if on_duplicate == "refuse":
            raise ValueError(
                f"{wrong.sum()} of {len(ids)} ids are in {path} already: {names}; "
                'append with on_duplicate="replace" or "skip", or use update'
            )
        raise ValueError(f"{wrong.sum()} of {len(ids)} ids are not in {path}: {names}; append them")
    return None
