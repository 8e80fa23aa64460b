"""What rows must be before anything of them is written: ids, texts, codes, relaxed codes."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.columns import Column, column
from rshash.codes import Codes, check_codes


def check_ids(ids: Any, id_type: str) -> Column:
    """Return ids as an array of strings (object) or int64.

    Raises:
        TypeError, ValueError: as `check_id_column`.
    """
    if isinstance(ids, str | bytes) or not hasattr(ids, "__len__"):
        raise TypeError(f"ids must be a list of ids, got {ids!r:.60}: put one id in brackets")
    values = column("id", ids if isinstance(ids, np.ndarray) else list(ids))
    if values is None:
        if len(ids):
            raise ValueError("every item needs an id, the first has none")
        return np.empty(0, object if id_type == "string" else np.int64)
    return check_id_column(values, id_type)


def check_id_column(values: Column, id_type: str) -> Column:
    """Return a column of ids without its mask.

    Raises:
        TypeError: if they are of another type than the archive's.
        ValueError: if one is missing or empty.
    """
    if not (_holds_text(values) if id_type == "string" else values.dtype == np.int64):
        kind = type(values[0]).__name__
        raise TypeError(f"ids of this archive are of type {id_type}, got {kind}: convert them")
    empty = np.ma.getmaskarray(values) if values.dtype != object else ~values.astype(bool)
    if empty.any():
        raise ValueError(f"every item needs an id, item {int(empty.argmax())} has none")
    return np.ma.getdata(values)


def check_unique(ids: Column) -> None:
    """Refuse ids that come twice in one call."""
    if (ids[:-1] < ids[1:]).all():  # in order, as they mostly come: a fraction of the time
        return
    n_distinct = len(set(ids.tolist())) if ids.dtype == object else len(np.unique(ids))
    if n_distinct < len(ids):
        twice = Counter(ids.tolist()).most_common(1)[0][0]
        raise ValueError(f"id {twice!r} comes twice among the items: ids are unique in an archive")


def check_text(columns: Mapping[str, Column]) -> None:
    """Refuse sources and captions that are not strings."""
    for name in ("source", "caption"):
        if name in columns and not _holds_text(columns[name]):
            raise ValueError(f"column {name} must hold strings: give other values another column")


def _holds_text(values: Column) -> bool:
    """Tell whether a column holds strings; `column` has seen to it that it holds one type."""
    return values.dtype == object and isinstance(next((value for value in values if value is not None), None), str)


def check_width(codes: Any, n_bits: int) -> Codes:
    """Return packed codes whose pad bits are zero."""
    checked = check_codes(codes, n_bits=n_bits)
    pad_bits = 8 * checked.shape[1] - n_bits
    if pad_bits and (checked[:, -1] & ((1 << pad_bits) - 1)).any():
        raise ValueError(f"codes have bits set behind bit {n_bits - 1}: they are not of {n_bits} bits")
    return checked


def check_relaxed(relaxed: Any, n_rows: int, n_bits: int) -> NDArray[np.float16]:
    """Return relaxed codes as float16."""
    values = np.asarray(relaxed)
    if values.shape != (n_rows, n_bits) or values.dtype.kind != "f":
        raise ValueError(
            f"relaxed codes must be floats of shape ({n_rows}, {n_bits}), got {values.dtype} {values.shape}"
        )
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError("relaxed codes hold NaN, infinity or values beyond float16: encode those items again")
    return half
