"""Writing an archive: batches of codes and items in, a whole directory out, memory flat in the number of rows."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from rshash.codes import check_codes, code_bytes
from rshash.files import write_atomically
from rshash.names import unknown_name

FORMAT = "rshash archive"
FORMAT_VERSION = 1
KINDS = ("images", "captions")

Item = Mapping[str, Any]


@contextmanager
def write_archive(
    path: str | os.PathLike[str],
    *,
    n_bits: int,
    kind: str = "images",
    hasher: str | os.PathLike[str] | None = None,
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Iterator["ArchiveWriter"]:
    """Write an archive batch by batch; it appears under its name when the block ends well, else nothing does.

    Args:
        path: directory to create.
        n_bits: width of the codes.
        kind: what a row is, "images" or "captions".
        hasher: saved hasher to copy in, so that text and images can be asked; None for codes only.
        provenance: what else the manifest should remember.
        overwrite: replace an archive that is there.

    Yields:
        The writer; call its ``append(codes, items)``.

    Raises:
        FileExistsError: if ``path`` exists and ``overwrite`` is false.
        ValueError: if an argument is unknown or no row was appended.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "two.rshash"
    >>> with write_archive(target, n_bits=8) as archive:
    ...     archive.append(np.array([[1], [2]], np.uint8), [{"id": "a.tif"}, {"id": "b.tif"}])
    >>> sorted(file.name for file in target.iterdir())
    ['codes.npy', 'item_offsets.npy', 'items.jsonl', 'manifest.json']
    """
    target = Path(path)
    if kind not in KINDS:
        raise unknown_name("kind of archive", kind, KINDS)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists: choose another name, or overwrite it on purpose (--overwrite)")
    if target.exists() and not (target / "manifest.json").is_file():
        raise FileExistsError(f"{target} exists and is no archive: it is not overwritten, choose another name")
    with write_atomically(target, replaces="manifest.json") as draft:
        draft.mkdir()
        with ArchiveWriter(draft, n_bits) as writer:
            yield writer
        if not writer.n_rows:
            raise ValueError("no row was written: an archive needs at least one")
        if hasher is not None:
            shutil.copytree(hasher, draft / "hasher")
        manifest = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "n_rows": writer.n_rows,
            "n_bits": n_bits,
            "bit_order": "big",
            "kind": kind,
            "provenance": dict(provenance or {}),
        }
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2, default=str) + "\n", encoding="utf-8")


class ArchiveWriter:
    """Appends rows to the files of an archive that is not finished yet. Made by `write_archive`."""

    def __init__(self, folder: Path, n_bits: int) -> None:
        self.n_rows = 0
        self._n_bits = n_bits
        self._codes = _NpyStream(folder / "codes.npy", np.dtype(np.uint8), (code_bytes(n_bits),))
        self._offsets = _NpyStream(folder / "item_offsets.npy", np.dtype(np.int64), ())
        self._items = open(folder / "items.jsonl", "wb")  # noqa: SIM115 - closed by __exit__

    def append(self, codes: Any, items: Sequence[Item]) -> None:
        """Append rows.

        Args:
            codes: (n, n_bytes) uint8.
            items: n mappings, each with at least a string ``"id"``; values must be JSON.

        Raises:
            TypeError, ValueError: if the codes are not of this archive's width, the numbers differ, or an item lacks
                its id.
        """
        checked = check_codes(codes, n_bits=self._n_bits)
        if len(checked) != len(items):
            raise ValueError(f"{len(checked)} codes came with {len(items)} items: give one item for each code")
        for item in items:
            if not isinstance(item.get("id"), str):
                raise ValueError(f"every item needs a string id, got {dict(item)!r}")
        lines = [json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in items]
        starts = self._items.tell() + np.cumsum([0, *map(len, lines)])
        self._codes.append(np.ascontiguousarray(checked))
        self._offsets.append(starts[:-1].astype(np.int64))
        self._items.writelines(lines)
        self.n_rows += len(items)

    def __enter__(self) -> "ArchiveWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._items.close()
        self._codes.close()
        self._offsets.close()


class _NpyStream:
    """A ``.npy`` file that grows by rows: its header keeps room for the final length and is written at the end."""

    HEADER_BYTES = 128  # what numpy writes for arrays of up to two dimensions; it pads to 64

    def __init__(self, path: Path, dtype: np.dtype[Any], row_shape: tuple[int, ...]) -> None:
        self._file: BinaryIO = open(path, "wb")  # noqa: SIM115 - closed by close()
        self._dtype, self._row_shape, self._n_rows = dtype, row_shape, 0
        self._file.seek(self.HEADER_BYTES)

    def append(self, rows: np.ndarray[Any, Any]) -> None:
        self._file.write(rows.data)
        self._n_rows += len(rows)

    def close(self) -> None:
        self._file.seek(0)
        shape = (self._n_rows, *self._row_shape)
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape},
        )
        if self._file.tell() != self.HEADER_BYTES:
            raise OSError(f"numpy wrote a header of {self._file.tell()} bytes, expected {self.HEADER_BYTES}")
        self._file.close()
