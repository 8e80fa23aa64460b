"""Method: one entry of `rshash.methods.METHODS`, what a table of methods says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rshash.methods.objective import Objective
from rshash.methods.options import DataOptions

Supervision = Literal["none", "labels", "clean subset", "clean subset and labels"]


@dataclass(frozen=True)
class Method:
    """A way to make hash heads.

    Attributes:
        name: key in `METHODS`.
        paper: where it comes from.
        options: dataclass of its options; the defaults are the paper's.
        objective: (pairs, n_bits, options) → its heads, losses and optimizers.
        losses: what is minimised, in one line.
        supervision: what it needs beside pairs of images and captions: class "labels" of the training images, a "clean
            subset" of rows whose pairs are known to be right, or both.
        codes: whether its outputs are meant to be turned into bits; False for embeddings compared by cosine, the
            ceilings that codes are held against.
        departures: how it differs from the paper, a sentence each; also what is reconstructed because the text of the
            paper could not be had.
    """

    name: str
    paper: str
    options: type[DataOptions]
    objective: Callable[..., Objective]
    losses: str
    supervision: Supervision = "none"
    codes: bool = True
    departures: tuple[str, ...] = ()
