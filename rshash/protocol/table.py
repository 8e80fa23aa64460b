"""Records in, one Markdown table out: mean ± standard deviation over runs, published figures beside ours.

A column holds one direction of one definition of a metric; a published figure stands in the column of its own
definition or nowhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from rshash.methods import METHODS
from rshash.protocol.perform import Settings
from rshash.protocol.published import OTHER_FEATURES, Published, published
from rshash.protocol.record import MEAN_RECALL, Record, check_alike, check_metrics, main_ranking, run_of, score

PAPER_SEED = 42
"""Split seed of the papers' code, on which methods were tuned; runs of all other seeds share a row."""

DIRECTIONS = {"i2t": "image → text", "t2i": "text → image"}

PAPER_METRIC = "DUCH mAP@20"
"""The one that most papers of this field print."""

METRICS = {
    "duch": (PAPER_METRIC, "mAP@20", "mAP"),
    "official": ("expected R@1", "expected R@5", "expected R@10", "mR"),
}
"""Split → columns of the table unless others are asked for."""

DEFINITIONS = {
    "DUCH mAP": "DUCH mAP@k: the first k relevant items count, wherever they rank",
    "DJSRH mAP": "DJSRH mAP@k: divided by the relevant hits inside rank k",
    "mAP": "mAP@k: only hits inside rank k count, divided by min(k, relevant items); mAP: of the whole ranking",
    "expected": "expected: mean over all orders within ties; all else breaks ties by database row",
    MEAN_RECALL: "mR: mean of R@1, R@5 and R@10 in both directions, in expectation over ties",
}
"""Beginning of a column's name → what it means, told below the table."""


@dataclass
class Row:
    """Runs that differ in seeds only.

    Attributes:
        data: name of the data set.
        split: "duch 42", "duch, other seeds" or "official".
        noise: probability of a wrong caption.
        n_bits: width of the codes.
        label: method, variant, whether it is ranked by floats, and the image encoder where there are several and it
            is not the default.
        method: key of `METHODS`.
        variant: empty for the method's defaults.
        ranking: "hamming" or "cosine".
        records: of the runs.
    """

    data: str
    split: str
    noise: float
    n_bits: int
    label: str
    method: str
    variant: str
    ranking: str
    records: list[Record] = field(default_factory=list)

    @property
    def supervision(self) -> str:
        """What the method needs beside pairs, as METHODS says."""
        return METHODS[self.method].supervision if self.method in METHODS else "unknown"

    def figure(self, direction: str, metric: str) -> tuple[float, float | None] | None:
        """Return mean and sample standard deviation (None of a single run), or None where a run lacks the figure."""
        found = [score(record, direction, metric, self.ranking) for record in self.records]
        values = [value for value in found if value is not None]
        if not values or len(values) < len(found):
            return None
        return fmean(values), stdev(values) if len(values) > 1 else None


def rows_of(records: Sequence[Record], floats: bool = False) -> list[Row]:
    """Gather records into rows, in order of data, split, noise, bits and name.

    Args:
        records: of a comparison.
        floats: also make a row of the same heads ranked by cosine, before signs are taken.

    Raises:
        ValueError: if the runs of a row differ in more than their seeds.
    """
    check_alike(records)
    rows: dict[tuple[object, ...], Row] = {}
    several = len({record["settings"]["image_encoder"] for record in records}) > 1
    for record in records:
        run = run_of(record)
        split = run.split
        if split == "duch":
            split += f" {PAPER_SEED}" if run.split_seed == PAPER_SEED else ", other seeds"
        own, encoder = main_ranking(run), record["settings"]["image_encoder"]
        features = f", {encoder}" if several and encoder != Settings.image_encoder else ""
        for ranking in dict.fromkeys([own, *(["cosine"] if floats else [])]):
            label = run.label + ("" if ranking == "hamming" else ", float") + features
            key = (run.data, split, run.noise, run.n_bits, label)
            row = rows.setdefault(key, Row(*key, method=run.method, variant=run.variant, ranking=ranking))
            row.records.append(record)
    return [rows[key] for key in sorted(rows, key=lambda key: tuple(map(_sortable, key)))]


