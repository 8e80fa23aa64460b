"""Packing relaxed codes and unpacking them, beside the bare numpy calls they stand on."""

import numpy as np
import pytest

from rshash.codes import pack_codes, unpack_codes

N = 100_000


@pytest.fixture(params=[16, 64, 128, 512], ids=lambda n_bits: f"{n_bits}bit")
def relaxed(request):
    return np.random.default_rng(0).standard_normal((N, request.param), dtype=np.float32)


@pytest.mark.benchmark(group="packing")
def test_pack_codes(benchmark, relaxed):
    codes = benchmark(pack_codes, relaxed)
    assert np.array_equal(codes[0], np.packbits(relaxed[0] >= 0))
    benchmark.extra_info["million codes/s"] = N / benchmark.stats.stats.median / 1e6


@pytest.mark.benchmark(group="packing")
def test_bare_packbits(benchmark, relaxed):
    benchmark(lambda: np.packbits(relaxed >= 0, axis=1))


@pytest.mark.benchmark(group="unpacking")
def test_unpack_codes(benchmark, relaxed):
    codes, n_bits = pack_codes(relaxed), relaxed.shape[1]
    signs = benchmark(unpack_codes, codes, n_bits)
    assert np.array_equal(signs > 0, relaxed >= 0)
