"""How fast a GPU searches, beside its copy rate and torch on the same GPU; every answer is compared with torch's.

    python benchmarks/cuda.py                                 # 1e8 codes
    python benchmarks/cuda.py --scale 0.001 --device cpu      # a trial of this program where there is no GPU

Codes are made on the device and searched where they lie. Figures are pairs of a code and a query per second, the best
of seven calls after one to warm up. The baselines hold a block of pairs at a time, the better of two sizes, and are
called twice.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

import rshash


class Case(NamedTuple):
    """What is searched: codes in millions, bits of a code, queries, hits a query."""

    n_millions: float
    n_bits: int
    n_queries: int
    k: int


CASES = [
    Case(100, 64, 1, 10),
    Case(100, 64, 8, 10),
    Case(100, 64, 64, 10),
    Case(100, 64, 64, 10_000),
    Case(100, 64, 1024, 10),
    Case(25, 256, 1024, 10),
    Case(20, 72, 1024, 10),
]


def best_seconds(action: Callable[[], Any], device: str, n_times: int = 7) -> float:
    """Return the least time of an action, the device idle before and after."""
    seconds = []
    for _ in range(n_times + 1):
        wait_for(device)
        start = time.perf_counter()
        action()
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def wait_for(device: str) -> None:
    """Wait until the device is idle."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def measure_copy(device: str, n_bytes: int) -> float:
    """Return bytes read plus bytes written per second while memory is copied to memory of the same device."""
    source = torch.zeros(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * n_bytes / best_seconds(lambda: target.copy_(source), device)


def torch_table(codes: torch.Tensor, queries: torch.Tensor, k: int, n_block: int) -> torch.Tensor:
    """Return the k smallest distances (Q, k), by xor and a table of the bits in a byte."""
    table = torch.tensor([bin(i).count("1") for i in range(256)], dtype=torch.int16, device=codes.device)
    best = torch.empty((len(queries), 0), dtype=torch.int16, device=codes.device)
    for block in codes.split(n_block):
        distances = torch.zeros((len(queries), len(block)), dtype=torch.int16, device=codes.device)
        for byte in range(codes.shape[1]):
            distances += table[(queries[:, byte, None] ^ block[None, :, byte]).int()]
        best = torch.cat([best, distances], dim=1).topk(min(k, best.shape[1] + len(block)), largest=False).values
    return best.int()


def torch_product(codes: torch.Tensor, queries: torch.Tensor, k: int, n_block: int) -> torch.Tensor:
    """Return the k smallest distances (Q, k), by products of codes of ±1."""
    kind = torch.float32 if codes.device.type == "cpu" else torch.float16
    n_bits = 8 * codes.shape[1]
    signs = to_signs(queries, kind)
    best = torch.empty((len(queries), 0), dtype=kind, device=codes.device)
    for block in codes.split(n_block):
        products = signs @ to_signs(block, kind).T
        best = torch.cat([best, products], dim=1).topk(min(k, best.shape[1] + len(block))).values
    return ((n_bits - best.float()) / 2).int()


def to_signs(codes: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """Return codes (N, n_bytes) as (N, n_bits) of -1 and +1."""
    shifts = torch.arange(8, dtype=torch.uint8, device=codes.device)
    return (codes[:, :, None] >> shifts & 1).flatten(1).to(kind) * 2 - 1


def main() -> None:
    """Print a row a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the codes of each case")
    words = parser.parse_args()
    device, generator = words.device, torch.Generator(words.device).manual_seed(0)
    copied = measure_copy(device, max(1 << 20, int(words.scale * (1 << 32))))
    print(
        f"rshash {rshash.__version__}, torch {torch.__version__}, {device}: "
        f"a copy reads and writes {copied:.3g} bytes/s"
    )
    print("| codes | bits | queries | k | pairs/s | bytes of codes/s, of the copy's | torch table | torch product |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for case in CASES:
        n_codes, n_bytes = max(case.k, int(words.scale * case.n_millions * 1e6)), case.n_bits // 8
        codes = torch.randint(0, 256, (n_codes, n_bytes), dtype=torch.uint8, device=device, generator=generator)
        queries = codes[: case.n_queries] ^ 1
        index = rshash.FlatIndex(codes) if device == "cpu" else rshash.DeviceIndex(codes, device)
        hits = index.search(queries, k=case.k)
        seconds = best_seconds(lambda index=index, queries=queries, k=case.k: index.search(queries, k=k), device)
        n_pairs = n_codes * case.n_queries
        rates = [n_pairs / seconds]
        for baseline in (torch_table, torch_product):
            blocks = [1 << 16, 1 << 18] if case.n_queries > 64 else [1 << 20, 1 << 22]
            for n_block in blocks:
                expected = baseline(codes, queries, case.k, n_block).cpu().numpy()
                assert np.array_equal(hits.distances, expected), f"{baseline.__name__} finds other distances"
            tried = [
                best_seconds(lambda f=baseline, c=codes, q=queries, k=case.k, n=n: f(c, q, k, n), device, 1)
                for n in blocks
            ]
            rates.append(n_pairs / min(tried))
        share = n_codes * n_bytes / seconds / copied
        print(
            f"| {n_codes:.3g} | {case.n_bits} | {case.n_queries} | {case.k} | {rates[0]:.3g} | {share:.0%} "
            f"| {rates[1]:.3g} | {rates[2]:.3g} |"
        )


if __name__ == "__main__":
    main()
