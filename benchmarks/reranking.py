"""What ranking a shortlist again gains in mAP@20 and costs in time.

Gain: hashers on the query and database halves of the split they were trained on, one caption an image, relevant is the
same class; mean and standard deviation over the hashers. Cost: CPU time of 64 queries in an archive of random codes.

    python benchmarks/reranking.py --captions dataset.json --images images/ my-0.hasher my-1.hasher my-2.hasher
"""

import argparse
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

import rshash
from rshash.data.captions import read_captions
from rshash.data.splits import duch_split
from rshash.encoding import relaxed_caption_codes, relaxed_image_codes
from rshash.evaluation.halves import one_caption_each
from rshash.metrics import average_precision
from rshash.models.cache import FeatureCache

K = 20
MEASURES = (None, "asymmetric", "relaxed")
DIRECTIONS = {"image → text": ("images", "captions"), "text → image": ("captions", "images")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hashers", type=Path, nargs="+")
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="folder of features")
    parser.add_argument("--shortlist", type=int, default=200)
    parser.add_argument("--rows", type=float, default=1e6, help="rows of the archive that is timed")
    arguments = parser.parse_args()
    dataset = read_captions(arguments.captions, arguments.images, on_bad="skip")
    scores: dict[tuple[str, str | None], list[float]] = {}
    for path in arguments.hashers:
        for direction, measure, score in gains(path, dataset, arguments.cache, arguments.shortlist):
            scores.setdefault((direction, measure), []).append(score)
    seconds = costs(int(arguments.rows), arguments.shortlist)
    print(f"| ranking, shortlist {arguments.shortlist} | {' | '.join(DIRECTIONS)} | CPU ms a query |\n|{' --- |' * 4}")
    for measure in MEASURES:
        cells = [scores[direction, measure] for direction in DIRECTIONS]
        means = [f"{np.mean(cell):.3f} ± {np.std(cell, ddof=min(1, len(cell) - 1)):.3f}" for cell in cells]
        print(f"| {measure or 'Hamming only'} | {' | '.join(means)} | {1000 * seconds[measure]:.2f} |")


def gains(path: Path, dataset: Any, cache: Path | None, shortlist: int) -> list[tuple[str, str | None, float]]:
    """Return (direction, measure, mAP@20) of one hasher."""
    from rshash.models.hasher import CrossModalHasher

    hasher = CrossModalHasher.load(path)
    split = duch_split(len(dataset), hasher.provenance["split"]["seed"])
    features = None if cache is None else FeatureCache(cache)
    halves = {name: dataset.subset(getattr(split, name)) for name in ("query", "database")}

    def relaxed_codes(half: Any, modality: str) -> np.ndarray:
        if modality == "images":
            return np.concatenate(list(relaxed_image_codes(hasher, half, cache=features, progress=False)))
        return np.concatenate(
            list(relaxed_caption_codes(hasher, one_caption_each(half), cache=features, progress=False))
        )

    found = []
    for direction, (asking, answering) in DIRECTIONS.items():
        queries = hasher.expand(relaxed_codes(halves["query"], asking))
        relaxed = relaxed_codes(halves["database"], answering)
        same = np.asarray(halves["query"].labels)[:, None] == np.asarray(halves["database"].labels)
        with tempfile.TemporaryDirectory() as folder, rshash.create(f"{folder}/a", n_bits=hasher.n_bits) as archive:
            pack = rshash.pack_codes if answering == "images" else hasher.pack_captions
            archive.append(pack(relaxed), [{"id": str(row)} for row in range(len(relaxed))], relaxed)
            for measure in MEASURES:
                rows = archive.search(queries, k=K, rerank=measure, shortlist=shortlist if measure else None).rows
                ranked = np.take_along_axis(same, rows, axis=1)
                found.append((direction, measure, float(average_precision(ranked, same.sum(axis=1), K).mean())))
    return found


def costs(n: int, shortlist: int, n_bits: int = 64) -> dict[str | None, float]:
    """Return CPU seconds a query of a search with each measure, the least of seven runs of 64 queries."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        archive = rshash.create(f"{folder}/a", n_bits=n_bits, id_type="integer")
        relaxed = np.tanh(random.normal(size=(n, n_bits))).astype(np.float16)
        archive.append(rshash.pack_codes(relaxed), {"id": np.arange(n)}, relaxed)
        queries = np.tanh(random.normal(size=(64, n_bits))).astype(np.float32)
        seconds: dict[str | None, float] = {}
        for measure in MEASURES:
            taken = []
            for _ in range(7):
                started = process_time()
                archive.search(queries, k=K, rerank=measure, shortlist=shortlist if measure else None)
                taken.append(process_time() - started)
            seconds[measure] = min(taken) / len(queries)
        archive.close()
    return seconds


if __name__ == "__main__":
    main()
