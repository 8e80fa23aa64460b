import itertools
import json

import numpy as np
import pytest

import rshash
from rshash.index.multi_index import MultiIndex

pytest.importorskip("rshash.kernels._native", reason="tables are read by the native kernels")


def clustered_codes(n, n_bytes, seed, n_centres=20, flip=0.05):
    """Codes near a few centres, so that neighbours lie near; many are equal."""
    rng = np.random.default_rng([seed, n_bytes])
    centres = rng.integers(0, 256, (n_centres, n_bytes), dtype=np.uint8)
    flips = np.packbits(rng.random((n, 8 * n_bytes)) < flip, axis=1)
    return centres[rng.integers(0, n_centres, n)] ^ flips


def assert_same(mine, theirs):
    assert np.array_equal(mine.distances, theirs.distances)
    assert np.array_equal(mine.ids, theirs.ids)
    assert (mine.offsets is None) == (theirs.offsets is None)
    assert mine.offsets is None or np.array_equal(mine.offsets, theirs.offsets)


@pytest.mark.parametrize("n_bytes", [1, 2, 3, 5, 8, 9, 16])
def test_hits_equal_those_of_a_scan(n_bytes):
    codes, queries = clustered_codes(1500, n_bytes, 1), clustered_codes(12, n_bytes, 1)
    for n_substrings in {1, (n_bytes + 1) // 2}:
        index = MultiIndex(codes, n_substrings)
        # Without a limit to the cost the tables answer alone, up to enumerating all that 16 bits can be.
        cost = 10**9 if n_bytes <= 3 else 10**6
        for k in (1, 7, 60):
            hits = index.search(queries, k=k, most_cost=cost, n_threads=2)
            assert_same(hits, rshash.search(codes, queries, k=k))
            assert "multi-index" in hits.plan
        for radius in (0, 1, 2 * n_bytes):
            hits = index.search(queries, radius=radius, most_cost=cost, n_threads=2)
            assert_same(hits, rshash.search(codes, queries, radius=radius))


def test_the_front_door_uses_the_index_where_it_can():
    codes = clustered_codes(20_000, 8, 9)
    index, admitted = MultiIndex(codes), np.arange(len(codes)) % 2 == 0
    assert rshash.search(index, codes[0], k=3).plan == "multi-index"
    assert rshash.search(index, codes[0], radius=2, plan="multi-index").plan == "multi-index"
    for arguments in ({"plan": "popcount"}, {"filter": admitted}, {"exclude": [0]}):
        hits = rshash.search(index, codes[0], k=3, **arguments)
        assert hits.plan == "popcount"
        assert_same(hits, rshash.search(codes, codes[0], k=3, **arguments))


def test_far_neighbours_are_found_by_a_scan():
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 256, (3000, 8), dtype=np.uint8)
    queries = np.concatenate([codes[:3], rng.integers(0, 256, (3, 8), dtype=np.uint8)])
    index = MultiIndex(codes)
    for arguments in ({"k": 4}, {"radius": 20}):
        for most_cost, plan in ((0, "popcount"), (None, None)):
            hits = index.search(queries, most_cost=most_cost, **arguments)
            assert_same(hits, rshash.search(codes, queries, **arguments))
            assert plan is None or hits.plan == plan
    mixed = index.search(queries, k=1, most_cost=100)
    assert mixed.plan == "multi-index + popcount"
    assert_same(mixed, rshash.search(codes, queries, k=1))


def test_hits_depend_on_neither_threads_nor_instruction_set(monkeypatch):
    codes = clustered_codes(4000, 8, 3)
    index, expected = MultiIndex(codes), rshash.search(codes, codes[:40], k=9)
    for n_threads, simd in itertools.product((1, 3), rshash.kernels.native.simd_levels()):
        monkeypatch.setenv("RSHASH_SIMD", simd)
        assert_same(index.search(codes[:40], k=9, n_threads=n_threads), expected)


def test_without_native_kernels_the_index_still_answers(monkeypatch):
    codes = clustered_codes(800, 8, 4)
    index, expected = MultiIndex(codes), rshash.search(codes, codes[:3], k=5)
    monkeypatch.setenv("RSHASH_BACKEND", "numpy")
    hits = index.search(codes[:3], k=5)
    assert_same(hits, expected)
    assert hits.plan == "popcount"
    assert_same(index.search(codes[:3], radius=4), rshash.search(codes, codes[:3], radius=4))


