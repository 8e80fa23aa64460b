"""The one doorway from relaxed codes to bytes: sign rule, bit order, padding.

In: relaxed codes (N, n_bits), real numbers. Out: packed codes (N, n_bytes) uint8, row-major, where bit ``j`` of a
row is bit ``7 - j % 8`` of byte ``j // 8`` (the order of ``numpy.packbits``) and the pad bits are zero.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BITS = 4096
"""Widest code; every kernel's accumulator limits are stated for it."""

Codes = NDArray[np.uint8]

_EXPANSION_TEMPERATURE = 0.05
_EXPANDED_AT_ONCE = 1024  # relaxed codes against all anchors at once


def code_bytes(n_bits: int) -> int:
    """Return the number of bytes that hold one code of ``n_bits`` bits.

    Raises:
        TypeError: if ``n_bits`` is not an integer.
        ValueError: if ``n_bits`` is outside 1..4096.

    >>> code_bytes(64), code_bytes(65)
    (8, 9)
    """
    if isinstance(n_bits, bool) or not isinstance(n_bits, int | np.integer):
        raise TypeError(f"n_bits must be an integer, got {type(n_bits).__name__}: give for example n_bits=64")
    if not 1 <= n_bits <= MAX_BITS:
        raise ValueError(f"n_bits must be between 1 and {MAX_BITS}, got {n_bits}")
    return (int(n_bits) + 7) // 8


