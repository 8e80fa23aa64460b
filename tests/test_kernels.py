import importlib.util
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
import rshash.kernels.numpy

WIDTHS = [1, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 256, 511, 512, 1024, 4096]
SIZES = [1, 7, 8, 63, 511, 512, 513, 1200]


def native_module():
    return pytest.importorskip("rshash.kernels._native", reason="the native kernels were not built")


class NativeLevel:
    """The native backend held to one instruction set and one plan."""

    def __init__(self, simd, plan):
        self._native, self._simd, self._plan = native_module(), simd, plan

    def top_k(self, codes, queries, k, n_threads, admitted=None):
        return self._native.top_k(codes, queries, k, n_threads, self._simd, self._plan, admitted)

    def within_radius(self, codes, queries, radius, n_threads, admitted=None):
        return self._native.within_radius(codes, queries, radius, n_threads, self._simd, self._plan, admitted)


class Twin:
    """A backend of one plan."""

    def __init__(self, module):
        self._module = module

    def top_k(self, codes, queries, k, n_threads, admitted=None):
        return self._module.top_k(codes, queries, k, n_threads, "popcount", admitted)

    def within_radius(self, codes, queries, radius, n_threads, admitted=None):
        return self._module.within_radius(codes, queries, radius, n_threads, "popcount", admitted)


NUMPY = Twin(rshash.kernels.numpy)


def load(name):
    if name == "numpy":
        return NUMPY
    if name == "numba":
        pytest.importorskip("numba")
        return Twin(importlib.import_module("rshash.kernels.numba"))
    if name == "cuda":
        if missing := rshash.kernels.describe_cuda().get("missing"):
            pytest.skip(missing)
        return Twin(rshash.kernels.cuda_backend())
    simd, plan = name.split("-")
    if simd not in native_module().simd_levels():
        pytest.skip(f"this processor has no {simd}")
    return NativeLevel(simd, plan)


SIMD_LEVELS = ["portable", "neon", "avx2", "avx512"]
PLANS = ["popcount", "sliced"]
BACKENDS = ["numpy", "numba", "cuda", *(f"{simd}-{plan}" for simd in SIMD_LEVELS for plan in PLANS)]


@pytest.fixture(params=BACKENDS)
def kernel(request):
    return load(request.param)


def random_codes(n, n_bits, seed, n_distinct=None):
    """(n, n_bytes) codes with zero pad bits; few distinct ones make ties."""
    rng = np.random.default_rng([seed, n, n_bits])
    bits = rng.integers(0, 2, (n_distinct or n, n_bits), dtype=np.uint8)
    codes = np.packbits(bits, axis=1)
    return codes if n_distinct is None else codes[rng.integers(0, n_distinct, n)]


def assert_top_k(result, distances, k):
    found_distances, found_rows = result
    assert found_distances.dtype == np.int32
    assert found_rows.dtype == np.int64
    expected = [naive.top_k(row, k) for row in distances]
    assert found_distances.tolist() == [[d for d, _ in hits] for hits in expected]
    assert found_rows.tolist() == [[row for _, row in hits] for hits in expected]


