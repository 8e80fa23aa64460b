import numpy as np
from numpy.typing import NDArray

def simd_levels() -> list[str]: ...
def choose_plan(n_queries: int) -> str: ...
def choose_plan_with_planes(n_queries: int, n_bytes: int) -> str: ...
def slice_codes(codes: NDArray[np.uint8], simd: str) -> NDArray[np.uint8]: ...
def top_k(
    codes: NDArray[np.uint8],
    queries: NDArray[np.uint8],
    k: int,
    n_threads: int,
    simd: str,
    plan: str,
    admitted: NDArray[np.uint8] | None = None,
    planes: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def within_radius(
    codes: NDArray[np.uint8],
    queries: NDArray[np.uint8],
    radius: int,
    n_threads: int,
    simd: str,
    plan: str,
    admitted: NDArray[np.uint8] | None = None,
    planes: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]: ...
def multi_index_top_k(
    codes: NDArray[np.uint8],
    rows: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    queries: NDArray[np.uint8],
    k: int,
    most_cost: int,
    n_threads: int,
    simd: str,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]: ...
def multi_index_within_radius(
    codes: NDArray[np.uint8],
    rows: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    queries: NDArray[np.uint8],
    radius: int,
    most_cost: int,
    n_threads: int,
    simd: str,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]: ...
def measure_reads(buffer: NDArray[np.uint8], n_threads: int) -> tuple[float, int]: ...
def measure_limit(limit: str, n_threads: int, simd: str) -> tuple[float, int]: ...
