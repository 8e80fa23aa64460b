"""Which captions of a data set are wrong: images and captions in, a ranking by the probability of a mismatch out.

The method "consensus" is trained on all pairs for a few epochs, without labels or clean examples: early in training the
losses of wrong pairs are those of pairs put together at random.
"""

import csv
import json
import os
from collections.abc import Sequence
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
    """Pairs of an image and one of its captions, ranked by suspicion.

    Attributes:
        dataset: N images with M captions; pairs are counted image by image.
        losses: (M,) float64, mean over the looks; high where a caption and its image do not find each other among all.
        probabilities: (M,) float64, of a mismatch; all 0 where nothing speaks for wrong captions in this data.
        truth: (M,) bool, which captions are wrong, or None where that is not known.
    """

    dataset: CaptionDataset
    losses: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    truth: NDArray[np.bool_] | None = None

    @property
    def images(self) -> NDArray[np.int64]:
        """Row of the image of each pair, (M,)."""
        return np.repeat(np.arange(len(self.dataset)), [len(own) for own in self.dataset.captions])

    @property
    def captions(self) -> list[str]:
        """Caption of each pair, M of them."""
        return [caption for own in self.dataset.captions for caption in own]

    @property
    def order(self) -> NDArray[np.int64]:
        """Numbers of the pairs, most suspicious first; equal losses in their order in the data."""
        return np.argsort(-self.losses, kind="stable")

    @property
    def suspected(self) -> NDArray[np.bool_]:
        """Which pairs are more likely wrong than right, (M,)."""
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
            "images": len(self.dataset),
            "pairs": len(self.losses),
            "expected_wrong": round(float(self.probabilities.sum()), 1),
            "suspected": int(self.suspected.sum()),
        }
        if self.truth is not None:
            found = int((self.suspected & self.truth).sum())
            facts |= {"wrong": int(self.truth.sum()), "suspected_and_wrong": found, "auc": self.auc}
        return facts

    def rows(self) -> list[dict[str, Any]]:
        """Return one entry a pair, most suspicious first."""
        images, captions = self.images, self.captions
        entries = []
        for rank, pair in enumerate(self.order.tolist(), start=1):
            entry = {
                "rank": rank,
                "id": self.dataset.ids[images[pair]],
                "probability_wrong": round(float(self.probabilities[pair]), 6),
                "loss": round(float(self.losses[pair]), 6),
                "caption": captions[pair],
            }
            entries.append(entry if self.truth is None else {**entry, "wrong": bool(self.truth[pair])})
        return entries

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ranking: JSON, or a table where the name ends in .csv.

        Both hold the truth where that is known.

        Raises:
            OSError: if the place cannot be written.
        """
        with write_atomically(path) as draft:
            if os.fspath(path).endswith(".csv"):
                with open(draft, "w", encoding="utf-8", newline="") as file:
                    columns = COLUMNS if self.truth is None else (*COLUMNS, "wrong")
                    table = csv.DictWriter(file, columns)
                    table.writeheader()
                    table.writerows(self.rows())
            else:
                text = json.dumps({**self.summary(), "ranking": self.rows()}, indent=2)
                draft.write_text(text + "\n", encoding="utf-8")

    def save_cleaned(self, captions: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
        """Write a caption file without the suspected captions and the images that lose their last.

        What was left out of the data set is left out there, too.

        Args:
            captions: the Karpathy-style file that the data set was read from; its other fields stay as they are.
            path: where to write.

        Raises:
            OSError: if the one cannot be read or the other not be written.
            ValueError: if the file lacks captions that were judged, or none would be left.
        """
        right = np.split(~self.suspected, np.flatnonzero(np.diff(self.images)) + 1)
        judged = dict(zip(self.dataset.ids, zip(self.dataset.captions, right, strict=True), strict=True))
        with open(captions, encoding="utf-8-sig") as file:
            content = json.load(file)
        rows = []
        for row in content["images"]:
            name = row.get("filename") if isinstance(row, dict) else None
            if isinstance(name, str) and name in judged:  # a second row of a name was left out
                kept = _kept(row, *judged.pop(name))
                if kept is None:
                    raise ValueError(f"{captions} has other captions of {name} than were judged: give the file itself")
                rows += [kept] if kept["sentences"] else []
        if judged:
            raise ValueError(f"{captions} lacks {next(iter(judged))}, which was judged: give the file itself")
        if not rows:
            raise ValueError(f"all {len(self.losses)} pairs of {self.dataset.name} are suspected: nothing is left")
        content["images"] = rows
        with write_atomically(path) as draft:
            draft.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def picture(self, n: int = 24, columns: int = 6) -> "Image":
        """Draw the ``n`` images with the most suspicious captions, each with its most suspicious one.

        Red frames are wrong, green ones right, where that is known.

        Raises:
            ValueError: if ``n`` or ``columns`` is below 1 (2 for columns), or an image cannot be read.
        """
        if n < 1 or columns < 2:
            raise ValueError(f"a picture of {n} images in {columns} columns was asked for; expected 1 in 2 or more")
        images, captions, order = self.images, self.captions, self.order
        shown = order[np.sort(np.unique(images[order], return_index=True)[1])[:n]]  # first pair of each image
        tiles = [
            Tile(
                f"{self.probabilities[pair]:.2f}  {self.dataset.ids[images[pair]]}"[:26],
                captions[pair],
                self.dataset.image(int(images[pair])),
                None if self.truth is None else not self.truth[pair],
            )
            for pair in shown.tolist()
        ]
        lines = [(tiles[start], tiles[start + 1 : start + columns]) for start in range(0, len(tiles), columns)]
        return contact_sheet(lines, columns=columns - 1, heading=f"{self.dataset.name}: least likely pairs")


def _kept(row: dict[str, Any], captions: Sequence[str], right: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Return a row with the sentences that are right, or None if it lacks captions that were read, in their order."""
    sentences, read = [], 0
    for sentence in row["sentences"]:
        raw = sentence.get("raw") if isinstance(sentence, dict) else None
        if read < len(captions) and isinstance(raw, str) and raw.strip() == captions[read]:
            sentences += [sentence] if right[read] else []
            read += 1
    if read < len(captions):
        return None
    numbers = {"sentids": [sentence.get("sentid") for sentence in sentences]} if "sentids" in row else {}
    return {**row, **numbers, "sentences": sentences}


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
    """Rank the captions of a data set by how likely they do not belong to their image.

    Args:
        dataset: images with M captions in all, each with one at least; classes are not looked at.
        truth: (M,) bool, which captions are wrong, image by image, where that is known; for measuring only.
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
    from rshash.methods.consensus import ConsensusOptions
    from rshash.training import train

    n_captions = sum(map(len, dataset.captions))
    if truth is not None and np.shape(truth) != (n_captions,):
        raise ValueError(f"truth has shape {np.shape(truth)}; expected one entry for each of {n_captions} captions")
    options = ConsensusOptions()
    found: dict[str, NDArray[np.float64]] = {}

    def look(objective: "Objective") -> None:
        state = objective.state_dict()
        found["losses"] = state["pair_losses"].double().cpu().numpy() / options.looks
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
        stop_after=options.first_look + options.looks,  # nothing is learnt of the pairs after that
    )
    return NoiseReport(dataset, found["losses"], found["probabilities"], None if truth is None else np.array(truth))
