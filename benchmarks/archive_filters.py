"""What a filter costs and saves: search of an archive with a box and a month, beside the scans it stands between.

For each share that the filter keeps: DuckDB's time to find the rows, the whole filtered search, the same with the
filter asked before, a plain scan of as many codes, and the search of everything. Figures are medians of turns taken one
after the other, of wall time or, on a machine that others use, of the process's CPU time with RSHASH_NUM_THREADS=1.

    python benchmarks/archive_filters.py                          # 1e7 rows of 64 bits, in a temporary folder
    python benchmarks/archive_filters.py --n 1e6 --archive a.rshash     # kept, and taken again if it is there
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

import rshash
from rshash.archive.filters import find_rows, read_conditions

CODE_BYTES = 8
CHIPS = 400
"""Chips of a scene: they share its day and lie side by side."""
MONTHS = 36
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": perf_counter, "cpu": process_time}
BOXES = {"25° × 20°": (0, 35, 25, 55), "90° × 60°": (-30, 0, 60, 60), "180° × 90°": (-60, -10, 120, 80)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=float, default=1e7, help="rows")
    parser.add_argument("--archive", type=Path, help="folder to keep the archive in")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    threads = os.environ.get("RSHASH_NUM_THREADS", "all")
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, {threads} threads, {arguments.clock} time")
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.archive or Path(folder) / "filters.rshash"
        if not path.exists():
            make_archive(path, int(arguments.n))
        with rshash.open(path) as archive:
            clock = CLOCKS[arguments.clock]
            lines = [
                line for q in arguments.queries for line in measure(archive, q, arguments.k, arguments.turns, clock)
            ]
    print_table(lines)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


def make_archive(path: Path, n: int) -> None:
    """Append scenes of all the world and three years in no order, then compact, which puts them in one."""
    archive = rshash.create(path, n_bits=8 * CODE_BYTES)
    at_once = min(n, 1_000_000)
    for first in range(0, n, at_once):
        random = np.random.default_rng(first)
        chip = np.arange(min(at_once, n - first)) % CHIPS
        n_scenes = len(chip) // CHIPS + 1
        scene = np.arange(len(chip)) // CHIPS
        west = random.uniform(-180, 179, n_scenes)[scene] + chip % 20 * 0.02
        south = random.uniform(-60, 79, n_scenes)[scene] + chip // 20 * 0.02
        day = random.integers(0, MONTHS * 30, n_scenes)[scene]
        items = {
            "id": [f"chip-{row:09d}" for row in range(first, first + len(chip))],
            "bbox": np.column_stack([west, south, west + 0.02, south + 0.02]),
            "datetime": np.datetime64("2021-01-01T10:30:00", "us") + day.astype("timedelta64[D]"),
            "cloud_cover": random.integers(0, 1000, len(chip)) / 10,
        }
        archive.append(random.integers(0, 256, (len(chip), CODE_BYTES), dtype=np.uint8), items)
    archive.compact()
    archive.close()


def measure(archive: Any, n_queries: int, k: int, turns: int, clock: Clock) -> list[dict[str, Any]]:
    """Return a line for each box."""
    queries = np.random.default_rng(1).integers(0, 256, (n_queries, CODE_BYTES), dtype=np.uint8)
    lines = []
    for name, bbox in BOXES.items():
        asked = {"bbox": bbox, "datetime": "2022-05"}
        conditions = read_conditions(asked["bbox"], asked["datetime"], None, archive.columns)
        rows = find_rows(archive.database, archive.segments, archive.columns, conditions)
        share = np.ascontiguousarray(archive.segments[0].codes[: max(k, len(rows))])
        check(archive, queries, k, asked, rows)
        took = in_turns(
            {
                "duckdb": lambda c=conditions: find_rows(archive.database, archive.segments, archive.columns, c),
                "filtered": lambda a=asked: (archive.kept_filters.clear(), archive.search(queries, k=k, **a)),
                "again": lambda a=asked: archive.search(queries, k=k, **a),
                "share": lambda s=share: rshash.search(s, queries, k=k),
                "everything": lambda: archive.search(queries, k=k),
            },
            turns,
            clock,
        )
        lines.append({"queries": n_queries, "box": name, "kept": len(rows) / len(archive), **took})
    return lines


def in_turns(contenders: dict[str, Callable[[], Any]], turns: int, clock: Clock) -> dict[str, float]:
    """Return the median seconds of each, asked in turns after one untimed round."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(turns + 1):
        for name, ask in contenders.items():
            started = clock()
            ask()
            if turn:
                seconds[name].append(clock() - started)
    return {name: median(taken) for name, taken in seconds.items()}


def check(archive: Any, queries: np.ndarray, k: int, asked: dict[str, Any], rows: np.ndarray) -> None:
    """Hold the first query's hits against numpy over the kept rows."""
    hits = archive.search(queries, k=k, **asked)
    kept = np.sort(rows)
    distances = np.bitwise_count(archive.segments[0].codes[kept] ^ queries[0]).sum(axis=1)
    nearest = np.argsort(distances, kind="stable")[:k]
    assert np.array_equal(hits.rows[0], kept[nearest]), "a filtered search found other rows than numpy"


def print_table(lines: list[dict[str, Any]]) -> None:
    """Print the figures in milliseconds, as Markdown."""
    print(
        "| queries | box, one month | kept | DuckDB | filtered search | again | scan of as many codes | everything |",
        end="",
    )
    print(" filtered / (DuckDB + scan) | everything / filtered |\n|" + " ---: |" * 10)
    for line in lines:
        cells = [f"{1000 * line[name]:.1f} ms" for name in ("duckdb", "filtered", "again", "share", "everything")]
        ratio = line["filtered"] / (line["duckdb"] + line["share"])
        gain = line["everything"] / line["filtered"]
        kept = f"{100 * line['kept']:.2g} %"
        print(f"| {line['queries']} | {line['box']} | {kept} | {' | '.join(cells)} | {ratio:.2f} | {gain:.2f} × |")


if __name__ == "__main__":
    main()