def markdown(records: Sequence[Record], metrics: Sequence[str] = (), *, floats: bool = False) -> str:
    """Return the table of a comparison; runs of the two splits, whose relevance differs, make two tables.

    Args:
        records: what to show.
        metrics: columns; none takes those of `METRICS`.
        floats: also show the same heads before signs are taken.

    Returns:
        Markdown: the table and below it what its columns mean.

    Raises:
        ValueError: if a metric is unknown; the message holds the nearest.
    """
    check_metrics(metrics)
    rows = rows_of(records, floats)
    tables, shown = [], set(metrics)
    for split, columns in METRICS.items():
        if of_split := [row for row in rows if row.split.startswith(split)]:
            tables.append("\n".join(_table(of_split, metrics or columns)))
            shown |= set(() if metrics else columns)
    notes = [text for start, text in DEFINITIONS.items() if any(metric.startswith(start) for metric in shown)]
    notes.append("± is the standard deviation over runs, which differ in training seed and, beside 42, in split seed")
    return "\n\n".join([*tables, f"*{'. '.join(notes)}. {OTHER_FEATURES} {_features(records)}*"])


def _table(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[str]:
    """Yield the lines of one table."""
    columns = [(metric, way) for metric in metrics for way in ([""] if metric == MEAN_RECALL else DIRECTIONS)]
    head = ["data", "split", "noise", "bits", "method", "supervision", "runs"]
    head += [f"{metric} {DIRECTIONS.get(way, '')}".strip() for metric, way in columns]
    head += ["training s"]
    yield line(head)
    yield line(["---"] * 6 + ["---:"] * (len(head) - 6))
    previous = None
    for row in rows:
        place = row.data, row.split, row.noise, row.n_bits
        if place != previous:
            yield from map(line, _published_cells(row, columns))
        previous = place
        seconds = fmean(record["seconds"]["train"] for record in row.records)
        figures = [_cell(row.figure(way or "i2t", metric)) for metric, way in columns]
        cells = [*map(_plain, place), row.label, row.supervision, str(len(row.records)), *figures, f"{seconds:.0f}"]
        yield line(cells)


def both_ways(row: Row, metric: str) -> str:
    """Return the figures of a row in both directions, a dash where there is none."""
    figures = [_cell(figure) for way in DIRECTIONS if (figure := row.figure(way, metric))]
    return " / ".join(figures) or "–"


def mean_of_both(row: Row, metric: str) -> float | None:
    """Return the mean of both directions, by which methods are ranked; None where one is missing."""
    figures = [row.figure(way, metric) for way in DIRECTIONS]
    known = [figure[0] for figure in figures if figure is not None]
    return fmean(known) if len(known) == len(figures) else None


def line(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def published_beside(row: Row) -> Iterator[Published]:
    """Yield what is published at the place of a row: its data, bits and noise, on the papers' split."""
    if row.split == f"duch {PAPER_SEED}":
        for printed in published():
            if (printed.data, printed.n_bits, printed.noise) == (row.data, row.n_bits, row.noise):
                yield printed


def _published_cells(row: Row, columns: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    for printed in published_beside(row):
        figures = [
            f"{getattr(printed, way):.3f}".lstrip("0") if printed.metric == metric and way else "–"
            for metric, way in columns
        ]
        if set(figures) != {"–"}:
            place = [*map(_plain, (row.data, row.split, row.noise, row.n_bits))]
            yield [*place, f"*{printed.label}, published*", printed.supervision, "–", *figures, "–"]


def _features(records: Sequence[Record]) -> str:
    """Return which encoders made the features of the records."""
    names = {
        " and ".join(record["settings"][f"{which}_encoder"] for which in ("image", "caption")) for record in records
    }
    return f"Ours: {'; '.join(sorted(names))}."


def _cell(figure: tuple[float, float | None] | None) -> str:
    if figure is None:
        return "–"
    mean, deviation = figure
    return short(mean) + ("" if deviation is None else f" ± {short(deviation)}")


def short(number: float) -> str:
    """Return a figure with three digits, .5 as .500."""
    return f"{number:.3f}" if round(number, 3) >= 1 else f"{number:.3f}".lstrip("0")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sortable(value: object) -> tuple[int, object]:
    return (0, value) if isinstance(value, int | float) else (1, value)
