"""The manifest: what an archive is made of at one commit. In: ``manifest.json``. Out: a checked `Manifest`, and back.

The layout is specified in docs/archive-format.md.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from rshash.archive.entries import Bounds, FileEntry, HasherEntry, SegmentEntry
from rshash.codes import MAX_BITS

FORMAT = "rshash archive"
FORMAT_VERSION = 3
READABLE = (2, 3)
MANIFEST = "manifest.json"
KINDS = ("images", "captions")
ID_TYPES = ("string", "integer")

_SEAL = re.compile(rb'"sha256": "([0-9a-f]{64})"\n}\n\Z')
_NUMBER = r"\d{6,15}"


@dataclass(frozen=True)
class Manifest:
    """The state of an archive at one commit.

    Attributes:
        commit: number of the commit, from 0.
        kind: what a row is, one of `KINDS`.
        n_bits: width of the codes.
        id_type: one of `ID_TYPES`.
        columns: column of the items → DuckDB type, over all segments.
        segments: in the order of their rows.
        hasher: None for an archive of codes only.
        provenance: what the writer noted down; kept, not interpreted.
    """

    commit: int
    kind: str
    n_bits: int
    id_type: str
    columns: Mapping[str, str] = field(default_factory=dict)
    segments: tuple[SegmentEntry, ...] = ()
    hasher: HasherEntry | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def snapshot(self) -> str:
        """Name of the copy of this manifest that readers hold."""
        return snapshot_name(self.commit)

    def files(self) -> dict[str, FileEntry]:
        """Return every file the manifest names, by its path inside the archive."""
        found = {name: entry for segment in self.segments for name, entry in segment.files.items()}
        if self.hasher is not None:
            found |= {f"{self.hasher.folder}/{name}": entry for name, entry in self.hasher.files.items()}
        return found


def snapshot_name(commit: int) -> str:
    """Return the name under which the manifest of a commit is kept for its readers.

    >>> snapshot_name(7)
    'manifest-000007.json'
    """
    return f"manifest-{commit:06d}.json"


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the content of the file: JSON that ends with the sha256 of itself, taken with 64 zeros in its place."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "commit": manifest.commit,
        "kind": manifest.kind,
        "n_bits": manifest.n_bits,
        "bit_order": "big",
        "id_type": manifest.id_type,
        "columns": dict(manifest.columns),
        "segments": [
            {
                "name": segment.name,
                "n_rows": segment.n_rows,
                "n_alive": segment.n_alive,
                "files": _files_json(segment.files),
                "bounds": None if segment.bounds is None else list(segment.bounds),
                "datetime": None if segment.datetime is None else list(segment.datetime),
            }
            for segment in manifest.segments
        ],
        "hasher": manifest.hasher
        and {
            "folder": manifest.hasher.folder,
            "fingerprint": manifest.hasher.fingerprint,
            "files": _files_json(manifest.hasher.files),
        },
        "provenance": dict(manifest.provenance),
        "sha256": "0" * 64,
    }
    text = json.dumps(fields, indent=1, ensure_ascii=False).encode() + b"\n"
    return _sealed(text)


def read_manifest(folder: Path, name: str = MANIFEST) -> Manifest:
    """Read and check the manifest of an archive.

    Args:
        folder: the archive.
        name: `MANIFEST`, or the name of a snapshot.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, of another format, or of another version.
    """
    path = folder / name
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{folder} is no archive (no {name} in it): build one with rshash index") from None
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise ValueError(f"{path} is not the manifest of an rshash archive")
    version = fields.get("version")
    if version == 1:
        raise ValueError(f"{path} is of format version 1, which no release of rshash wrote: index it again")
    if version not in READABLE:
        raise ValueError(
            f"{path} is of format version {version!r}, this rshash reads up to {FORMAT_VERSION}: "
            "a newer rshash may be able to open it"
        )
    if _SEAL.search(content) is None or _sealed(content) != content:
        raise _damaged(path, "its content is not what its sha256 says")
    try:
        return _checked(fields)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from None


def _checked(fields: dict[str, Any]) -> Manifest:
    """Build a manifest from JSON; any surprise is an error."""
    manifest = Manifest(
        commit=_count(fields["commit"]),
        kind=_one_of(fields["kind"], KINDS),
        n_bits=_count(fields["n_bits"]),
        id_type=_one_of(fields["id_type"], ID_TYPES),
        columns={_text(name): _text(kind) for name, kind in fields["columns"].items()},
        segments=tuple(_checked_segment(segment) for segment in fields["segments"]),
        hasher=None if fields["hasher"] is None else _checked_hasher(fields["hasher"]),
        provenance=dict(fields["provenance"].items()),
    )
    if not 1 <= manifest.n_bits <= MAX_BITS or fields["bit_order"] != "big":
        raise ValueError(f"n_bits {manifest.n_bits}, bit order {fields['bit_order']!r}")
    names = [segment.name for segment in manifest.segments]
    if len(set(names)) < len(names):
        raise ValueError("a segment is named twice")
    return manifest


def _checked_segment(fields: dict[str, Any]) -> SegmentEntry:
    """Build a segment's entry; its files have the names the format gives them, so none leads elsewhere."""
    name = _text(fields["name"])
    if not re.fullmatch(_NUMBER, name):
        raise ValueError(f"segment {name!r}")
    files = _checked_files(
        fields["files"],
        rf"(codes|relaxed|boxes|moments|blocks)-{name}\.npy|items-{name}\.parquet|alive-{name}-{_NUMBER}\.npy",
    )
    bounds = fields["bounds"]
    first, last = fields["datetime"] or (None, None)
    segment = SegmentEntry(
        name=name,
        n_rows=_count(fields["n_rows"]),
        n_alive=_count(fields["n_alive"]),
        files=files,
        bounds=None if bounds is None else _four(bounds),
        datetime=None if first is None else (_text(first), _text(last)),
    )
    if not 0 < segment.n_rows >= segment.n_alive or segment.codes not in files or segment.items not in files:
        raise ValueError(f"segment {name} has {segment.n_alive} of {segment.n_rows} rows in {sorted(files)}")
    if (segment.blocks is None) != (segment.boxes is None and segment.moments is None):
        raise ValueError(f"segment {name} has {sorted(files)}: blocks go with boxes or moments")
    if (segment.alive is None) != (segment.n_alive == segment.n_rows) or sum("alive" in file for file in files) > 1:
        raise ValueError(f"segment {name} has {segment.n_alive} of {segment.n_rows} rows alive by {segment.alive}")
    return segment


