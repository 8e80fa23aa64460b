"""`MultiIndex`: exact search that looks at a small part of the codes when the answers lie near.

Multi-index hashing (Norouzi, Punjani, Fleet, 2014, arXiv 1307.2982): a code is cut into substrings of 16 bits, and
two codes within distance r agree in at least one of m substrings up to r // m bits. Each table holds all codes
sorted by one substring, so only the buckets near the query's are read. Where that would cost more than a scan, the
scan does the work: answers are exact either way.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes, check_codes
from rshash.files import check_mapped, write_atomically
from rshash.index.arguments import check_integer, check_k_or_radius, check_queries
from rshash.index.hits import Hits
from rshash.kernels import Backend, backend, threads

MOST_ROWS = 2**32 - 1
"""Rows are kept in 32 bits."""

MOST_SUBSTRINGS = 8
"""Substrings taken unless told otherwise: each costs a copy of the codes."""

SCAN_SHARES = {"sliced": 64, "popcount": 8}
"""A query may cost as much as looking at one row in so many before the scan takes it over, by the plan of that scan.
A row in a bucket costs about 1.4 ns, a row of a scan 0.02 ns in a batch and 0.25 ns alone (Zen 5, 64 bits)."""

PLAN = "multi-index"

_BUCKETS = 1 << 16
_FORMAT = {"format": "rshash multi-index", "version": 1}
_ARRAYS = ("codes", "table_codes", "table_rows", "table_offsets")


class MultiIndex:
    """Tables over packed codes for exact sub-linear search.

    Args:
        codes: (N, n_bytes) uint8 packed codes, 1 <= N < 2^32; kept, not copied.
        n_substrings: tables to make, 1..ceil(n_bytes / 2); None takes all, eight at most. More find farther
            neighbours cheaply and cost n_bytes + 4 bytes a code each.

    Attributes:
        codes: the codes in the order of their rows.

    Raises:
        TypeError, ValueError: if the codes or the number of substrings do not fit.

    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 256, (5000, 8), dtype=np.uint8)
    >>> hits = MultiIndex(codes).search(codes[7], radius=3)
    >>> hits.ids.tolist(), hits.plan
    ([7], 'multi-index')
    """

    def __init__(self, codes: Any, n_substrings: int | None = None) -> None:
        self.codes: Codes = check_codes(codes)
        n_rows, n_bytes = self.codes.shape
        if not 1 <= n_rows <= MOST_ROWS:
            raise ValueError(f"a MultiIndex holds 1 to {MOST_ROWS} codes, got {n_rows}")
        most = (n_bytes + 1) // 2
        n_tables = (
            min(most, MOST_SUBSTRINGS) if n_substrings is None else check_integer("n_substrings", n_substrings, 1, most)
        )
        self._table_codes: Codes = np.empty((n_tables, n_rows, n_bytes), np.uint8)
        self._table_rows: NDArray[np.uint32] = np.empty((n_tables, n_rows), np.uint32)
        self._table_offsets: NDArray[np.int64] = np.zeros((n_tables, _BUCKETS + 1), np.int64)
        for table in range(n_tables):
            values = _substring(self.codes, table)
            order = np.argsort(values, kind="stable")
            self._table_codes[table] = self.codes[order]
            self._table_rows[table] = order
            np.cumsum(np.bincount(values, minlength=_BUCKETS), out=self._table_offsets[table, 1:])

    def __len__(self) -> int:
        """Number of codes N."""
        return len(self.codes)

    @property
    def n_substrings(self) -> int:
        """Number of tables m."""
        return len(self._table_codes)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the tables, beside the codes themselves: m * (N * (n_bytes + 4) + 8 * 65537)."""
        return self._table_codes.nbytes + self._table_rows.nbytes + self._table_offsets.nbytes

    def add(self, codes: Any) -> "MultiIndex":
        """Return a new index over these codes followed by ``codes``; the tables are made anew.

        Raises:
            TypeError, ValueError: if the new codes do not fit.
        """
        added = check_codes(codes)
        if added.shape[1] != self.codes.shape[1]:
            raise ValueError(f"new codes have {added.shape[1]} bytes, this index holds {self.codes.shape[1]}")
        return MultiIndex(np.concatenate([self.codes, added]), self.n_substrings)

    def search(
        self,
        query: Any,
        k: int | None = None,
        radius: int | None = None,
        *,
        n_threads: int | None = None,
        most_cost: int | None = None,
    ) -> Hits:
        """Find the nearest codes of each query, exactly; the same hits as `rshash.search` over the codes.

        Args:
            query: (Q, n_bytes) uint8, or (n_bytes,) for a single query.
            k: number of hits a query, at least 1, 10 unless a radius is given; more than N returns all N.
            radius: return instead every row at distance <= radius, 0..8 * n_bytes.
            n_threads: threads to use; None takes RSHASH_NUM_THREADS, else every core of this process.
            most_cost: rows a query may look at before the scan takes it over; None takes N / 64 in a batch and N / 8
                for a few queries. Where it took over most of the first queries, it gets most of the others untried.

        Returns:
            `Hits` whose plan is "multi-index", the plan of the scan that had to take over all queries, or both
            joined by " + ".

        Raises:
            TypeError, ValueError: if the arguments do not fit.
            OSError: if a mapped file of the index has become shorter (see `rshash.files.check_mapped`).
        """
        queries = check_queries(query, self.codes.shape[1])
        for array in self._arrays():
            check_mapped(array, "tables of the index")
        count, limit = check_k_or_radius(k, radius, self.codes.shape[1])
        count, used_threads = min(count, len(self)), threads(n_threads)
        kernel = backend()
        cost = len(self) // SCAN_SHARES[kernel.choose_plan(len(queries))]
        if most_cost is not None:
            cost = min(check_integer("most_cost", most_cost, 0), 2**63 - 1)
        native: Any = kernel  # only the native backend reads tables
        if not hasattr(native, "multi_index_top_k"):
            answered = np.zeros(len(queries), bool)
            return self._scan(kernel, queries, count, limit, used_threads, answered, None)
        tables = self._table_codes, self._table_rows, self._table_offsets
        if limit is None:
            distances, rows, flags = native.multi_index_top_k(tables, queries, count, cost, used_threads)
            found = Hits(distances, rows, plan=PLAN)
        else:
            offsets, distances, rows, flags = native.multi_index_within_radius(
                tables, queries, limit, cost, used_threads
            )
            found = Hits(distances, rows, offsets, PLAN)
        answered = flags.astype(bool)
        return found if answered.all() else self._scan(kernel, queries, count, limit, used_threads, answered, found)

    def _scan(
        self,
        kernel: Backend,
        queries: Codes,
        k: int,
        radius: int | None,
        n_threads: int,
        answered: NDArray[np.bool_],
        found: Hits | None,
    ) -> Hits:
        """Answer by scanning what the tables did not, and put all in the order of the queries."""
        left = np.flatnonzero(~answered)
        plan = kernel.choose_plan(len(left))
        joined = plan if found is None or not answered.any() else f"{PLAN} + {plan}"
        if radius is None:
            distances, rows = kernel.top_k(self.codes, queries[left], k, n_threads, plan)
            if found is None:
                return Hits(distances, rows, plan=joined)
            found.distances[left], found.ids[left] = distances, rows
            return Hits(found.distances, found.ids, plan=joined)
        scanned = Hits(*_as_hits(kernel.within_radius(self.codes, queries[left], radius, n_threads, plan)), plan)
        if found is None:
            return scanned
        parts = [found.of(i) for i in range(len(queries))]
        for place, query in enumerate(left):
            parts[query] = scanned.of(place)
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(ids) for _, ids in parts], out=offsets[1:])
        return Hits(np.concatenate([d for d, _ in parts]), np.concatenate([r for _, r in parts]), offsets, joined)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index as a directory of .npy files, whole or not at all; `load` maps them.

        Raises:
            OSError: if the place cannot be written.
        """
        with write_atomically(path) as draft:
            draft.mkdir()
            for name, array in zip(_ARRAYS, self._arrays(), strict=True):
                np.save(draft / f"{name}.npy", array)
            (draft / "index.json").write_text(json.dumps(_FORMAT) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "MultiIndex":
        """Open a saved index memory-mapped: nothing is read before it is needed but the bucket offsets.

        Raises:
            OSError: if the files are missing.
            ValueError: if they are no index, of another version, or do not fit together.
        """
        folder = Path(path)
        try:
            header = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            codes, table_codes, table_rows, offsets = (
                np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS
            )
        except ValueError as error:
            raise ValueError(f"{folder} is no readable multi-index ({error}): make it again from the codes") from error
        if header != _FORMAT:
            raise ValueError(f"{folder} holds {header}, this version reads {_FORMAT}")
        index = cls.__new__(cls)
        index.codes = check_codes(codes)
        index._table_codes, index._table_rows, index._table_offsets = table_codes, table_rows, np.array(offsets)
        index._check_tables(folder)
        return index

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        """The arrays that are saved, in the order of their names."""
        return self.codes, self._table_codes, self._table_rows, self._table_offsets

    def _check_tables(self, folder: Path) -> None:
        """Refuse tables that do not belong to the codes: the kernel follows their offsets."""
        n_rows, n_bytes = self.codes.shape
        n_tables = self.n_substrings
        shapes = [(n_rows, n_bytes), (n_tables, n_rows, n_bytes), (n_tables, n_rows), (n_tables, _BUCKETS + 1)]
        dtypes = [np.uint8, np.uint8, np.uint32, np.int64]
        fits = all(
            array.shape == shape and array.dtype == dtype
            for array, shape, dtype in zip(self._arrays(), shapes, dtypes, strict=True)
        )
        if fits:
            offsets = self._table_offsets
            fits = bool(
                1 <= n_tables <= (n_bytes + 1) // 2
                and (offsets[:, 0] == 0).all()
                and (offsets[:, -1] == n_rows).all()
                and (np.diff(offsets) >= 0).all()
            )
        if not fits:
            raise ValueError(f"{folder} holds tables that do not fit its codes: make it again from the codes")


def _substring(codes: Codes, table: int) -> NDArray[np.uint16]:
    """Return the 16 bits of every code that a table sorts by, low byte first; a last odd byte stands alone."""
    values = codes[:, 2 * table].astype(np.uint16)
    if 2 * table + 1 < codes.shape[1]:
        values |= codes[:, 2 * table + 1].astype(np.uint16) << 8
    return values


def _as_hits(
    result: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Put (offsets, distances, rows) in the order of `Hits`."""
    offsets, distances, rows = result
    return distances, rows, offsets
