"""rshash: remote-sensing images and captions as compact binary codes, searched exactly.

>>> import numpy as np, rshash
>>> codes = rshash.pack_codes(np.array([[1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]]))
>>> distances, ids = rshash.search(codes, codes[:1], k=2)
>>> ids.tolist(), distances.tolist()
([[0, 1]], [[0, 1]])
"""

from importlib import import_module
from typing import Any

from rshash.codes import MAX_BITS, pack_codes, unpack_codes
from rshash.index.hits import Hits
from rshash.search import search

__version__ = "0.1.0"

# Names that live behind an optional package: imported at first use, so that `import rshash` stays light.
_LATER = {
    "CrossModalHasher": "rshash.models.hasher",
    "METHODS": "rshash.methods",
    "evaluate": "rshash.evaluation",
    "train": "rshash.training",
}

__all__ = ["MAX_BITS", "Hits", "pack_codes", "search", "unpack_codes", *_LATER]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'rshash' has no attribute {name!r}")
