"""What a search of an archive found: distances and rows at once, ids and items when they are asked for."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive import formats
from rshash.archive.explain import Explanation
from rshash.archive.interval import format_moment
from rshash.archive.items import items_of
from rshash.index.hits import Hits

if TYPE_CHECKING:
    from PIL.Image import Image

    from rshash.archive.reader import Archive

Place = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class ArchiveHits:
    """Hits of Q queries in an archive, each query's in ascending (distance, row), or in the order of re-ranking.

    Attributes:
        distances: (Q, k) int32 Hamming distances; (H,) for a radius search.
        rows: (Q, k) or (H,) int64 global rows, valid while the archive keeps the segments that were searched.
        offsets: None for top-k; (Q + 1,) int64 for a radius search: query i owns hits offsets[i]..offsets[i + 1].
        fine_distances: float32 of the shape of ``distances``, what the hits were ranked again by (see
            `rshash.archive.rerank`); None where they were not.
        explanation: how the search went about it; print it.
        archive: what was searched.
        shown: for each query its sentence, its image, or None.
    """

    distances: NDArray[np.int32]
    rows: NDArray[np.int64]
    offsets: NDArray[np.int64] | None
    fine_distances: NDArray[np.float32] | None
    explanation: Explanation
    archive: "Archive"
    shown: tuple[str | NDArray[np.uint8] | None, ...]
    _files: tuple[str, ...]

    @cached_property
    def ids(self) -> NDArray[Any]:
        """Ids of the hits, of the shape of ``rows``: int64, or strings as objects. Read at first use.

        Raises:
            ValueError: if the archive was compacted since.
        """
        self._check_snapshot()
        column = {"id": self.archive.columns["id"]}
        items = items_of(self.archive.database, self.archive.segments, column, self.rows.ravel())
        dtype = np.int64 if self.archive.manifest.id_type == "integer" else object
        return np.fromiter((item["id"] for item in items), dtype, len(items)).reshape(self.rows.shape)

    @property
    def plan(self) -> str:
        """How codes were scanned, as `rshash.Hits.plan`."""
        return self.explanation.plan

    @property
    def n_queries(self) -> int:
        """Number of queries Q."""
        return len(self.shown)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Unpack as ``distances, ids``."""
        yield self.distances
        yield self.ids

    def of(self, query: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Return (distances, ids) of one query.

        Raises:
            IndexError: if ``query`` is outside 0..Q-1.
        """
        mine = self._hits_of(query)
        return self.distances[mine], self.ids[mine]

    def items(self, query: int | None = None) -> list[dict[str, Any]]:
        """Return the hits of one query, or of all in their order, each a dict.

        ``query`` (its number), ``rank`` (from 1), ``distance``, ``fine_distance`` (where ranked again), then the item's
        columns that have a value: ``geometry`` as GeoJSON, ``bbox`` as four floats, ``datetime`` in UTC.

        Raises:
            IndexError: if ``query`` is outside 0..Q-1.
            ValueError: if the archive was compacted since.
            OSError: if the items cannot be read.
        """
        self._check_snapshot()
        asked = range(self.n_queries) if query is None else [query]
        mine = [self._hits_of(number) for number in asked]
        items = iter(self.archive.items_at(np.concatenate([self.rows[these] for these in mine])) if mine else [])
        found = []
        for number, these in zip(asked, mine, strict=True):
            for place, distance in enumerate(self.distances[these].tolist()):
                hit: dict[str, Any] = {"query": number, "rank": place + 1, "distance": distance}
                if self.fine_distances is not None:
                    hit["fine_distance"] = float(self.fine_distances[these][place])
                found.append(hit | next(items))
        return found

    def table(self) -> str:
        """Return the hits as lines of text, for people."""
        lines = []
        for hit in self.items():
            number = f"{hit['query']:>4}  " if self.n_queries > 1 else ""
            fine = f"  {hit['fine_distance']:>7.3f}" if "fine_distance" in hit else ""
            when = format_moment(hit["datetime"]) if "datetime" in hit else ""
            about = [" ".join(str(text).split()) for text in (hit["id"], when, formats.caption_of(hit))]
            text = "  ".join(part for part in about if part)
            lines.append(f"{number}{hit['rank']:>4}  distance {hit['distance']:>3}{fine}  {text}")
        return "\n".join(lines)

    def to_json(self, path: Place | None = None) -> str:
        """Return the hits as JSON, and write it to ``path``: archive, n_bits, queries, hits (see `items`).

        ``queries`` are the sentences that were asked, null for images and codes.
        """
        sentences = [query if isinstance(query, str) else None for query in self.shown]
        about = {"archive": str(self.archive.path), "n_bits": self.archive.n_bits, "queries": sentences}
        return formats.write_text(formats.to_json(about, self.items()), path)

    def to_csv(self, path: Place | None = None) -> str:
        """Return the hits as CSV with a header, and write it to ``path``.

        ``bbox`` becomes xmin, ymin, xmax, ymax; lists, dicts and geometries are JSON; a cell without a value is empty.
        """
        return formats.write_text(formats.to_csv(self.items(), self._columns()), path)

    def to_geojson(self, path: Place | None = None) -> str:
        """Return the hits as a GeoJSON FeatureCollection (RFC 7946), and write it to ``path``."""
        return formats.write_text(formats.to_geojson(self.items()), path)

    def to_parquet(self, path: Place) -> None:
        """Write the hits as GeoParquet 1.1, which QGIS, geopandas and DuckDB open.

        Columns: query, rank, distance, fine_distance (where ranked again), then those of the archive that have a value
        among the hits.

        Raises:
            OSError: if it cannot be written.
        """
        formats.write_parquet(Path(path), self.items(), self._columns(), self.archive.columns)

    def to_picture(self, path: Place | None = None, *, most: int = 100) -> "Image":
        """Draw every query beside its hits, and save it to ``path`` (.png): a contact sheet.

        Pictures are read from the items' ``source``; a hit without one, or whose file is gone, shows its caption.

        Args:
            path: where to save it.
            most: hits drawn a query.

        Returns:
            A Pillow image in RGB.

        Raises:
            ImportError: if Pillow is missing.
        """
        counts = [len(self.distances[self._hits_of(query)]) for query in range(self.n_queries)]
        heading = f"{len(self.archive):,} {self.archive.kind} at {self.archive.n_bits} bits"
        if max(counts, default=0) > most:
            heading += f", the first {most} hits of {max(counts):,}"
        return formats.draw(self.shown, [self.items(query) for query in range(self.n_queries)], heading, most, path)

    def _columns(self) -> list[str]:
        """Return the names of what a hit may hold, in order."""
        fine = [] if self.fine_distances is None else ["fine_distance"]
        return ["query", "rank", "distance", *fine, *self.archive.columns]

    def _hits_of(self, query: int) -> Any:
        """Return what picks one query's hits from the arrays."""
        if not 0 <= query < self.n_queries:
            raise IndexError(f"query {query} is outside the {self.n_queries} queries of these hits")
        return query if self.offsets is None else slice(self.offsets[query], self.offsets[query + 1])

    def _check_snapshot(self) -> None:
        """Refuse rows that a compaction gave to others."""
        if _files_of_items(self.archive)[: len(self._files)] != self._files:
            raise ValueError("the archive was compacted or replaced since this search: search again")


def make_hits(
    archive: "Archive",
    hits: Hits,
    fine_distances: NDArray[np.float32] | None,
    explanation: Explanation,
    shown: Sequence[str | NDArray[np.uint8] | None],
) -> ArchiveHits:
    """Bind what was found to the archive as it is now."""
    files = _files_of_items(archive)
    return ArchiveHits(
        hits.distances, hits.ids, hits.offsets, fine_distances, explanation, archive, tuple(shown), files
    )


def _files_of_items(archive: "Archive") -> tuple[str, ...]:
    """Return the checksum of each items file: what a global row means; names come again in another archive."""
    return tuple(segment.files[segment.items].sha256 for segment in archive.manifest.segments)
