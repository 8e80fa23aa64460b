"""What is measured: widths × rows × queries × k × threads, and the table that the project promised to reach."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

from rshash.bench.data import KINDS, Kind
from rshash.codes import code_bytes

Device = Literal["cpu", "cuda"]
DEVICES: tuple[Device, ...] = ("cpu", "cuda")


@dataclass(frozen=True)
class Case:
    """One search that every contender is asked to do.

    Attributes:
        n_bits: width of a code, 1..4096.
        n_rows: rows of the database.
        n_queries: queries of one call.
        k: nearest rows a query; not used with a radius.
        n_threads: threads a contender may use.
        data: "uniform" or "clustered".
        radius: find all rows at most so far instead.
        keep: part of the rows that a filter admits, in (0, 1]; None asks without a filter.
        simd: instruction set that rshash is held to; None is its best.
        device: "cpu", or "cuda" for the first GPU, whose memory holds the database beforehand.
    """

    n_bits: int
    n_rows: int
    n_queries: int
    k: int = 10
    n_threads: int = 1
    data: Kind = "uniform"
    radius: int | None = None
    keep: float | None = None
    simd: str | None = None
    device: Device = "cpu"

    def __post_init__(self) -> None:
        """Refuse what cannot be searched.

        Raises:
            TypeError, ValueError: if a number is out of range or ``data`` is unknown.
        """
        code_bytes(self.n_bits)
        for name in ("n_rows", "n_queries", "k", "n_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.radius is not None and not 0 <= self.radius <= self.n_bits:
            raise ValueError(f"radius must be between 0 and n_bits={self.n_bits}, got {self.radius}")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise ValueError(f"keep must be above 0 and at most 1, got {self.keep}")
        if self.data not in KINDS:
            raise ValueError(f"data must be one of {', '.join(KINDS)}, got {self.data!r}")
        if self.device not in DEVICES:
            raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {self.device!r}")
        if self.device != "cpu" and (self.n_threads > 1 or self.simd is not None):
            raise ValueError("threads and instruction sets are the CPU's: leave them out where a GPU searches")

    @property
    def database(self) -> tuple[int, int, Kind]:
        """What tells one database from another."""
        return self.n_bits, self.n_rows, self.data

    @property
    def title(self) -> str:
        """The case in words.

        >>> Case(64, 10_000_000, 256).title
        '64 bit, N = 10,000,000 uniform, Q = 256, k = 10, 1 thread'
        """
        goal = f"k = {self.k:,}" if self.radius is None else f"radius {self.radius}"
        searcher = "GPU" if self.device != "cpu" else f"{self.n_threads} thread{'s' if self.n_threads > 1 else ''}"
        words = f"{self.n_bits} bit, N = {self.n_rows:,} {self.data}, Q = {self.n_queries:,}, {goal}, {searcher}"
        words += "" if self.keep is None else f", filter keeps {self.keep:.3g}"
        return words if self.simd is None else f"{words}, {self.simd} only"


def grid(**choices: Any) -> list[Case]:
    """Return every combination of the values given for each field of `Case`, those of one database together.

    >>> [case.n_queries for case in grid(n_bits=[64], n_rows=[1000], n_queries=[1, 16])]
    [1, 16]
    """
    cases = [Case(**dict(zip(choices, values, strict=True))) for values in product(*choices.values())]
    return by_database(cases)


def by_database(cases: list[Case]) -> list[Case]:
    """Return the cases with those of one database together, in the order the databases come up."""
    order = list(dict.fromkeys(case.database for case in cases))
    return sorted(cases, key=lambda case: order.index(case.database))


def reach_table(n_rows: int = 10_000_000, n_threads: int = 2) -> list[Case]:
    """Return the cases of ``--full``: the searches for which the project states a goal.

    Args:
        n_rows: rows of the large databases; the small ones have a tenth.
        n_threads: threads of the cases that show how threads scale.
    """
    large = Case(64, n_rows, 256)
    small = replace(large, n_rows=max(1, n_rows // 10))
    threaded = [replace(large, n_queries=n, n_threads=n_threads) for n in (1, 16, 256)] if n_threads > 1 else []
    return by_database(
        [
            *(replace(large, n_queries=n) for n in (256, 16, 1)),
            *threaded,
            replace(large, n_queries=64, k=min(10_000, n_rows)),
            *(replace(large, n_queries=64, radius=radius) for radius in (3, 7, 11)),
            replace(large, n_queries=64),
            replace(large, n_queries=64, keep=0.01),
            replace(large, simd="avx2"),
            replace(large, data="clustered"),
            replace(small, k=min(100, small.n_rows)),
            replace(small, data="clustered"),
            *(replace(large, n_bits=n_bits) for n_bits in (16, 32, 48, 128)),
            *(replace(large, n_bits=n_bits, data=data) for n_bits in (256, 512) for data in KINDS),
        ]
    )


def device_reach_table(n_rows: int = 100_000_000) -> list[Case]:
    """Return the cases of ``--full --device cuda``: the searches on a GPU for which the project states a goal.

    Args:
        n_rows: rows of the databases; a fifth of them where a width is no multiple of a word's.
    """
    large = Case(64, n_rows, 64, device="cuda")
    return by_database(
        [
            *(replace(large, n_queries=n) for n in (1, 8, 64, 1024)),
            replace(large, k=min(10_000, n_rows)),
            replace(large, keep=0.01),
            replace(large, radius=11),
            replace(large, n_bits=256, n_queries=1024),
            replace(large, n_bits=72, n_rows=max(1, n_rows // 5), n_queries=1024),
        ]
    )


def quick_table(n_rows: int = 1_000_000) -> list[Case]:
    """Return the cases of a run without options, which take less than a minute."""
    return grid(n_bits=[64, 256], n_rows=[n_rows], n_queries=[1, 256])
