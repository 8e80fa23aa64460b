"""How fast an archive opens, grows and forgets, and what it weighs on disk.

Every figure is of a process of its own. Items are typical of chips: id, footprint, moment, source, caption, one number.

    python benchmarks/archive.py                         # open 1e8 rows, append 1e6, delete 10,000 of 1e7
    python benchmarks/archive.py --scale 0.01            # the same, a hundred times smaller
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import rshash

CODE_BYTES = 8


def typical_items(n: int, first: int = 0) -> dict[str, Any]:
    """Return columns of n items; neighbours share scene and day, as chips of one pass do."""
    rows = np.arange(first, first + n)
    random = np.random.default_rng(first)
    scene, chip = rows // 400, rows % 400
    words = random.integers(0, len(CLASSES), (n, 3))
    west = -180 + (scene * 37 % 3590) / 10 + chip % 20 * 0.01
    south = -80 + (scene * 91 % 1590) / 10 + chip // 20 * 0.01
    return {
        "id": [f"S2_T{s:06d}_{c:03d}" for s, c in zip(scene.tolist(), chip.tolist(), strict=True)],
        "bbox": np.column_stack([west, south, west + 0.01, south + 0.01]),
        "datetime": np.datetime64("2020-01-01T10:00:00") + scene * np.timedelta64(7, "m"),
        "source": [f"/data/scenes/T{s:06d}.tif" for s in scene.tolist()],
        "caption": [f"{count} {CLASSES[one]} beside a {CLASSES[two]}" for count, one, two in words.tolist()],
        "cloud_cover": random.integers(0, 1000, n) / 10,
    }


CLASSES = ("airport", "beach", "bridge", "farm", "forest", "harbour", "lake", "park", "river", "stadium")


def random_codes(n: int, seed: int = 0) -> np.ndarray:
    """Return n uniform codes."""
    return np.random.default_rng(seed).integers(0, 256, (n, CODE_BYTES), dtype=np.uint8)


def make_wide(path: Path, n: int) -> None:
    """Make an archive of n codes with integer ids and nothing else."""
    archive = rshash.create(path, n_bits=8 * CODE_BYTES, id_type="integer")
    at_once = min(n, 10_000_000)
    for first in range(0, n, at_once):
        ids = np.arange(first, min(first + at_once, n))
        archive.append(np.zeros((len(ids), CODE_BYTES), np.uint8), {"id": ids})


def measure_open(path: Path, _: int) -> dict[str, Any]:
    """Open, and search nothing."""
    from rshash.archive.reader import open_archive

    before = private_bytes()
    clock = Clock()
    archive = open_archive(path)
    found = {"rows": len(archive), "segments": len(archive.segments), **clock.read()}
    return found | {"private MB": (private_bytes() - before) / 1e6}


def measure_append(path: Path, n: int) -> dict[str, Any]:
    """Append n rows to a new archive, and the same number again to a grown one."""
    archive = rshash.create(path, n_bits=8 * CODE_BYTES)
    found: dict[str, Any] = {"rows": n}
    for name, first in (("empty", 0), ("grown", n)):
        codes, items = random_codes(n, first), typical_items(n, first)
        clock = Clock()
        archive.append(codes, items)
        found |= {f"{key}, {name}": value for key, value in clock.read().items()}
    sizes = {entry.name: entry.stat().st_size for entry in os.scandir(path)}
    for what, names in (("code", "codes"), ("item", "items"), ("place", ("boxes", "moments", "blocks"))):
        found[f"{what} bytes/row"] = sum(size for name, size in sizes.items() if name.startswith(names)) / (2 * n)
    return found


def make_typical(path: Path, n: int) -> None:
    """Make an archive of n typical items in commits of a million."""
    archive = rshash.create(path, n_bits=8 * CODE_BYTES)
    for first in range(0, n, 1_000_000):
        many = min(1_000_000, n - first)
        archive.append(random_codes(many, first), typical_items(many, first))


def measure_delete(path: Path, n_deleted: int) -> dict[str, Any]:
    """Delete ids spread over the archive, then read the items of ten rows."""
    archive = rshash.open(path)
    n = len(archive)
    n_deleted = min(n_deleted, n // 10)
    rows = np.random.default_rng(1).choice(n, n_deleted, replace=False)
    ids = [f"S2_T{row // 400:06d}_{row % 400:03d}" for row in rows.tolist()]
    codes = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(path) if entry.name.startswith("codes")}
    clock = Clock()
    archive.delete(ids)
    deleted = clock.read()
    assert len(archive) == n - n_deleted
    assert all((path / name).stat().st_mtime_ns == moment for name, moment in codes.items())
    clock = Clock()
    archive.items_at(np.random.default_rng(2).choice(n, 10))
    items = {f"{key}, ten items": value for key, value in clock.read().items()}
    return {"of": n, "deleted": n_deleted, **deleted, **items}


def measure_compact(path: Path, _: int) -> dict[str, Any]:
    """Compact everything into one ordered segment and check it."""
    archive = rshash.open(path)
    clock = Clock()
    archive.compact()
    compacted = clock.read()
    clock = Clock()
    report = archive.verify()
    assert report.ok, report
    return {"rows": len(archive), **compacted, **{f"{key}, verify": value for key, value in clock.read().items()}}


class Clock:
    """Seconds of wall and of this process's CPU since it was made; apart, they tell how busy the machine was."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return both."""
        return {"seconds": time.perf_counter() - self.start[0], "CPU seconds": time.process_time() - self.start[1]}


def private_bytes() -> int:
    """Return the memory that belongs to this process alone."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


STEPS: dict[str, Callable[[Path, int], Any]] = {
    "make wide": make_wide,
    "open": measure_open,
    "append": measure_append,
    "make typical": make_typical,
    "delete": measure_delete,
    "compact": measure_compact,
}


def main() -> None:
    """Parse, run each step in its own process, print what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1, help="make everything smaller by this factor")
    parser.add_argument("--folder", type=Path, help="where to write; about 4 GB at full scale  [default: a new one]")
    parser.add_argument("--step", nargs=3, metavar=("NAME", "PATH", "N"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        name, path, n = arguments.step
        print(json.dumps(STEPS[name](Path(path), int(n))))
        return
    print(f"{platform.platform()}, Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name, archive, n in (
            ("make wide", "wide", 1e8),
            ("open", "wide", 0),
            ("append", "new", 1e6),
            ("make typical", "typical", 1e7),
            ("delete", "typical", 10_000),
            ("compact", "typical", 0),
        ):
            count = str(int(n * arguments.scale))
            command = [sys.executable, __file__, "--step", name, f"{folder}/{archive}", count]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            if found:
                print(f"{name:>8}: " + ", ".join(f"{key} {value:,.4g}" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
