"""What a self-join costs by a scan and through tables, and which of both the rule of `rshash.join` takes.

CPU seconds of one thread for all rows. Both are extrapolated from some of the rows as queries (a scan looks at each
pair once, so at half of what its queries do here; tables include their making), unless --whole: then both joins are
run to the end and held against each other.

    python benchmarks/join.py                      # 1e6 rows of 64 bits, clustered and uniform
    python benchmarks/join.py --n 1e5 --whole
"""

import argparse
import platform
from time import process_time

import numpy as np

from rshash.bench.data import KINDS, generate_codes
from rshash.codes import Codes
from rshash.index.multi_index import PLAN, MultiIndex
from rshash.index.scan import scan
from rshash.join import first_equal, join_blocks, tables_pay


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=float, default=1e6, help="rows")
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS)
    parser.add_argument("--radii", type=int, nargs="+", default=list(range(7)))
    parser.add_argument("--scanned", type=int, default=4096, help="queries of the scan")
    parser.add_argument("--looked-up", type=int, default=32768, help="queries of the tables")
    parser.add_argument("--whole", action="store_true", help="join all rows, extrapolate nothing")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {arguments.n:,.0f} rows of {arguments.bits} bits\n")
    for kind in arguments.kinds:
        codes = generate_codes(int(arguments.n), arguments.bits, kind)
        began = process_time()
        first = first_equal(codes)
        sorting = process_time() - began
        print(f"{kind}: {len(np.unique(first)):,} distinct codes, sorted in {sorting:.2f} s\n")
        print("| radius | pairs | scan | multi-index | the rule takes |\n| ---: | ---: | ---: | ---: | --- |")
        for radius in arguments.radii:
            measured = whole(codes, radius) if arguments.whole else sampled(codes, radius, arguments)
            n_pairs, scanning, looking = measured
            choice = PLAN if tables_pay(codes, None, radius) else "scan"
            print(f"| {radius} | {n_pairs:.3g} | {scanning:.2f} | {looking:.2f} | {choice} |", flush=True)
        print()


def sampled(codes: Codes, radius: int, arguments: argparse.Namespace) -> tuple[float, float, float]:
    """Return pairs, seconds of the scan and of tables, all extrapolated."""
    rng = np.random.default_rng(0)
    asked = codes[rng.choice(len(codes), min(len(codes), arguments.scanned), replace=False)]
    began = process_time()
    hits = scan(codes, None, asked, radius=radius, n_threads=1)
    scanning = (process_time() - began) * len(codes) / len(asked) / 2
    n_pairs = (len(hits.ids) / len(asked) - 1) * len(codes) / 2
    began = process_time()
    index = MultiIndex(codes)
    making = process_time() - began
    asked = codes[rng.choice(len(codes), min(len(codes), arguments.looked_up), replace=False)]
    began = process_time()
    index.search(asked, radius=radius, n_threads=1)
    return n_pairs, scanning, making + (process_time() - began) * len(codes) / len(asked)


def whole(codes: Codes, radius: int) -> tuple[float, float, float]:
    """Return pairs, seconds of the scan and of tables.

    Raises:
        ValueError: if they find different numbers of pairs.
    """
    seconds, counts = [], []
    for plan in ("scan", PLAN):
        began = process_time()
        counts.append(sum(len(part.rows_a) for part in join_blocks(codes, None, radius, plan=plan, n_threads=1)))
        seconds.append(process_time() - began)
    if counts[0] != counts[1]:
        raise ValueError(f"scan and tables find {counts} pairs within {radius}")
    return counts[0], seconds[0], seconds[1]


if __name__ == "__main__":
    main()
