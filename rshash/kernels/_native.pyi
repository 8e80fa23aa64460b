import numpy as np
from numpy.typing import NDArray

def simd_levels() -> list[str]: ...
def top_k(
    codes: NDArray[np.uint8], queries: NDArray[np.uint8], k: int, n_threads: int, simd: str
) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def within_radius(
    codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius: int, n_threads: int, simd: str
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]: ...
