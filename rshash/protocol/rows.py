"""Records in, rows out: means and deviations over runs that differ in seeds only.

A row holds one ranking of one method at one place: data set, split, noise and width. Tables, pages and pictures are
made of rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt
from statistics import fmean
from typing import Any

from rshash.codes import code_bytes
from rshash.methods import METHODS
from rshash.names import unknown_name
from rshash.protocol.perform import Settings
from rshash.protocol.record import MEAN_RECALL, Record, check_alike, main_ranking, run_of, score

PAPER_SEED = 42
"""Split seed of the papers' code, on which methods were tuned; runs of all other seeds share a row."""

PAPER_SPLIT = f"duch {PAPER_SEED}"
SPLITS = {PAPER_SPLIT: "duch", "duch, other seeds": "duch", "official": "official"}
"""What rows call their split → the protocol it belongs to."""

PAPER_METRIC = "DUCH mAP@20"
"""The one that most papers of this field print."""

METRICS = {
    "duch": (PAPER_METRIC, "mAP@20", "mAP"),
    "official": ("expected R@1", "expected R@5", "expected R@10", MEAN_RECALL),
}
"""Protocol → what tables show unless others are asked for, and all that is kept as CSV."""

RANKINGS = "hamming", "cosine"
DIRECTIONS = {"i2t": "image → text", "t2i": "text → image"}

Figure = tuple[float, float | None]
"""Mean and sample standard deviation, None of a single run."""


@dataclass(frozen=True)
class Row:
    """Runs that differ in seeds only.

    Attributes:
        data: name of the data set.
        split: key of `SPLITS`.
        noise: probability of a wrong caption.
        n_bits: width of the codes.
        method: key of `METHODS`.
        variant: empty for the method's defaults.
        ranking: one of `RANKINGS`.
        image_encoder: of the features.
        caption_encoder: likewise.
        runs: how many.
        seconds: of training, their mean.
        figures: (direction, metric) → mean and deviation; `MEAN_RECALL` has the direction "".

    Raises:
        ValueError: if one of them cannot be.
    """

    data: str
    split: str
    noise: float
    n_bits: int
    method: str
    variant: str
    ranking: str
    image_encoder: str
    caption_encoder: str
    runs: int
    seconds: float
    figures: dict[tuple[str, str], Figure]

    def __post_init__(self) -> None:
        code_bytes(self.n_bits)
        for what, name, known in (("split", self.split, SPLITS), ("ranking", self.ranking, RANKINGS)):
            if name not in known:
                raise unknown_name(what, name, known)
        if not 0 <= self.noise <= 1:
            raise ValueError(f"noise is {self.noise}; expected a probability, 0 to 1")
        if self.runs < 1 or not 0 <= self.seconds < float("inf"):
            raise ValueError(f"runs are {self.runs} of {self.seconds} s; expected 1 or more, of 0 s or more")
        for (way, metric), (mean, deviation) in self.figures.items():
            if not (0 <= mean <= 1 and (deviation is None or (isfinite(deviation) and deviation >= 0))):
                raise ValueError(f"{metric} {way} is {mean} ± {deviation}; expected a mean of 0 to 1 ± 0 or more")

    @property
    def label(self) -> str:
        """Method, variant, whether it is ranked by floats, and the image encoder where it is not the default."""
        variant = f" ({self.variant})" if self.variant else ""
        features = "" if self.image_encoder == Settings.image_encoder else f", {self.image_encoder}"
        return self.method + variant + ("" if self.ranking == "hamming" else ", float") + features

    @property
    def place(self) -> tuple[str, str, float, int]:
        """Where methods are held against each other: data set, split, noise, bits."""
        return self.data, self.split, self.noise, self.n_bits

    @property
    def protocol(self) -> str:
        """Key of `METRICS`: what is relevant, and how it is measured."""
        return SPLITS[self.split]

    @property
    def supervision(self) -> str:
        """What the method needs beside pairs, as METHODS says."""
        return METHODS[self.method].supervision if self.method in METHODS else "unknown"

    def figure(self, direction: str, metric: str) -> Figure | None:
        """Return mean and deviation, or None where a run lacks the figure."""
        return self.figures.get((direction, metric))

    def mean_of_both(self, metric: str) -> float | None:
        """Return the mean of both directions, by which methods are ranked; None where one is missing."""
        known = [figure[0] for way in DIRECTIONS if (figure := self.figure(way, metric))]
        return fmean(known) if len(known) == len(DIRECTIONS) else None


def columns_of(metrics: Iterable[str]) -> list[tuple[str, str]]:
    """Return the columns of a table as (direction, metric): both directions, but of `MEAN_RECALL`, which is of both."""
    return [(way, metric) for metric in metrics for way in ([""] if metric == MEAN_RECALL else DIRECTIONS)]


def rows_of(records: Sequence[Record], ranking: str | None = None) -> list[Row]:
    """Gather records into rows, in order.

    Args:
        records: of a comparison.
        ranking: "cosine" for the heads before signs are taken; None for each method's own.

    Raises:
        ValueError: if the runs of a row differ in more than their seeds.
    """
    check_alike(records)
    gathered: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        run, settings = run_of(record), record["settings"]
        split = run.split
        if split == "duch":
            split = PAPER_SPLIT if run.split_seed == PAPER_SEED else "duch, other seeds"
        place = run.data, split, run.noise, run.n_bits, run.method, run.variant
        by = ranking or main_ranking(run)
        gathered.setdefault((*place, by, settings["image_encoder"], settings["caption_encoder"]), []).append(record)
    rows = []
    for key, alike in gathered.items():
        seconds = fmean(record["seconds"]["train"] for record in alike)
        rows.append(Row(*(*key, len(alike), seconds, _figures(alike, by=key[-3]))))
    return merge_rows(rows)


def merge_rows(rows: Iterable[Row]) -> list[Row]:
    """Return rows in order of data, split, noise, bits and label; of several with all of these alike the last.

    Raises:
        ValueError: if two of these differ in their caption encoder.
    """
    merged: dict[tuple[object, ...], Row] = {}
    for row in rows:
        other = merged.setdefault((*row.place, row.label), row)
        if row.caption_encoder != other.caption_encoder:
            raise ValueError(
                f"{row.label} at {row.n_bits} bits on {row.data} is of captions by {other.caption_encoder} and by "
                f"{row.caption_encoder}, which must not share a row: keep them in two files"
            )
        merged[*row.place, row.label] = row
    return [merged[key] for key in sorted(merged)]


def _figures(records: Sequence[Record], by: str) -> dict[tuple[str, str], Figure]:
    """Return the means of every column that all records have, ranked by one of `RANKINGS`."""
    ways = [record["scores"].get(by, {}) for record in records]
    names = dict.fromkeys((way, name) for each in ways for way, scores in each.items() for name in scores)
    figures: dict[tuple[str, str], Figure] = {}
    for way, name in [*names, ("", MEAN_RECALL)]:
        found = [score(record, way, name, by) for record in records]
        values = [value for value in found if value is not None]
        if len(values) == len(found):
            mean = fmean(values)
            squares = fsum((value - mean) ** 2 for value in values)
            figures[way, name] = mean, sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
    return figures
