"""Float baselines: embeddings compared by cosine, never turned into bits. What codes of the same width lose is the gap.

VSE++ (Faghri, Fleet, Kiros, Fidler: BMVC 2018) ranks each pair before its hardest negative; the contrastive baseline
finds it among the batch, as CLIP (Radford et al., 2021) with a fixed temperature.
"""

from dataclasses import dataclass

from torch import Tensor

from rshash.losses.contrastive import info_nce
from rshash.losses.ranking import Negatives, triplet
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class VseOptions(Options):
    """Options of VSE++.

    Attributes:
        margin: by which a pair must be nearer than its negatives.
        negatives: "hardest" of the batch, or "all" of them (VSE).
        warm_up: epochs at the start in which all negatives count.
        lower_after: epochs after which the learning rate is a tenth.
    """

    epochs: int = number(30, least=1)
    batch_size: int = number(128, least=2)
    hidden: int = number(1024, least=0)
    learning_rate: float = number(2e-4, above=0)
    weight_decay: float = number(0.0, least=0)
    margin: float = number(0.2, least=0)
    negatives: Negatives = "hardest"
    warm_up: int = number(1, least=0)
    lower_after: int = number(15, least=1)


@dataclass(frozen=True)
class ContrastiveOptions(Options):
    """Options of the contrastive baseline.

    Attributes:
        temperature: of the cosines.
    """

    epochs: int = number(40, least=1)
    hidden: int = number(1024, least=0)
    learning_rate: float = number(3e-4, above=0)
    temperature: float = number(1.0, above=0)


class Vse(Objective):
    """VSE++ in training; arguments as `Objective`."""

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: VseOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options
        self.negatives = options.negatives

    def learning_rate(self, epoch: int) -> float:
        """A tenth after half of the published epochs."""
        return self.options.learning_rate * (0.1 if epoch >= self.options.lower_after else 1.0)

    def start_epoch(self, epoch: int) -> None:
        """Begin with all negatives: the hardest alone let fresh heads collapse."""
        self.negatives = "all" if epoch < self.options.warm_up else self.options.negatives

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Hinge of each pair, summed."""
        image, caption = self.image_head(batch.images[0]), self.caption_head(batch.captions[0])
        return {"triplet": triplet(image, caption, self.options.margin, self.negatives).sum()}


class Contrastive(Objective):
    """The contrastive baseline in training; arguments as `Objective`."""

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: ContrastiveOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of finding the partner, summed."""
        image, caption = self.image_head(batch.images[0]), self.caption_head(batch.captions[0])
        return {"contrast": info_nce(image, caption, self.options.temperature).sum()}


_DEPARTURES = ("The embedding is the output of a hash head, tanh included, compared by cosine.",)

VSE = Method(
    "vse++",
    "Faghri, Fleet, Kiros, Fidler: VSE++, BMVC 2018",
    VseOptions,
    Vse,
    losses="triplet with the hardest negatives",
    codes=False,
    departures=(*_DEPARTURES, "Both encoders are frozen; the first epoch takes all negatives."),
)

CONTRASTIVE = Method(
    "contrastive",
    "van den Oord, Li, Vinyals: arXiv 1807.03748; Radford et al.: CLIP, ICML 2021",
    ContrastiveOptions,
    Contrastive,
    losses="InfoNCE between modalities",
    codes=False,
    departures=(*_DEPARTURES, "Both encoders are frozen; the temperature is fixed."),
)
