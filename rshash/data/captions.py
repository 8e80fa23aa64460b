"""Caption files and image folders in, a `CaptionDataset` out; what cannot be used is named in its report.

Reads the Karpathy-style JSON that UCM-, Sydney-, RSICD- and RSITMD-Captions are published with::

    {"images": [{"filename": "1.tif", "split": "train", "classname": "runway", "sentences": [{"raw": "a runway"}]}]}

``split``, ``classname`` and ``image_available`` may be absent. Where no row has a class but every file is named
``<class>_<number>.<suffix>``, as in RSITMD, the prefix is the class.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from rshash.data.dataset import CaptionDataset
from rshash.data.images import IMAGE_SUFFIXES, BadImage, check_header
from rshash.data.report import DataReport, OnBad, Problem

SPLITS = ("train", "val", "test")
_CLASS_IN_NAME = re.compile(r"([A-Za-z]+)_\d+\.\w+")
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def read_captions(
    path: str | os.PathLike[str], images: str | os.PathLike[str] | None = None, *, on_bad: OnBad = "refuse"
) -> CaptionDataset:
    """Read a Karpathy-style caption file.

    Args:
        path: JSON file.
        images: folder of its images; None reads captions only, and opening an image is then an error.
        on_bad: what to do about rows that cannot be used (no or double file name, no caption, caption empty or no
            string, image missing or no image): "refuse" raises, "skip" leaves the caption or the row out. Rows that the
            file itself marks ``image_available: false`` are left out in either case when ``images`` is given. Pixels
            are not decoded here; `CaptionDataset.check_images` does that.

    Returns:
        The data set, rows in the order of the file.

    Raises:
        OSError: if the file or the folder cannot be read.
        ValueError: if it is not such a file, nothing usable is left, or rows are bad and ``on_bad`` is "refuse".
    """
    file = Path(path)
    folder = None if images is None else _existing_folder(images)
    rows = _rows_of(file)
    problems: list[Problem] = []
    kept = list(_usable(rows, folder, problems))
    splits = [_split(row, name, problems) for name, _, row in kept]
    report = DataReport(tuple(problems))
    report.refuse(str(file), on_bad)
    if not kept:
        raise ValueError(f"{file} has no usable row: {report.summary()}")
    names = [name for name, _, _ in kept]
    labels, classes = _labels([row for _, _, row in kept], names)
    if labels is None and any(row.get("classname") for _, _, row in kept):
        problem = Problem(_name_of(file), "class", "some rows have no class, so none is used", declared=True)
        report = DataReport((*report, problem))
    return CaptionDataset(
        _name_of(file),
        names,
        [captions for _, captions, _ in kept],
        labels=labels,
        classes=classes,
        splits=splits,
        folder=folder,
        report=report,
    )


def read_image_folder(folder: str | os.PathLike[str], *, on_bad: OnBad = "refuse") -> CaptionDataset:
    """Read the images of a folder and the folders below it, sorted by name; there are no captions.

    Args:
        folder: where to look; files with other suffixes than `IMAGE_SUFFIXES` and hidden ones are passed over.
        on_bad: what to do about files that are no images: "refuse" raises, "skip" leaves them out.

    Raises:
        OSError: if there is no such folder.
        ValueError: if it holds no image, or bad ones and ``on_bad`` is "refuse".
    """
    root = _existing_folder(folder)
    names = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    problems, good = [], []
    for name in names:
        if reason := _reason_against_text(name):
            problems.append(Problem(ascii(name), "image", reason))
            continue
        try:
            check_header(root / name)
            good.append(name)
        except BadImage as error:
            problems.append(Problem(name, "image", error.reason))
    report = DataReport(tuple(problems))
    report.refuse(str(root), on_bad)
    if not good:
        why = report.summary() if problems else f"expected files that end in {', '.join(sorted(IMAGE_SUFFIXES))}"
        raise ValueError(f"{root} holds no usable image: {why}")
    return CaptionDataset(root.name, good, [()] * len(good), folder=root, report=report)


def _rows_of(file: Path) -> list[Any]:
    """Return the list under "images", whatever its entries are."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # not UTF-8, or not JSON
        raise ValueError(f"{file} is not a JSON file: {error}") from None
    rows = content.get("images") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f'{file} is no Karpathy-style caption file: expected an object with a list under "images"')
    return rows


