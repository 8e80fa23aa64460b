"""``rshash search``: ask an archive with a sentence or an image."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rshash.archive.reader import Archive, open_archive
from rshash.cli import options
from rshash.files import write_atomically

if TYPE_CHECKING:
    from rshash.picture import Tile

HITS_DRAWN = 100
"""A picture shows no more; every hit is printed."""


@click.command()
@click.argument("archive", type=options.PATH)
@click.argument("text", required=False)
@click.option("--image", "image_path", type=options.PATH, help="Ask with this image instead of a sentence.")
@click.option("-k", type=int, help="How many hits.  [default: 10]")
@click.option("--radius", type=int, help="All hits within this Hamming distance, instead of -k.")
@click.option("--threads", type=int, help="Threads of the scan.  [default: $RSHASH_NUM_THREADS or all cores]")
@click.option("--picture", type=options.OUTPUT_FILE, help="Write a contact sheet of the query and its hits (.png).")
@options.as_json
def command(
    archive: Path,
    text: str | None,
    image_path: Path | None,
    k: int | None,
    radius: int | None,
    threads: int | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Rank the rows of ARCHIVE by Hamming distance to a sentence TEXT or an image.

    An archive of images answers with images, one of captions with captions; both take either query.

    \b
    Examples:
      rshash search my.rshash "harbour with many ships"
      rshash search my.rshash --image query.tif -k 5 --picture hits.png
      rshash search my.rshash "a runway" --radius 12 --json
    """
    if (text is None) == (image_path is None):
        raise click.UsageError("ask with a sentence or with --image FILE, one of them")
    opened = open_archive(archive)
    query: Any = text
    if image_path is not None:
        from rshash.data.images import read_image

        query = read_image(image_path)
    distances, rows = opened.search(query, k=k, radius=radius, n_threads=threads).of(0)
    items = opened.items_at(rows)
    hits = [
        {"rank": rank, "distance": int(distance), "row": int(row), **item}
        for rank, (distance, row, item) in enumerate(zip(distances, rows, items, strict=True), start=1)
    ]
    if picture is not None:
        draw_hits(picture, text or str(image_path), query, opened, hits)
    if as_json:
        result = {"query": text or str(image_path), "archive": str(archive), "n_bits": opened.n_bits, "hits": hits}
        click.echo(json.dumps(result, indent=2, ensure_ascii=False, default=str))
        return
    for hit in hits:
        click.echo(f"{hit['rank']:>4}  distance {hit['distance']:>3}  {hit['id']}  {caption_of(hit)}".rstrip())
    if not hits:
        click.echo(f"nothing within distance {radius} of the query", err=True)


def caption_of(item: dict[str, Any]) -> str:
    """Return the sentence to show for an item: its own, or the first of its image."""
    return str(item.get("caption") or next(iter(item.get("captions", ())), ""))


def draw_hits(target: Path, name: str, query: Any, archive: Archive, hits: list[dict[str, Any]]) -> None:
    """Write a contact sheet of one query; hits whose image is gone are shown by their caption."""
    from rshash.picture import Tile, contact_sheet

    asked = Tile("query", name, None if isinstance(query, str) else query)
    heading = f"{len(archive):,} {archive.kind} at {archive.n_bits} bits"
    if len(hits) > HITS_DRAWN:
        heading += f", the first {HITS_DRAWN} of {len(hits):,} hits"
    sheet = contact_sheet([(asked, [_tile(hit) for hit in hits[:HITS_DRAWN]])], heading=heading)
    with write_atomically(target) as draft:
        sheet.save(draft)


def _tile(hit: dict[str, Any]) -> "Tile":
    """Draw one hit: its picture when the file is still there."""
    from rshash.data.images import BadImage, read_image
    from rshash.picture import Tile

    title, text = f"{hit['rank']}. distance {hit['distance']}", caption_of(hit) or hit["id"]
    try:
        return Tile(title, text, read_image(hit["source"]) if hit.get("source") else None)
    except (BadImage, OSError) as error:
        return Tile(title, f"{text} ({error})")
