"""``rshash index``: images or captions → an archive that can be searched."""

import json
from pathlib import Path

import click

from rshash.cli import options


@click.command()
@options.hasher
@options.data
@click.option(
    "--of",
    "modality",
    type=click.Choice(["images", "captions"]),
    default="images",
    show_default=True,
    help="What the rows are; either kind can be asked with a sentence or an image.",
)
@click.option(
    "--half",
    type=click.Choice(["train", "query", "database"]),
    help="Index this part of the split the hasher was trained on.  [default: everything]",
)
@click.option("-o", "--output", type=options.OUTPUT, required=True, help="Archive to write, for example my.rshash.")
@click.option("--overwrite", is_flag=True, help="Replace an archive of that name.")
@options.cache
@options.device
@options.quiet
@options.as_json
def command(
    hasher_path: Path,
    source: options.DataSource,
    modality: str,
    half: str | None,
    output: Path,
    overwrite: bool,
    cache_folder: Path | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Encode images or captions and write an archive: codes, items and a copy of the hasher in one directory.

    Memory stays flat however many images there are.

    \b
    Examples:
      rshash index --hasher my.hasher --images images/ -o my.rshash
      rshash index --hasher my.hasher --captions dataset.json --images images/ -o my.rshash
      rshash index --hasher my.hasher --captions dataset.json --of captions -o sentences.rshash
    """
    options.check_output(output, "manifest.json", overwrite)
    from rshash.archive.reader import create_archive
    from rshash.archive.writer import append_blocks
    from rshash.encoding import encode_rows
    from rshash.models.hasher import CrossModalHasher

    hasher = CrossModalHasher.load(hasher_path, device=device)
    dataset = source.read(progress=not quiet)
    if half is not None:
        trained = options.trained_split(hasher)
        if trained is None:
            raise ValueError(f"{hasher_path} does not say which split it was trained on: leave out --half")
        if trained["data"] != dataset.fingerprint():
            raise ValueError(
                f"--half {half} counts rows of the data that {hasher_path} was trained on, {dataset.name} is other "
                "data: give the same --captions, --images and --on-bad, or leave out --half"
            )
        dataset = dataset.subset(getattr(options.make_split(dataset, trained["name"], trained["seed"]), half))
    provenance = {"data": dataset.name, "fingerprint": dataset.fingerprint(), "hasher": hasher.fingerprint}
    archive = create_archive(output, hasher=hasher_path, kind=modality, provenance=provenance, overwrite=overwrite)
    blocks = encode_rows(hasher, dataset, modality, cache=options.open_cache(cache_folder), progress=not quiet)
    append_blocks(archive, blocks)
    n_rows = len(archive)
    facts = {"archive": str(output), "rows": n_rows, "kind": modality, "n_bits": hasher.n_bits}
    click.echo(json.dumps(facts, indent=2) if as_json else f"{output}: {n_rows:,} {modality} at {hasher.n_bits} bits")
