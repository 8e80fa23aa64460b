"""Searching a memory-mapped file of codes: it should run at the speed of memory and add next to none of its own.

N random codes are written into a file block by block, then searched through `rshash.search` with one query and with
256, each in a process of its own. The memory added is the process's anonymous memory (RssAnon, sampled every few
milliseconds during the searches, its peak): the pages of the map belong to the file. The first search may find the
file partly on disk; the fastest of all is reported. Linux only.

    python benchmarks/mapped_search.py                     # 1e8 codes of 64 bits: 0.8 GB
    python benchmarks/mapped_search.py --n 1000000000      # 8 GB
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import rshash

BLOCK_BYTES = 1 << 26
SPARE_BYTES = 2 << 30  # left free on the disk


def write_codes(path: Path, n_bytes: int, seed: int) -> None:
    """Write so many random bytes through one block of memory."""
    rng = np.random.default_rng(seed)
    with open(path, "wb") as file:
        for first in range(0, n_bytes, BLOCK_BYTES):
            file.write(rng.bytes(min(BLOCK_BYTES, n_bytes - first)))


def anonymous_bytes() -> int:
    """Return the resident memory of this process that belongs to no file."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def search_file(path: Path, code_bytes: int, n_queries: int, repeats: int) -> dict[str, float]:
    """Search the file in this process; return the seconds of the fastest search and the peak of the memory added."""
    codes = np.memmap(path, np.uint8, "r").reshape(-1, code_bytes)
    queries = np.random.default_rng(1).integers(0, 256, (n_queries, code_bytes), dtype=np.uint8)
    before, peaks, done = anonymous_bytes(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peaks.append(anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        rshash.search(codes, queries, k=10)
        seconds.append(time.perf_counter() - start)
    done.set()
    watcher.join()
    return {"seconds": min(seconds), "added": max(0, max(peaks) - before)}


def main() -> None:
    """Parse, write the file, search it in fresh processes, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000_000, help="codes")
    parser.add_argument("--bits", type=int, default=64, help="bits of a code, a multiple of 8")
    parser.add_argument("--repeats", type=int, default=3, help="searches, of which the fastest counts")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the file is made")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    code_bytes = arguments.bits // 8
    if arguments.one:
        path, n_queries = arguments.one
        print(json.dumps(search_file(Path(path), code_bytes, int(n_queries), arguments.repeats)))
        return
    n_bytes = arguments.n * code_bytes
    free, needed = shutil.disk_usage(arguments.folder).free, n_bytes + SPARE_BYTES
    if free < needed:
        print(f"skipped: {arguments.folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} are needed")
        return
    print(f"{platform.platform()}, {arguments.n:,} codes of {arguments.bits} bits, {n_bytes / 1e9:.2f} GB")
    print(f"{'Q':>5} {'seconds':>9} {'Gcq/s':>7} {'GB/s':>6} {'MB added':>9}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "codes.bin"
        write_codes(path, n_bytes, seed=0)
        for n_queries in (1, 256):
            command = [sys.executable, __file__, "--bits", str(arguments.bits), "--repeats", str(arguments.repeats)]
            command += ["--one", str(path), str(n_queries)]
            row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            rates = [amount / row["seconds"] / 1e9 for amount in (arguments.n * n_queries, n_bytes)]
            print(f"{n_queries:>5} {row['seconds']:>9.3f} {rates[0]:>7.1f} {rates[1]:>6.2f} {row['added'] / 1e6:>9.1f}")


if __name__ == "__main__":
    main()
