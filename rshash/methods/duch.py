"""DUCH: deep unsupervised contrastive hashing (Mikriukov, Ravanbakhsh, Demir; arXiv 2201.08125, ICASSP 2022).

L = L_contrastive + α L_adversarial + β L_quantization + γ L_balance, each a sum over the batch.

`DUCH` is the method as the paper means it, with the constants of the released code; `DUCH_AS_RELEASED` has the faults
of that code, which are options. Two departures: captions are augmented by leaving words out ("rule_based" is the view
nearest to the paper's; on UCM it gives .01 less mAP), and the features are standardised on training rows only, see
`rshash.models.heads.HashHead`.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rshash.losses.adversarial import generator_loss
from rshash.losses.balance import bit_balance, code_balance
from rshash.losses.contrastive import SelfTerm, nt_xent
from rshash.losses.quantization import quantization
from rshash.methods.adversary import train_discriminator
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs
from rshash.methods.schedule import stepwise


@dataclass(frozen=True)
class DuchOptions(Options):
    """Options of DUCH beside those of every method.

    Attributes:
        temperature: of the contrastive loss.
        inter_weight: of the contrast of images with captions.
        image_weight: of the contrast of images with their augmented view.
        caption_weight: of the contrast of captions with their augmented view.
        adversarial_weight: α.
        quantization_weight: β.
        balance_weight: γ.
        gradient_penalty_weight: of the slope of the discriminator.
        discriminator_learning_rate: of the discriminator's Adam.
        discriminator_weight_decay: of the discriminator's Adam.
        decay: the learning rate is multiplied by this after the first epoch and after every ``decay_every`` more.
        decay_every: epochs.
        least_learning_rate: the decay stops here.
        adversarial: which codes are trained to look like codes of captions, which the discriminator calls real:
            "intended" both views of the images; "released" both views of the captions, which already are; "da4dte" the
            captions and the images (original views), as the later code of the same group.
        balance: "code" balances the bits of each code, as the released code does; "bit" each bit over the batch, the
            usual meaning (on UCM it gives .01 less mAP from captions to images).
        self_term: of `rshash.losses.contrastive.nt_xent`; "constant e" as the released code.
        reuse_text_view: contrast captions with themselves instead of their augmented view, as the released code does.
        reduction: "sum" over the batch, or "mean", under which weight decay outweighs the losses.
    """

    image_views: tuple[str, ...] = ("original", "blur_rotate_crop")
    caption_views: tuple[str, ...] = ("original", "drop_words")
    temperature: float = number(1.0, above=0)
    inter_weight: float = number(1.0, least=0)
    image_weight: float = number(1.0, least=0)
    caption_weight: float = number(1.0, least=0)
    adversarial_weight: float = number(0.01, least=0)
    quantization_weight: float = number(0.001, least=0)
    balance_weight: float = number(0.01, least=0)
    gradient_penalty_weight: float = number(10.0, least=0)
    discriminator_learning_rate: float = number(1e-4, above=0)
    discriminator_weight_decay: float = number(1e-4, least=0)
    decay: float = number(0.8, above=0)
    decay_every: int = number(50, least=1)
    least_learning_rate: float = number(1e-6, least=0)
    adversarial: Literal["intended", "released", "da4dte"] = "intended"
    balance: Literal["code", "bit"] = "code"
    self_term: SelfTerm = "masked"
    reuse_text_view: bool = False
    reduction: Literal["sum", "mean"] = "sum"


@dataclass(frozen=True)
class DuchAsReleasedOptions(DuchOptions):
    """Options of DUCH with the faults of the released code."""

    adversarial: Literal["intended", "released", "da4dte"] = "released"
    self_term: SelfTerm = "constant e"
    reuse_text_view: bool = True


class Discriminator(nn.Module):
    """Linear - batch norm - ReLU - Linear on relaxed codes: (B, n_bits) → (B,) logits, high for captions."""

    def __init__(self, n_bits: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_bits, 2 * n_bits), nn.BatchNorm1d(2 * n_bits), nn.ReLU(), nn.Linear(2 * n_bits, 1)
        )

    def forward(self, relaxed: Tensor) -> Tensor:
        """Map (B, n_bits) relaxed codes to (B,) logits."""
        logits: Tensor = self.layers(relaxed)
        return logits.squeeze(1)


class Duch(Objective):
    """DUCH in training; arguments as `Objective`. Needs two views of each modality."""

    targets: Tensor
    outputs: Tensor

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: DuchOptions) -> None:
        super().__init__(pairs, n_bits, options)
        for modality, views in (("image", pairs.images), ("caption", pairs.captions)):
            if len(views) != 2:
                raise ValueError(f"duch contrasts two {modality} views, got {len(views)}; give two in {modality}_views")
        self.options = options
        self.discriminator = Discriminator(n_bits)
        self.optimizers["discriminator"] = torch.optim.Adam(
            self.discriminator.parameters(),
            lr=options.discriminator_learning_rate,
            betas=(0.5, 0.9),
            weight_decay=options.discriminator_weight_decay,
            fused=True,
        )
        random_signs = torch.randint(0, 2, (len(pairs), n_bits)) * 2.0 - 1
        self.register_buffer("targets", random_signs)  # (N, n_bits) ±1, one for all views of a pair
        self.register_buffer("outputs", torch.zeros(len(pairs), n_bits))  # sum of the four views in this epoch

    def learning_rate(self, epoch: int) -> float:
        """Decayed after epoch 0, 50, 100, … of the default schedule: the released code tests ``epoch % 50 == 0``."""
        options = self.options
        return stepwise(
            options.learning_rate,
            epoch,
            factor=options.decay,
            every=options.decay_every,
            least=options.least_learning_rate,
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator, then the four weighted terms."""
        options = self.options
        image, image_view = (self.image_head(view) for view in batch.images)  # (B, n_bits) each
        captions = (batch.captions[0], batch.captions[0 if options.reuse_text_view else 1])
        caption, caption_view = (self.caption_head(view) for view in captions)
        outputs = (image, image_view, caption, caption_view)
        self.outputs[batch.rows] = torch.stack(outputs).detach().sum(dim=0)

        terms = {
            "inter": (options.inter_weight, self._contrast(image, caption)),
            "image": (options.image_weight, self._contrast(image, image_view)),
            "caption": (options.caption_weight, self._contrast(caption, caption_view)),
        }
        if options.adversarial_weight:
            train_discriminator(  # captions are real, images fake
                self.discriminator,
                self.optimizers["discriminator"],
                ((caption, image), (caption_view, image_view)),
                options.gradient_penalty_weight,
            )
            fooling = {
                "intended": (image, image_view),
                "released": (caption, caption_view),
                "da4dte": (caption, image),
            }[options.adversarial]
            values = torch.cat([generator_loss(self.discriminator(codes)) for codes in fooling])
            terms["adversarial"] = (options.adversarial_weight, values)
        targets = self.targets[batch.rows]
        balance = bit_balance if options.balance == "bit" else code_balance
        terms["quantization"] = (
            options.quantization_weight,
            torch.cat([quantization(output, targets) for output in outputs]),
        )
        terms["balance"] = (options.balance_weight, torch.cat([balance(output) for output in outputs]))
        return {
            name: weight * (values.sum() if options.reduction == "sum" else values.mean())
            for name, (weight, values) in terms.items()
            if weight
        }

    def end_epoch(self, epoch: int) -> None:
        """Set the binary targets to the signs of the mean output of each pair."""
        self.targets.copy_(torch.where(self.outputs >= 0, 1.0, -1.0))

    def _contrast(self, first: Tensor, second: Tensor) -> Tensor:
        return nt_xent(first, second, self.options.temperature, self.options.self_term)


_PAPER = "Mikriukov, Ravanbakhsh, Demir: arXiv 2201.08125, ICASSP 2022"
_LOSSES = "NT-Xent between and within modalities + adversarial + quantization + code balance"
_DEPARTURES = (
    "The second caption view leaves words out instead of replacing them.",
    "Features are standardised on training rows only.",
)

DUCH = Method(
    "duch",
    _PAPER,
    DuchOptions,
    Duch,
    losses=_LOSSES,
    departures=("The faults of the released code are corrected; `duch-as-released` has them.", *_DEPARTURES),
)

DUCH_AS_RELEASED = Method(
    "duch-as-released",
    f"{_PAPER}, its code",
    DuchAsReleasedOptions,
    Duch,
    losses=_LOSSES,
    departures=(
        "Captions are contrasted with themselves, codes of captions are trained to look like codes of captions, and "
        "each contrast's own term is the constant e: faults of the code, not of the paper.",
        *_DEPARTURES,
    ),
)
