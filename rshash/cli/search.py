"""``rshash search``: ask an archive with a sentence or an image, among the items that fulfil conditions."""

from pathlib import Path
from typing import Any

import click

from rshash.archive.rerank import MEASURES
from rshash.cli import choosing, forms, opening, options
from rshash.files import write_atomically


@click.command()
@click.argument("archive", type=options.PATH)
@click.argument("text", required=False)
@click.option("--image", "image_path", type=options.PATH, help="Ask with this image instead of a sentence.")
@click.option("-k", type=int, help="How many hits.  [default: 10]")
@click.option("--radius", type=int, help="All hits within this Hamming distance, instead of -k.")
@choosing.choice
@click.option(
    "--rerank",
    type=click.Choice(MEASURES),
    help="Rank the nearest again: by the query against bits, or by relaxed codes the archive keeps.",
)
@click.option("--shortlist", type=int, help="How many nearest are ranked again.  [default: 10 k, at least 100]")
@click.option("--explain", is_flag=True, help="Say on stderr what was left out and what took how long.")
@forms.form
@click.option("-o", "--output", type=options.OUTPUT_FILE, help="Write the hits here instead of on stdout.")
@click.option("--threads", type=int, help="Threads of the scan.  [default: $RSHASH_NUM_THREADS or all cores]")
@click.option("--picture", type=options.OUTPUT_FILE, help="Write a contact sheet of the query and its hits (.png).")
@opening.damaged
@options.as_json
def command(
    archive: Path,
    text: str | None,
    image_path: Path | None,
    k: int | None,
    radius: int | None,
    choice: choosing.Choice,
    rerank: str | None,
    shortlist: int | None,
    explain: bool,
    form: str | None,
    output: Path | None,
    threads: int | None,
    picture: Path | None,
    damaged: str,
    as_json: bool,
) -> None:
    """Rank the rows of ARCHIVE by Hamming distance to a sentence TEXT or an image.

    An archive of images answers with images, one of captions with captions; both take either query.

    \b
    Examples:
      rshash search my.rshash "harbour with many ships"
      rshash search my.rshash --image query.tif -k 5 --picture hits.png
      rshash search my.rshash "a runway" --radius 12 --json
      rshash search my.rshash "a runway" --bbox 8,49,9,50 --datetime 2023-06/.. --where "cloud_cover < 10" \\
                    -o hits.geojson --explain
    """
    if (text is None) == (image_path is None):
        raise click.UsageError("ask with a sentence or with --image FILE, one of them")
    form = forms.choose_form(form, output, as_json)
    opened = opening.open_to_read(archive, damaged)
    query: Any = text
    if image_path is not None:
        from rshash.data.images import read_image

        query = read_image(image_path)
    hits = opened.search(
        query,
        k=k,
        radius=radius,
        **choice.conditions(opened),
        rerank=rerank,
        shortlist=shortlist,
        n_threads=threads,
    )
    if explain:
        click.echo(str(hits.explanation), err=True)
    if picture is not None:
        hits.to_picture(picture)
    if form == "table":
        table = hits.table()
        if output is not None:
            with write_atomically(output) as draft:
                draft.write_text(table + "\n", encoding="utf-8")
        elif table:
            click.echo(table)
        if not table:
            click.echo(_nothing(radius, hits.explanation.conditions), err=True)
    elif form == "parquet":
        hits.to_parquet(output or "")
    else:
        written = getattr(hits, f"to_{form}")(output)
        if output is None:
            click.echo(written, nl=not written.endswith("\n"))


def _nothing(radius: int | None, conditions: str) -> str:
    """Say that there is no hit, and of what."""
    near = "" if radius is None else f" within distance {radius} of the query"
    return f"nothing{near}" + (f" among the items of {conditions}" if conditions else "")
