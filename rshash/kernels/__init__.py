"""Packed codes in, ranked rows out: chooses which of the backends does the work.

Every backend is a module with the two functions of `Backend` and returns the same bytes as the others.
RSHASH_BACKEND forces one and then fails loudly; unset picks the first of `BACKENDS` that works. The cuda backend is
loaded only where it is asked for.
"""

import os
import warnings
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes
from rshash.names import unknown_name

BACKENDS = ("native", "numba", "numpy")
"""Best first; cuda, which needs a device, is never picked unasked."""

REMEDIES = {
    "cuda": "build it where nvcc is, with RSHASH_CUDA=require",
    "native": "build it with RSHASH_BUILD=require",
    "numba": 'pip install "rshash[numba]"',
    "numpy": "reinstall rshash",
}
"""What brings a backend that cannot be imported."""

MOST_THREADS = 1 << 16
"""More than any machine has; the native kernels count them in 32 bits."""

Distances = NDArray[np.int32]
Rows = NDArray[np.int64]
Offsets = NDArray[np.int64]
Bitmap = NDArray[np.uint8]


class Backend(Protocol):
    """Exact search over packed codes; arguments are checked by the caller.

    Attributes:
        PLANS: ways to scan that this backend knows.
    """

    PLANS: tuple[str, ...]

    def choose_plan(self, n_queries: int) -> str:
        """Return the fastest of the plans for a number of queries."""

    def top_k(
        self, codes: Codes, queries: Codes, k: int, n_threads: int, plan: str, admitted: Bitmap | None = None
    ) -> tuple[Distances, Rows]:
        """Return the k nearest rows of each query.

        Args:
            codes: (N, n_bytes) uint8, N >= 1, any strides.
            queries: (Q, n_bytes) uint8.
            k: 1..N, or to the number of admitted rows.
            n_threads: at least 1.
            plan: one of `PLANS`.
            admitted: (ceil(N / 8),) uint8, rows that may be hits: row i in bit i % 8 of byte i // 8; None admits all.

        Returns:
            distances (Q, k) int32 and rows (Q, k) int64, ascending (distance, row).
        """

    def within_radius(
        self,
        codes: Codes,
        queries: Codes,
        radius: int,
        n_threads: int,
        plan: str,
        admitted: Bitmap | None = None,
    ) -> tuple[Offsets, Distances, Rows]:
        """Return every row at distance <= radius (0..8 * n_bytes) of each query.

        Returns:
            offsets (Q + 1,) int64, distances (H,) int32, rows (H,) int64; each query's hits in ascending
            (distance, row).
        """


class Choice(NamedTuple):
    """The backend that searches, and why those before it do not.

    Attributes:
        name: one of `BACKENDS`, or cuda where it is forced.
        module: the backend itself.
        rejected: name → reason, for every better backend that was passed over.
    """

    name: str
    module: ModuleType
    rejected: dict[str, str]


def backend() -> Backend:
    """Return the backend that RSHASH_BACKEND forces, or the best that works.

    Raises:
        ValueError: if RSHASH_BACKEND names no backend.
        ImportError: if the forced backend does not work here.
    """
    return cast(Backend, _choose(os.environ.get("RSHASH_BACKEND", "")).module)


def cuda_backend() -> Any:
    """Return the module `rshash.kernels.cuda`, which has functions beside those of `Backend`.

    Raises:
        ImportError: if it was not built or cannot be loaded.
    """
    try:
        return import_module("rshash.kernels.cuda")
    except ImportError as error:
        raise ImportError(f"the CUDA kernels cannot be loaded ({error}): {REMEDIES['cuda']}") from error


def describe_cuda() -> dict[str, Any]:
    """Say whether a GPU could search: ``devices``, or what is ``missing``; loads the CUDA kernels where there are any.

    >>> len(describe_cuda())
    1
    """
    try:
        return {"devices": cuda_backend().describe()}
    except (ImportError, OSError) as error:
        return {"missing": str(error)}


def threads(n_threads: int | None = None) -> int:
    """Return the number of threads: the argument, else RSHASH_NUM_THREADS, else this process's cores.

    Raises:
        TypeError: if ``n_threads`` is not an integer.
        ValueError: if it, or RSHASH_NUM_THREADS, is not between 1 and `MOST_THREADS`.

    >>> threads(2)
    2
    """
    if n_threads is None:
        text = os.environ.get("RSHASH_NUM_THREADS", "")
        if not text:
            return _cores()
        if not text.strip().isdecimal() or not 1 <= int(text) <= MOST_THREADS:
            raise ValueError(f"RSHASH_NUM_THREADS must be a positive integer up to {MOST_THREADS}, got {text!r}")
        return int(text)
    if isinstance(n_threads, bool | np.bool_) or not isinstance(n_threads, int | np.integer):
        raise TypeError(f"n_threads must be an integer, got {type(n_threads).__name__} {n_threads!r}")
    if n_threads < 1:
        raise ValueError(f"n_threads must be at least 1, got {n_threads}")
    if n_threads > MOST_THREADS:
        raise ValueError(f"n_threads must be at most {MOST_THREADS}, got {n_threads}: give it the number of cores")
    return int(n_threads)


def describe() -> dict[str, Any]:
    """Say what searches on this machine: backend, instruction set, threads, and why no better one was chosen.

    Returns:
        backend (str), simd (str or None), simd_available (list of str), threads (int) and rejected
        (dict: name of a better backend → why it was passed over).

    Raises:
        ValueError, ImportError: as `backend`.

    >>> sorted(describe())
    ['backend', 'rejected', 'simd', 'simd_available', 'threads']
    """
    choice = _choose(os.environ.get("RSHASH_BACKEND", ""))
    native = choice.module if choice.name == "native" else None
    return {
        "backend": choice.name,
        "simd": native.simd() if native else None,
        "simd_available": list(native.simd_levels()) if native else [],
        "threads": threads(),
        "rejected": dict(choice.rejected),
    }


@cache
def _choose(forced: str) -> Choice:
    """Import the forced backend, or the first that works; warn once about a native module that is broken."""
    if forced:
        if forced not in REMEDIES:
            raise unknown_name("backend in RSHASH_BACKEND", forced, tuple(REMEDIES))
        try:
            module = import_module(f"rshash.kernels.{forced}")
        except ImportError as error:
            raise ImportError(f"RSHASH_BACKEND={forced} does not work here ({error}): {REMEDIES[forced]}") from error
        if forced == "cuda":
            _check_device(module)
        return Choice(forced, module, {})
    rejected: dict[str, str] = {}
    for name in BACKENDS:
        try:
            return Choice(name, import_module(f"rshash.kernels.{name}"), rejected)
        except ModuleNotFoundError as error:
            rejected[name] = str(error)
        except ImportError as error:
            rejected[name] = f"broken: {error}"
            warnings.warn(f"the {name} search backend is installed but broken ({error})", RuntimeWarning, stacklevel=3)
    raise ImportError(f"no search backend works: {rejected}")


def _check_device(cuda: Any) -> None:
    """Raise an ImportError if no device could search."""
    try:
        cuda.describe()
    except OSError as error:
        raise ImportError(f"RSHASH_BACKEND=cuda does not work here: {error}") from error


def _cores() -> int:
    """Number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
