"""Search on an NVIDIA GPU: codes that stay in device memory, and codes that are there only while they are searched."""

import re
from typing import Any

from rshash.codes import check_codes
from rshash.files import check_mapped
from rshash.index.arguments import check_k_or_radius, check_queries
from rshash.index.hits import Hits
from rshash.index.scan import answer, check_plan
from rshash.kernels import cuda_backend, threads


def check_device(device: Any) -> int | None:
    """Return the number of a CUDA device, None for the CPU.

    Raises:
        TypeError: if ``device`` is neither a name nor a torch device.
        ValueError: if it is not "cpu", "cuda" or "cuda:<number>".

    >>> check_device("cuda:1"), check_device("cuda"), check_device("cpu")
    (1, 0, None)
    """
    if not isinstance(device, str) and type(device).__module__.split(".")[0] != "torch":
        raise TypeError(f"device must be a name such as 'cuda', got {type(device).__name__}")
    if str(device) == "cpu":
        return None
    match = re.fullmatch(r"cuda(?::(\d{1,4}))?", str(device))
    if match is None:
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:<number>', got {str(device)!r}")
    return int(match[1] or 0)


class DeviceIndex:
    """Packed codes in the memory of an NVIDIA GPU, scanned exactly; `FlatIndex.to` makes one.

    Args:
        codes: (N, n_bytes) uint8 packed codes. Those in host memory are copied; those already on the device (anything
            dense with ``__cuda_array_interface__``: a torch CUDA tensor, a cupy array) are searched where they lie.
        device: "cuda" or "cuda:<number>".

    Raises:
        TypeError, ValueError: if they are no packed codes, or lie on another device.
        ImportError: if the CUDA kernels were not built.
        OSError: if there is no such device, or the codes are mapped from a file that has become shorter.
        MemoryError: if the codes do not fit the free memory of the device.
    """

    def __init__(self, codes: Any, device: Any = "cuda") -> None:
        number = check_device(device)
        if number is None:
            raise ValueError("a DeviceIndex lives on a CUDA device, got 'cpu': use a FlatIndex")
        self._number = number
        if hasattr(codes, "__cuda_array_interface__"):
            self._codes = cuda_backend().view_on_device(codes)
            if self._codes.device != number:
                raise ValueError(f"codes lie on cuda:{self._codes.device}, the index was asked for on cuda:{number}")
        else:
            array = check_codes(codes)
            check_mapped(array)
            self._codes = cuda_backend().copy_to_device(array, number)

    def __len__(self) -> int:
        """Number of codes N."""
        return int(self._codes.shape[0])

    @property
    def device(self) -> str:
        """Where the codes are, "cuda:<number>"."""
        return f"cuda:{self._number}"

    @property
    def memory_bytes(self) -> int:
        """Bytes of the codes in device memory."""
        return int(self._codes.shape[0] * self._codes.shape[1])

    def search(
        self,
        query: Any,
        k: int | None = None,
        radius: int | None = None,
        *,
        filter: Any = None,
        exclude: Any = None,
        plan: str | None = None,
        n_threads: int | None = None,
    ) -> Hits:
        """Find the nearest codes of each query; arguments, hits and errors are those of `rshash.search`."""
        return scan_on_device(self._codes, query, k, radius, filter, exclude, plan, n_threads, self._number)


def scan_on_device(
    database: Any,
    query: Any,
    k: int | None,
    radius: int | None,
    filter: Any,
    exclude: Any,
    plan: str | None,
    n_threads: int | None,
    device: int,
) -> Hits:
    """Search all codes of a database by the GPU of a number; what is asked and the errors are those of `rshash.search`.

    The database, (N, n_bytes) uint8, is a `rshash.kernels.cuda.DeviceCodes` or anything with
    ``__cuda_array_interface__``, searched in place, or lies in host memory and is copied block by block.
    """
    cuda = cuda_backend()
    if isinstance(database, cuda.DeviceCodes):
        codes = database
    elif hasattr(database, "__cuda_array_interface__"):
        codes = cuda.view_on_device(database)
    else:
        codes = check_codes(database)
        if len(codes) == 0:
            raise ValueError("the database is empty: search needs at least one code")
        check_mapped(codes)
    n_bytes = codes.shape[1]
    queries = _view_queries(query, n_bytes, cuda)
    count, limit = check_k_or_radius(k, radius, n_bytes)
    used_plan = check_plan(cuda.choose_plan(queries.shape[0]) if plan is None else plan, cuda)
    used_threads = 1 if n_threads is None else threads(n_threads)
    how = {"plan": used_plan, "n_threads": used_threads, "device": device}
    return answer(cuda, codes, queries, count, limit, filter, exclude, how)


def _view_queries(query: Any, n_bytes: int, cuda: Any) -> Any:
    """View queries in host or device memory as codes (Q, n_bytes)."""
    if not hasattr(query, "__cuda_array_interface__"):
        return check_queries(query, n_bytes)
    queries = cuda.view_on_device(query[None] if query.ndim == 1 else query, "queries")
    if queries.shape[1] != n_bytes:
        raise ValueError(
            f"queries have {queries.shape[1]} bytes per code, the database has {n_bytes}: "
            "encode them with the same hasher"
        )
    return queries
