"""Plain arrays: ``codes.npy`` (n, n_bytes) uint8, ``ids.npy`` (n,) int64 or str, ``about.json``.

``np.load`` reads them without pickle; row i of one belongs to row i of the other.
"""

import json
from pathlib import Path

import numpy as np

from rshash.export.chosen import Chosen

ABOUT = "about.json"
"""Marks a folder as an export, which another may replace."""


def write(chosen: Chosen, folder: Path) -> None:
    """Write the folder."""
    folder.mkdir()
    np.save(folder / "codes.npy", chosen.codes)
    np.save(folder / "ids.npy", chosen.ids())
    write_about(chosen, folder)


def write_about(chosen: Chosen, folder: Path) -> None:
    """Write where the rows came from, and how their codes are to be read."""
    about = {
        "archive": str(chosen.archive.path),
        "commit": chosen.archive.manifest.commit,
        "rows": len(chosen),
        "n_bits": chosen.archive.n_bits,
        "bit_order": "big",
        "hasher": chosen.archive.manifest.hasher and chosen.archive.manifest.hasher.fingerprint,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
