from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes

class DeviceCodes:
    def __init__(self, codes: Codes, device: int) -> None: ...
    @staticmethod
    def borrow(data: int, n_rows: int, n_bytes: int, owner: Any) -> DeviceCodes: ...
    @property
    def device(self) -> int: ...
    @property
    def shape(self) -> tuple[int, int]: ...

def devices() -> list[dict[str, Any]]: ...
def synchronize(device: int) -> None: ...
def measure_copies(n_bytes: int, device: int) -> tuple[float, int]: ...
def measure_popcounts(n_bytes: int, device: int) -> tuple[float, int]: ...
def top_k(
    codes: Codes | DeviceCodes,
    queries: Codes | DeviceCodes,
    k: int,
    device: int,
    admitted: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def within_radius(
    codes: Codes | DeviceCodes,
    queries: Codes | DeviceCodes,
    radius: int,
    device: int,
    admitted: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]: ...