def pack_codes(relaxed: Any) -> Codes:
    """Pack relaxed codes into bytes, one row per item.

    Bit j is 1 where ``relaxed[i, j] >= 0``; rows are padded with zero bits.

    Args:
        relaxed: (N, n_bits) float or signed integer, no NaN; usually in (-1, 1). An array or a CPU torch tensor.

    Returns:
        (N, ceil(n_bits / 8)) uint8, C-contiguous; bit 0 is the high bit of byte 0.

    Raises:
        TypeError: if the values cannot be negative (unsigned, bool) or are not real numbers.
        ValueError: if ``relaxed`` is not 2-D, is wider than 4096 bits, holds NaN, or is of integers that are 0/1 bits.

    >>> pack_codes(np.array([[0.9, -0.2, 0.0]]))
    array([[160]], dtype=uint8)
    """
    values = _as_array(relaxed, "relaxed codes")
    if values.dtype.kind not in "fi":
        raise TypeError(
            f"relaxed codes must be floats or signed integers, got dtype {values.dtype}: the sign of a value "
            "decides its bit, so 0/1 bits must become -1/+1 first (2 * bits.astype('int8') - 1)"
        )
    if values.ndim != 2:
        raise ValueError(f"relaxed codes must have shape (N, n_bits), got {values.shape}")
    code_bytes(values.shape[1])
    if values.dtype.kind == "i" and values.size and values.min() == 0 and values.max() <= 1:
        raise ValueError(
            "relaxed codes are integers of 0 and 1 alone, and the sign rule makes all of these ones: 0/1 bits must "
            "become -1/+1 first (2 * bits - 1)"
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        row = int(np.isnan(values).any(axis=1).argmax())
        raise ValueError(f"relaxed codes hold NaN (first in row {row}): NaN has no sign, so no bit")
    return np.packbits(values >= 0, axis=1)


def dither(relaxed: Any, share: float) -> NDArray[np.float32]:
    """Move relaxed codes by up to ``share``, so that the signs of uncertain values vary between items.

    Codes tie, above all those of few bits: what is nearest to one class gets its code, sure or not. Dithered, values
    near 0 fall to either side, those near ±1 stay, and the distance to a query comes nearer to its product with the
    relaxed code, on average. Dither what is stored, never what asks, so that only one side is noisy.

    The noise is a fixed function of the row, and smooth: equal rows stay equal, and rows that differ by much less than
    the share stay near.

    Args:
        relaxed: (N, n_bits) as `pack_codes` takes them.
        share: 0 for none; at 1 a bit is 1 with probability (1 + value) / 2, and the mean of a distance is exact.

    Returns:
        (N, n_bits) float32, for `pack_codes`.

    Raises:
        ValueError: if ``relaxed`` is not 2-D, or ``share`` is outside 0..1.

    >>> dither(np.array([[0.9, -0.2], [0.9, -0.2]]), share=0.5).shape
    (2, 2)
    """
    values = np.asarray(_as_array(relaxed, "relaxed codes"), dtype=np.float32)
    if values.ndim != 2:
        raise ValueError(f"relaxed codes must have shape (N, n_bits), got {values.shape}")
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; expected a share, 0 to 1")
    if not share:
        return values
    waves = np.random.default_rng(0).normal(scale=8 / share, size=(min(values.shape[1], 64), values.shape[1]))
    noise = np.arcsin(np.sin(values[:, : len(waves)] @ waves.astype(np.float32))) * (2 / np.pi)  # triangles in [-1, 1]
    return (values + share * noise).astype(np.float32)


def expand(relaxed: Any, anchors: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Draw relaxed codes that ask towards those of training items that are near (query expansion).

    A query's signs lose how sure it is of them. What it is unsure of is decided here by the items around it:

        (1 - share) x + share sum_j p_j a_j,    p = softmax_j(cos(x, a_j) / .05)

    as Chum et al. (Total recall, ICCV 2007) average a query with its nearest results, with the attention of modern
    Hopfield networks (Ramsauer et al., ICLR 2021) for the weights. Expand what asks, never what is stored: stored codes
    would tie.

    Args:
        relaxed: (N, n_bits) as `pack_codes` takes them.
        anchors: (A, n_bits) float32 relaxed codes of training items.
        share: of the anchors in the result; 0 gives the codes back.

    Returns:
        (N, n_bits) float32, for `pack_codes`.

    Raises:
        ValueError: if a shape does not fit, or ``share`` is outside 0..1.

    >>> anchors = np.array([[0.9, 0.8], [-0.9, 0.7]], dtype=np.float32)
    >>> pack_codes(expand(np.array([[0.9, -0.1]]), anchors, share=0.7))
    array([[192]], dtype=uint8)
    """
    values = np.asarray(_as_array(relaxed, "relaxed codes"), dtype=np.float32)
    if values.ndim != 2 or anchors.ndim != 2 or values.shape[1] != anchors.shape[1]:
        raise ValueError(
            f"relaxed codes and anchors must have shapes (N, n_bits) and (A, n_bits), got {values.shape} and "
            f"{anchors.shape}"
        )
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; expected a share, 0 to 1")
    if not share or not len(anchors):
        return values
    directions = _unit(anchors).T
    expanded = np.empty_like(values)
    for start in range(0, len(values), _EXPANDED_AT_ONCE):
        rows = slice(start, start + _EXPANDED_AT_ONCE)
        cosines = _unit(values[rows]) @ directions
        weights = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / _EXPANSION_TEMPERATURE)
        weights /= weights.sum(axis=1, keepdims=True)
        expanded[rows] = (1 - share) * values[rows] + share * (weights @ anchors)
    return expanded


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, np.where(lengths > 0, lengths, 1), dtype=np.float32)


def unpack_codes(codes: Any, n_bits: int) -> NDArray[np.int8]:
    """Unpack codes into -1 and +1, the inverse of `pack_codes`.

    Args:
        codes: (N, ceil(n_bits / 8)) uint8 packed codes.
        n_bits: width of a code in bits, 1..4096.

    Returns:
        (N, n_bits) int8, +1 where the bit is 1 and -1 where it is 0.

    Raises:
        TypeError, ValueError: if ``codes`` are not packed codes of ``n_bits`` bits, or their pad bits are not zero.

    >>> unpack_codes(np.array([[160]], dtype=np.uint8), n_bits=3)
    array([[ 1, -1,  1]], dtype=int8)
    """
    checked = check_codes(codes, n_bits=n_bits)
    pad_bits = 8 * checked.shape[1] - n_bits
    if pad_bits and (checked[:, -1] & ((1 << pad_bits) - 1)).any():
        raise ValueError(
            f"codes have bits set in the {pad_bits} pad bits behind bit {n_bits - 1}: n_bits={n_bits} is not "
            "the width they were packed with"
        )
    bits = np.unpackbits(checked, axis=1, count=n_bits)
    return bits.view(np.int8) * np.int8(2) - np.int8(1)


def check_codes(codes: Any, name: str = "codes", n_bits: int | None = None) -> Codes:
    """Return ``codes`` as a numpy view of packed codes, or say what is wrong with them; never copies.

    Args:
        codes: (N, n_bytes) uint8: an array of any strides, a memory-map, or a CPU torch tensor.
        name: what to call them in an error.
        n_bits: expected width in bits; None accepts any width up to 4096.

    Returns:
        (N, n_bytes) uint8 view on the same memory.

    Raises:
        TypeError: if ``codes`` are not uint8.
        ValueError: if they are not 2-D or not of the expected width.

    >>> check_codes(np.zeros((3, 8), np.uint8), n_bits=64).shape
    (3, 8)
    """
    array = _as_array(codes, name)
    if array.dtype != np.uint8:
        raise TypeError(
            f"{name} must be packed codes of dtype uint8, got {array.dtype}: "
            "pack relaxed codes with rshash.pack_codes first"
        )
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape (N, n_bytes), got {array.shape}")
    if not 1 <= array.shape[1] <= MAX_BITS // 8:
        raise ValueError(f"{name} must have 1 to {MAX_BITS // 8} bytes per code, got {array.shape[1]}")
    if n_bits is not None and array.shape[1] != code_bytes(n_bits):
        raise ValueError(
            f"{name} have {array.shape[1]} bytes per code, expected {code_bytes(n_bits)} (n_bits={n_bits}): "
            "encode them with the same hasher"
        )
    return array


def _as_array(values: Any, name: str) -> NDArray[Any]:
    """View arrays and CPU tensors as numpy without a copy; tensors are known by their module, torch is not imported."""
    if type(values).__module__.split(".")[0] == "torch":
        if values.device.type != "cpu":
            raise TypeError(f"{name} lie on device {values.device}: move them with .cpu() first")
        values = values.detach().numpy()
    elif not hasattr(values, "__array__") and not isinstance(values, list | tuple):
        raise TypeError(f"{name} must be an array, got {type(values).__name__}")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array: {error}") from error
