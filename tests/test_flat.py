import os
import subprocess
import sys

import numpy as np
import pytest

import naive
import rshash
from rshash import FlatIndex
from rshash.kernels import backend

WIDTHS = [1, 2, 3, 5, 7, 8, 9, 12, 16, 23, 32, 33, 64, 100]
LEVELS = backend().simd_levels() if hasattr(backend(), "simd_levels") else [""]


def random_codes(n, n_bytes, seed, most=256):
    """Few different bytes make many ties."""
    return np.random.default_rng([seed, n_bytes]).integers(0, most, (n, n_bytes), dtype=np.uint8)


def assert_same(mine, theirs):
    for one, other in ((mine.distances, theirs.distances), (mine.ids, theirs.ids), (mine.offsets, theirs.offsets)):
        assert (one is None) == (other is None)
        assert one is None or (one.dtype == other.dtype and np.array_equal(one, other))


@pytest.fixture(params=LEVELS)
def simd(request, monkeypatch):
    monkeypatch.setenv("RSHASH_SIMD", request.param)


@pytest.mark.parametrize("n_bytes", WIDTHS)
def test_hits_equal_the_naive_ones(simd, n_bytes):
    codes, queries = random_codes(1301, n_bytes, 0, 3), random_codes(9, n_bytes, 1, 3)
    index = FlatIndex(codes)
    top = index.search(queries, k=12, n_threads=2)
    radius = int(np.median(top.distances))
    within = index.search(queries, radius=radius)
    for i, row in enumerate(naive.all_distances(codes, queries)):
        assert list(zip(*(part.tolist() for part in top.of(i)), strict=True)) == naive.top_k(row, 12)
        assert list(zip(*(part.tolist() for part in within.of(i)), strict=True)) == naive.within_radius(row, radius)


@pytest.mark.parametrize("n_rows", [1, 7, 511, 512, 513, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("n_bytes", [2, 8, 24, 65])
def test_hits_equal_those_of_the_codes(simd, n_rows, n_bytes):
    codes = random_codes(n_rows, n_bytes, 2, 5)
    index = FlatIndex(codes)
    rng = np.random.default_rng(n_rows)
    some, few = (rng.random(n_rows) < share for share in (0.6, 0.05))
    for n_queries in (1, 16, 70):
        queries = random_codes(n_queries, n_bytes, 3, 5)
        excluded = rng.integers(-1, n_rows, n_queries)
        wishes = [{"k": 1}, {"k": 300}, {"k": n_rows}, {"radius": 3 * n_bytes}, {"radius": 0}]
        wishes += [{"k": 5, "filter": some}, {"k": 5, "filter": few}, {"radius": 4 * n_bytes, "filter": some}]
        wishes += [{"k": 3, "exclude": excluded}, {"k": 2, "filter": few, "exclude": excluded}]
        for wish in wishes:
            for n_threads in (1, 3):
                hits = rshash.search(index, queries, n_threads=n_threads, **wish)
                assert_same(hits, rshash.search(codes, queries, n_threads=n_threads, **wish))


def test_the_plan_can_be_forced():
    pytest.importorskip("rshash.kernels._native")
    codes = random_codes(2000, 8, 4)
    index = FlatIndex(codes)
    assert [index.search(codes[:n], k=1).plan for n in (1, 16)] == ["popcount", "sliced"]
    for plan in ("popcount", "sliced"):
        hits = index.search(codes[:16], k=5, plan=plan)
        assert hits.plan == plan
        assert_same(hits, rshash.search(codes, codes[:16], k=5))
    with pytest.raises(ValueError, match="plan must be one of popcount, sliced"):
        index.search(codes[0], plan="multi-index")


def test_codes_are_kept_not_copied_unless_strided():
    codes = random_codes(600, 8, 5)
    assert FlatIndex(codes).codes is codes
    for strided in (codes[::-2], codes[:, 2:5]):
        index = FlatIndex(strided)
        assert_same(index.search(strided[:20], k=9), rshash.search(strided, strided[:20], k=9))


def test_memory_is_that_of_whole_blocks():
    pytest.importorskip("rshash.kernels._native")
    for n_rows, n_blocks in ((1, 1), (512, 1), (513, 2)):
        assert FlatIndex(random_codes(n_rows, 5, 6)).memory_bytes == 5 * 512 * n_blocks


def test_codes_can_be_added():
    codes = random_codes(1500, 6, 7)
    index = FlatIndex(codes[:0]).add(codes[:700]).add(codes[700:])
    assert len(index) == 1500
    assert_same(index.search(codes[:16], k=3), rshash.search(codes, codes[:16], k=3))
    with pytest.raises(ValueError, match="new codes have 8 bytes, this index holds 6"):
        index.add(np.zeros((2, 8), np.uint8))


def test_bad_arguments_are_named():
    codes = random_codes(50, 8, 8)
    with pytest.raises(ValueError, match="the database is empty"):
        FlatIndex(codes[:0]).search(codes[0])
    with pytest.raises(TypeError, match="dtype uint8"):
        FlatIndex(codes.astype(int))
    with pytest.raises(ValueError, match="queries have 4 bytes per code"):
        FlatIndex(codes).search(codes[0, :4])
    with pytest.raises(ValueError, match="filter must be bool of shape"):
        FlatIndex(codes).search(codes[0], filter=np.ones(51, bool))


def test_planes_of_other_codes_are_refused():
    native = pytest.importorskip("rshash.kernels.native")
    codes = random_codes(600, 8, 9)
    planes = native.slice_codes(codes)
    assert (planes.shape, planes.dtype) == ((2, 64, 64), np.uint8)
    bits = np.unpackbits(planes, axis=2, bitorder="little").transpose(0, 2, 1).reshape(1024, 64)
    assert np.array_equal(np.packbits(bits[:600], axis=1, bitorder="little"), codes)
    assert not bits[600:].any()
    shifted = np.empty(planes.size + 65, np.uint8)
    shifted = shifted[64 - shifted.ctypes.data % 64 + 1 :][: planes.size].reshape(planes.shape)
    for wrong in (planes[:1], native.slice_codes(codes[:, :7]), shifted):
        with pytest.raises(ValueError, match="planes must be what slice_codes made"):
            native.top_k(codes, codes[:2], 1, 1, "sliced", planes=wrong)


@pytest.mark.parametrize("name", ["numba", "numpy"])
def test_backends_without_planes_search_the_codes(name):
    if name == "numba":
        pytest.importorskip("numba")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import numpy as np, rshash\n"
            "codes = np.random.default_rng(0).integers(0, 256, (900, 8), dtype=np.uint8)\n"
            "index = rshash.FlatIndex(codes)\n"
            "same = np.array_equal(index.search(codes[:16]).ids, rshash.search(codes, codes[:16]).ids)\n"
            "print(index.memory_bytes, same)\n",
        ],
        env={**os.environ, "RSHASH_BACKEND": name, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["0", "True"], done.stderr
