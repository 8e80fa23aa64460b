"""A diagnosis in, one picture out."""

from pathlib import Path
from typing import Any

import numpy as np

from rshash.diagnosis.numbers import Diagnosis
from rshash.extras import require
from rshash.files import write_atomically

IMAGE, CAPTION, STRANGER = "#1b6ca8", "#e08e2b", "#8c8c8c"


def check_picture(path: Path) -> None:
    """Refuse the name of a picture that could not be drawn, before any long work.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if its suffix names no format.
    """
    formats = require("matplotlib.figure", "bench").Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise ValueError(f"{path} names no format of pictures: let it end in .png, .svg or .pdf")


def draw(diagnosis: Diagnosis, path: Path, title: str = "") -> None:
    """Draw distances of true and false pairs, the balance and the correlation of bits, and distances of strangers.

    Args:
        diagnosis: numbers to draw.
        path: picture to write; its suffix says the format (.png, .svg, .pdf).
        title: what the codes are of.

    Raises:
        ImportError: if matplotlib is not installed.
        OSError: if the file cannot be written.
        ValueError: if the format is unknown.
    """
    figure = require("matplotlib.figure", "bench").Figure(figsize=(10, 7), layout="constrained")
    (pairs, gap), (balance, correlation) = figure.subplots(2, 2)
    found = diagnosis.pairs
    _histograms(pairs, {"own pairs": (found.true_at, IMAGE), "strangers": (found.false_at, STRANGER)})
    pairs.set_title(f"image to caption: a true pair is nearer with probability {found.auc:.3f}", size=9)
    _histograms(
        gap,
        {
            "image, image": (found.image_at, IMAGE),
            "caption, caption": (found.caption_at, CAPTION),
            "image, caption": (found.false_at, STRANGER),
        },
    )
    gap.set_title(f"strangers: modality gap {found.gap:.2f} bits", size=9)
    places = np.arange(diagnosis.n_bits)
    balance.plot(places, diagnosis.images.share_of_ones, color=IMAGE, label="images")
    balance.plot(places, diagnosis.captions.share_of_ones, color=CAPTION, label="captions")
    balance.axhline(0.5, color="black", linewidth=0.5)
    balance.set_ylim(0, 1)
    balance.set_xlabel("bit")
    balance.set_title(
        f"share of ones; effective bits {diagnosis.images.effective_bits:.1f} (images), "
        f"{diagnosis.captions.effective_bits:.1f} (captions)",
        size=9,
    )
    balance.legend(fontsize=7)
    drawn = correlation.imshow(diagnosis.images.correlation, vmin=0, vmax=1, cmap="magma", interpolation="nearest")
    correlation.set_title("absolute correlation of bits, images", size=9)
    figure.colorbar(drawn, ax=correlation)
    figure.suptitle(title, size=10)
    with write_atomically(path) as draft:
        figure.savefig(draft, dpi=130)


def _histograms(axes: Any, counts: dict[str, tuple[Any, str]]) -> None:
    """Draw histograms of distances as shares."""
    for label, (at, colour) in counts.items():
        axes.fill_between(np.arange(len(at)), at / max(1, at.sum()), step="mid", alpha=0.45, color=colour, label=label)
    axes.set_xlabel("Hamming distance")
    axes.set_ylabel("share of pairs")
    axes.legend(fontsize=7)
