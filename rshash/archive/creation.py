"""Creating an archive: a directory with commit 0, which has no rows, and the hasher if there is one."""

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rshash.archive.entries import HasherEntry
from rshash.archive.items import standard_columns
from rshash.archive.lock import write_lock
from rshash.archive.manifest import ID_TYPES, KINDS, MANIFEST, Manifest
from rshash.archive.store import Draft, seal
from rshash.codes import code_bytes
from rshash.files import write_atomically
from rshash.names import unknown_name

if TYPE_CHECKING:
    from rshash.models.hasher import CrossModalHasher


def create(
    path: str | os.PathLike[str],
    *,
    n_bits: int | None = None,
    hasher: "CrossModalHasher | str | os.PathLike[str] | None" = None,
    kind: str = "images",
    id_type: str = "string",
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Create an archive without rows.

    Args:
        path: directory to create.
        n_bits: width of the codes; with a hasher it is the hasher's.
        hasher: hasher, or the folder of a saved one, to keep in the archive, so that text and images can be asked;
            None for codes only.
        kind: what a row is, "images" or "captions".
        id_type: "string" or "integer" (64 bits with sign).
        provenance: what else the manifest should remember, JSON.
        overwrite: replace an archive that is there.

    Raises:
        FileExistsError: if ``path`` exists and ``overwrite`` is false, or it is no archive.
        BlockingIOError: if another process is writing the archive to replace.
        TypeError: if a value of ``provenance`` is no JSON.
        ValueError: if an argument is unknown, or neither n_bits nor a hasher is given.
    """
    target = Path(path)
    if kind not in KINDS:
        raise unknown_name("kind of archive", kind, KINDS)
    if id_type not in ID_TYPES:
        raise unknown_name("id_type", id_type, ID_TYPES)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists: choose another name, or overwrite it on purpose (--overwrite)")
    if target.exists() and not (target / MANIFEST).is_file():
        raise FileExistsError(f"{target} exists and is no archive: it is not overwritten, choose another name")
    loaded = _load(hasher)
    if loaded is not None:
        if n_bits not in (None, loaded.n_bits):
            raise ValueError(f"n_bits is {n_bits}, the hasher makes {loaded.n_bits} bits: leave n_bits out")
        n_bits = loaded.n_bits
    if n_bits is None:
        raise ValueError("give n_bits, the width of the codes, or the hasher that makes them")
    code_bytes(n_bits)
    _check_json(provenance or {})
    with (
        write_lock(target) if target.exists() else nullcontext(),
        write_atomically(target, replaces=MANIFEST) as folder,
    ):
        folder.mkdir()
        entry = None if loaded is None else _keep_hasher(folder, loaded, hasher)
        Draft(folder, 0).commit(
            Manifest(0, kind, int(n_bits), id_type, standard_columns(id_type), (), entry, dict(provenance or {}))
        )


def _check_json(provenance: Mapping[str, Any]) -> None:
    """Refuse what JSON would not give back."""
    for name, value in provenance.items():
        try:
            if not isinstance(name, str):
                raise TypeError("its name is no string")
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"provenance {name!r} is no JSON: {error}") from None


def _load(hasher: Any) -> Any:
    """Return a hasher, loaded if a path was given."""
    if hasher is None or not isinstance(hasher, str | os.PathLike):
        return hasher
    from rshash.models.hasher import CrossModalHasher

    return CrossModalHasher.load(hasher)


def _keep_hasher(folder: Path, loaded: "CrossModalHasher", given: Any) -> HasherEntry:
    """Copy or save a hasher into the archive."""
    target = folder / f"hasher-{loaded.fingerprint[:12]}"
    if isinstance(given, str | os.PathLike):
        shutil.copytree(given, target)
    else:
        loaded.save(target)
    files = {file.name: seal(file) for file in sorted(target.iterdir()) if file.is_file()}
    return HasherEntry(target.name, loaded.fingerprint, files)
