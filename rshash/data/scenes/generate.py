"""Scenes as a data set: drawn when asked for, the same at every time, or written to a folder as files."""

from __future__ import annotations

import hashlib
import json
import operator
import os
from pathlib import Path
from random import Random

import numpy as np
from tqdm import tqdm

from rshash.data.dataset import CaptionDataset
from rshash.data.scenes.canvas import Canvas
from rshash.data.scenes.facts import Facts
from rshash.data.scenes.grammar import write_captions
from rshash.data.scenes.kinds import KINDS, draw_facts
from rshash.extras import require
from rshash.files import write_atomically

VERSION = 1  # to be raised whenever the same arguments draw other pixels: cached features hang on it
MIN_SIZE, MAX_SIZE = 32, 1024
NAMES = tuple(KINDS)
SPLITS = ("train",) * 8 + ("val", "test")


class SceneDataset(CaptionDataset):
    """Generated scenes, drawn at each `image`; see `generate_scenes`.

    Attributes:
        seed: seed of every scene.
        size: edge of the images in pixels.
    """

    def __init__(self, n: int, seed: int, size: int) -> None:
        self.seed = seed
        self.size = size
        facts = [scene_facts(seed, number) for number in range(n)]
        super().__init__(
            f"scenes-{seed}",
            [f"scene-{number:06d}.png" for number in range(n)],
            [write_captions(fact, _random(seed, number, "captions")) for number, fact in enumerate(facts)],
            labels=np.array([NAMES.index(fact.kind) for fact in facts], dtype=np.int64),
            classes=NAMES,
            splits=[_drawn_from(SPLITS, seed, number, "splits") for number in range(n)],
        )

    def number(self, row: int) -> int:
        """Return the scene number of a row, which a subset keeps."""
        return int(self.ids[row].removeprefix("scene-").removesuffix(".png"))

    def facts(self, row: int) -> Facts:
        """Return what a scene shows."""
        return scene_facts(self.seed, self.number(row))

    def image(self, row: int) -> np.ndarray:
        """Draw one scene, (size, size, 3) uint8 RGB.

        Raises:
            ImportError: if Pillow is missing.
        """
        number = self.number(row)
        facts = scene_facts(self.seed, number)
        canvas = Canvas(self.size, _random(self.seed, number, "paint"))
        KINDS[facts.kind].paint(canvas, facts)
        return canvas.finish()

    def image_key(self, row: int) -> bytes:
        """Return the 16-byte digest of what determines a scene: generator version, seed, number and size."""
        identity = f"rshash scene {VERSION} {self.seed} {self.number(row)} {self.size}"
        return hashlib.blake2b(identity.encode(), digest_size=16).digest()

    def path(self, row: int) -> Path:
        """Scenes have no files.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.ids[row]} is drawn, not read: there is no file; write_scenes writes files")


def generate_scenes(n: int, seed: int = 0, size: int = 128) -> SceneDataset:
    """Make aerial-like scenes of `KINDS` with five captions each; images are drawn when opened.

    Scene i depends only on ``seed`` and i, its pixels also on ``size``. Kinds and splits are balanced:
    each block of ``len(KINDS)`` scenes holds every kind once, and each ten are 8 of train, 1 of val, 1 of test.

    Args:
        n: number of scenes, at least 1.
        seed: any int from 0.
        size: edge of the images in pixels, 32 to 1024.

    Raises:
        TypeError: if an argument is no integer.
        ValueError: if one is out of range.

    >>> scenes = generate_scenes(40, seed=1, size=32)
    >>> scenes
    SceneDataset('scenes-1', 40 images, 20 classes)
    >>> scenes.image(3).shape, len(scenes.captions[3])
    ((32, 32, 3), 5)
    """
    n, seed, size = _integer("n", n), _integer("seed", seed), _integer("size", size)
    if n < 1:
        raise ValueError(f"n is {n}, expected at least 1 scene")
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected 0 or more")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"size is {size}, expected {MIN_SIZE} to {MAX_SIZE} pixels")
    return SceneDataset(n, seed, size)


def write_scenes(dataset: CaptionDataset, folder: str | os.PathLike[str], *, progress: bool = True) -> None:
    """Write ``folder/images/*.png`` and ``folder/captions.json``, readable by `rshash.data.captions.read_captions`.

    The folder appears whole or not at all.

    Args:
        dataset: usually of `generate_scenes`.
        folder: scenes that it held before are replaced.
        progress: show a bar on stderr where that is a terminal.

    Raises:
        ImportError: if Pillow is missing.
        OSError: if the folder cannot be written, or holds something else.
    """
    image = require("PIL.Image", "train")
    rows = []
    with write_atomically(folder, replaces="captions.json") as draft:
        (draft / "images").mkdir(parents=True)
        for row in tqdm(range(len(dataset)), desc="draw scenes", unit="scene", disable=None if progress else True):
            picture = image.fromarray(dataset.image(row))
            picture.save(draft / "images" / dataset.ids[row], compress_level=1)
            rows.append(_karpathy_row(dataset, row))
        content = json.dumps({"images": rows, "dataset": dataset.name})
        (draft / "captions.json").write_text(content, encoding="utf-8")


def scene_facts(seed: int, number: int) -> Facts:
    """Return what scene ``number`` shows, whatever its size.

    >>> scene_facts(seed=0, number=7) == scene_facts(seed=0, number=7)
    True
    """
    return draw_facts(_drawn_from(NAMES, seed, number, "kinds"), _random(seed, number, "facts"))


def _karpathy_row(dataset: CaptionDataset, row: int) -> dict[str, object]:
    captions = dataset.captions[row]
    content: dict[str, object] = {
        "filename": dataset.ids[row],
        "imgid": row,
        "sentences": [
            {"raw": caption, "tokens": caption.split(), "sentid": row * len(captions) + number}
            for number, caption in enumerate(captions)
        ],
    }
    if dataset.splits[row] is not None:
        content["split"] = dataset.splits[row]
    if dataset.labels is not None:
        content["classname"] = dataset.classes[dataset.labels[row]]
        content["classcode"] = int(dataset.labels[row])
    return content


def _drawn_from(deck: tuple[str, ...], seed: int, number: int, purpose: str) -> str:
    """Return a card of a deck that is shuffled anew for each ``len(deck)`` scenes."""
    block, place = divmod(number, len(deck))
    return _random(seed, block, purpose).sample(deck, len(deck))[place]


def _random(seed: int, number: int, purpose: str) -> Random:
    """Return the randomness of one purpose of one scene."""
    digest = hashlib.blake2b(f"{seed} {number} {purpose}".encode(), digest_size=8).digest()
    return Random(int.from_bytes(digest, "little"))


def _integer(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected an integer") from None
