"""``CaptionDataset``: images, opened only when asked for, with their captions, classes and official splits."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path

import numpy as np
from tqdm import tqdm

from rshash.data.images import BadImage, digest_file, read_image
from rshash.data.report import DataReport, OnBad, Problem


class CaptionDataset:
    """Images and what is said of them; row i of every attribute belongs to image i.

    Attributes:
        name: name of the data set.
        ids: file names of the images, unique, ``/``-separated below the image folder.
        captions: captions of each image; an empty tuple where there are none.
        labels: (N,) int64 position in ``classes``, or None where the data set has no classes.
        classes: class names.
        splits: official split of each image: ``"train"``, ``"val"``, ``"test"`` or None.
        report: what was left out, and why.

    No file is held open: ``image(i)`` opens, decodes and closes.

    >>> data = CaptionDataset("two", ["a.tif", "b.tif"], [("a plane",), ("a ship", "a boat")])
    >>> len(data), data.subset([1]).captions
    (2, (('a ship', 'a boat'),))
    """

    def __init__(
        self,
        name: str,
        ids: Sequence[str],
        captions: Sequence[tuple[str, ...]],
        *,
        labels: np.ndarray | None = None,
        classes: Sequence[str] = (),
        splits: Sequence[str | None] | None = None,
        folder: str | os.PathLike[str] | None = None,
        report: DataReport | None = None,
    ) -> None:
        self.name = name
        self.ids = tuple(ids)
        self.captions = tuple(captions)
        self.labels = None if labels is None else np.asarray(labels, dtype=np.int64)
        self.classes = tuple(classes)
        self.splits = (None,) * len(self.ids) if splits is None else tuple(splits)
        self.folder = None if folder is None else Path(folder)
        self.report = DataReport() if report is None else report
        lengths = {len(self.ids), len(self.captions), len(self.splits)}
        if len(lengths | ({len(self.labels)} if self.labels is not None else set())) > 1:
            raise ValueError(f"ids, captions, labels and splits of {name} differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} images, {len(self.classes)} classes)"

    def image(self, row: int) -> np.ndarray:
        """Decode one image, (H, W, 3) uint8 RGB.

        Raises:
            BadImage: if the file cannot be used.
            ValueError: if the data set was read without an image folder.
        """
        return read_image(self.path(row))

    def path(self, row: int) -> Path:
        """Return where the file of one image lies.

        Raises:
            ValueError: if the data set was read without an image folder.
        """
        if self.folder is None:
            raise ValueError(f"{self.name} was read without images: name the image folder to open {self.ids[row]}")
        return self.folder / self.ids[row]

    def image_key(self, row: int) -> bytes:
        """Return a 16-byte digest of one image's content, the key of its cached features.

        Raises:
            BadImage: if the file cannot be read.
            ValueError: if the data set was read without an image folder.
        """
        return digest_file(self.path(row))

    def subset(self, rows: Sequence[int] | np.ndarray) -> CaptionDataset:
        """Return the data set of some rows, in the given order; classes and report stay.

        Raises:
            IndexError: if a row is outside the data set.
            TypeError: if rows are no integers; of a mask of booleans take ``np.flatnonzero``.
        """
        numbers = np.asarray(rows)
        if numbers.size and not np.issubdtype(numbers.dtype, np.integer):
            raise TypeError(f"rows are {numbers.dtype}, expected integers; of a mask take numpy.flatnonzero")
        chosen: list[int] = numbers.tolist()
        for row in chosen:
            if not 0 <= row < len(self):
                raise IndexError(f"row {row} is outside the {len(self)} images of {self.name}")
        part = copy(self)
        part.ids = tuple(self.ids[row] for row in chosen)
        part.captions = tuple(self.captions[row] for row in chosen)
        part.labels = None if self.labels is None else self.labels[chosen]
        part.splits = tuple(self.splits[row] for row in chosen)
        return part

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of ids, captions, classes and splits: what a training remembers of its data."""
        digest = hashlib.sha256()
        for row, name in enumerate(self.ids):
            label = None if self.labels is None else self.classes[self.labels[row]]
            digest.update(json.dumps([name, self.captions[row], label, self.splits[row]]).encode() + b"\n")
        return digest.hexdigest()

    def check_images(self, *, on_bad: OnBad = "refuse", progress: bool = True) -> CaptionDataset:
        """Decode every image once and return the data set without those that cannot be used, named in its report.

        Args:
            on_bad: "refuse" raises when there is any, "skip" leaves them out.
            progress: show a bar on stderr where that is a terminal.

        Raises:
            ValueError: if images are bad and ``on_bad`` is "refuse"; the message names the first.
        """
        good, problems = [], []
        for row in tqdm(range(len(self)), desc="check images", unit="image", disable=None if progress else True):
            try:
                self.image(row)
                good.append(row)
            except BadImage as error:
                problems.append(Problem(self.ids[row], "image", error.reason))
        DataReport(tuple(problems)).refuse(self.name, on_bad)
        if not problems:
            return self
        checked = self.subset(good)
        checked.report = DataReport((*self.report, *problems))
        return checked
