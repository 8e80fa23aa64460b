"""Consensus: our own method, label-free, robust to wrong pairs without being told how many there are.

Three contrasts, of images with captions, of image views, and of captions of one image, each a sum over the batch:

    q_ij = b_i (1 - s) [i = j] + (1 - b_i (1 - s)) softmax_j(<a_i, c_j> / t)        L = - sum_ij q_ij log p_ij

p is the softmax of cosines over the batch, in both directions. What other items agree on enters twice:

- Neighbours instead of negatives. a_i and c_i are codes that are remembered over the epochs, the mean of views and of
  both sides of a pair. Two images of one kind are no negatives of each other, they share the target.
- Belief. b_i is the probability that the caption drawn for image i is right, from the losses of all captions in a few
  early epochs (`rshash.methods.mixture`), before wrong ones are learnt by heart. A pair that is not believed is no
  positive; its image and its caption still learn from their neighbours' partners, and the two sides no longer share
  what is remembered of them. In the contrast of two captions, b_i is 1 - |b - b'|: a right one and a wrong one are no
  positives, two wrong ones may well be of the same other image. Where the high losses are far below those of shuffled
  pairs, no caption is doubted.

Each step draws two views of each image and two of its captions. Codes of images are averaged over fixed views when they
are encoded. There is no quantization loss: it draws items of one kind to the same code, and ties cost more than signs
do. Two things break such ties. Captions that are searched are dithered (`rshash.codes.dither`). Codes of many bits are
turned besides, each pair of bits by its own angle from 0 to 45 degrees: a relaxed code keeps the signs it is sure of,
and what it is less sure of changes sides at other values in every pair. Codes that ask are expanded
(`rshash.codes.expand`): drawn towards the relaxed codes of training images around them, which decide what they are
unsure of.

With `tuned_epochs` the last blocks of the image encoder are trained with the heads afterwards, by the same contrasts
and with what is remembered and believed by then.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rshash.losses.contrastive import soft_info_nce
from rshash.methods.method import Method
from rshash.methods.mixture import clean_probabilities, matching_losses, mean_code
from rshash.methods.objective import Objective
from rshash.methods.options import TunableOptions, number
from rshash.methods.pairs import Batch, TrainingPairs
from rshash.methods.schedule import cosine


@dataclass(frozen=True)
class ConsensusOptions(TunableOptions):
    """Options of consensus beside those of every method.

    DUCH's information only is ``captions="one", image_views=("original", "blur_rotate_crop"),
    encoded_views=("original",)``.

    Attributes:
        temperature: of the contrasts.
        short_temperature: of the contrasts of codes that are not turned; a lower one keeps more of them apart.
        image_weight: of the contrast of image views; that of images with captions has weight 1.
        caption_weight: of the contrast of captions.
        turn_from: width of codes from which both heads are turned before the signs are taken. Items of one kind then
            keep different codes; shorter codes have no bits to spare for that.
        dither: share by which codes of captions are dithered in a database; without it and without an expansion one
            finds itself at distance 0.
        short_dither: the same of codes that are not turned.
        expansion: share of training images' codes in those of captions that ask, and of images that ask among captions.
        warm_up: share of the epochs in which the learning rate rises; it then falls to 0 as a cosine.
        agreement: s, share of a target that neighbours have, 0 for none.
        agreement_temperature: t, of the similarities that a target is made of.
        agreement_from: share of the epochs after which neighbours are listened to.
        memory: share that stays of a remembered code when its item is seen again.
        belief: whether captions are weighed.
        first_look: epochs done when the losses of all captions are looked at for the first time.
        looks: epochs in a row before which that is done; belief comes from the mean loss.
        belief_temperature: of the losses that belief comes from.
    """

    image_views: tuple[str, ...] = ("original", "blur_rotate_crop", "flip", "quarter_turn")
    caption_views: tuple[str, ...] = ("original", "drop_words")
    captions: Literal["one", "any"] = "any"
    encoded_views: tuple[str, ...] = ("original", "flip", "quarter_turn")
    epochs: int = number(40, least=1)
    batch_size: int = number(128, least=2)
    hidden: int = number(1024, least=0)
    components: int = number(384, least=0)
    learning_rate: float = number(2e-3, above=0)
    temperature: float = number(0.5, above=0)
    short_temperature: float = number(0.4, above=0)
    image_weight: float = number(1.0, least=0)
    caption_weight: float = number(1.0, least=0)
    turn_from: int = number(64, least=1)
    dither: float = number(0.3, least=0)
    short_dither: float = number(0.8, least=0)
    expansion: float = number(0.7, least=0)
    warm_up: float = number(0.05, least=0)
    agreement: float = number(0.5, least=0)
    agreement_temperature: float = number(0.1, above=0)
    agreement_from: float = number(0.3, least=0)
    memory: float = number(0.5, least=0)
    belief: bool = True
    first_look: int = number(3, least=1)
    looks: int = number(4, least=1)
    belief_temperature: float = number(0.2, above=0)


class Consensus(Objective):
    """Consensus in training; arguments as `Objective`. Needs two image views.

    Attributes:
        belief: (M,) probability that each caption that is trained on, image by image, is of its image.
        pair_losses: (M,) losses that belief comes from, a sum over the looks so far.
    """

    belief: Tensor
    pair_losses: Tensor
    shuffled_losses: Tensor
    image_memory: Tensor
    caption_memory: Tensor
    n_captions: Tensor
    first_caption: Tensor
    caption_rows: Tensor

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: ConsensusOptions) -> None:
        super().__init__(pairs, n_bits, options)
        if len(pairs.images) < 2:
            raise ValueError("consensus contrasts image views, got one; give two or more in image_views")
        for name in ("agreement", "agreement_from", "memory", "warm_up", "dither", "short_dither", "expansion"):
            if getattr(options, name) > 1:
                raise ValueError(f"option {name!r} is {getattr(options, name)}; expected a share, 0 to 1")
        self.options = options
        is_long = n_bits >= options.turn_from
        self.temperature = options.temperature if is_long else options.short_temperature
        self.dither = options.dither if is_long else options.short_dither
        self.expansion = options.expansion
        if is_long:
            rotation = _turn_pairs(n_bits)
            self.image_head.rotate(rotation)
            self.caption_head.rotate(rotation)
        counts = torch.from_numpy(np.diff(pairs.first_caption) if pairs.chosen is None else np.ones_like(pairs.chosen))
        rows = torch.arange(int(counts.sum())) if pairs.chosen is None else torch.from_numpy(pairs.chosen)
        self.register_buffer("n_captions", counts, persistent=False)
        self.register_buffer("first_caption", counts.cumsum(0) - counts, persistent=False)
        self.register_buffer("caption_rows", rows, persistent=False)  # of those that are trained on
        self.register_buffer("belief", torch.ones(len(rows)))
        self.register_buffer("pair_losses", torch.zeros(len(rows)))
        self.register_buffer("shuffled_losses", torch.zeros(len(rows)))
        self.register_buffer("image_memory", torch.zeros(len(pairs), n_bits))
        self.register_buffer("caption_memory", torch.zeros(len(pairs), n_bits))
        self.epoch = 0

    def learning_rate(self, epoch: int) -> float:
        """Rise, then fall as a cosine, once for the heads and once more with the tail."""
        options = self.options
        if (tuned := epoch - options.epochs) >= 0:
            return cosine(options.tuning_rate, tuned, epochs=options.tuned_epochs, warm_up=1 / options.tuned_epochs)
        return cosine(options.learning_rate, epoch, epochs=options.epochs, warm_up=options.warm_up)

    def start_epoch(self, epoch: int) -> None:
        """Look at the losses of all captions when it is time."""
        self.epoch = epoch
        options = self.options
        if options.belief and options.first_look <= epoch < options.first_look + options.looks:
            images, captions = self._encode_all()
            owners = torch.arange(len(images), device=images.device).repeat_interleave(self.n_captions)
            order = torch.randperm(len(images), device=images.device)
            others = torch.empty_like(order).scatter_(0, order, order.roll(1))  # no image is its own
            looks = matching_losses(images, captions, options.belief_temperature, owners, others[owners])
            self.pair_losses += looks[0]
            self.shuffled_losses += looks[1]
            right = clean_probabilities(self.pair_losses.cpu().numpy(), self.shuffled_losses.cpu().numpy())
            self.belief.copy_(torch.from_numpy(right))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The three weighted contrasts."""
        options, rows, n = self.options, batch.rows, len(batch)
        images = self.image_head(self._draw_views(batch))  # (2B, n_bits): first views, then second
        drawn, features = self._draw_captions(rows)
        captions = self.caption_head(features)
        belief, other = torch.split(self.belief[drawn, None], n)
        image_side = functional.normalize(self.image_memory[rows] + belief * self.caption_memory[rows], dim=1)
        caption_side = functional.normalize(self.caption_memory[rows] + belief * self.image_memory[rows], dim=1)
        self._remember(rows, images.detach(), captions.detach())

        sure, agreed = torch.ones_like(belief), 1 - (belief - other).abs()
        return {
            "inter": self._contrast(images[:n], captions[:n], image_side, caption_side, belief),
            "image": options.image_weight * self._contrast(images[:n], images[n:], image_side, image_side, sure),
            "caption": options.caption_weight
            * self._contrast(captions[:n], captions[n:], caption_side, caption_side, agreed),
        }

    def _contrast(
        self, first: Tensor, second: Tensor, first_side: Tensor, second_side: Tensor, belief: Tensor
    ) -> Tensor:
        """Sum over the batch of the cross entropy with the targets q; the sides are (B, n_bits) remembered codes."""
        options = self.options
        own = torch.eye(len(first), dtype=first.dtype, device=first.device)
        if self.epoch < max(1.0, options.agreement_from * options.epochs):
            targets = backward = belief * own
        else:
            similarities = (first_side @ second_side.T).to(first) / options.agreement_temperature
            share = (1 - options.agreement) * belief  # (B, 1) of the own partner
            targets = share * own + (1 - share) * similarities.softmax(dim=1)
            backward = share * own + (1 - share) * similarities.T.softmax(dim=1)
        return soft_info_nce(first, second, targets, backward, self.temperature).sum()

    def _draw_views(self, batch: Batch) -> Tensor:
        """Draw two different views of each image: (2B, image dim)."""
        views, n = torch.stack(batch.images), len(batch)  # (V, B, dim)
        device = views.device
        first = torch.randint(len(views), (n,), device=device)
        second = (first + torch.randint(1, len(views), (n,), device=device)) % len(views)
        return views[torch.cat([first, second]), torch.arange(n, device=device).repeat(2)]

    def _draw_captions(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Draw two captions of each image, the same one in its last view where there is no other.

        Returns:
            (2B,) which captions, and (2B, caption dim) their features: first captions, then second.
        """
        views, counts = self.pairs.captions, self.n_captions[rows]
        first = (torch.rand(len(rows), device=rows.device) * counts).long()
        step = 1 + (torch.rand(len(rows), device=rows.device) * (counts - 1)).long()
        start = self.first_caption[rows]
        drawn = torch.cat([start + first, start + (first + step) % counts])
        read = self.caption_rows[drawn]
        features = views[0][read]
        alone = torch.cat([torch.zeros_like(counts, dtype=torch.bool), counts == 1])
        features[alone] = views[-1][read[alone]]
        return drawn, features

    def _remember(self, rows: Tensor, images: Tensor, captions: Tensor) -> None:
        """Move what is remembered of a batch towards the mean of its two views."""
        kept = self.options.memory if self.epoch else 0.0
        for memory, codes in ((self.image_memory, images), (self.caption_memory, captions)):
            mean = codes.view(2, len(rows), -1).mean(dim=0)
            memory[rows] = kept * memory[rows] + (1 - kept) * mean

    @torch.no_grad()
    def _encode_all(self) -> tuple[Tensor, Tensor]:
        """Codes of length 1: (N, n_bits) mean of every image over its views, and (M, n_bits) of every caption."""
        self.eval()
        images = mean_code(torch.stack([self.image_head(view) for view in self.pairs.images]))
        captions = functional.normalize(self.caption_head(self.pairs.captions[0][self.caption_rows]), dim=1)
        self.train()
        return images, captions


def _turn_pairs(n_bits: int) -> Tensor:
    """Return (n_bits, n_bits): neighbouring bits turned by angles spread evenly over 45 degrees, an odd one left."""
    first = torch.arange(n_bits // 2) * 2
    angles = torch.arange(n_bits // 2) / (n_bits // 2) * (torch.pi / 4)
    turns = torch.eye(n_bits)
    turns[first, first] = turns[first + 1, first + 1] = angles.cos()
    turns[first, first + 1] = angles.sin()
    turns[first + 1, first] = -angles.sin()
    return turns


CONSENSUS = Method(
    "consensus",
    "this library",
    ConsensusOptions,
    Consensus,
    losses="InfoNCE between and within modalities with neighbours' targets, weighed by belief in pairs",
)