def _checked_hasher(fields: dict[str, Any]) -> HasherEntry:
    """Build the hasher's entry."""
    folder = _text(fields["folder"])
    if not re.fullmatch(r"hasher-[0-9a-f]{12}", folder):
        raise ValueError(f"folder {folder!r} of the hasher")
    return HasherEntry(folder, _text(fields["fingerprint"]), _checked_files(fields["files"], r"\w[\w.-]*"))


def _checked_files(files: dict[str, Any], pattern: str) -> dict[str, FileEntry]:
    for name, entry in files.items():
        if not re.fullmatch(pattern, name) or not re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
            raise ValueError(f"file {name!r}")
    return {name: FileEntry(_count(entry["bytes"]), entry["sha256"]) for name, entry in files.items()}


def _files_json(files: Mapping[str, FileEntry]) -> dict[str, Any]:
    return {name: {"bytes": entry.n_bytes, "sha256": entry.sha256} for name, entry in files.items()}


def _sealed(content: bytes) -> bytes:
    """Return a manifest's bytes with the checksum that belongs there."""
    start = content.rindex(b'"sha256": "') + len(b'"sha256": "')
    blank = content[:start] + b"0" * 64 + content[start + 64 :]
    return content[:start] + sha256(blank).hexdigest().encode() + content[start + 64 :]


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(f"{path} is damaged: {reason}; restore it from a copy or index again")


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"expected a count, got {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {value!r}")
    return value


def _one_of(value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"expected one of {', '.join(choices)}, got {value!r}")
    return str(value)


def _four(values: Any) -> Bounds:
    xmin, ymin, xmax, ymax = (float(value) for value in values)
    return xmin, ymin, xmax, ymax
