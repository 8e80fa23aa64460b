"""Which pairs of a data set are wrong: images and captions in, a ranking by the probability of a mismatch out.

The method "consensus" is trained on all pairs, without labels or clean examples; early in training the losses of wrong
pairs are those of pairs put together at random.
"""

import csv
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.data.dataset import CaptionDataset
from rshash.extras import require
from rshash.files import write_atomically
from rshash.picture import Tile, contact_sheet

if TYPE_CHECKING:
    from PIL.Image import Image

    from rshash.methods.objective import Objective
    from rshash.models.cache import FeatureCache

METHOD = "consensus"
COLUMNS = ("rank", "id", "probability_wrong", "loss", "caption")


@dataclass(frozen=True)
class NoiseReport:
    """Pairs ranked by suspicion; a pair is an image with all its captions.

    Attributes:
        dataset: N images and captions.
        losses: (N,) float64, high where a caption does not find its image among all.
        probabilities: (N,) float64, of a mismatch; all 0 where nothing speaks for wrong pairs in this data.
        truth: (N,) bool, which pairs are wrong, or None where that is not known.
    """

    dataset: CaptionDataset
    losses: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    truth: NDArray[np.bool_] | None = None

    @property
    def order(self) -> NDArray[np.int64]:
        """Row numbers, most suspicious first; equal losses in row order."""
        return np.argsort(-self.losses, kind="stable")

    @property
    def suspected(self) -> NDArray[np.bool_]:
        """Which pairs are more likely wrong than right, (N,)."""
        return self.probabilities > 0.5

    @property
    def auc(self) -> float | None:
        """Probability that a wrong pair stands before a right one; None without the truth, or with one kind only."""
        if self.truth is None or self.truth.all() or not self.truth.any():
            return None
        return float(require("sklearn.metrics", "train").roc_auc_score(self.truth, self.losses))

    def summary(self) -> dict[str, Any]:
        """Return the counts that belong on top of a ranking."""
        facts: dict[str, Any] = {
            "data": self.dataset.name,
            "pairs": len(self.dataset),
            "expected_wrong": round(float(self.probabilities.sum()), 1),
            "suspected": int(self.suspected.sum()),
        }
        if self.truth is not None:
            facts |= {"wrong": int(self.truth.sum()), "auc": self.auc}
        return facts

    def rows(self) -> list[dict[str, Any]]:
        """Return one entry a pair, most suspicious first, with all its captions."""
        entries = []
        for rank, row in enumerate(self.order.tolist(), start=1):
            entry = {
                "rank": rank,
                "id": self.dataset.ids[row],
                "probability_wrong": round(float(self.probabilities[row]), 6),
                "loss": round(float(self.losses[row]), 6),
                "captions": list(self.dataset.captions[row]),
            }
            entries.append(entry if self.truth is None else {**entry, "wrong": bool(self.truth[row])})
        return entries

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ranking: JSON, or a table with the first caption of each pair where the name ends in .csv.

        Both hold the truth where that is known.

        Raises:
            OSError: if the place cannot be written.
        """
        with write_atomically(path) as draft:
            if os.fspath(path).endswith(".csv"):
                with open(draft, "w", encoding="utf-8", newline="") as file:
                    columns = COLUMNS if self.truth is None else (*COLUMNS, "wrong")
                    table = csv.DictWriter(file, columns, extrasaction="ignore")
                    table.writeheader()
                    table.writerows({**entry, "caption": entry["captions"][0]} for entry in self.rows())
            else:
                text = json.dumps({**self.summary(), "ranking": self.rows()}, indent=2)
                draft.write_text(text + "\n", encoding="utf-8")

    def save_cleaned(self, captions: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
        """Write a caption file without the suspected pairs, and without those that were left out of the data set.

        Args:
            captions: the Karpathy-style file that the data set was read from; its other rows stay as they are.
            path: where to write.

        Raises:
            OSError: if the one cannot be read or the other not be written.
            ValueError: if no pair would be left.
        """
        kept = {name for name, wrong in zip(self.dataset.ids, self.suspected, strict=True) if not wrong}
        with open(captions, encoding="utf-8-sig") as file:
            content = json.load(file)
        rows = []
        for row in content["images"]:
            name = row.get("filename") if isinstance(row, dict) else None
            if isinstance(name, str) and name in kept:
                kept.remove(name)  # a second row of that name was left out
                rows.append(row)
        if not rows:
            raise ValueError(f"all {len(self.dataset)} pairs of {self.dataset.name} are suspected: nothing is left")
        content["images"] = rows
        with write_atomically(path) as draft:
            draft.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def picture(self, n: int = 24, columns: int = 6) -> "Image":
        """Draw the ``n`` most suspicious pairs with their first captions; red frames are wrong where that is known.

        Raises:
            ValueError: if ``n`` or ``columns`` is below 1 (2 for columns), or an image cannot be read.
        """
        if n < 1 or columns < 2:
            raise ValueError(f"a picture of {n} pairs in {columns} columns was asked for; expected 1 in 2 or more")
        tiles = [
            Tile(
                f"{self.probabilities[row]:.2f}  {self.dataset.ids[row]}"[:26],
                self.dataset.captions[row][0],
                self.dataset.image(row),
                None if self.truth is None else not self.truth[row],
            )
            for row in self.order[:n].tolist()
        ]
        lines = [(tiles[start], tiles[start + 1 : start + columns]) for start in range(0, len(tiles), columns)]
        return contact_sheet(lines, columns=columns - 1, heading=f"{self.dataset.name}: least likely pairs")


def find_wrong_pairs(
    dataset: CaptionDataset,
    *,
    truth: NDArray[np.bool_] | None = None,
    n_bits: int = 64,
    image_encoder: str = "efficientnet-lite0-levels",
    caption_encoder: str = "minilm",
    seed: int = 0,
    cache: "FeatureCache | str | os.PathLike[str] | None" = None,
    progress: bool = True,
    device: str = "cpu",
) -> NoiseReport:
    """Rank the pairs of a data set by how likely image and captions do not belong together.

    Args:
        dataset: N images, each with a caption; classes are not looked at.
        truth: (N,) bool, which pairs are wrong, where that is known; for measuring only.
        n_bits: width of the codes that are trained on the way.
        image_encoder: as in `rshash.train`, like the other arguments.
        caption_encoder: likewise.
        seed: likewise.
        cache: likewise.
        progress: likewise.
        device: likewise.

    Raises:
        ValueError: if ``truth`` has another length, or as `rshash.train`.
        ImportError: if the packages of training are missing.
    """
    from rshash.training import train

    if truth is not None and np.shape(truth) != (len(dataset),):
        raise ValueError(f"truth has shape {np.shape(truth)}; expected one entry for each of {len(dataset)} pairs")
    found: dict[str, NDArray[np.float64]] = {}

    def look(objective: "Objective") -> None:
        state = objective.state_dict()
        found["losses"] = state["pair_losses"].double().cpu().numpy()
        found["probabilities"] = 1 - state["belief"].double().cpu().numpy()

    train(
        dataset,
        method=METHOD,
        n_bits=n_bits,
        image_encoder=image_encoder,
        caption_encoder=caption_encoder,
        seed=seed,
        validation=0,
        cache=cache,
        progress=progress,
        device=device,
        inspect=look,
    )
    return NoiseReport(dataset, found["losses"], found["probabilities"], None if truth is None else np.array(truth))
