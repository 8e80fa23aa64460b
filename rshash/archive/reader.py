"""Opening an archive: a snapshot of one commit, asked by text, image or codes, and changed through its writer."""

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive import writer
from rshash.archive.asking import search_archive
from rshash.archive.checks import check_ids
from rshash.archive.compaction import compact
from rshash.archive.creation import create
from rshash.archive.duplicates import Duplicates, find_duplicates
from rshash.archive.filters import Conditions
from rshash.archive.hits import ArchiveHits
from rshash.archive.items import Rows, connect, create_view, find_ids, items_of
from rshash.archive.manifest import Manifest
from rshash.archive.parquet import bounds_of
from rshash.archive.query import encode_query
from rshash.archive.segment import Bitmap, Segment
from rshash.archive.snapshot import DAMAGED, Snapshot, newest_manifest, take_snapshot
from rshash.archive.verify import Report, verify
from rshash.codes import Codes
from rshash.names import unknown_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from rshash.models.hasher import CrossModalHasher


class Archive:
    """An archive as it was at one commit; nothing is read before it is needed.

    Every process may read, one at a time may write. A snapshot stays whole while others commit, until it is closed;
    `refresh` moves it to the newest commit, and so does every change made through it. An `Archive` is for one thread at
    a time: open one in each, which takes milliseconds and shares the mapped codes. A copy, or one that was pickled for
    another process, opens the directory anew, at the newest commit.

    Args:
        path: the directory.
        damaged: "refuse" an archive with a missing or cut file; or "skip", which reads every file, leaves out segments
            whose bytes are not those that were committed, and takes the copy of a manifest that is damaged or missing.

    Attributes:
        path: the directory.
        segments: the rows, in order; see `Segment`.
        manifest: the commit this snapshot shows.
        skipped: name of a segment that was left out → what is wrong with it.

    >>> import tempfile, rshash
    >>> archive = rshash.create(Path(tempfile.mkdtemp()) / "two.rshash", n_bits=8)
    >>> archive.append(np.array([[1], [3]], np.uint8), [{"id": "a.tif"}, {"id": "b.tif"}])
    >>> archive.search(np.array([3], np.uint8), k=1).ids.tolist()
    [['b.tif']]
    >>> archive.items(["b.tif"])
    [{'id': 'b.tif'}]
    """

    def __init__(self, path: str | os.PathLike[str], damaged: str = "refuse") -> None:
        if damaged not in DAMAGED:
            raise unknown_name("damaged", damaged, DAMAGED)
        self.path = Path(path)
        self._damaged = damaged
        self._snapshot: Snapshot | None = None
        self._database: DuckDBPyConnection | None = None
        self._has_view = False
        self.kept_filters: dict[Conditions, list[Bitmap]] = {}
        self.manifest: Manifest
        self.segments: list[Segment]
        self.skipped: dict[str, str]
        self.refresh()

    def refresh(self) -> None:
        """Move to the newest commit; row numbers of before lose their meaning.

        Raises:
            FileNotFoundError: if the archive or one of its files is missing.
            ValueError: if a file is damaged, or was written by a newer rshash.
        """
        if self._snapshot is not None and newest_manifest(self.path, self._damaged) == self.manifest:
            return
        snapshot = take_snapshot(self.path, self._damaged)
        self._release()
        self._snapshot = snapshot
        self.manifest, self.segments, self.skipped = snapshot.manifest, snapshot.segments, snapshot.skipped
        self.__dict__.pop("hasher", None)

    def close(self) -> None:
        """Let the files of the snapshot go; arrays already taken from it stay valid."""
        self._release()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _release(self) -> None:
        """Let the snapshot go; DuckDB stays, which remembers the footers of files it has read."""
        self.kept_filters.clear()
        self._has_view = False
        if self._snapshot is not None:
            self._snapshot.release()
            self._snapshot = None

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_snapshot", None) is not None:
            self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (Path(os.path.abspath(self.path)), self._damaged)  # handles are of this process and object

    def __len__(self) -> int:
        """Return the number of living rows."""
        return sum(segment.n_alive for segment in self.segments)

    def __repr__(self) -> str:
        return f"Archive({str(self.path)!r}: {len(self):,} {self.kind} at {self.n_bits} bits)"

    @property
    def n_bits(self) -> int:
        """Width of the codes."""
        return self.manifest.n_bits

    @property
    def kind(self) -> str:
        """What a row is, "images" or "captions"."""
        return self.manifest.kind

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the writer noted down."""
        return self.manifest.provenance

    @property
    def columns(self) -> Mapping[str, str]:
        """Columns of the items → DuckDB type."""
        return self.manifest.columns

    @property
    def n_rows(self) -> int:
        """Number of rows, deleted ones included: global rows are 0..n_rows-1."""
        return sum(entry.n_rows for entry in self.manifest.segments)

    @property
    def database(self) -> "DuckDBPyConnection":
        """A DuckDB that can read the files of this archive and nothing else; it has looked at none of them yet.

        Raises:
            ImportError: if duckdb is missing.
        """
        if self._database is None:
            self._database = connect(self.path)
        return self._database

    @property
    def connection(self) -> "DuckDBPyConnection":
        """The `database` with the view ``items``: the global ``row`` and then the columns, over all segments.

        The view holds deleted rows, too; `Segment.alive` tells them. Made at first use.

        Raises:
            ImportError: if duckdb is missing.
            OSError: if an items file cannot be read.
        """
        if not self._has_view:
            create_view(self.database, self.segments, self.columns)
            self._has_view = True
        return self.database

    @cached_property
    def hasher(self) -> "CrossModalHasher":
        """The hasher that made the codes, loaded at first use (this imports torch).

        Raises:
            ValueError: if the archive was written without one, or it does not fit.
            ImportError: if the packages it needs are missing.
        """
        if self.manifest.hasher is None:
            raise ValueError(
                f"{self.path} holds codes only, no hasher to encode what asks: search it from Python with packed "
                "codes, archive.search(codes), or make it with a hasher"
            )
        from rshash.models.hasher import CrossModalHasher

        hasher = CrossModalHasher.load(self.path / self.manifest.hasher.folder)
        if hasher.fingerprint != self.manifest.hasher.fingerprint:
            raise ValueError(f"{self.path} does not hold the hasher that made its codes: copy the whole archive")
        return hasher

    def rows_of(self, ids: Sequence[str] | Sequence[int] | NDArray[Any]) -> Rows:
        """Return the global row of each id, (n,) int64.

        Raises:
            ValueError: if an id is of no living row.
            TypeError: if ids are not of the archive's type.
        """
        wanted = check_ids(ids, self.manifest.id_type)
        rows = find_ids(self.connection, self.segments, wanted)
        missing = [str(wanted[position]) for position in np.flatnonzero(rows < 0)[:4]]
        if missing:
            n_missing = int((rows < 0).sum())
            names = ", ".join(missing[:3]) + (", …" if n_missing > 3 else "")
            raise ValueError(f"{n_missing} of {len(rows)} ids are not in {self.path}: {names}")
        return rows

    def items_at(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> list[dict[str, Any]]:
        """Return the items of global rows in their order, each a dict; columns without a value are left out.

        ``geometry`` is GeoJSON, ``bbox`` four floats, ``datetime`` a datetime in UTC.

        Raises:
            IndexError: if a row is outside the archive.
            OSError: if the items cannot be read.
        """
        wanted = np.asarray(rows, np.int64).reshape(-1)
        outside = wanted[(wanted < 0) | (wanted >= self.n_rows)]
        if len(outside):
            raise IndexError(f"row {outside[0]} is outside the archive's rows 0..{self.n_rows - 1}")
        return items_of(self.database, self.segments, self.columns, wanted)

    def items(self, ids: Sequence[str] | Sequence[int] | NDArray[Any]) -> list[dict[str, Any]]:
        """Return the items of ids in their order; see `items_at`.

        Raises:
            ValueError, TypeError: as `rows_of`.
        """
        return self.items_at(self.rows_of(ids))

    def info(self) -> dict[str, Any]:
        """Return what the archive is, in plain numbers and words; bounds and datetimes may be those of deleted rows."""
        boxes = [segment.bounds for segment in self.segments if segment.bounds is not None]
        spans = [segment.datetime for segment in self.segments if segment.datetime is not None]
        return {
            "archive": str(self.path),
            "rows": len(self),
            "kind": self.kind,
            "n_bits": self.n_bits,
            "code bytes": sum(segment.codes.nbytes for segment in self.segments),
            "file bytes": sum(entry.n_bytes for entry in self.manifest.files().values()),
            "segments": len(self.segments),
            "deleted rows": self.n_rows - len(self),
            "commit": self.manifest.commit,
            "columns": dict(self.columns),
            "bounds": bounds_of(np.array(boxes)) if boxes else None,
            "datetime": (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None,
            "hasher": self.manifest.hasher and self.manifest.hasher.fingerprint,
            "provenance": dict(self.provenance),
        }

    def encode(self, query: Any) -> Codes:
        """Return packed codes of a query, (Q, n_bytes) uint8; see `search` for what may be asked.

        Raises:
            TypeError, ValueError: if it is nothing that can be asked, or of another width.
        """
        return encode_query(self, query).codes

    def search(
        self,
        query: Any,
        k: int | None = None,
        radius: int | None = None,
        *,
        bbox: Sequence[float] | None = None,
        datetime: "str | dt.date | np.datetime64 | tuple[Any, Any] | None" = None,
        where: str | None = None,
        ids: Sequence[str] | Sequence[int] | NDArray[Any] | None = None,
        filter: Any = None,
        exclude: Any = None,
        rerank: str | None = None,
        shortlist: int | None = None,
        plan: str | None = None,
        n_threads: int | None = None,
    ) -> ArchiveHits:
        """Search by sentence, image or codes, exactly, among the living rows that fulfil every condition given.

        Args:
            query: a sentence, a list of sentences, an image (H, W, 3) uint8, packed codes (Q, n_bytes) uint8, or
                relaxed codes (Q, n_bits) float, of which the signs are taken as they are (`CrossModalHasher.expand`
                makes of them what sentences ask with).
            k: number of hits a query; 10 unless a radius is given. Fewer come back where fewer rows qualify.
            radius: return instead every row within this Hamming distance.
            bbox: west, south, east, north in WGS84 degrees; items whose box touches it. West greater than east
                crosses the antimeridian. Items without a footprint do not qualify.
            datetime: a moment or interval in the grammar of STAC, "2023-01-01/..", "2023-06"; or datetimes, dates,
                datetime64; see `rshash.archive.interval.parse_interval`. Without a zone it is UTC. Items without one
                do not qualify.
            where: an SQL expression over the columns of the items, "cloud_cover < 10 AND caption ILIKE '%ship%'",
                as DuckDB understands it; one row at a time, no subqueries, no files. See `rshash.archive.where`.
            ids: only these rows.
            filter: rows that may be hits: (n_rows,) bool over global rows, or the same packed little-endian.
            exclude: (Q,) integers, a global row that is no hit of its query, or -1 for none; every query then
                has at most (qualifying rows - 1) hits.
            rerank: rank the nearest rows once more, by "asymmetric" distance (the query's relaxed code against bits)
                or by the "relaxed" codes that the archive keeps; with a radius all rows within it.
            shortlist: how many nearest rows are ranked again; 10 k, at least 100, unless given.
            plan: as `rshash.search`.
            n_threads: as `rshash.search`.

        Returns:
            `ArchiveHits`; print its ``explanation`` to see what was left out and what took how long.

        Raises:
            TypeError, ValueError: if the query or a condition cannot be understood, an id does not exist, relaxed
                codes are missing for re-ranking, or as `rshash.search`.
            OSError: if files of the archive cannot be read.
            ImportError: if a condition is given and duckdb is missing, or the hasher's packages are.
        """
        return search_archive(
            self,
            query,
            k,
            radius,
            bbox=bbox,
            datetime=datetime,
            where=where,
            ids=ids,
            filter=filter,
            exclude=exclude,
            measure=rerank,
            shortlist=shortlist,
            plan=plan,
            n_threads=n_threads,
        )

    def duplicates(
        self,
        radius: int,
        *,
        bbox: Sequence[float] | None = None,
        datetime: "str | dt.date | np.datetime64 | tuple[Any, Any] | None" = None,
        where: str | None = None,
        ids: Sequence[str] | Sequence[int] | NDArray[Any] | None = None,
        plan: str | None = None,
        n_threads: int | None = None,
    ) -> Duplicates:
        """Group items whose codes lie within a radius; see `rshash.archive.duplicates.find_duplicates`."""
        return find_duplicates(
            self, radius, bbox=bbox, datetime=datetime, where=where, ids=ids, plan=plan, n_threads=n_threads
        )

    def append(self, codes: Any, items: Any, relaxed: Any = None, *, on_duplicate: str = "refuse") -> None:
        """Add rows in one commit; see `rshash.archive.writer.append`."""
        writer.append(self, codes, items, relaxed, on_duplicate=on_duplicate)

    def delete(self, ids: Sequence[str] | Sequence[int] | NDArray[Any]) -> int:
        """Delete ids in one commit and return how many; see `rshash.archive.writer.delete`."""
        return writer.delete(self, ids)

    def update(self, codes: Any, items: Any, relaxed: Any = None) -> None:
        """Replace rows whose ids exist, in one commit; see `rshash.archive.writer.update`."""
        writer.update(self, codes, items, relaxed)

    def compact(self) -> bool:
        """Rewrite all living rows as one ordered segment; see `rshash.archive.compaction.compact`."""
        return compact(self)

    def verify(self) -> Report:
        """Hold every byte of this snapshot against its checksum; see `rshash.archive.verify.verify`."""
        return verify(self)


def open_archive(path: str | os.PathLike[str], damaged: str = "refuse") -> Archive:
    """Open an archive in milliseconds, whatever its size; arguments as `Archive`.

    Raises:
        FileNotFoundError: if there is none under this name, or one of its files is missing.
        ValueError: if a file is damaged, or was written by a newer rshash.
    """
    return Archive(path, damaged)


def create_archive(
    path: str | os.PathLike[str],
    *,
    n_bits: int | None = None,
    hasher: "CrossModalHasher | str | os.PathLike[str] | None" = None,
    kind: str = "images",
    id_type: str = "string",
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Archive:
    """Create an archive without rows and open it; arguments and errors as `rshash.archive.creation.create`."""
    create(path, n_bits=n_bits, hasher=hasher, kind=kind, id_type=id_type, provenance=provenance, overwrite=overwrite)
    return Archive(path)