def assert_within(result, distances, radius):
    offsets, found_distances, found_rows = result
    assert (offsets.dtype, found_distances.dtype, found_rows.dtype) == (np.int64, np.int32, np.int64)
    expected = [naive.within_radius(row, radius) for row in distances]
    assert offsets.tolist() == [0, *np.cumsum([len(hits) for hits in expected]).tolist()]
    found = list(zip(found_distances.tolist(), found_rows.tolist(), strict=True))
    assert found == [hit for hits in expected for hit in hits]


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_hits_equal_the_naive_reference(kernel, n_bits):
    for n in SIZES:
        for n_distinct in (None, 3):
            codes = random_codes(n, n_bits, 1, n_distinct)
            queries = np.concatenate([random_codes(2, n_bits, 2), codes[n // 2 : n // 2 + 1]])
            distances = naive.all_distances(codes, queries)
            for k in {1, min(2, n), min(10, n), n}:
                assert_top_k(kernel.top_k(codes, queries, k, 1), distances, k)
            for radius in {0, n_bits // 4, n_bits // 2, n_bits}:
                assert_within(kernel.within_radius(codes, queries, radius, 1), distances, radius)


@pytest.mark.parametrize("n_queries", [0, 1, 2, 7, 8, 63, 64, 65])
def test_any_number_of_queries(kernel, n_queries):
    codes, queries = random_codes(700, 64, 3, 40), random_codes(n_queries, 64, 4)
    distances = naive.all_distances(codes, queries)
    assert_top_k(kernel.top_k(codes, queries, 9, 2), distances, 9)
    assert_within(kernel.within_radius(codes, queries, 24, 2), distances, 24)


@given(st.integers(1, 40), st.integers(1, 300), st.integers(1, 20), st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=60, deadline=None)
def test_all_backends_agree_on_random_shapes(n_bytes, n, n_queries, seed, data):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, data.draw(st.sampled_from([2, 16, 256])), (n, n_bytes), dtype=np.uint8)
    queries = rng.integers(0, 256, (n_queries, n_bytes), dtype=np.uint8)
    k, radius = data.draw(st.integers(1, n)), data.draw(st.integers(0, 8 * n_bytes))
    expected = NUMPY.top_k(codes, queries, k, 1), NUMPY.within_radius(codes, queries, radius, 1)
    if importlib.util.find_spec("rshash.kernels._native") is None:
        pytest.skip("the native kernels were not built")
    for simd, plan in itertools.product(native_module().simd_levels(), PLANS):
        level = NativeLevel(simd, plan)
        found = level.top_k(codes, queries, k, 1), level.within_radius(codes, queries, radius, 1)
        for mine, theirs in zip(sum(found, ()), sum(expected, ()), strict=True):
            assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("n_bits", [5, 64, 72, 520])
def test_hits_do_not_depend_on_threads(kernel, n_bits):
    codes, queries = random_codes(5000, n_bits, 5, 60), random_codes(3, n_bits, 6)
    one = [kernel.top_k(codes, queries, 50, 1), kernel.within_radius(codes, queries, n_bits // 2, 1)]
    for n_threads in (2, 3, 7):
        many = [
            kernel.top_k(codes, queries, 50, n_threads),
            kernel.within_radius(codes, queries, n_bits // 2, n_threads),
        ]
        for mine, theirs in zip(sum(many, ()), sum(one, ()), strict=True):
            assert np.array_equal(mine, theirs)


def test_hits_do_not_depend_on_threads_with_queries_split(kernel):
    codes, queries = random_codes(300, 64, 7, 50), random_codes(1100, 64, 8)
    for mine, theirs in zip(kernel.top_k(codes, queries, 7, 4), kernel.top_k(codes, queries, 7, 1), strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.99])
@pytest.mark.parametrize("n_bits", [7, 64, 200])
def test_only_admitted_rows_are_hits(kernel, n_bits, share):
    codes, queries = random_codes(3001, n_bits, 10, 200), random_codes(13, n_bits, 11)
    admitted = np.random.default_rng(n_bits).random(len(codes)) < share
    admitted[[0, 2999]] = True
    rows = np.flatnonzero(admitted)
    bitmap = np.packbits(admitted, bitorder="little")
    bitmap[-1] |= 0xFE  # bits behind the last row mean nothing
    for k in (1, min(30, len(rows)), len(rows)):
        distances, places = NUMPY.top_k(codes[rows], queries, k, 1)
        found = kernel.top_k(codes, queries, k, 2, bitmap)
        assert np.array_equal(found[0], distances)
        assert np.array_equal(found[1], rows[places])
    offsets, distances, places = NUMPY.within_radius(codes[rows], queries, n_bits // 2, 1)
    found = kernel.within_radius(codes, queries, n_bits // 2, 2, bitmap)
    assert np.array_equal(found[0], offsets)
    assert np.array_equal(found[1], distances)
    assert np.array_equal(found[2], rows[places])


def test_limits_from_a_sample_that_holds_the_nearest_rows_are_corrected(kernel):
    """A batch starts at limits from every step-th row; where these are the nearest, the limits are too low."""
    codes, queries, k = random_codes(20_000, 64, 5), random_codes(3, 64, 6), 100
    for step in range(2, 33):
        misleading = codes.copy()
        misleading[: 60 * step : step] = queries[0]
        rows = np.arange(0, len(codes), 2 * step)
        admitted = np.packbits(np.isin(np.arange(len(codes)), rows), bitorder="little")
        for found, expected in (
            (kernel.top_k(misleading, queries, k, 2), NUMPY.top_k(misleading, queries, k, 1)),
            (kernel.top_k(misleading, queries, k, 2, admitted), NUMPY.top_k(misleading, queries, k, 1, admitted)),
        ):
            assert np.array_equal(found[0], expected[0])
            assert np.array_equal(found[1], expected[1])


def layouts(codes):
    """The same codes lying in memory in other ways."""
    n, n_bytes = codes.shape
    wide = np.zeros((2 * n, 3 * n_bytes), np.uint8)
    wide[::2, ::3] = codes
    unaligned = np.zeros(n * n_bytes + 1, np.uint8)[1:].reshape(n, n_bytes)
    unaligned[:] = codes
    read_only = codes.copy()
    read_only.setflags(write=False)
    return {
        "every other row, every third byte": wide[::2, ::3],
        "padded rows": np.concatenate([codes, codes], axis=1)[:, :n_bytes],
        "backwards": codes[::-1].copy()[::-1],
        "bytes backwards": codes[:, ::-1].copy()[:, ::-1],
        "column-major": np.asfortranarray(codes),
        "unaligned": unaligned,
        "read-only": read_only,
        "one row repeated": np.broadcast_to(codes[0], codes.shape),
    }


@pytest.mark.parametrize("n_bytes", [3, 8, 16, 70])
def test_layout_in_memory_changes_nothing(kernel, n_bytes):
    codes = random_codes(1300, 8 * n_bytes, 9, 100)
    for name, view in layouts(codes).items():
        dense = np.ascontiguousarray(view)
        for queries, dense_queries in [(view[5:8], dense[5:8]), (view[:1], dense[:1])]:
            expected = NUMPY.top_k(dense, dense_queries, 20, 1)
            for mine, theirs in zip(kernel.top_k(view, queries, 20, 2), expected, strict=True):
                assert np.array_equal(mine, theirs), name


def test_bytes_outside_the_view_are_not_read(tmp_path, kernel):
    """A map that ends exactly at its last page: reading past the last code would be a bus error."""
    page = 4096
    for n_bytes in (1, 3, 8, 12, 24, 64, 100):
        path = tmp_path / f"{n_bytes}.codes"
        path.write_bytes(bytes(range(256)) * (page // 256))
        mapped = np.memmap(path, np.uint8, "r")
        n = page // n_bytes
        codes = mapped[page - n * n_bytes :].reshape(n, n_bytes)
        expected = NUMPY.top_k(np.array(codes), np.array(codes[:2]), 3, 1)
        for mine, theirs in zip(kernel.top_k(codes, codes[-n:][:2], 3, 1), expected, strict=True):
            assert np.array_equal(mine, theirs)


def test_the_native_binding_refuses_what_it_cannot_search():
    native = native_module()
    codes = np.zeros((4, 8), np.uint8)
    with pytest.raises(TypeError, match="codes must be uint8"):
        native.top_k(codes.astype(np.int64), codes, 1, 1, "portable", "popcount")
    with pytest.raises(ValueError, match="shape"):
        native.top_k(codes[0], codes, 1, 1, "portable", "popcount")
    with pytest.raises(ValueError, match="one width"):
        native.top_k(codes, codes[:, :4], 1, 1, "portable", "popcount")
    with pytest.raises(ValueError, match="at least one row"):
        native.top_k(codes[:0], codes, 1, 1, "portable", "popcount")
    with pytest.raises(ValueError, match="k must be"):
        native.top_k(codes, codes, 5, 1, "portable", "popcount")
    with pytest.raises(ValueError, match="n_threads"):
        native.top_k(codes, codes, 1, 0, "portable", "popcount")
    with pytest.raises(ValueError, match="radius"):
        native.within_radius(codes, codes, 65, 1, "portable", "popcount")
    with pytest.raises(ValueError, match="'sse9' is not available here; available are portable"):
        native.top_k(codes, codes, 1, 1, "sse9", "popcount")
    with pytest.raises(ValueError, match="one bit for each row"):
        native.top_k(codes, codes, 1, 1, "portable", "popcount", np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="k must be"):
        native.top_k(codes, codes, 2, 1, "portable", "popcount", np.array([0xF1], np.uint8))
    with pytest.raises(ValueError, match="plan must be popcount or sliced, got 'fast'"):
        native.top_k(codes, codes, 1, 1, "portable", "fast")