def test_any_large_cost_means_no_limit():
    codes = clustered_codes(300, 3, 10)
    for arguments in ({"k": 4}, {"radius": 3}):
        hits = MultiIndex(codes).search(codes[:5], most_cost=2**70, **arguments)
        assert_same(hits, rshash.search(codes, codes[:5], **arguments))


def test_added_codes_follow_the_old_ones():
    codes = clustered_codes(1000, 6, 5)
    index = MultiIndex(codes[:600], n_substrings=2).add(codes[600:])
    assert (len(index), index.n_substrings) == (1000, 2)
    assert_same(index.search(codes[:9], k=3), rshash.search(codes, codes[:9], k=3))
    with pytest.raises(ValueError, match="new codes have 8 bytes, this index holds 6"):
        index.add(np.zeros((2, 8), np.uint8))


def test_a_saved_index_is_mapped_and_answers_the_same(tmp_path):
    codes = clustered_codes(900, 8, 6)
    index = MultiIndex(codes)
    index.save(tmp_path / "my.index")
    loaded = MultiIndex.load(tmp_path / "my.index")
    assert isinstance(loaded._table_codes, np.memmap)
    assert loaded.memory_bytes == index.memory_bytes == 4 * (900 * 12 + 8 * 65537)
    for arguments in ({"k": 6}, {"radius": 5}):
        assert_same(loaded.search(codes[:20], **arguments), index.search(codes[:20], **arguments))


def test_damaged_files_are_refused(tmp_path):
    index = MultiIndex(clustered_codes(300, 4, 7))

    def damaged(name, content):
        path = tmp_path / f"{name}.{len(list(tmp_path.iterdir()))}"
        index.save(path)
        content(path)
        return path

    with pytest.raises(OSError, match="nothing"):
        MultiIndex.load(tmp_path / "nothing")
    path = damaged("newer", lambda p: (p / "index.json").write_text(json.dumps({"version": 2})))
    with pytest.raises(ValueError, match="this version reads"):
        MultiIndex.load(path)
    path = damaged("cut", lambda p: (p / "table_rows.npy").write_bytes((p / "table_rows.npy").read_bytes()[:-5]))
    with pytest.raises(ValueError, match="no readable multi-index"):
        MultiIndex.load(path)
    offsets = index._table_offsets.copy()
    offsets[0, 5] = 10**15
    path = damaged("wild", lambda p: np.save(p / "table_offsets.npy", offsets))
    with pytest.raises(ValueError, match="do not fit its codes"):
        MultiIndex.load(path)
    path = damaged("other", lambda p: np.save(p / "codes.npy", index.codes[:200]))
    with pytest.raises(ValueError, match="do not fit its codes"):
        MultiIndex.load(path)


def test_bad_arguments_are_named():
    codes = clustered_codes(50, 8, 8)
    with pytest.raises(ValueError, match="holds 1 to 4294967295 codes, got 0"):
        MultiIndex(codes[:0])
    with pytest.raises(ValueError, match="n_substrings must be between 1 and 4, got 5"):
        MultiIndex(codes, 5)
    index = MultiIndex(codes)
    with pytest.raises(ValueError, match="queries have 4 bytes per code"):
        index.search(codes[0, :4])
    with pytest.raises(ValueError, match="k must be at least 1"):
        index.search(codes[0], k=0)
    with pytest.raises(ValueError, match="both given"):
        index.search(codes[0], k=1, radius=1)
    with pytest.raises(ValueError, match="most_cost must be at least 0"):
        index.search(codes[0], k=1, most_cost=-1)


def test_a_batch_that_starts_with_hopeless_queries_comes_back_to_the_tables():
    rng = np.random.default_rng(0)
    codes, far = rng.integers(0, 256, (20_000, 8), dtype=np.uint8), rng.integers(0, 256, (30, 8), dtype=np.uint8)
    queries = np.concatenate([far, codes[:500]])
    hits = MultiIndex(codes).search(queries, k=1, n_threads=1, most_cost=500)
    assert hits.plan.startswith("multi-index + ")
    assert_same(hits, rshash.search(codes, queries, k=1))
