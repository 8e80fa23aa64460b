"""A width, a number of rows and a seed in; packed codes to search and queries out.

``uniform`` codes are independent fair bits: no neighbour is near, so nothing can be abandoned early. ``clustered``
codes are a centre with bits flipped, like those of hashers that learned classes: neighbours lie near
2 p (1 - p) n_bits.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes, code_bytes

Kind = Literal["uniform", "clustered"]
KINDS: tuple[Kind, ...] = ("uniform", "clustered")

N_CENTRES = 10_000
FLIPS = 0b00010011
"""A bit of a clustered code differs from its centre's with probability FLIPS / 256 = 0.074."""

BLOCK_ROWS = 1 << 18
_CENTRES, _CODES, _QUERIES, _BITMAP = range(4)


def generate_codes(n_rows: int, n_bits: int, kind: Kind = "uniform", seed: int = 0, out: Codes | None = None) -> Codes:
    """Generate a database block by block; row i depends on the seed, the width and i only.

    Args:
        n_rows: rows to generate.
        n_bits: width, 1..4096; pad bits are zero.
        kind: one of `KINDS`.
        seed: same seed, same bytes.
        out: (n_rows, n_bytes) uint8 to fill, for example a memory-map; None makes an array.

    Returns:
        (n_rows, n_bytes) uint8, ``out`` when given.

    Raises:
        ValueError: if ``kind`` is unknown or ``out`` has another shape.

    >>> bool((generate_codes(5, 64) == generate_codes(9, 64)[:5]).all())
    True
    """
    return _generate(n_rows, n_bits, kind, seed, _CODES, out)


def generate_queries(n_queries: int, n_bits: int, kind: Kind = "uniform", seed: int = 0) -> Codes:
    """Generate queries for `generate_codes` of the same seed: of the same distribution, and not rows of it.

    Returns:
        (n_queries, n_bytes) uint8.

    Raises:
        ValueError: if ``kind`` is unknown.
    """
    return _generate(n_queries, n_bits, kind, seed, _QUERIES, None)


def generate_bitmap(n_rows: int, keep: float, seed: int = 0) -> NDArray[np.uint8]:
    """Draw the rows that a filter admits, each with probability ``keep``, and at least one.

    Returns:
        (ceil(n_rows / 8),) uint8, row 0 in the low bit of byte 0.
    """
    rng = np.random.default_rng((seed, _BITMAP))
    admitted = np.empty(n_rows, np.bool_)
    for first in range(0, n_rows, BLOCK_ROWS):
        part = admitted[first : first + BLOCK_ROWS]
        part[:] = rng.random(len(part), np.float32) < keep
    admitted[rng.integers(n_rows)] = True
    return np.packbits(admitted, bitorder="little")


def _generate(n_rows: int, n_bits: int, kind: Kind, seed: int, stream: int, out: Codes | None) -> Codes:
    """Fill rows with one of the streams of a seed."""
    if kind not in KINDS:
        raise ValueError(f"data must be one of {', '.join(KINDS)}, got {kind!r}")
    shape = n_rows, code_bytes(n_bits)
    rows = np.empty(shape, np.uint8) if out is None else out
    if rows.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {rows.shape}")
    centres = None
    if kind == "clustered":
        centres = _random_bytes(np.random.default_rng((seed, n_bits, _CENTRES)), (N_CENTRES, shape[1]))
    for block, first in enumerate(range(0, n_rows, BLOCK_ROWS)):
        rng = np.random.default_rng((seed, n_bits, stream, block))
        # A whole block is drawn even when fewer rows are left: a longer database begins like a shorter one.
        part = rows[first : first + BLOCK_ROWS]
        if centres is None:
            part[:] = _random_bytes(rng, (len(part), shape[1]))
        else:
            part[:] = centres[rng.integers(N_CENTRES, size=BLOCK_ROWS)[: len(part)]]
            part ^= _flips(rng, part.shape)
    if n_bits % 8:
        rows[:, -1] &= 0xFF << (8 - n_bits % 8) & 0xFF
    return rows


def _random_bytes(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return fair bits; fewer rows are the first of more."""
    return np.frombuffer(rng.bytes(int(np.prod(shape))), np.uint8).reshape(shape)


def _flips(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return bits that are one with probability FLIPS / 256.

    From the lowest digit of that fraction up, an ``or`` with fair bits takes p to (1 + p) / 2, an ``and`` to p / 2.
    """
    flips = np.zeros(shape, np.uint8)
    for digit in range(8):
        # One generator a digit, so that fewer rows are the first of more.
        fair = _random_bytes(np.random.default_rng(rng.integers(1 << 63)), shape)
        flips = flips | fair if FLIPS >> digit & 1 else flips & fair
    return flips
