"""Records in, a short Markdown table out: one method at every place, beside the best of the others."""

from collections.abc import Iterable, Sequence

from rshash.methods import METHODS
from rshash.protocol.published import OTHER_FEATURES, Published
from rshash.protocol.record import Record
from rshash.protocol.table import PAPER_METRIC, Row, both_ways, line, mean_of_both, published_beside, rows_of


def summary(records: Sequence[Record], method: str = "consensus") -> str:
    """Return a row for each data set, split, noise and width at which a method was measured.

    Args:
        records: of a comparison; those of the DUCH split are looked at.
        method: the one that is shown, by its defaults. The others are hashing methods, and what papers print.

    Returns:
        Markdown: the table and below it what its columns mean.
    """
    rows = [row for row in rows_of(records) if row.split.startswith("duch") and not row.variant]
    head = ["data", "split", "noise", "bits", f"`{method}` mAP", f"`{method}` mAP@20", f"`{method}` {PAPER_METRIC}"]
    lines = [line([*head, f"best other here, {PAPER_METRIC}", f"best published, {PAPER_METRIC}"])]
    lines.append(line(["---"] * 4 + ["---:"] * 5))
    for row in rows:
        if row.method == method:
            place = row.data, row.split, row.noise, row.n_bits
            rivals = [other for other in rows if (other.data, other.split, other.noise, other.n_bits) == place]
            cells = [row.data, row.split, f"{row.noise:g}", str(row.n_bits)]
            cells += [both_ways(row, metric) for metric in ("mAP", "mAP@20", PAPER_METRIC)]
            lines.append(line([*cells, _best_here(rivals, method), _best_published(published_beside(row))]))
    notes = "Image → text / text → image, mean ± standard deviation over training and, beside 42, split seeds. Best is "
    notes += "by the mean of both; its name and what it needs beside pairs stand in front."
    return "\n".join([*lines, "", f"*{notes} {OTHER_FEATURES}*"])


def _best_here(rows: Sequence[Row], method: str) -> str:
    rivals = [row for row in rows if row.method != method and row.method in METHODS and METHODS[row.method].codes]
    means = [mean_of_both(row, PAPER_METRIC) for row in rivals]
    known = [(mean, row) for mean, row in zip(means, rivals, strict=True) if mean is not None]
    if not known:
        return "–"
    best = max(known, key=lambda pair: pair[0])[1]
    return _named(f"`{best.method}`", best.supervision, both_ways(best, PAPER_METRIC))


def _best_published(printed: Iterable[Published]) -> str:
    known = [row for row in printed if row.metric == PAPER_METRIC]
    if not known:
        return "–"
    best = max(known, key=lambda row: row.i2t + row.t2i)
    return _named(best.label, best.supervision, f"{best.i2t:.3f} / {best.t2i:.3f}".replace("0.", "."))


def _named(name: str, supervision: str, figures: str) -> str:
    return f"{name}{'' if supervision == 'none' else f' ({supervision})'} {figures}"
