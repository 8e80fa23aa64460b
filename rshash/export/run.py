"""Exporting: which rows, to which system, where. Out: a folder or file that is whole or absent."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rshash.archive.reader import Archive
from rshash.archive.selection import select_rows
from rshash.export import faiss, npy, parquet, pgvector
from rshash.export.chosen import Chosen
from rshash.files import write_atomically
from rshash.names import unknown_name

SYSTEMS: Mapping[str, Callable[[Chosen, Path], None]] = MappingProxyType(
    {"npy": npy.write, "faiss": faiss.write, "parquet": parquet.write, "pgvector": pgvector.write}
)
"""System → what writes for it."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: file or folder.
        system: a key of `SYSTEMS`.
        n_rows: rows that it holds.
        files: name inside the folder, or the file's own → bytes.
    """

    path: Path
    system: str
    n_rows: int
    files: Mapping[str, int]


def export(
    archive: Archive,
    to: str,
    path: str | os.PathLike[str],
    *,
    bbox: Any = None,
    datetime: Any = None,
    where: str | None = None,
    ids: Any = None,
    overwrite: bool = False,
) -> Exported:
    """Write living rows of an archive for another system.

    ``npy``: a folder of plain arrays; ``faiss``: a folder with an IndexBinaryFlat; ``parquet``: a GeoParquet file with
    the codes in a column; ``pgvector``: a folder with SQL and a COPY file. See `rshash.export.npy` and its neighbours.

    Args:
        archive: an open archive.
        to: a key of `SYSTEMS`.
        path: folder or file to write.
        bbox: as `Archive.search`: only rows that fulfil these conditions.
        datetime: likewise.
        where: likewise.
        ids: likewise.
        overwrite: replace what an earlier export wrote there.

    Raises:
        FileExistsError: if ``path`` exists, and ``overwrite`` is false or it is something else.
        ValueError: if the system is unknown, a condition cannot be understood, or a value has no place there.
        ImportError: if a package that it needs is missing.
        OSError: if it cannot be read or written.
    """
    if to not in SYSTEMS:
        raise unknown_name("system to export to", to, SYSTEMS)
    target = Path(path)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists: choose another name, or overwrite it on purpose (--overwrite)")
    chosen = Chosen(archive, select_rows(archive, bbox=bbox, datetime=datetime, where=where, ids=ids))
    with write_atomically(target, replaces=npy.ABOUT) as draft:
        SYSTEMS[to](chosen, draft)
        found = sorted(draft.iterdir()) if draft.is_dir() else [draft]
        files = {file.name: file.stat().st_size for file in found}
    return Exported(target, to, len(chosen), files)
