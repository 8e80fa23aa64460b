"""Rows in, one Markdown table out: mean ± standard deviation over runs, published figures beside ours.

A column holds one direction of one definition of a metric; a published figure stands in the column of its own
definition or nowhere.
"""

from collections.abc import Iterator, Sequence

from rshash.protocol.published import OTHER_FEATURES, Published, published
from rshash.protocol.record import MEAN_RECALL, check_metrics
from rshash.protocol.rows import DIRECTIONS, METRICS, PAPER_SPLIT, Figure, Row, columns_of

DEFINITIONS = {
    "DUCH mAP": "DUCH mAP@k: the first k relevant items count, wherever they rank",
    "DJSRH mAP": "DJSRH mAP@k: divided by the relevant hits inside rank k",
    "mAP": "mAP@k: only hits inside rank k count, divided by min(k, relevant items); mAP: of the whole ranking",
    "expected": "expected: mean over all orders within ties; all else breaks ties by database row",
    MEAN_RECALL: "mR: mean of R@1, R@5 and R@10 in both directions, in expectation over ties",
}
"""Beginning of a column's name → what it means, told below the table."""


def markdown(rows: Sequence[Row], metrics: Sequence[str] = ()) -> str:
    """Return the table of a comparison; runs of the two splits, whose relevance differs, make two tables.

    Args:
        rows: what to show.
        metrics: columns; none takes those of `METRICS`.

    Returns:
        Markdown: the table and below it what its columns mean.

    Raises:
        ValueError: if a metric is unknown; the message holds the nearest.
    """
    check_metrics(metrics)
    tables, shown = [], set(metrics)
    for protocol, columns in METRICS.items():
        if alike := [row for row in rows if row.protocol == protocol]:
            tables.append("\n".join(_table(alike, metrics or columns)))
            shown |= set(() if metrics else columns)
    notes = [text for start, text in DEFINITIONS.items() if any(metric.startswith(start) for metric in shown)]
    notes.append("± is the standard deviation over runs, which differ in training seed and, beside 42, in split seed")
    return "\n\n".join([*tables, f"*{'. '.join(notes)}. {OTHER_FEATURES} {_features(rows)}*"])


def _table(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[str]:
    """Yield the lines of one table."""
    columns = columns_of(metrics)
    head = ["data", "split", "noise", "bits", "method", "supervision", "runs"]
    head += [f"{metric} {DIRECTIONS.get(way, '')}".strip() for way, metric in columns]
    head += ["training s"]
    yield line(head)
    yield line(["---"] * 6 + ["---:"] * (len(head) - 6))
    previous = None
    for row in rows:
        if row.place != previous:
            yield from map(line, _published_cells(row, columns))
        previous = row.place
        figures = [_cell(row.figure(*column)) for column in columns]
        yield line([*map(_plain, row.place), row.label, row.supervision, str(row.runs), *figures, f"{row.seconds:.0f}"])


def both_ways(row: Row, metric: str) -> str:
    """Return the figures of a row in both directions, a dash where there is none."""
    figures = [_cell(figure) for way in DIRECTIONS if (figure := row.figure(way, metric))]
    return " / ".join(figures) or "–"


def line(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def published_beside(row: Row) -> Iterator[Published]:
    """Yield what is published at the place of a row: its data, bits and noise, on the papers' split."""
    if row.split == PAPER_SPLIT:
        for printed in published():
            if (printed.data, printed.n_bits, printed.noise) == (row.data, row.n_bits, row.noise):
                yield printed


def _published_cells(row: Row, columns: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    for printed in published_beside(row):
        figures = [
            f"{getattr(printed, way):.3f}".lstrip("0") if printed.metric == metric and way else "–"
            for way, metric in columns
        ]
        if set(figures) != {"–"}:
            label = f"*{printed.label}, published*"
            yield [*map(_plain, row.place), label, printed.supervision, "–", *figures, "–"]


def _features(rows: Sequence[Row]) -> str:
    """Return which encoders made the features of the rows."""
    return f"Ours: {'; '.join(sorted({f'{row.image_encoder} and {row.caption_encoder}' for row in rows}))}."


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    mean, deviation = figure
    return short(mean) + ("" if deviation is None else f" ± {short(deviation)}")


def short(number: float) -> str:
    """Return a figure with three digits, .5 as .500."""
    return f"{number:.3f}" if round(number, 3) >= 1 else f"{number:.3f}".lstrip("0")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
