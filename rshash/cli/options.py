"""Options that several verbs share, and the data set they add up to."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rshash.files import check_place, write_atomically

if TYPE_CHECKING:
    from rshash.data.dataset import CaptionDataset
    from rshash.data.report import OnBad
    from rshash.data.splits import Split
    from rshash.models.cache import FeatureCache
    from rshash.models.hasher import CrossModalHasher

SPLITS = ("duch", "official", "all")
PROBLEMS_SHOWN = 10


class _Output(click.Path):
    """A place to write to, refused before any work where it cannot be."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        path = super().convert(value, parameter, context)
        check_place(os.fsdecode(path))
        return path


PATH = click.Path(path_type=Path)
OUTPUT = _Output(path_type=Path)
OUTPUT_FILE = _Output(path_type=Path, dir_okay=False)

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
quiet = click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
hasher = click.option("--hasher", "hasher_path", type=PATH, required=True, help="Hasher that rshash train wrote.")
device = click.option("--device", default="cpu", show_default=True, help="Torch device: cpu, cuda, cuda:1, …")
cache = click.option(
    "--cache",
    "cache_folder",
    type=OUTPUT,
    envvar="RSHASH_CACHE",
    help="Folder that keeps encoder features between runs.  [default: $RSHASH_CACHE or ~/.cache/rshash]",
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


@dataclass(frozen=True)
class DataSource:
    """The data set that ``--captions``, ``--images`` and their companions name."""

    captions: Path | None
    images: Path | None
    on_bad: "OnBad"
    report: Path | None

    def read(self, progress: bool) -> "CaptionDataset":
        """Read the data set, decode every image once, and tell on stderr what was left out.

        Raises:
            click.UsageError: if neither captions nor images are named.
            ValueError, OSError: if the data cannot be read, or has faults and ``on_bad`` is "refuse".
        """
        from rshash.data.captions import read_captions, read_image_folder

        if self.captions is not None:
            dataset = read_captions(self.captions, self.images, on_bad=self.on_bad)
        elif self.images is not None:
            dataset = read_image_folder(self.images, on_bad=self.on_bad)
        else:
            raise click.UsageError("give --captions FILE, --images FOLDER, or both")
        if self.images is not None:
            dataset = dataset.check_images(on_bad=self.on_bad, progress=progress)
        lines = [str(problem) for problem in dataset.report]
        for line in lines[:PROBLEMS_SHOWN]:
            click.echo(f"left out: {line}", err=True)
        if len(lines) > PROBLEMS_SHOWN:
            click.echo(f"left out: {len(lines) - PROBLEMS_SHOWN} more; --report FILE lists all", err=True)
        if self.report is not None:
            with write_atomically(self.report) as draft:
                draft.write_text(json.dumps(dataset.report.to_json(), indent=2) + "\n", encoding="utf-8")
        return dataset


def data(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a data set; the command receives them as one ``source``."""

    @wraps(command)
    def gather(captions: Path | None, images: Path | None, on_bad: "OnBad", report: Path | None, **others: Any) -> Any:
        return command(source=DataSource(captions, images, on_bad, report), **others)

    wrapped: Callable[..., Any] = gather
    for option in (
        click.option("--report", type=OUTPUT_FILE, help="Write what was left out, and why, to this JSON file."),
        click.option(
            "--on-bad",
            type=click.Choice(["refuse", "skip"]),
            default="refuse",
            show_default=True,
            help="What to do about unreadable images and faulty captions: stop with their names, or leave them out.",
        ),
        click.option("--images", type=PATH, help="Folder of the images."),
        click.option("--captions", type=PATH, help="Caption file, Karpathy-style JSON (dataset_*.json)."),
    ):
        wrapped = option(wrapped)
    return wrapped


def setting(text: str) -> tuple[str, object]:
    """Split NAME=VALUE; the value is JSON (numbers, true, false, lists) or else a string.

    Raises:
        click.UsageError: if there is no name or no equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--option takes NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


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


def trained_split(hasher: "CrossModalHasher") -> dict[str, Any] | None:
    """Return name, seed and data of the split that a hasher was trained on, None where it does not say.

    Raises:
        ValueError: if what it says is no split.
    """
    trained: Any = hasher.provenance.get("split")
    if trained is None:
        return None
    if not isinstance(trained, dict) or trained.get("name") not in SPLITS or not {"seed", "data"} <= trained.keys():
        raise ValueError(f"the hasher's provenance is damaged: its split is {trained!r}; train it again")
    return trained


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
    trained = trained_split(hasher)
    if trained is None:
        click.echo("warning: the hasher does not say what it was trained on; its figures may include it", err=True)
    elif trained["data"] == dataset.fingerprint() and (
        trained["name"] != split or (split == "duch" and trained["seed"] != seed)
    ):
        click.echo(
            f"warning: the hasher was trained on split {trained['name']} (seed {trained['seed']}) of this data; "
            f"split {split} (seed {seed}) asks images it has seen",
            err=True,
        )
    elif split == "all" and trained["data"] == dataset.fingerprint():
        click.echo(
            "warning: the hasher was trained on all of this data; the figures are not of unseen images", err=True
        )
