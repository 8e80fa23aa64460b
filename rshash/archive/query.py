"""What an archive is asked: sentences, an image or codes in, packed codes and what is shown of the query out."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes, check_codes, pack_codes

if TYPE_CHECKING:
    from rshash.archive.reader import Archive


ASKABLE = (
    "a sentence, a list of sentences, an image (H, W, 3) uint8, packed codes (Q, n_bytes) uint8 or relaxed codes "
    "(Q, n_bits) float"
)


@dataclass(frozen=True, eq=False)
class Query:
    """Q queries, encoded.

    Attributes:
        codes: (Q, n_bytes) uint8.
        relaxed: (Q, n_bits) float32, what the codes are the signs of; None where only codes were given.
        shown: for each query its sentence, its image (H, W, 3) uint8, or None.
    """

    codes: Codes
    relaxed: NDArray[np.float32] | None
    shown: tuple[str | NDArray[np.uint8] | None, ...]


def encode_query(archive: "Archive", query: Any) -> Query:
    """Encode a query with the archive's hasher, or take the codes as they are.

    Args:
        archive: whose width the codes have, and whose hasher is asked for sentences and images.
        query: a sentence, a list of sentences, an image (H, W, 3) uint8, relaxed codes (Q, n_bits) float, or packed
            codes (Q, n_bytes) uint8; one code alone is one query.

    Raises:
        TypeError, ValueError: if it is none of these or of another width.
        ImportError: if what the hasher needs is missing.
    """
    if isinstance(query, str):
        query = [query]
    if isinstance(query, list | tuple) and query and all(isinstance(sentence, str) for sentence in query):
        relaxed = archive.hasher.expand(archive.hasher.relax_captions(query))
        return Query(pack_codes(relaxed), relaxed, tuple(query))
    if not isinstance(query, np.ndarray):
        _check_askable(query)
        codes = check_codes(query, "queries", n_bits=archive.n_bits)
        return Query(codes, None, (None,) * len(codes))
    if query.ndim == 3:
        relaxed = archive.hasher.relax_images([query])
        if archive.kind == "captions":  # among images, one must find itself at distance 0
            relaxed = archive.hasher.expand(relaxed)
        return Query(pack_codes(relaxed), relaxed, (query,))
    rows = query[None] if query.ndim == 1 else query
    if rows.dtype.kind != "f":
        codes = check_codes(rows, "queries", n_bits=archive.n_bits)
        return Query(codes, None, (None,) * len(codes))
    if rows.ndim != 2 or rows.shape[1] != archive.n_bits:
        raise ValueError(f"relaxed queries must have shape (Q, {archive.n_bits}), got {query.shape}")
    return Query(pack_codes(rows), rows.astype(np.float32), (None,) * len(rows))


def _check_askable(query: Any) -> None:
    """Refuse what is no query, and say what to ask with instead."""
    if isinstance(query, os.PathLike) or hasattr(query, "getbands"):  # a Pillow image has bands
        path = query if isinstance(query, os.PathLike) else "path"
        raise TypeError(
            f"expected {ASKABLE}, got {type(query).__name__}: read the image with "
            f"rshash.data.images.read_image({str(path)!r})"
        )
    if not (hasattr(query, "__array__") or (isinstance(query, list | tuple) and query)):
        raise TypeError(f"expected {ASKABLE}, got {query!r:.60}")
