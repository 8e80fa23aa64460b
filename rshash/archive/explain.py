"""How a search went about it: what was left out, what was read, how long each step took."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class SegmentShare:
    """What became of one segment.

    Attributes:
        name: as in the manifest.
        n_alive: rows that live.
        n_admitted: living rows that the filter kept.
        way: what told which rows fulfil the conditions: "bounds" of the whole segment, which then is not read at all;
            "places", boxes and moments beside the codes; "DuckDB"; empty without conditions.
    """

    name: str
    n_alive: int
    n_admitted: int
    way: str = ""

    @property
    def outside(self) -> bool:
        """Whether its bounds alone told that nothing in it matches."""
        return self.way == "bounds"


@dataclass(frozen=True)
class Explanation:
    """The steps of one search; ``str`` of it is for people.

    Attributes:
        segments: what became of each.
        conditions: the filter in words, empty for none.
        filter_seconds: from the conditions to bitmaps of rows.
        plan: how codes were scanned, as `rshash.Hits.plan`.
        n_queries: number of queries.
        wanted: what was asked of the scan, for example "k = 10".
        scan_seconds: Hamming distances and selection.
        kept: whether what the conditions admit was kept from a search before.
        rerank: how the shortlist was ordered, None where it was not.
        n_shortlist: hits of the scan, over all queries, that were ranked again.
        rerank_seconds: of that.

    >>> share = SegmentShare("000001", n_alive=1000, n_admitted=10)
    >>> print(Explanation((share,), "ids (10)", 0.002, "popcount", 1, "k = 5", 0.001))
    filter  ids (10): 10 of 1,000 rows kept (1 %), 2.0 ms
    scan    k = 5 for 1 query over 10 rows, plan popcount: 1.0 ms
    """

    segments: tuple[SegmentShare, ...]
    conditions: str
    filter_seconds: float
    plan: str
    n_queries: int
    wanted: str
    scan_seconds: float
    kept: bool = False
    rerank: str | None = None
    n_shortlist: int = 0
    rerank_seconds: float = 0.0

    @property
    def n_alive(self) -> int:
        """Living rows of the archive."""
        return sum(segment.n_alive for segment in self.segments)

    @property
    def n_admitted(self) -> int:
        """Living rows that the filter kept."""
        return sum(segment.n_admitted for segment in self.segments)

    def __str__(self) -> str:
        lines = []
        if self.conditions:
            share = 100 * self.n_admitted / max(1, self.n_alive)
            rows = f"{self.n_admitted:,} of {self.n_alive:,} rows kept ({share:.3g} %)"
            lines.append(f"filter  {self.conditions}: {rows}, {_milliseconds(self.filter_seconds)}{self._way()}")
            outside = [segment.name for segment in self.segments if segment.outside]
            if outside:
                names = ", ".join(outside[:5]) + (", …" if len(outside) > 5 else "")
                lines.append(f"        {len(outside)} of {len(self.segments)} segments unread, out of bounds: {names}")
        queries = f"{self.n_queries:,} {'query' if self.n_queries == 1 else 'queries'}"
        scanned = f"{self.wanted} for {queries} over {self.n_admitted:,} rows, plan {self.plan}"
        lines.append(f"scan    {scanned}: {_milliseconds(self.scan_seconds)}")
        if self.rerank is not None:
            ranked = f"{self.rerank}, {self.n_shortlist:,} rows of the shortlist"
            lines.append(f"rerank  {ranked}: {_milliseconds(self.rerank_seconds)}")
        return "\n".join(lines)

    def _way(self) -> str:
        """Return how the rows were found, as the end of a phrase."""
        if self.kept:
            return ", as found before"
        counts = Counter(segment.way for segment in self.segments if segment.way and not segment.outside)
        if len(counts) == 2:
            return ", " + ", ".join(f"{number} segments by {way}" for way, number in sorted(counts.items()))
        return "".join(f", by {way}" for way in counts)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"
