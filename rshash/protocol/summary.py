"""Rows in, a short Markdown table out: one method at every place, beside the best of the others."""

from collections.abc import Iterable, Sequence

from rshash.protocol.perform import Settings
from rshash.protocol.published import OTHER_FEATURES, Published
from rshash.protocol.rows import METRICS, PAPER_METRIC, Row
from rshash.protocol.table import both_ways, line, published_beside, short

METHOD = "consensus"
NOTES = (
    "Image → text / text → image, mean ± standard deviation over runs, which differ in training and, beside 42, in "
    "split seed. Best is by the mean of both, of what was measured or printed at that place; its name and what it "
    "needs beside pairs stand in front."
)


def summary(rows: Sequence[Row]) -> str:
    """Return a row for each data set, split, noise and width at which `METHOD` was measured.

    Args:
        rows: of a comparison; those of the DUCH split, of methods without a variant are looked at, and of one
            image encoder, the default if `METHOD` was measured with it. The others are hashing methods, and what papers
            print.

    Returns:
        Markdown: the table and below it what its columns mean.

    Raises:
        ValueError: if there is no such row.
    """
    plain = [row for row in rows if row.protocol == "duch" and not row.variant and row.ranking == "hamming"]
    encoders = {row.image_encoder for row in plain if row.method == METHOD}
    encoder = Settings.image_encoder if Settings.image_encoder in encoders else min(encoders, default="")
    rows = [row for row in plain if row.image_encoder == encoder]
    if not any(row.method == METHOD for row in rows):
        raise ValueError(
            f"the summary shows {METHOD!r} on the DUCH split, and there is no run of it: measure one first"
        )
    head = ["data", "split", "noise", "bits", "runs", *(f"`{METHOD}` {metric}" for metric in METRICS["duch"][::-1])]
    lines = [line([*head, f"best other here, {PAPER_METRIC}", f"best published, {PAPER_METRIC}"])]
    lines.append(line(["---"] * 4 + ["---:"] * 6))
    for row in rows:
        if row.method == METHOD:
            rivals = [other for other in rows if other.place == row.place]
            cells = [row.data, row.split, f"{row.noise:g}", str(row.n_bits), str(row.runs)]
            cells += [both_ways(row, metric) for metric in METRICS["duch"][::-1]]
            lines.append(line([*cells, _best_here(rivals), _best_published(published_beside(row))]))
    return "\n".join([*lines, "", f"*{NOTES} {OTHER_FEATURES}*"])


def _best_here(rows: Sequence[Row]) -> str:
    rivals = [row for row in rows if row.method != METHOD]
    means = [row.mean_of_both(PAPER_METRIC) for row in rivals]
    known = [(mean, row) for mean, row in zip(means, rivals, strict=True) if mean is not None]
    if not known:
        return "–"
    best = max(known, key=lambda pair: pair[0])[1]
    runs = f"{best.runs} run{'s' if best.runs > 1 else ''}"
    needs = runs if best.supervision == "none" else f"{best.supervision}; {runs}"
    return f"`{best.method}` ({needs}) {both_ways(best, PAPER_METRIC)}"


def _best_published(printed: Iterable[Published]) -> str:
    known = [row for row in printed if row.metric == PAPER_METRIC]
    if not known:
        return "–"
    best = max(known, key=lambda row: row.i2t + row.t2i)
    needs = "" if best.supervision == "none" else f" ({best.supervision})"
    return f"{best.label}{needs} {short(best.i2t)} / {short(best.t2i)}"
