"""faiss: a folder with ``index.faiss``, an IndexBinaryFlat, and ``ids.npy``.

faiss answers with positions; row i of ``ids.npy`` is the id of position i. Widths are whole bytes there: pad bits are
zero, so distances stay the same.
"""

from pathlib import Path

import numpy as np

from rshash.export.chosen import Chosen
from rshash.export.npy import write_about
from rshash.extras import require

ROWS_AT_ONCE = 1 << 20


def write(chosen: Chosen, folder: Path) -> None:
    """Write the folder.

    Raises:
        ImportError: if faiss is missing.
        OSError: if faiss cannot write.
    """
    faiss = require("faiss", "bench")
    index = faiss.IndexBinaryFlat(8 * chosen.codes.shape[1])
    for start in range(0, len(chosen), ROWS_AT_ONCE):
        index.add(np.ascontiguousarray(chosen.codes[start : start + ROWS_AT_ONCE]))
    folder.mkdir()
    try:
        faiss.write_index_binary(index, str(folder / "index.faiss"))
    except RuntimeError as error:  # faiss knows no other
        raise OSError(f"{folder / 'index.faiss'} cannot be written: {error}") from error
    np.save(folder / "ids.npy", chosen.ids())
    write_about(chosen, folder)
