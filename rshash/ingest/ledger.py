"""Entries in, what the archive has of them out: the archive itself remembers what each row was made of.

Every row that ingest writes carries the columns of `LEDGER`. There is no other state, so what was committed is known
and what was not is not, whenever the process ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rshash.archive.items import are_alive
from rshash.archive.reader import Archive
from rshash.codes import Codes, code_bytes
from rshash.ingest.entry import DIGEST_CHARACTERS, BadInput, Entry, Stamp

LEDGER = ("source", "file_bytes", "file_modified_ns", "file_digest", "recipe", "item_digest")
"""Columns that tell what a row was made of."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the archive holds under an id: the values of `LEDGER`, the code, and the relaxed code if it keeps them."""

    source: str | None
    stamp: Stamp | None
    digest: str | None
    recipe: str | None
    item_digest: str | None
    code: Codes
    relaxed: NDArray[np.float16] | None


Verdict = Literal["new", "changed", "described", "same"]
"""What to do: encode and add; encode and replace; keep the code under a new description; nothing."""


def look_up(archive: Archive, entries: Sequence[Entry]) -> list[Known | None]:
    """Return what the archive holds under the ids of entries, None where nothing that lives.

    One query for all of them: it reads the id column once, whatever the number of entries.
    """
    found: list[Known | None] = [None] * len(entries)
    if not entries or not len(archive):
        return found
    have = [name if name in archive.columns else f"NULL AS {name}" for name in LEDGER]
    connection = archive.connection
    wanted = {"position": np.arange(len(entries)), "id": np.array([entry.id for entry in entries], object)}
    connection.register("wanted_entries", wanted)
    try:
        rows = connection.execute(
            f"SELECT position, row, {', '.join(have)} FROM items JOIN wanted_entries USING (id)"
        ).fetchall()
    finally:
        connection.unregister("wanted_entries")
    global_rows = np.array([row[1] for row in rows], np.int64)
    living = are_alive(archive.segments, global_rows)
    for values, lives, code, relaxed in zip(rows, living, *_codes(archive, global_rows), strict=True):
        if lives:
            position, _, source, n_bytes, modified_ns, digest, recipe, item_digest = values
            stamp = None if n_bytes is None or modified_ns is None else Stamp(n_bytes, modified_ns)
            found[position] = Known(source, stamp, digest, recipe, item_digest, code, relaxed)
    return found


def judge(entry: Entry, known: Known | None) -> Verdict | BadInput:
    """Compare an entry with what the archive holds under its id.

    The content counts as the same while size and time of the file stay; where they differ its digest decides.

    Returns:
        The verdict; a `BadInput` where the id belongs to another file.

    Raises:
        ValueError: if the file must be read for its digest, and cannot be.
    """
    if known is None:
        return "new"
    stamped = entry.stamp is not None and entry.stamp == known.stamp
    same_content = entry.recipe == known.recipe and (stamped or entry.digest()[:DIGEST_CHARACTERS] == known.digest)
    if not same_content and entry.source != known.source:
        return BadInput(
            entry.id,
            str(entry.source),
            f"its id belongs to {known.source}: give these another --prefix, or delete that id first",
        )
    if not same_content:
        return "changed"
    as_it_was = entry.stamp == known.stamp and entry.columns_digest() == known.item_digest
    return "same" if as_it_was else "described"


def item_of(entry: Entry, digest: str) -> dict[str, Any]:
    """Return the item of a row, with what the next run needs to know of it."""
    return {
        "id": entry.id,
        **entry.columns,
        "file_bytes": None if entry.stamp is None else entry.stamp.n_bytes,
        "file_modified_ns": None if entry.stamp is None else entry.stamp.modified_ns,
        "file_digest": digest[:DIGEST_CHARACTERS],
        "recipe": entry.recipe,
        "item_digest": entry.columns_digest(),
    }


def _codes(archive: Archive, rows: NDArray[np.int64]) -> tuple[Codes, Sequence[NDArray[np.float16] | None]]:
    """Return copies of the codes of global rows, (n, n_bytes), and of their relaxed codes, (n, n_bits) or n times None.

    Copies, because row numbers mean something else after the next commit.
    """
    codes = np.empty((len(rows), code_bytes(archive.n_bits)), np.uint8)
    keeps = bool(archive.segments) and archive.segments[0].relaxed is not None
    relaxed = np.empty((len(rows), archive.n_bits), np.float16) if keeps else None
    for segment in archive.segments:
        mine = np.flatnonzero((rows >= segment.first_row) & (rows < segment.first_row + segment.n_rows))
        codes[mine] = segment.codes[rows[mine] - segment.first_row]
        if relaxed is not None and segment.relaxed is not None:
            relaxed[mine] = segment.relaxed[rows[mine] - segment.first_row]
    return codes, [None] * len(rows) if relaxed is None else list(relaxed)
