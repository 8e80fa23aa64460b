"""Throughput of `rshash.search` in Gcq/s: 1e9 pairs of code and query a second.

Run with `pytest benchmarks/test_search.py`; RSHASH_BENCH_ROWS sets the size of the database (1,000,000 codes).
"""

import os

import numpy as np
import pytest

import rshash
from rshash.index.multi_index import MultiIndex
from rshash.kernels import describe

N_ROWS = int(os.environ.get("RSHASH_BENCH_ROWS", "1000000"))


def random_codes(n, n_bits):
    return np.random.default_rng(n_bits).integers(0, 256, (n, n_bits // 8), dtype=np.uint8)


@pytest.mark.parametrize("k", [10, 100, 10_000])
@pytest.mark.parametrize("n_queries", [1, 16, 256])
@pytest.mark.parametrize("n_bits", [16, 48, 64, 128, 256, 512])
def test_top_k(benchmark, n_bits, n_queries, k):
    codes, queries = random_codes(N_ROWS, n_bits), random_codes(n_queries, n_bits)
    hits = benchmark(rshash.search, codes, queries, k=k, n_threads=1)
    assert (np.diff(hits.distances, axis=1) >= 0).all()
    report(benchmark, n_bits, n_queries)


@pytest.mark.parametrize("radius", [4, 8, 12])
def test_radius(benchmark, radius):
    codes, queries = random_codes(N_ROWS, 64), random_codes(64, 64)
    hits = benchmark(rshash.search, codes, queries, radius=radius, n_threads=1)
    assert len(hits.ids) == 0 or hits.distances.max() <= radius
    report(benchmark, 64, 64)


@pytest.mark.parametrize("radius", [3, 7])
def test_radius_through_a_multi_index(benchmark, radius):
    codes, queries = random_codes(N_ROWS, 64), random_codes(64, 64)
    hits = benchmark(MultiIndex(codes).search, queries, radius=radius, n_threads=1)
    assert np.array_equal(hits.ids, rshash.search(codes, queries, radius=radius).ids)
    report(benchmark, 64, 64)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_filtered_top_k(benchmark, share):
    codes, queries = random_codes(N_ROWS, 64), random_codes(64, 64)
    admitted = np.random.default_rng(0).random(N_ROWS) < share
    hits = benchmark(rshash.search, codes, queries, k=10, filter=admitted, n_threads=1)
    assert admitted[hits.ids].all()
    report(benchmark, 64, 64)


def report(benchmark, n_bits, n_queries):
    """Write throughput and machine beside the time."""
    benchmark.extra_info.update(describe(), n_rows=N_ROWS, n_bits=n_bits, n_queries=n_queries)
    if benchmark.stats:  # absent when benchmarks run as plain tests
        benchmark.extra_info["Gcq/s"] = round(N_ROWS * n_queries / benchmark.stats["median"] / 1e9, 2)
