"""Kill an ingest again and again, at moments drawn at random, and hold the archive against the truth after each.

    python tests/ingest_killer.py FOLDER --kills 200 --seed 0

Prints one line of JSON. The process that starts the others has threads of nothing, so that forking it is safe, and has
imported everything, so that a kill costs as little as it can.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import duckdb  # noqa: F401 - imported once, before forking
import numpy as np
import torch
from PIL import Image

import rshash
from rshash.data.images import IMAGE_SUFFIXES
from rshash.ingest import run
from rshash.ingest.encode import Encoder
from rshash.ingest.listing import FolderListing
from rshash.ingest.pictures import PictureSource
from rshash.models.hasher import CrossModalHasher
from rshash.models.heads import HashHead

N_IMAGES = 120


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = arguments.folder
    rng = random.Random(arguments.seed)
    in_child(lambda: prepare(folder))
    expected = json.loads((folder / "expected.json").read_text())
    started = time.monotonic()
    assert in_child(lambda: take_in(folder, "whole.rshash")) == 0
    whole_seconds = time.monotonic() - started
    committed: set[str] = set()
    kills = finished = n_encoded = 0
    while kills < arguments.kills:
        (folder / "encoded.txt").write_text("")
        child = os.fork()
        if child == 0:
            leave(lambda: take_in(folder, "a.rshash"))
        time.sleep(rng.uniform(0, whole_seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        encoded = (folder / "encoded.txt").read_text().split()
        assert not committed & set(encoded), "committed rows were encoded again"
        n_encoded += len(encoded)
        assert in_child(lambda: look(folder)) == 0
        now = json.loads((folder / "found.json").read_text())
        assert committed <= now.keys(), "committed rows were lost"
        assert all(expected[id] == code for id, code in now.items()), "a row has another code"
        committed = set(now)
        if len(committed) == len(expected):  # done: begin again
            finished += 1
            committed = set()
            in_child(lambda: os.system(f"rm -r {folder / 'a.rshash'}") and None)
    print(json.dumps({"kills": kills, "finished": finished, "encoded": n_encoded, "seconds": round(whole_seconds, 2)}))


def prepare(folder: Path) -> None:
    """Draw images, save a hasher, and encode each image alone: the truth."""
    (folder / "images").mkdir()
    for number in range(N_IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        pixels[: number % 16] //= 2
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    torch.manual_seed(0)
    hasher = CrossModalHasher(HashHead(372, 32, 8), HashHead(1024, 32, 8), "small-cnn", "bag-of-words")
    hasher.save(folder / "a.hasher")
    codes = {
        path.name: hasher.encode_images([np.asarray(Image.open(path))])[0].tolist()
        for path in (folder / "images").iterdir()
    }
    (folder / "expected.json").write_text(json.dumps(codes))


def take_in(folder: Path, archive: str) -> None:
    """Ingest, committing every few rows; note down what is encoded."""
    torch.set_num_threads(1)
    encode = Encoder.encode

    def noted(self, readings):
        with open(folder / "encoded.txt", "a") as file:
            file.write("".join(f"{reading.entry.id}\n" for reading in readings))
        return encode(self, readings)

    Encoder.encode = noted
    run._ENCODED = 4
    hasher = CrossModalHasher.load(folder / "a.hasher")
    source = PictureSource(FolderListing(folder / "images", IMAGE_SUFFIXES))
    run.ingest(folder / archive, source, hasher, commit_rows=8, n_threads=2, progress=False)


def look(folder: Path) -> None:
    """Write down the codes that the archive shows, and check that its files are whole."""
    found = {}
    if (folder / "a.rshash" / "manifest.json").exists():
        with rshash.open(folder / "a.rshash") as archive:
            rows = dict(archive.connection.execute("SELECT row, id FROM items").fetchall())
            living = np.concatenate([segment.living() for segment in archive.segments] or [np.zeros(0, bool)])
            codes = np.concatenate([segment.codes for segment in archive.segments] or [np.zeros((0, 4), np.uint8)])
            found = {rows[row]: codes[row].tolist() for row in np.flatnonzero(living).tolist()}
            assert len(found) == len(archive)
            assert archive.verify().ok, str(archive.verify())
    (folder / "found.json").write_text(json.dumps(found))


def in_child(work) -> int:
    """Run a function in a process of its own and return its exit status."""
    child = os.fork()
    if child == 0:
        leave(work)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def leave(work) -> None:
    """Run a function and end this process."""
    try:
        work()
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
