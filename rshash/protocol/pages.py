"""Rows in; the results of a README and the page of methods out, between markers that the pages hold."""

from collections.abc import Sequence
from inspect import getsourcefile
from pathlib import Path

import rshash
from rshash.files import check_marked, replace_marked
from rshash.methods import METHODS
from rshash.protocol.published import OTHER_FEATURES, Published, published
from rshash.protocol.rows import PAPER_METRIC, PAPER_SEED, PAPER_SPLIT, Row
from rshash.protocol.summary import summary
from rshash.protocol.table import both_ways, line, markdown

TABLE = "<!-- compare:table -->", "<!-- compare:table end -->"
METHODS_TABLE = "<!-- compare:methods -->", "<!-- compare:methods end -->"
SUMMARY = "<!-- compare:summary -->", "<!-- compare:summary end -->"


def check_pages(pages: Sequence[Path]) -> None:
    """Refuse pages without markers, before any long work.

    Raises:
        OSError: if a page cannot be read.
        ValueError: if it holds no pair of markers once, in order.
    """
    for page in pages:
        _markers(page)


def update_page(page: Path, rows: Sequence[Row], metrics: Sequence[str] = ()) -> None:
    """Replace what stands between the markers of a page.

    Args:
        page: holds any of `TABLE`, `METHODS_TABLE`, `SUMMARY`.
        rows: to make the tables of.
        metrics: columns of the table of runs.

    Raises:
        OSError, ValueError: as `check_pages`; also if a metric is unknown.
    """
    for markers in _markers(page):
        if markers == TABLE:
            text = markdown(rows, metrics)
        else:
            text = methods_markdown(rows) if markers == METHODS_TABLE else summary(rows)
        replace_marked(page, *markers, text)


def methods_markdown(rows: Sequence[Row], n_bits: int = 64) -> str:
    """Return a row for each method: supervision, losses, where its code is, our figures and the published ones.

    Args:
        rows: of a comparison; figures are of the papers' split seed, methods without a variant, clean pairs and the
            noisiest ones that occur.
        n_bits: width of the codes.
    """
    shown = [row for row in rows if (row.split, row.n_bits, row.variant) == (PAPER_SPLIT, n_bits, "")]
    noisiest = max((row.noise for row in shown), default=0.0)
    places = sorted({(row.data, row.noise) for row in shown if row.noise in (0.0, noisiest)})
    ours = [f"{data}{f', noise {noise:g}' if noise else ''}, here" for data, noise in places]
    lines = [
        line(["method", "supervision", "losses", "code", *ours, "published"]),
        line(["---"] * (5 + len(places))),
    ]
    for name, method in METHODS.items():
        here = {(row.data, row.noise): both_ways(row, PAPER_METRIC) for row in reversed(shown) if row.method == name}
        figures = [here.get(place, "–") for place in places]  # with the first encoder, where there are several
        codes = "" if method.codes else " (no codes: embeddings compared by cosine)"
        cells = [f"`{name}`: {method.paper}", method.supervision, (method.losses or "–") + codes, _code(name)]
        lines.append(line([*cells, *figures, _printed(name, n_bits)]))
    lines += [
        "",
        f"*Figures are {PAPER_METRIC}, image → text / text → image, {n_bits} bits, DUCH's split of seed {PAPER_SEED}, "
        "mean ± standard deviation over training seeds, unless another metric is named beside them; figures of "
        f"different metrics must not be compared. {OTHER_FEATURES}*",
        "",
    ]
    for name, method in METHODS.items():
        if method.departures:
            lines += [f"**`{name}`** departs from its paper:", "", *(f"- {text}" for text in method.departures), ""]
    return "\n".join(lines).rstrip()


def _printed(name: str, n_bits: int) -> str:
    """Return what is published of a method at one width and clean pairs, with metric, data and source."""
    found = [row for row in published() if (row.method, row.n_bits, row.noise) == (name, n_bits, 0.0)]
    known = [row for row in found if row.metric == PAPER_METRIC] or found
    if not known:
        noisy = [row for row in published() if (row.method, row.n_bits) == (name, n_bits)]
        known = [row for row in noisy if row.noise == max(other.noise for other in noisy)]
    several = len({row.label for row in known}) > 1
    figures = [
        f"{row.label + ' ' if several else ''}{row.data}{_conditions(row)} {row.i2t:.3f} / {row.t2i:.3f}"
        for row in known
    ]
    return f"{', '.join(figures)} ({'; '.join(dict.fromkeys(row.source for row in known))})" if known else "not found"


def _conditions(row: Published) -> str:
    metric = "" if row.metric == PAPER_METRIC else f", {row.metric}"
    return metric + (f", noise {row.noise:g}" if row.noise else "")


def _code(name: str) -> str:
    """Return the file of a method's objective, below the package."""
    file = Path(getsourcefile(METHODS[name].objective) or "")
    package = Path(rshash.__file__).parent
    return f"`{file.relative_to(package.parent).as_posix()}`" if package in file.parents else "–"


def _markers(page: Path) -> list[tuple[str, str]]:
    """Return the pairs of markers that a page holds."""
    text = page.read_text(encoding="utf-8")
    known = TABLE, METHODS_TABLE, SUMMARY
    held = [markers for markers in known if any(marker in text for marker in markers)]
    if not held:
        raise ValueError(f"{page} must hold {' or '.join(map(' … '.join, known))}: write them there first")
    for markers in held:
        check_marked(page, *markers)
    return held
