"""Choices in, runs out: every combination, checked before anything is trained."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from rshash.codes import code_bytes
from rshash.data.dataset import CaptionDataset
from rshash.data.noise import corrupt_pairs
from rshash.data.splits import Split, duch_split, official_split
from rshash.methods import METHODS
from rshash.methods.options import parse_options
from rshash.names import unknown_name
from rshash.training.checks import check_supervision, split_rows

SPLITS = ("duch", "official")


@dataclass(frozen=True)
class Run:
    """One training and its measurement.

    Attributes:
        data: name of the data set.
        method: key of `rshash.methods.METHODS`.
        n_bits: width of the codes.
        noise: probability of wrong captions outside the clean fifth of the training images, 0..1 (CHNR's protocol,
            see `rshash.data.noise.corrupt_pairs`).
        seed: of the training, and of the noise.
        split: "duch" (relevance by class, one caption an image) or "official" (relevance by pair, all captions).
        split_seed: of the DUCH split; 0 in the official one, which has none.
        variant: what tells it from the method's defaults; empty for the defaults.
        options: settings of the method that are not its defaults.
    """

    data: str
    method: str
    n_bits: int
    noise: float = 0.0
    seed: int = 0
    split: str = "duch"
    split_seed: int = 42
    variant: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Method and variant, as tables name them."""
        return f"{self.method} ({self.variant})" if self.variant else self.method

    @property
    def title(self) -> str:
        """The run in one line."""
        noise = f", noise {self.noise:g}" if self.noise else ""
        split = f"split {self.split_seed}" if self.split == "duch" else "official split"
        return f"{self.data}, {self.label}, {self.n_bits} bits{noise}, {split}, seed {self.seed}"

    @property
    def file_name(self) -> str:
        """Name of its record.

        >>> Run("ucm", "duch", 64, variant="one view").file_name
        'ucm_duch_one-view_64-bits_noise-0_duch-42_seed-0.json'
        """
        parts = [self.data, self.method, *([self.variant] if self.variant else []), f"{self.n_bits}-bits"]
        parts += [f"noise-{self.noise:g}", f"{self.split}-{self.split_seed}", f"seed-{self.seed}"]
        return "_".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-") for part in parts) + ".json"


def grid(
    data: Sequence[str],
    methods: Sequence[str],
    bits: Sequence[int] = (64,),
    noise: Sequence[float] = (0.0,),
    seeds: Sequence[int] = (0, 1, 2),
    split: str = "duch",
    split_seeds: Sequence[int] = (42,),
    variant: str = "",
    options: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Return every combination, those that share features and split next to each other.

    Raises:
        ValueError: if a method, a split or an option is unknown, a number is out of range, or options have no variant
            that tells their runs from the defaults'.

    >>> len(grid(["ucm"], ["duch"], bits=[32, 64], seeds=[0, 1, 2]))
    6
    """
    for method in methods:
        if method not in METHODS:
            raise unknown_name("method", method, METHODS)
        parse_options(METHODS[method].options, options or {})
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if options and not variant:
        raise ValueError("options need a variant, a name that tells their runs from those of the defaults")
    for n_bits in bits:
        code_bytes(n_bits)
    for rate in noise:
        if not 0 <= rate <= 1:
            raise ValueError(f"noise is {rate}; expected a probability, 0 to 1")
    for seed in (*seeds, *split_seeds):
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected 0 or more")
    split_seeds = split_seeds if split == "duch" else (0,)
    return [
        Run(name, method, n_bits, rate, seed, split, split_seed, variant, dict(options or {}))
        for name, split_seed, method, rate, n_bits, seed in product(data, split_seeds, methods, noise, bits, seeds)
    ]


def check_data(runs: Sequence[Run], datasets: Mapping[str, CaptionDataset], validation: float = 0.0) -> None:
    """Say before any features are computed which run its data set cannot serve.

    Args:
        runs: to be done.
        datasets: name → data set.
        validation: share of the training images that is held out.

    Raises:
        ValueError: if classes are needed and missing, all images are of one class, a batch is larger than the images to
            train on, or as `rshash.train` refuses its data.
    """
    for run in runs:
        dataset, method = datasets[run.data], METHODS[run.method]
        by_class = {
            f"method {run.method!r}": "labels" in method.supervision,
            "relevance by class (split 'duch')": run.split == "duch",
        }
        for what in (what for what, needed in by_class.items() if needed):
            if dataset.labels is None:
                raise ValueError(f"{what} needs class labels, {run.data} has none: leave it out, or name the classes")
            if len(set(dataset.labels.tolist())) < 2:
                raise ValueError(f"{what} needs at least two classes, all images of {run.data} are of one")
        training = dataset.subset(halves(dataset, run).train)
        clean = corrupt_pairs(training, run.noise, seed=run.seed).clean
        rows, _ = split_rows(training, validation, run.seed)
        check_supervision(method.supervision, training, rows, clean if "clean subset" in method.supervision else None)
        if run.options.get("batch_size", 0) > len(rows):
            raise ValueError(
                f"batch_size is {run.options['batch_size']}, more than the {len(rows)} images of {run.data} to train "
                "on; give fewer, or leave it out for one batch of all"
            )
        if run.options.get("keep") == "best" and validation == 0:
            raise ValueError('keep="best" needs a validation part; give validation above 0')


def halves(dataset: CaptionDataset, run: Run) -> Split:
    """Return the rows that a run trains on, asks and searches.

    Raises:
        ValueError: if the data set is too small or marks no official split.
    """
    return duch_split(len(dataset), run.split_seed) if run.split == "duch" else official_split(dataset)
