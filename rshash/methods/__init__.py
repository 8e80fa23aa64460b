"""Methods: what is trained and how, by name.

A new method is an `Options` dataclass, an `Objective`, and one entry here. The training loop knows no method by name.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rshash.methods.duch import Duch, DuchOptions
from rshash.methods.objective import Objective
from rshash.methods.options import Options


@dataclass(frozen=True)
class Method:
    """A way to train hash heads.

    Attributes:
        name: key in `METHODS`.
        paper: where it comes from.
        options: dataclass of its options; the defaults are the paper's.
        objective: (pairs, n_bits, options) → its heads, losses and optimizers.
    """

    name: str
    paper: str
    options: type[Options]
    objective: Callable[..., Objective]


METHODS = {
    method.name: method
    for method in (Method("duch", "Mikriukov, Ravanbakhsh, Demir: arXiv 2201.08125, ICASSP 2022", DuchOptions, Duch),)
}
