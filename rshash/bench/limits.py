"""The machine's own limits: how fast it reads memory, counts bits and adds bit planes, on the CPU or on a GPU.

The loops are csrc/limits.cpp and csrc/cuda/limits.cu, which do nothing else; each sample takes milliseconds and the
best of many counts, so that a machine that is not left alone still shows what it can do.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rshash.bench.cases import Case
from rshash.bench.machine import last_cache_bytes
from rshash.codes import code_bytes
from rshash.kernels import cuda_backend, describe

READ_BYTES = 256 << 20
"""Of the buffer that is read; it must not fit the last cache."""

COPY_BYTES = 1 << 30
"""Of the device memory that is copied; it must not fit the device's last cache."""

PLANES_PAY = 8
"""Queries from which a kernel that makes tables of bit planes can be ahead of one that counts."""

SAMPLES = 30
READ_SAMPLES = 10


class MachineLimits(Protocol):
    """What a machine does at best."""

    def bounds(self, case: Case) -> dict[str, float]:
        """Return the most pairs of code and query a second that each resource allows a case."""


@dataclass(frozen=True)
class Limits:
    """What the processor does at best with one number of threads and one instruction set.

    Attributes:
        n_threads: threads that worked together.
        simd: instruction set of the two rates.
        read_bytes_a_second: bytes read from memory.
        popcount_rate: 64-bit codes a second compared by xor, popcount and minimum.
        plane_rate: 64-bit codes a second compared by the loads and full adders of the bit-sliced kernel.
        cache_bytes: of the last cache; codes that fit it are not bound by memory.
    """

    n_threads: int
    simd: str
    read_bytes_a_second: float
    popcount_rate: float
    plane_rate: float
    cache_bytes: int = 0

    def bounds(self, case: Case) -> dict[str, float]:
        """Return the most pairs of code and query a second that each resource allows a case.

        Widths are counted in whole bytes for reading, whole words for popcounts, and single planes for planes, whose
        tables few queries do not pay for.

        >>> limits = Limits(1, "avx512", 40e9, 32e9, 60e9)
        >>> limits.bounds(Case(n_bits=128, n_rows=10**7, n_queries=16))
        {'memory': 40000000000.0, 'popcount': 16000000000.0, 'planes': 30000000000.0}
        """
        n_bytes = code_bytes(case.n_bits)
        bounds = {
            "memory": case.n_queries * self.read_bytes_a_second / n_bytes,
            "popcount": self.popcount_rate / -(-n_bytes // 8),
            "planes": self.plane_rate * 8 / n_bytes,
        }
        if case.n_rows * n_bytes <= self.cache_bytes:
            del bounds["memory"]
        if case.n_queries < PLANES_PAY:
            del bounds["planes"]
        return bounds


@dataclass(frozen=True)
class DeviceLimits:
    """What a GPU does at best.

    Attributes:
        device: its name.
        copy_bytes_a_second: bytes read plus bytes written while its memory is copied to its memory.
        rate_64_bit, rate_128_bit, rate_256_bit: codes of a width a second compared in registers, as the scan does it.
        cache_bytes: of its last cache; codes that fit it are not bound by memory.
    """

    device: str
    copy_bytes_a_second: float
    rate_64_bit: float
    rate_128_bit: float
    rate_256_bit: float
    cache_bytes: int = 0

    def bounds(self, case: Case) -> dict[str, float]:
        """Return the most pairs of code and query a second that each resource allows a case.

        Widths are counted in whole bytes for reading; for counting in words of 32 bits, as many as possible eight at a
        time, then four.

        >>> limits = DeviceLimits("one", 4e12, 2e12, 1.25e12, 1e12)
        >>> limits.bounds(Case(n_bits=512, n_rows=10**8, n_queries=16, device="cuda"))
        {'memory': 1000000000000.0, 'popcount': 500000000000.0}
        """
        n_bytes = code_bytes(case.n_bits)
        n_words = -(-n_bytes // 4)
        seconds = n_words // 8 / self.rate_256_bit + n_words % 8 // 4 / self.rate_128_bit
        seconds += n_words % 4 / 2 / self.rate_64_bit
        bounds = {
            "memory": case.n_queries * self.copy_bytes_a_second / n_bytes,
            "popcount": 1 / seconds,
        }
        if case.n_rows * n_bytes <= self.cache_bytes:
            del bounds["memory"]
        return bounds


def binding(bounds: dict[str, float]) -> tuple[str, float] | None:
    """Return the resource that stops the fastest kernel first, and its bound.

    >>> binding({"memory": 5e9, "popcount": 3e10, "planes": 6e10})
    ('memory', 5000000000.0)
    """
    if not bounds:
        return None
    kernel = max((name for name in bounds if name != "memory"), key=bounds.__getitem__)
    name = min({"memory", kernel} & set(bounds), key=bounds.__getitem__)
    return name, bounds[name]


def measure_limits(n_threads: int, simd: str | None = None, read_bytes: int = READ_BYTES) -> Limits | None:
    """Measure the limits of this machine, in about two seconds.

    Args:
        n_threads: threads that work together.
        simd: instruction set; None is the one that searches.
        read_bytes: size of the buffer that is read.

    Returns:
        The best of many samples, or None when the native kernels, which measure, do not search here.
    """
    chosen = describe()
    if chosen["backend"] != "native":
        return None
    import rshash.kernels._native as native

    level = simd or chosen["simd"]
    buffer = np.ones(read_bytes, np.uint8)
    return Limits(
        n_threads,
        level,
        _best(lambda: native.measure_reads(buffer, n_threads), READ_SAMPLES),
        _best(lambda: native.measure_limit("popcounts", n_threads, level), SAMPLES),
        _best(lambda: native.measure_limit("planes", n_threads, level), SAMPLES),
        last_cache_bytes(),
    )


def measure_device_limits(copy_bytes: int = COPY_BYTES) -> DeviceLimits:
    """Measure the limits of the first GPU, in about a second.

    Args:
        copy_bytes: bytes that are copied; twice as many must be free.

    Returns:
        The best of many samples.

    Raises:
        ImportError, OSError: if the CUDA kernels were not built, or there is no GPU.
        MemoryError: if too little of its memory is free.
    """
    cuda = cuda_backend()
    facts = cuda.describe()[0]
    return DeviceLimits(
        facts["name"],
        _best(lambda: cuda.measure_copies(copy_bytes), READ_SAMPLES),
        _best(lambda: cuda.measure_popcounts(8), SAMPLES),
        _best(lambda: cuda.measure_popcounts(16), SAMPLES),
        _best(lambda: cuda.measure_popcounts(32), SAMPLES),
        facts["cache_bytes"],
    )


def _best(sample: Any, n_samples: int) -> float:
    """Return the highest rate of many samples of (seconds, amount)."""
    rates = [amount / seconds for seconds, amount in (sample() for _ in range(n_samples))]
    return float(max(rates))