def _usable(
    rows: list[Any], folder: Path | None, problems: list[Problem]
) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Yield (file name, captions, row) of the rows that can be used and note what is wrong with the others."""
    seen: set[str] = set()
    for number, row in enumerate(rows):
        name = row.get("filename") if isinstance(row, dict) else None
        if not isinstance(name, str) or not name.strip():
            problems.append(Problem(f"row {number}", "row", f'expected a file name under "filename", got {name!r}'))
            continue
        if reason := _reason_against_name(name, seen):
            problems.append(Problem(name, "row", reason))
            continue
        seen.add(name)
        if folder is not None:
            if row.get("image_available") is False:
                problems.append(Problem(name, "image", "marked as not available", declared=True))
                continue
            try:
                check_header(folder / name)
            except BadImage as error:
                problems.append(Problem(name, "image", error.reason))
                continue
        captions = tuple(_usable_captions(name, row.get("sentences"), problems))
        if not captions:
            problems.append(Problem(name, "row", "no usable caption"))
            continue
        yield name, captions, row


def _reason_against_name(name: str, seen: set[str]) -> str:
    """Say why a file name cannot be used, or return nothing."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        return "the file name leaves the image folder"
    return _reason_against_text(name) or ("the file name came before" if name in seen else "")


def _reason_against_text(name: str) -> str:
    """Say why a file name cannot stand in a list with one name a line, or return nothing."""
    if not _is_unicode(name):
        return "the file name is no valid Unicode"
    return "the file name holds a line break" if name.splitlines() != [name] else ""


def _usable_captions(name: str, sentences: Any, problems: list[Problem]) -> Iterator[str]:
    """Yield the captions that are strings with more than white space, stripped."""
    if not isinstance(sentences, list):
        problems.append(Problem(name, "caption", f'expected a list under "sentences", got {type(sentences).__name__}'))
        return
    for number, sentence in enumerate(sentences):
        caption = sentence.get("raw") if isinstance(sentence, dict) else None
        if isinstance(caption, str) and caption.strip() and _is_unicode(caption):
            yield caption.strip()
        else:
            problems.append(Problem(name, "caption", f"caption {number} is {caption!r}, expected a sentence"))


def _is_unicode(text: str) -> bool:
    """Say whether a string can be written: JSON may hold half a surrogate pair, which no file or tokenizer takes."""
    return _HALF_PAIR.search(text) is None


def _split(row: dict[str, Any], name: str, problems: list[Problem]) -> str | None:
    """Return the official split of a row, None where it is unmarked; a mark of another name is noted."""
    mark = row.get("split")
    if mark is None or mark in SPLITS:
        return mark
    reason = f"{mark!r} is none of {', '.join(SPLITS)}; the image belongs to no official split"
    problems.append(Problem(name, "split", reason, declared=True))
    return None


def _labels(rows: list[dict[str, Any]], names: list[str]) -> tuple[np.ndarray | None, list[str]]:
    """Return class numbers and sorted class names: from ``classname``, else from the file names, else none."""
    given = [name for row in rows if isinstance(name := row.get("classname"), str) and name]
    if not given:
        matches = [_CLASS_IN_NAME.fullmatch(PurePosixPath(name).name) for name in names]
        given = [match[1].lower() for match in matches if match is not None]
    if len(given) < len(rows):
        return None, []
    classes = sorted(set(given))
    number = {name: position for position, name in enumerate(classes)}
    return np.array([number[name] for name in given], dtype=np.int64), classes


def _existing_folder(folder: str | os.PathLike[str]) -> Path:
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} is no folder: give the folder that holds the images")
    return Path(folder)


def _name_of(file: Path) -> str:
    """Name a data set after its file: dataset_ucm.json → ucm; captions.json → its folder."""
    stem = file.stem.removeprefix("dataset_")
    return file.resolve().parent.name if stem == "captions" else stem
