"""Published figures: one data file in, rows that stand beside ours out.

``published.csv`` holds what the papers print, never what was measured here. Every row names its metric's definition as
`rshash.evaluation` names it, and its source. Features, images and sometimes splits were others than ours.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

OTHER_FEATURES = (
    "Published rows are of other features than ours (ResNet18 and BERT against EfficientNet-Lite0 and MiniLM; RSICD "
    "here at 150 px and 921 images short, without the class playfields), so they compare systems, not methods."
)
"""What must stand beside every comparison."""


@dataclass(frozen=True)
class Published:
    """One printed figure, both directions.

    Attributes:
        method: key of `rshash.methods.METHODS`, empty where we have no such method.
        label: name in the source.
        supervision: what it needed beside pairs.
        data: name of the data set.
        n_bits: width of the codes.
        noise: probability of a wrong caption outside the clean part.
        metric: column of an evaluation.
        i2t: image → text.
        t2i: text → image.
        source: where it is printed.
    """

    method: str
    label: str
    supervision: str
    data: str
    n_bits: int
    noise: float
    metric: str
    i2t: float
    t2i: float
    source: str


@cache
def published() -> tuple[Published, ...]:
    """Return every published figure.

    >>> [row.i2t for row in published() if (row.label, row.data, row.n_bits, row.noise) == ("DUCH", "ucm", 64, 0)]
    [0.844]
    """
    return tuple(_rows())


def _rows() -> Iterator[Published]:
    lines = files("rshash.protocol").joinpath("published.csv").read_text(encoding="utf-8").splitlines()
    for row in csv.DictReader(lines):
        cells: dict[str, Any] = dict(row)
        cells["n_bits"] = int(row["n_bits"])
        yield Published(**cells | {name: float(row[name]) for name in ("noise", "i2t", "t2i")})
