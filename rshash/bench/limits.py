"""Threads in, the machine's own limits out: how fast it reads memory, counts bits and adds bit planes.

The loops are csrc/limits.cpp, which does nothing else; each sample takes milliseconds and the best of many counts, so
that a machine that is not left alone still shows what it can do.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rshash.bench.cases import Case
from rshash.codes import code_bytes
from rshash.kernels import describe

READ_BYTES = 256 << 20
"""Of the buffer that is read; it must not fit the last cache."""

PLANES_PAY = 8
"""Queries from which a kernel that makes tables of bit planes can be ahead of one that counts."""

SAMPLES = 30
READ_SAMPLES = 10


@dataclass(frozen=True)
class Limits:
    """What the machine does at best with one number of threads and one instruction set.

    Attributes:
        n_threads: threads that worked together.
        simd: instruction set of the two rates.
        read_bytes_a_second: bytes read from memory.
        popcount_rate: 64-bit codes a second compared by xor, popcount and minimum.
        plane_rate: 64-bit codes a second compared by the loads and full adders of the bit-sliced kernel.
    """

    n_threads: int
    simd: str
    read_bytes_a_second: float
    popcount_rate: float
    plane_rate: float

    def bounds(self, case: Case, cache_bytes: int = 0) -> dict[str, float]:
        """Return the most pairs of code and query a second that each resource allows a case.

        Codes that fit the last cache (``cache_bytes``) are not bound by memory. Widths are counted in whole bytes for
        reading, whole words for popcounts, and single planes for planes, whose tables no few queries pay for.

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
        if case.n_rows * n_bytes <= cache_bytes:
            del bounds["memory"]
        if case.n_queries < PLANES_PAY:
            del bounds["planes"]
        return bounds


def binding(bounds: dict[str, float]) -> tuple[str, float] | None:
    """Return the resource that stops the faster of the two kernels first, and its bound.

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
    )


def _best(sample: Any, n_samples: int) -> float:
    """Return the highest rate of many samples of (seconds, amount)."""
    rates = [amount / seconds for seconds, amount in (sample() for _ in range(n_samples))]
    return float(max(rates))
