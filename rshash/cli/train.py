"""``rshash train``: captioned images → a hasher."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rshash.cli import options

if TYPE_CHECKING:
    from rshash.data.dataset import CaptionDataset


@click.command()
@options.data
@click.option(
    "--method",
    default="consensus",
    show_default=True,
    help="Hashing method: consensus, duch, chnr, cca-itq or another of docs/methods.md. The default encodes each image "
    """in three views, three passes of the image encoder; --option 'encoded_views=["original"]' takes one.""",
)
@click.option("--bits", type=int, default=64, show_default=True, help="Width of the codes, 1 to 4096.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of initialisation, batches and views.")
@click.option("--epochs", type=int, help="Passes over the training images.  [default: the method's]")
@click.option("--batch-size", type=int, help="Images a step.  [default: the method's]")
@click.option(
    "--image-encoder",
    default="efficientnet-lite0-levels",
    show_default=True,
    help="efficientnet-lite0 or efficientnet-lite0-levels (pretrained), or small-cnn (needs no weights).",
)
@click.option(
    "--caption-encoder",
    default="minilm",
    show_default=True,
    help="minilm (pretrained) or bag-of-words (needs no weights).",
)
@click.option(
    "--validation",
    type=float,
    default=0.1,
    show_default=True,
    help="Share of the training images held out and measured after every epoch; --option keep=best then takes the "
    "best epoch instead of the last.",
)
@click.option(
    "--option",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="Setting of the method, repeatable, for example --option temperature=0.5. A wrong name lists the nearest.",
)
@click.option(
    "--clean",
    "clean_path",
    type=options.PATH,
    help="Text file of image names, one a line, whose captions are known to be right, for methods that need some.",
)
@options.split
@options.split_seed
@click.option("-o", "--output", type=options.OUTPUT, required=True, help="Hasher to write, for example my.hasher.")
@click.option("--overwrite", is_flag=True, help="Replace a hasher of that name.")
@click.option("--checkpoints", type=options.OUTPUT, help="Folder for the best and the last checkpoint.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --checkpoints.")
@click.option("--log", type=options.OUTPUT_FILE, help="File for one JSON line an epoch.")
@options.cache
@options.device
@options.quiet
@options.as_json
def command(
    source: options.DataSource,
    method: str,
    bits: int,
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    image_encoder: str,
    caption_encoder: str,
    validation: float,
    settings: tuple[str, ...],
    clean_path: Path | None,
    split: str,
    split_seed: int,
    output: Path,
    overwrite: bool,
    checkpoints: Path | None,
    resume: bool,
    log: Path | None,
    cache_folder: Path | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a hasher on the training half of a captioned data set.

    The query and database halves of the split are never seen. Features of the frozen encoders are computed once and
    kept in the cache, so a second training starts at once.

    \b
    Examples:
      rshash train --captions dataset_ucm.json --images images/ -o ucm64.hasher
      rshash train --captions dataset_ucm.json --images images/ --bits 32 --seed 1 --split all -o all32.hasher
      rshash train --captions dataset_ucm.json --images images/ --checkpoints run1 --resume -o ucm64.hasher
      rshash train --captions dataset_ucm.json --images images/ --option tuned_epochs=8 -o tuned.hasher

    The last example trains the last blocks of the image encoder, too: minutes an epoch, and better answers to images.
    """
    options.check_output(output, "hasher.json", overwrite)
    if source.captions is None or source.images is None:
        raise click.UsageError("training needs --captions FILE and --images FOLDER")
    from rshash.methods import METHODS
    from rshash.methods.options import parse_options
    from rshash.names import unknown_name
    from rshash.training import train

    given = dict(options.setting(text) for text in settings)
    numbers = {name: number for name, number in (("epochs", epochs), ("batch_size", batch_size)) if number is not None}
    if method not in METHODS:  # told before images are read, as all that is known without them
        raise unknown_name("method", method, METHODS)
    parse_options(METHODS[method].options, given | numbers)
    if clean_path is None and "clean subset" in METHODS[method].supervision:
        raise click.UsageError(f"{method} learns from pairs known to be right: name their images with --clean FILE")
    dataset = source.read(progress=not quiet)
    halves = options.make_split(dataset, split, split_seed)
    half = dataset.subset(halves.train)
    hasher = train(
        half,
        method=method,
        n_bits=bits,
        image_encoder=image_encoder,
        caption_encoder=caption_encoder,
        seed=seed,
        epochs=epochs,
        batch_size=batch_size,
        validation=validation,
        cache=options.open_cache(cache_folder),
        checkpoints=checkpoints,
        resume=resume,
        log=log,
        progress=not quiet,
        device=device,
        clean=None if clean_path is None else _read_clean(clean_path, dataset, half),
        options=given,
    )
    hasher.provenance["split"] = {"name": split, "seed": split_seed, "data": dataset.fingerprint()}
    hasher.save(output)
    if as_json:
        facts = {"hasher": str(output), "fingerprint": hasher.fingerprint, "provenance": hasher.provenance}
        click.echo(json.dumps(facts, indent=2, default=str))
    else:
        click.echo(f"{output}: {hasher.n_bits}-bit {method} hasher, trained on {len(halves.train):,} images")


def _read_clean(path: Path, dataset: "CaptionDataset", half: "CaptionDataset") -> list[int]:
    """Return the rows of the training half that the file names; names of the other halves are passed over."""
    names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    unknown = sorted(set(names) - set(dataset.ids))
    if unknown:
        raise ValueError(f"{path} names {unknown[0]!r}, which is no image of {dataset.name}; give names as in the data")
    row_of = {name: row for row, name in enumerate(half.ids)}
    return [row_of[name] for name in names if name in row_of]
