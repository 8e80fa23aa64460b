"""Exact search on an NVIDIA GPU by the compiled CUDA extension (csrc/cuda); same answers as the other backends.

Codes in host memory are copied to the device while it searches, whatever their size; `DeviceCodes` are there already.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import rshash.kernels._cuda as _cuda
from rshash.codes import Codes
from rshash.kernels._cuda import DeviceCodes

Distances = NDArray[np.int32]
Rows = NDArray[np.int64]
Offsets = NDArray[np.int64]
Bitmap = NDArray[np.uint8]

PLANS = ("popcount",)
"""Counting bits row by row, the only way to scan on this backend."""


def describe() -> list[dict[str, Any]]:
    """Return name, compute capability, multiprocessors, memory_bytes and cache_bytes (the last) of every device.

    Raises:
        OSError: if there is no device, or the driver does not fit.
    """
    return _cuda.devices()


def synchronize(device: int = 0) -> None:
    """Wait until a device has done what was asked of it before, by this library or another.

    Raises:
        OSError: if there is no such device, or what it did failed.
    """
    _cuda.synchronize(device)


def measure_copies(n_bytes: int, device: int = 0) -> tuple[float, int]:
    """Copy ``n_bytes`` of device memory to others for some milliseconds; return seconds, bytes read plus written.

    Raises:
        OSError, MemoryError: as `copy_to_device`.
        ValueError: if ``n_bytes`` is below 1.
    """
    return _cuda.measure_copies(n_bytes, device)


def measure_popcounts(n_bytes: int, device: int = 0) -> tuple[float, int]:
    """Compare codes in registers as the scan does it; return seconds, pairs of code and query.

    Raises:
        OSError: if there is no such device.
        ValueError: if ``n_bytes``, of a code, is not 8, 16 or 32.
    """
    return _cuda.measure_popcounts(n_bytes, device)


def choose_plan(n_queries: int) -> str:
    """Return the only plan."""
    return PLANS[0]


def copy_to_device(codes: Codes, device: int = 0) -> DeviceCodes:
    """Copy codes (N, n_bytes) uint8 of any strides into the memory of a device.

    Raises:
        OSError: if there is no such device.
        MemoryError: if they do not fit its free memory.
    """
    return DeviceCodes(codes, device)


def view_on_device(codes: Any, name: str = "codes") -> DeviceCodes:
    """View codes that another library keeps on a device, without a copy; the view keeps their owner alive.

    Waits until the device has finished what it was asked before, on any stream.

    Args:
        codes: dense (N, n_bytes) uint8 with ``__cuda_array_interface__``: a torch CUDA tensor, a cupy array.
        name: what to call them in an error.

    Raises:
        TypeError: if they are not uint8.
        ValueError: if they are not 2-D, too wide, empty, not dense, or lie in no device's memory.
    """
    facts = codes.__cuda_array_interface__
    shape, strides = tuple(facts["shape"]), facts.get("strides")
    if facts["typestr"] != "|u1":
        raise TypeError(f"{name} must be packed codes of dtype uint8, got {np.dtype(facts['typestr'])}")
    if len(shape) != 2 or shape[0] < 1:
        raise ValueError(f"{name} must have shape (N, n_bytes) with N >= 1, got {shape}")
    if strides is not None and tuple(strides) != (shape[1], 1):
        raise ValueError(f"{name} on a device must be dense, got strides {tuple(strides)}: call .contiguous() first")
    return DeviceCodes.borrow(facts["data"][0], *shape, codes)


def top_k(
    codes: Codes | DeviceCodes,
    queries: Codes | DeviceCodes,
    k: int,
    n_threads: int,
    plan: str,
    admitted: Bitmap | None = None,
    device: int = 0,
) -> tuple[Distances, Rows]:
    """Return the k nearest rows of each query; see `rshash.kernels.Backend`. Threads do not matter here.

    Raises:
        OSError: if there is no such device, or it fails.
        MemoryError: if its free memory is too small for the candidates of a query.
    """
    return _cuda.top_k(codes, queries, k, device, admitted)


def within_radius(
    codes: Codes | DeviceCodes,
    queries: Codes | DeviceCodes,
    radius: int,
    n_threads: int,
    plan: str,
    admitted: Bitmap | None = None,
    device: int = 0,
) -> tuple[Offsets, Distances, Rows]:
    """Return all rows within the radius; see `rshash.kernels.Backend`. Errors are those of `top_k`."""
    return _cuda.within_radius(codes, queries, radius, device, admitted)
