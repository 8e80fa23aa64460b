"""``rshash diagnose``: what is wrong with the codes of a hasher, and what to try."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rshash.cli import options

if TYPE_CHECKING:
    from rshash.diagnosis import Diagnosis


@click.command()
@options.hasher
@options.data
@click.option(
    "--half",
    type=click.Choice(["database", "query", "train", "all"]),
    default="database",
    show_default=True,
    help="Which part of the split the hasher was trained on to look at.",
)
@click.option("--picture", type=options.OUTPUT_FILE, help="Draw the numbers (.png, .svg, .pdf).")
@options.cache
@options.device
@options.quiet
@options.as_json
def command(
    hasher_path: Path,
    source: options.DataSource,
    half: str,
    picture: Path | None,
    cache_folder: Path | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Tell how well a hasher uses its bits, how far apart true and false pairs are, and what to try.

    Needs no relevance judgements: an image and its own captions are the true pairs, captions of other classes (or of
    other images, where there are no classes or one only) the false ones.

    \b
    Examples:
      rshash diagnose --hasher my.hasher --captions dataset.json --images images/ --picture codes.png
      rshash diagnose --hasher my.hasher --captions dataset.json --images images/ --half train --json
    """
    import numpy as np

    from rshash.diagnosis import advise, diagnose
    from rshash.diagnosis.picture import check_picture, draw
    from rshash.encoding import caption_codes, image_codes
    from rshash.models.hasher import CrossModalHasher

    if picture is not None:
        check_picture(picture)
    hasher = CrossModalHasher.load(hasher_path, device=device)
    dataset = source.read(progress=not quiet)
    if half != "all":
        trained = options.trained_split(hasher) or {"name": "duch", "seed": 42}
        dataset = dataset.subset(getattr(options.make_split(dataset, trained["name"], trained["seed"]), half))
    cache = options.open_cache(cache_folder)
    images = list(image_codes(hasher, dataset, cache=cache, progress=not quiet))
    captions = list(caption_codes(hasher, dataset, cache=cache, progress=not quiet))
    if not images or not captions:
        raise ValueError(f"{dataset.name} has no images or no captions in its {half} half: both are needed")
    labels = dataset.labels
    if labels is not None and (labels == labels[0]).all():
        labels = None  # of one class no image would have strangers
    found = diagnose(
        np.concatenate(images),
        np.concatenate(captions),
        np.repeat(np.arange(len(dataset)), [len(own) for own in dataset.captions]),
        hasher.n_bits,
        labels=labels,
    )
    advice = advise(found)
    if picture is not None:
        draw(found, picture, f"{hasher_path.name} on {dataset.name} ({half})")
    if as_json:
        click.echo(json.dumps({**found.to_json(), "advice": advice}, indent=2))
    else:
        click.echo(
            "\n".join([*_lines(found), "", *(f"try: {sentence}" for sentence in advice or ["nothing stands out"])])
        )


def _lines(found: "Diagnosis") -> list[str]:
    """Return the numbers as a table and two lines."""
    rows = [("", "images", "captions")]
    for name, words in (
        ("n_codes", "codes"),
        ("n_distinct", "distinct codes"),
        ("largest_bucket", "codes in the largest bucket"),
        ("n_dead", "dead bits"),
        ("n_correlated", "pairs of bits correlated 0.9 or more"),
        ("mean_entropy", "mean entropy of a bit"),
        ("effective_bits", "effective bits"),
    ):
        of_images, of_captions = (
            f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
            for value in (found.images.to_json()[name], found.captions.to_json()[name])
        )
        rows.append((words, of_images, of_captions))
    width = max(len(row[0]) for row in rows)
    pairs = found.pairs.to_json()
    return [
        *(f"{row[0]:{width}}  {row[1]:>10}  {row[2]:>10}" for row in rows),
        f"distance of true pairs {pairs['mean_true']:.2f}, of false ones {pairs['mean_false']:.2f} of {found.n_bits} "
        f"bits; a true pair is nearer with probability {pairs['auc']:.4f}",
        f"modality gap: strangers of two modalities are {pairs['gap']:.2f} bits farther apart than strangers of one",
    ]
