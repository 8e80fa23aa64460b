"""The main job end to end on generated scenes: train → encode → index → search, with a picture of the hits.

In: a folder and a seed. Out: `Demo`, and in the folder the scenes, the hasher, the archive, the report, ``hits.png``.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rshash.archive.reader import Archive, create_archive
from rshash.archive.writer import append_blocks
from rshash.codes import code_bytes
from rshash.data.captions import read_captions
from rshash.data.dataset import CaptionDataset
from rshash.data.scenes import generate_scenes, write_scenes
from rshash.data.splits import Split, duch_split
from rshash.encoding import encode_rows
from rshash.evaluation import Report, evaluate
from rshash.files import write_atomically
from rshash.methods import METHODS
from rshash.methods.options import parse_options
from rshash.models.cache import FeatureCache
from rshash.picture import Tile, contact_sheet
from rshash.training import train

SIZE = 128
EPOCHS = 60
TRAINING = {"batch_size": 64, "captions": "any", "hidden": 512, "learning_rate": 1e-3}
"""Departures from DUCH's constants that suit a small set and a short wait: all five captions, small heads and steps."""

QUERIES_SHOWN = 5
HITS_SHOWN = 5


@dataclass(frozen=True)
class Demo:
    """What the demo made and measured.

    Attributes:
        folder: where everything lies.
        report: evaluation on images that the training never saw.
        archive: the database half, opened.
        query: a sentence of the query half, to go on with.
        feature_bytes: size of the database's float32 features.
        seconds: time of each step.
    """

    folder: Path
    report: Report
    archive: Archive
    query: str
    feature_bytes: int
    seconds: dict[str, float]


def run_demo(
    folder: str | os.PathLike[str],
    *,
    n_scenes: int = 2000,
    n_bits: int = 64,
    seed: int = 0,
    epochs: int | None = None,
    progress: bool = True,
    say: Callable[[str], object] = lambda line: None,
) -> Demo:
    """Run the main job once.

    Args:
        folder: must not exist yet; everything is written there.
        n_scenes: generated scenes; half train, a tenth ask, the rest is indexed (DUCH's split).
        n_bits: width of the codes.
        seed: of scenes, split and training.
        epochs: passes over the training half; None takes `EPOCHS`.
        progress: show bars on stderr.
        say: called with a line at the start of each step.

    Returns:
        What was made and measured.

    Raises:
        FileExistsError: if ``folder`` exists.
        ValueError: if there are too few scenes to split, or another argument is out of range; nothing is written.
        ImportError: if the extra "train" is missing.
    """
    target = Path(folder)
    if target.exists():
        raise FileExistsError(f"{target} exists: choose another folder with -o")
    code_bytes(n_bits)
    options = {**TRAINING, "epochs": EPOCHS if epochs is None else epochs}
    parse_options(METHODS["duch"].options, options)
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def step(name: str, line: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        if name:
            seconds[name] = now - clock
        clock = now
        say(line)

    step("", f"1. Draw {n_scenes:,} aerial scenes with five captions each → {target / 'scenes'}")
    split = duch_split(n_scenes, seed=seed)
    write_scenes(generate_scenes(n_scenes, seed=seed, size=SIZE), target / "scenes", progress=progress)
    scenes = read_captions(target / "scenes" / "captions.json", target / "scenes" / "images", on_bad="refuse")
    step("draw", f"2. Train a {n_bits}-bit DUCH hasher on {len(split.train):,} of them → {target / 'demo.hasher'}")
    cache = FeatureCache(target / "features")
    with _one_thread():
        hasher = train(
            scenes.subset(split.train),
            method="duch",
            n_bits=n_bits,
            image_encoder="small-cnn",
            caption_encoder="bag-of-words",
            seed=seed,
            options=options,
            cache=cache,
            progress=progress,
        )
    hasher.provenance["split"] = {"name": "duch", "seed": seed, "data": scenes.fingerprint()}
    hasher.save(target / "demo.hasher")
    step("train", f"3. Encode and index the {len(split.database):,} scenes to be searched → {target / 'demo.rshash'}")
    database = scenes.subset(split.database)
    archive = create_archive(target / "demo.rshash", hasher=target / "demo.hasher")
    append_blocks(archive, encode_rows(hasher, database, "images", cache=cache, progress=progress))
    step("index", f"4. Evaluate with {len(split.query):,} queries in every direction → {target / 'report.json'}")
    query = scenes.subset(split.query)
    report = evaluate(hasher, query, database, ks=(1, 20), cache=cache, progress=progress)
    report.save(target / "report.json")
    step("evaluate", f"5. Search with sentences → {target / 'hits.png'}")
    asked = _one_of_each_class(query)[:QUERIES_SHOWN]
    draw_demo(target / "hits.png", scenes, split, asked, archive)
    step("search", "")
    return Demo(
        folder=target,
        report=report,
        archive=archive,
        query=query.captions[asked[0]][0],
        feature_bytes=len(database) * hasher.load_image_encoder().dim * 4,
        seconds=seconds,
    )


def draw_demo(target: Path, scenes: CaptionDataset, split: Split, asked: list[int], archive: Archive) -> None:
    """Write a contact sheet: a sentence a line, its hits framed green where the class is right."""
    queries, labels = split.query[asked], np.asarray(scenes.labels)
    sentences = [scenes.captions[row][0] for row in queries]
    hits = archive.search(sentences, k=HITS_SHOWN)
    rows = []
    for position, (row, sentence) in enumerate(zip(queries, sentences, strict=True)):
        distances, found = hits.distances[position], hits.rows[position]
        tiles = [
            Tile(f"{rank}. distance {distance}", scenes.captions[hit][0], scenes.image(hit), labels[hit] == labels[row])
            for rank, (distance, hit) in enumerate(zip(distances, split.database[found], strict=True), start=1)
        ]
        rows.append((Tile("query", sentence), tiles))
    heading = f"{len(archive):,} scenes at {archive.n_bits} bits = {archive.info()['code bytes']:,} bytes"
    with write_atomically(target) as draft:
        contact_sheet(rows, columns=HITS_SHOWN, heading=heading).save(draft)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: steps this small gain nothing from more, and lose much on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _one_of_each_class(dataset: CaptionDataset) -> list[int]:
    """Return the first row of every class."""
    return sorted(np.unique(np.asarray(dataset.labels), return_index=True)[1].tolist())
