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
from rshash.index.device import DeviceIndex
from rshash.index.flat import FlatIndex
from rshash.index.hits import Hits
from rshash.index.multi_index import MultiIndex
from rshash.join import join
from rshash.search import search

__version__ = "0.1.0"

# Public name → (module, name there). Imported at first use, so that `import rshash` stays light and needs no extra.
_LATER = {
    "Archive": ("rshash.archive.reader", "Archive"),
    "CrossModalHasher": ("rshash.models.hasher", "CrossModalHasher"),
    "METHODS": ("rshash.methods", "METHODS"),
    "create": ("rshash.archive.reader", "create_archive"),
    "evaluate": ("rshash.evaluation", "evaluate"),
    "open": ("rshash.archive.reader", "open_archive"),
    "train": ("rshash.training", "train"),
}

__all__ = [
    "MAX_BITS",
    "DeviceIndex",
    "FlatIndex",
    "Hits",
    "MultiIndex",
    "join",
    "pack_codes",
    "search",
    "unpack_codes",
    *_LATER,
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        module, attribute = _LATER[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'rshash' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_LATER]
