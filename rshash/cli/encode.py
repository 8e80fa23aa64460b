"""``rshash encode``: images or captions → packed codes in a .npy file."""

import json
from pathlib import Path

import click

from rshash.cli import options
from rshash.files import write_atomically


@click.command()
@options.hasher
@options.data
@click.option(
    "--of",
    "modality",
    type=click.Choice(["images", "captions"]),
    help="What to encode.  [default: images, or captions where no images are given]",
)
@click.option("-o", "--output", type=options.OUTPUT_FILE, required=True, help="File to write, for example codes.npy.")
@options.cache
@options.device
@options.quiet
@options.as_json
def command(
    hasher_path: Path,
    source: options.DataSource,
    modality: str | None,
    output: Path,
    cache_folder: Path | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write packed codes, (N, n_bytes) uint8, and beside them the ids of their rows, one a line (codes.ids.txt).

    The codes are plain numpy: rshash.search, faiss and others read them as they are. They are codes to be searched;
    those that ask come from Python, hasher.encode_captions(sentences), or from rshash search.

    \b
    Examples:
      rshash encode --hasher my.hasher --images images/ -o codes.npy
      rshash encode --hasher my.hasher --captions dataset.json -o captions.npy
    """
    import numpy as np

    from rshash.encoding import encode_rows
    from rshash.models.hasher import CrossModalHasher

    if output.suffix != ".npy":
        raise click.UsageError(f"-o must end in .npy, got {output}")
    hasher = CrossModalHasher.load(hasher_path, device=device)
    dataset = source.read(progress=not quiet)
    modality = modality or ("images" if source.images is not None else "captions")
    blocks = list(encode_rows(hasher, dataset, modality, cache=options.open_cache(cache_folder), progress=not quiet))
    codes = np.concatenate([block for block, _ in blocks])
    with write_atomically(output.with_suffix(".ids.txt")) as draft:
        draft.write_text("".join(f"{item['id']}\n" for _, items in blocks for item in items), encoding="utf-8")
    with write_atomically(output) as draft:
        np.save(draft, codes)
    facts = {"codes": str(output), "rows": len(codes), "n_bits": hasher.n_bits, "bytes": codes.nbytes}
    click.echo(
        json.dumps(facts, indent=2) if as_json else f"{output}: {len(codes):,} {modality} at {hasher.n_bits} bits"
    )
