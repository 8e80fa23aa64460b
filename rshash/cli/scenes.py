"""``rshash scenes``: write a captioned data set of generated aerial scenes."""

import json
from pathlib import Path

import click

from rshash.cli import options


@click.command()
@click.option("-n", "n_scenes", type=click.IntRange(1), default=2000, show_default=True, help="How many scenes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same scenes.")
@click.option("--size", type=click.IntRange(32, 1024), default=128, show_default=True, help="Edge in pixels.")
@click.option("-o", "--output", type=options.OUTPUT, required=True, help="Folder to create.")
@options.quiet
@options.as_json
def command(n_scenes: int, seed: int, size: int, output: Path, quiet: bool, as_json: bool) -> None:
    """Write generated scenes as images/ and captions.json, to try the other verbs without data of your own.

    \b
    Example:
      rshash scenes -n 2000 -o scenes
      rshash train --captions scenes/captions.json --images scenes/images -o scenes.hasher \\
                   --image-encoder small-cnn --caption-encoder bag-of-words
    """
    from rshash.data.scenes import generate_scenes, write_scenes

    if output.exists():
        raise FileExistsError(f"{output} exists: choose another folder")
    write_scenes(generate_scenes(n_scenes, seed=seed, size=size), output, progress=not quiet)
    images, captions = output / "images", output / "captions.json"
    facts = {"images": str(images), "captions": str(captions), "scenes": n_scenes}
    click.echo(json.dumps(facts, indent=2) if as_json else f"{n_scenes:,} scenes in {images}, captions in {captions}")
