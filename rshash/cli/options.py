"""Options that several verbs share, and the data set they add up to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rshash.data.dataset import CaptionDataset
    from rshash.data.splits import Split
    from rshash.models.cache import FeatureCache
    from rshash.models.hasher import CrossModalHasher

Command = TypeVar("Command", bound=Callable[..., Any])

SPLITS = ("duch", "official", "all")
PATH = click.Path(path_type=Path)

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
quiet = click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
hasher = click.option("--hasher", "hasher_path", type=PATH, required=True, help="Hasher that rshash train wrote.")
device = click.option("--device", default="cpu", show_default=True, help="Torch device: cpu, cuda, cuda:1, …")
cache = click.option(
    "--cache",
    "cache_folder",
    type=PATH,
    envvar="RSHASH_CACHE",
    help="Folder that keeps encoder features between runs.  [default: $RSHASH_CACHE or ~/.cache/rshash]",
)
on_bad = click.option(
    "--on-bad",
    type=click.Choice(["refuse", "skip"]),
    default="refuse",
    show_default=True,
    help="What to do about unreadable images and faulty captions: stop with their names, or report and skip them.",
)
split = click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="duch",
    show_default=True,
    help="duch: half to train, a fifth of the rest asks, the rest answers; official: as the data set's file says; "
    "all: no split.",
)
split_seed = click.option(
    "--split-seed", type=int, default=42, show_default=True, help="Seed of the DUCH split (42 in the paper's code)."
)


def data(command: Command) -> Command:
    """Add the options that name a data set: ``--captions``, ``--images``, ``--on-bad``."""
    for option in (
        on_bad,
        click.option("--images", type=PATH, help="Folder of the images."),
        click.option("--captions", type=PATH, help="Caption file, Karpathy-style JSON (dataset_*.json)."),
    ):
        command = option(command)
    return command


def read_data(captions: Path | None, images: Path | None, on_bad: str, progress: bool) -> "CaptionDataset":
    """Read the data set that ``--captions`` and ``--images`` name, and report what was skipped on stderr.

    Raises:
        click.UsageError: if neither is given.
        ValueError, OSError: if the data cannot be read, or has faults and ``on_bad`` is "refuse".
    """
    from rshash.data.captions import read_captions, read_image_folder

    if captions is not None:
        dataset = read_captions(captions, images, on_bad=on_bad)
    elif images is not None:
        dataset = read_image_folder(images, on_bad=on_bad)
    else:
        raise click.UsageError("give --captions FILE, --images FOLDER, or both")
    if images is not None:
        dataset = dataset.check_images(on_bad=on_bad, progress=progress)
    if len(dataset.report):
        click.echo(str(dataset.report), err=True)
    return dataset


def make_split(dataset: "CaptionDataset", split: str, seed: int) -> "Split":
    """Split a data set as ``--split`` says; "all" trains, asks and answers with every row."""
    import numpy as np

    from rshash.data.splits import Split, duch_split, official_split

    if split == "duch":
        return duch_split(len(dataset), seed=seed)
    if split == "official":
        return official_split(dataset)
    rows = np.arange(len(dataset))
    return Split(train=rows, query=rows, database=rows)


def open_cache(folder: Path | None) -> "FeatureCache":
    """Open the feature cache under the given folder or the user's cache folder."""
    from rshash.models.cache import FeatureCache

    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return FeatureCache(folder or Path(home) / "rshash")


def check_output(output: Path, mark: str, overwrite: bool) -> None:
    """Refuse, before any long work, to write over something.

    Args:
        output: directory that will be written.
        mark: file that tells a directory of the same kind, which ``--overwrite`` may replace.
        overwrite: whether the user said so.

    Raises:
        FileExistsError: if ``output`` is in the way.
    """
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists: choose another name, or replace it with --overwrite")
    if output.exists() and not (output / mark).is_file():
        raise FileExistsError(f"{output} exists and is something else (no {mark} in it): choose another name")


def warn_of_leaks(hasher: "CrossModalHasher", dataset: "CaptionDataset", split: str, seed: int) -> None:
    """Say on stderr when the numbers will include images that the hasher was trained on, or cannot be told."""
    trained = hasher.provenance.get("split")
    if trained is None:
        click.echo("warning: the hasher does not say what it was trained on; its figures may include it", err=True)
    elif trained["data"] == dataset.fingerprint() and (trained["name"], trained["seed"]) != (split, seed):
        click.echo(
            f"warning: the hasher was trained on split {trained['name']} (seed {trained['seed']}) of this data; "
            f"split {split} (seed {seed}) asks images it has seen",
            err=True,
        )
    elif split == "all" and trained["data"] == dataset.fingerprint():
        click.echo(
            "warning: the hasher was trained on all of this data; the figures are not of unseen images", err=True
        )
