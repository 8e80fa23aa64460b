"""DGCPN: codes keep the similarity of pairs and the coherence of their neighbours in a graph (Yu et al., AAAI 2021).

Constants and details as the released code (Atmegal/DGCPN); the text of the paper was not read.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rshash.methods.method import Method
from rshash.methods.options import number
from rshash.methods.pairs import Batch, TrainingPairs
from rshash.methods.similarity import SimilarityMatching, SimilarityOptions, cosines


@dataclass(frozen=True)
class DgcpnOptions(SimilarityOptions):
    """Options of DGCPN.

    Attributes:
        caption_share: a₁, of the similarity of captions in that of pairs, the rest is of images.
        graph_share: a₂, of the coherence of neighbours in the target.
        neighbours: of an item in the graph, as a share of the training pairs.
        pair_cosine: K, the cosine to which an image and its caption are drawn.
        coherence_weight: of the agreement of the four similarity matrices with each other.
        half_binary: add the same losses with the codes of the one modality binary, then of the other.
    """

    epochs: int = number(100, least=1)
    learning_rate: float = number(0.005, above=0)
    intra_weight: float = number(1.0, least=0)
    caption_share: float = number(0.01, least=0)
    graph_share: float = number(0.3, least=0)
    neighbours: float = number(0.05, above=0)
    pair_cosine: float = number(1.5, above=0)
    coherence_weight: float = number(1.0, least=0)
    half_binary: bool = True


class Dgcpn(SimilarityMatching):
    """DGCPN in training; arguments as `Objective`."""

    options: DgcpnOptions

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: DgcpnOptions) -> None:
        super().__init__(pairs, n_bits, options)
        of_images, of_captions = pairs.images[0], pairs.captions[0]
        chosen = pairs.first_caption[:-1] if pairs.chosen is None else pairs.chosen
        rows = torch.from_numpy(chosen).to(of_captions.device)
        self.all_images = functional.normalize(of_images, dim=1)
        self.all_captions = functional.normalize(of_captions[rows], dim=1)
        self.n_neighbours = max(1, min(len(pairs) - 1, round(options.neighbours * len(pairs))))

    def start_epoch(self, epoch: int) -> None:
        """Leave the codes as they are: DGCPN does not sharpen."""

    def target(self, batch: Batch) -> Tensor:
        """2 [(1 - a₂) S + a₂ C] - 1, S the similarity of pairs, C the coherence of their neighbours, (B, B).

        C is the overlap of the rows of the normalised graph, taken so that it is about 2 for
        the same neighbours, as the released code's constants for its 5000 pairs.
        """
        options = self.options
        share = options.caption_share
        similar = (1 - share) * cosines(batch.images[0]) + share * cosines(batch.captions[0])
        of_images = self.all_images[batch.rows] @ self.all_images.T  # (B, N)
        to_all = (1 - share) * of_images + share * self.all_captions[batch.rows] @ self.all_captions.T
        to_all.scatter_(1, batch.rows[:, None], -torch.inf)  # an item is not its own neighbour
        nearest = to_all.topk(self.n_neighbours, dim=1)
        graph = torch.zeros_like(to_all).scatter_(1, nearest.indices, nearest.values.clamp(min=0))
        graph = graph / graph.sum(dim=1, keepdim=True).clamp(min=1e-12)
        coherence = 2 * self.n_neighbours * graph @ graph.T
        return 2 * ((1 - options.graph_share) * similar + options.graph_share * coherence) - 1

    def compare(self, image: Tensor, caption: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the terms of relaxed codes, and of relaxed codes with binary ones."""
        options = self.options
        sides = [(image, caption)]
        if options.half_binary:
            signs = [torch.where(side.detach() >= 0, 1.0, -1.0) for side in (image, caption)]
            sides += [(image, signs[1]), (signs[0], caption)]
        total = {
            name: torch.zeros((), device=image.device) for name in ("inter", "image", "caption", "pair", "coherence")
        }
        for first, second in sides:
            terms = self._coherent(first, second, target)
            total = {name: value + terms[name] for name, value in total.items()}
        return total

    def _coherent(self, image: Tensor, caption: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The losses of one combination of codes."""
        options = self.options
        first, second = functional.normalize(image, dim=1), functional.normalize(caption, dim=1)
        across, of_images, of_captions = first @ second.T, first @ first.T, second @ second.T
        others = 1 - torch.eye(len(first), device=first.device)

        def error(cosine: Tensor, wanted: Tensor) -> Tensor:
            return ((cosine - wanted) ** 2).mean()

        agreement = error(across, of_images) + error(across, of_captions) + error(of_images, of_captions)
        return {
            "inter": error(across * others, target * others),
            "image": options.intra_weight * error(of_images * others, target * others),
            "caption": options.intra_weight * error(of_captions * others, target * others),
            "pair": ((across.diagonal() - options.pair_cosine) ** 2).mean(),
            "coherence": options.coherence_weight * (agreement + error(across, across.T)),
        }


DGCPN = Method(
    "dgcpn",
    "Yu, Zhou, Zhan, Tao: Deep graph-neighbor coherence preserving network, AAAI 2021",
    DgcpnOptions,
    Dgcpn,
    losses="squared error of cosines against pair and graph similarity + cosine of pairs + coherence",
    departures=(
        "One step on the sum of the relaxed and both half-binary losses instead of three steps.",
        "Neighbours are a twentieth of the pairs, about a class of these data sets; the released code keeps two fifths "
        "of its multi-label ones, among which most classes are alike. The scale of the graph follows from the number.",
        "Heads with batch norm instead of dropout.",
    ),
)
