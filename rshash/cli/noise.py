"""``rshash noise``: captioned images → which captions do not belong to their image."""

import json
from pathlib import Path

import click

from rshash.cli import options
from rshash.files import write_atomically


@click.command()
@options.data
@click.option("-o", "--output", type=options.OUTPUT_FILE, help="Write the whole ranking, as .json or .csv.")
@click.option(
    "--cleaned",
    type=options.OUTPUT_FILE,
    help="Write the caption file without the captions that are more likely wrong than right, to train on.",
)
@click.option(
    "--picture",
    type=options.OUTPUT_FILE,
    help="Draw the images of the most suspicious captions, for example wrong.png.",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=24, show_default=True, help="Captions to print, and images to draw."
)
@click.option(
    "--corrupt",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Try it out: give this share of four fifths of the images all captions of another, and measure how well they "
    "are found (AUC).",
)
@click.option("--each", is_flag=True, help="With --corrupt: that share of four fifths of the captions, one by one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the training, and of --corrupt.")
@click.option("--image-encoder", default="efficientnet-lite0-levels", show_default=True, help="As in rshash train.")
@click.option("--caption-encoder", default="minilm", show_default=True, help="As in rshash train.")
@options.cache
@options.device
@options.quiet
@options.as_json
def command(
    source: options.DataSource,
    output: Path | None,
    cleaned: Path | None,
    picture: Path | None,
    top: int,
    corrupt: float,
    each: bool,
    seed: int,
    image_encoder: str,
    caption_encoder: str,
    cache_folder: Path | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Rank captions by the probability that they do not belong to their image, to clean a data set.

    Each caption is judged for itself, so one wrong among five right ones is found, too. Needs no labels, no clean
    examples and no share of wrong captions. Remove what it finds (--cleaned), or leave it: rshash train doubts the same
    captions by itself.

    \b
    Examples:
      rshash noise --captions dataset.json --images images/ -o suspects.csv --picture suspects.png
      rshash noise --captions dataset.json --images images/ --cleaned cleaned.json
      rshash noise --captions dataset.json --images images/ --corrupt 0.5
      rshash noise --captions dataset.json --images images/ --corrupt 0.2 --each
    """
    if source.captions is None or source.images is None:
        raise click.UsageError("noise is found in pairs: give --captions FILE and --images FOLDER")
    picture_format = None if picture is None else _format_of(picture)
    if cleaned is not None and corrupt:
        raise click.UsageError("--cleaned takes pairs as they are, --corrupt makes some wrong: give one of them")
    if cleaned is not None and cleaned.resolve() == source.captions.resolve():
        raise click.UsageError(f"--cleaned {cleaned} is the file that is judged: name another, so that nothing is lost")
    if output is not None and output.suffix not in (".json", ".csv"):
        raise click.UsageError(f"-o must end in .json or .csv, got {output}")
    if each and not corrupt:
        raise click.UsageError("--each says how --corrupt does it: give --corrupt SHARE, too")
    from rshash.data.noise import corrupt_captions, corrupt_pairs
    from rshash.noise import find_wrong_pairs

    dataset, truth = source.read(progress=not quiet), None
    if corrupt:
        if each:
            dataset, truth = corrupt_captions(dataset, corrupt, seed=seed)
        else:
            corruption = corrupt_pairs(dataset, corrupt, seed=seed)
            dataset, truth = corruption.dataset, corruption.wrong.repeat([len(own) for own in dataset.captions])
    report = find_wrong_pairs(
        dataset,
        truth=truth,
        image_encoder=image_encoder,
        caption_encoder=caption_encoder,
        seed=seed,
        cache=options.open_cache(cache_folder),
        progress=not quiet,
        device=device,
    )
    if output is not None:
        report.save(output)
    if cleaned is not None:
        report.save_cleaned(source.captions, cleaned)
    if picture is not None:
        with write_atomically(picture) as draft:
            report.picture(top).save(draft, format=picture_format)
    first = report.rows()[:top]
    if as_json:
        click.echo(json.dumps({**report.summary(), "ranking": first}, indent=2))
        return
    facts = report.summary()
    click.echo(
        f"{facts['images']:,} images with {facts['pairs']:,} captions, "
        f"{facts['suspected']:,} of these more likely wrong than right"
    )
    if truth is not None:
        found = "no AUC" if facts["auc"] is None else f"AUC {facts['auc']:.4f}"  # all or none are wrong
        click.echo(
            f"{facts['wrong']:,} are wrong on purpose, {facts['suspected_and_wrong']:,} of these suspected; {found}"
        )
    for entry in first:
        click.echo(f"{entry['probability_wrong']:.3f}  {entry['id']}  {entry['caption']}")


def _format_of(picture: Path) -> str:
    """Return Pillow's name of the format that the name of a picture ends in, PNG where it has no suffix."""
    from PIL import Image

    name = Image.registered_extensions().get(picture.suffix.lower() or ".png")
    if name not in Image.SAVE:
        raise click.UsageError(f"--picture must end in .png, .jpg or another format of pictures, got {picture}")
    return name
