"""Records: what one run found, as one JSON file; a folder of them is a comparison."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rshash.evaluation import EXPECTED, METRICS, WITHIN
from rshash.files import write_atomically
from rshash.methods import METHODS
from rshash.names import unknown_name
from rshash.protocol.plan import Run

FORMAT = "rshash comparison"
FORMAT_VERSION = 1
CUTS = (1, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Cuts of the rankings that are recorded, those beyond the database left out."""

MEAN_RECALL = "mR"
RECALLS = tuple(f"expected R@{k}" for k in (1, 5, 10))
"""What `MEAN_RECALL` averages, in both directions: RemoteCLIP's mR, arXiv 2306.11029, in expectation over ties."""

Record = dict[str, Any]


def write_record(folder: Path, record: Record) -> None:
    """Write a record under the name of its run, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    with write_atomically(folder / run_of(record).file_name) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def find_record(folder: Path, run: Run, settings: dict[str, Any]) -> Record | None:
    """Return the record of a run that is finished, or None.

    Args:
        folder: of the comparison.
        run: what is looked for.
        settings: what else decides its figures, as `rshash.protocol.perform.Settings.recorded` gives it.

    Raises:
        ValueError: if there is a record of that name from other settings, which must not be mixed with these.
    """
    path = folder / run.file_name
    if not path.is_file():
        return None
    record = read_record(path)
    here, there = asdict(run) | settings, record["run"] | record["settings"]
    different = sorted(key for key in {*here, *there} if here.get(key) != there.get(key))
    if different:
        raise ValueError(
            f"{path} was made with other settings ({', '.join(different)} differ): choose another folder or another "
            "variant, or remove it, and the run is done again"
        )
    return record


def read_record(path: Path) -> Record:
    """Read one record.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no record, is damaged, or is of another version.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; remove it, and the run is done again") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{path} is no record of a comparison: keep other JSON files out of its folder")
    if record.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {record.get('format_version')!r}, this rshash reads {FORMAT_VERSION}"
        )
    if not _is_whole(record):
        raise ValueError(f"{path} is damaged: parts of the record are missing; remove it, and the run is done again")
    return record


def read_folder(folder: Path, wanted: Callable[[Run], bool] = lambda run: True) -> list[Record]:
    """Read the records of a comparison, in the order of their names.

    Args:
        folder: of the comparison.
        wanted: which runs to keep.

    Raises:
        OSError, ValueError: as `read_record`; also if there is none.
    """
    records = [record for path in sorted(folder.glob("*.json")) if wanted(run_of(record := read_record(path)))]
    if not records:
        raise ValueError(f"{folder} holds no record of such a run: train first, or ask for others")
    return records


def check_alike(records: Sequence[Record]) -> None:
    """Refuse runs that would share a row of a table and differ in more than their seeds.

    Args:
        records: whole ones, or the run and the settings of runs that are still to be done.

    Raises:
        ValueError: naming two of them and what differs.
    """
    first: dict[tuple[object, ...], tuple[Run, dict[str, Any]]] = {}
    for record in records:
        run, settings = run_of(record), {**record["settings"], **record["settings"].get("all_options", {})}
        row = run.data, run.label, run.n_bits, run.noise, run.split, settings["image_encoder"]
        other, there = first.setdefault(row, (run, settings))
        shared = {*settings, *there} - {"device", "all_options"}
        different = sorted(key for key in shared if settings.get(key) != there.get(key))
        if different:
            raise ValueError(
                f"{other.title} and {run.title} differ in more than seeds ({', '.join(different)}), so they "
                "must not share a row: choose another variant or another folder for one of them"
            )


def run_of(record: Record) -> Run:
    """Return the run that a record is of."""
    return Run(**record["run"])


def main_ranking(run: Run) -> str:
    """Return how a method is meant to be ranked: "hamming", or "cosine" for embeddings that are no codes."""
    return "hamming" if run.method not in METHODS or METHODS[run.method].codes else "cosine"


def score(record: Record, direction: str, metric: str, ranking: str | None = None) -> float | None:
    """Return one figure of a record, None where its protocol has no such column.

    Args:
        record: of a run.
        direction: "i2t" or "t2i"; `MEAN_RECALL` is of both.
        metric: column of an evaluation, or `MEAN_RECALL`.
        ranking: "hamming", "cosine" or None for the method's own.
    """
    scores = record["scores"].get(ranking or main_ranking(run_of(record)), {})
    if metric != MEAN_RECALL:
        value = scores.get(direction, {}).get(metric)
        return None if value is None else float(value)
    parts = [score(record, way, recall, ranking) for way in ("i2t", "t2i") for recall in RECALLS]
    known = [part for part in parts if part is not None]
    return sum(known) / len(parts) if len(known) == len(parts) and record["run"]["split"] == "official" else None


def _is_whole(record: Record) -> bool:
    """Say whether a record has the parts that tables are made of."""
    try:
        run, settings, seconds = run_of(record), record["settings"], record["seconds"]
        parts = run.title, settings["image_encoder"], settings["caption_encoder"], seconds["train"]
        return None not in parts and all(isinstance(ways, dict) for ways in record["scores"].values())
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def check_metrics(metrics: Sequence[str]) -> None:
    """Refuse a name that is no column of a record.

    Raises:
        ValueError: with the nearest names.

    >>> check_metrics(["DUCH mAP@20", "P within 2", "mR"])
    """
    known = [MEAN_RECALL, "mAP", "expected mAP", *(f"{name} within 2" for name in WITHIN)]
    known += [f"{name}@{k}" for name in (*METRICS, *EXPECTED) for k in CUTS]
    for metric in metrics:
        name, _, radius = metric.partition(" within ")
        if metric not in known and not (name in WITHIN and radius.isdecimal()):
            raise unknown_name("metric", metric, known)
