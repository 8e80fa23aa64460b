"""``rshash demo``: the main job end to end on embedded data."""

import json
from pathlib import Path

import click

from rshash.cli import options


@click.command()
@click.option("--scenes", "n_scenes", type=click.IntRange(100), default=2000, show_default=True, help="How many.")
@click.option("--bits", type=int, default=64, show_default=True, help="Width of the codes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same result.")
@click.option("--epochs", type=int, help="Passes over the training half.  [default: 60]")
@click.option(
    "-o", "--output", type=options.OUTPUT, default=Path("rshash-demo"), show_default=True, help="Folder to create."
)
@options.quiet
@options.as_json
def command(n_scenes: int, bits: int, seed: int, epochs: int | None, output: Path, quiet: bool, as_json: bool) -> None:
    """Train, encode, index and search on generated aerial scenes; ends with a picture of the hits.

    Needs no data, no weights and no network; takes about a minute on two cores. What it leaves in the folder is what
    the other verbs write, so you can go on with them.

    \b
    Examples:
      rshash demo
      rshash demo --bits 16 --seed 3 -o demo16
    """
    from rshash.demo import run_demo

    demo = run_demo(
        output,
        n_scenes=n_scenes,
        n_bits=bits,
        seed=seed,
        epochs=epochs,
        progress=not quiet,
        say=lambda line: click.echo(line, err=True) if line and not quiet else None,
    )
    code_bytes = demo.archive.info()["code bytes"]
    facts = {
        "folder": str(demo.folder),
        "picture": str(demo.folder / "hits.png"),
        "n_bits": bits,
        "mAP@20": {direction: scores["mAP@20"] for direction, scores in demo.report.scores.items()},
        "code bytes": code_bytes,
        "float feature bytes": demo.feature_bytes,
        "times smaller": demo.feature_bytes / code_bytes,
        "seconds": demo.seconds,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    i2t, t2i = facts["mAP@20"]["i2t"], facts["mAP@20"]["t2i"]
    click.echo(
        f"""
{demo.report.table()}

mAP@20     image → text {i2t:.3f}, text → image {t2i:.3f}
memory     {len(demo.archive):,} scenes: {code_bytes:,} bytes of codes instead of {demo.feature_bytes:,} bytes of
           float32 features, {demo.feature_bytes / code_bytes:,.0f} times smaller
time       {", ".join(f"{name} {seconds:.0f} s" for name, seconds in demo.seconds.items())}
picture    {demo.folder / "hits.png"}

Go on with
  rshash search {demo.folder / "demo.rshash"} "{demo.query}" -k 5
  rshash info {demo.folder / "demo.hasher"}"""
    )
