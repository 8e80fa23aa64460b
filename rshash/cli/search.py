"""``rshash search``: ask an archive with a sentence or an image, among the items that fulfil conditions."""

import warnings
from pathlib import Path
from typing import Any

import click

from rshash.archive.reader import Archive, open_archive
from rshash.archive.rerank import MEASURES
from rshash.cli import options
from rshash.files import write_atomically

FORMATS = ("table", "json", "csv", "geojson", "parquet")


def _read_box(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Read four numbers with commas between."""
    try:
        return None if value is None else tuple(float(side) for side in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not numbers with commas between: west,south,east,north") from None


@click.command()
@click.argument("archive", type=options.PATH)
@click.argument("text", required=False)
@click.option("--image", "image_path", type=options.PATH, help="Ask with this image instead of a sentence.")
@click.option("-k", type=int, help="How many hits.  [default: 10]")
@click.option("--radius", type=int, help="All hits within this Hamming distance, instead of -k.")
@click.option(
    "--bbox",
    metavar="W,S,E,N",
    callback=_read_box,
    help="Items that touch this box in WGS84 degrees; W > E crosses the antimeridian.",
)
@click.option("--datetime", help="Items of this moment or interval, UTC: 2023-06, 2023-01-01/.., 2023-01-01T00:00:00Z.")
@click.option("--where", help='Items this SQL expression over their columns is true of: "cloud_cover < 10".')
@click.option(
    "--ids", "ids_file", type=click.File(encoding="utf-8"), help="Only the ids in this file, one a line; - is stdin."
)
@click.option(
    "--rerank",
    type=click.Choice(MEASURES),
    help="Rank the nearest again: by the query against bits, or by relaxed codes the archive keeps.",
)
@click.option("--shortlist", type=int, help="How many nearest are ranked again.  [default: 10 k, at least 100]")
@click.option("--explain", is_flag=True, help="Say on stderr what was left out and what took how long.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How to write the hits.  [default: by the name of -o, else table]",
)
@click.option("-o", "--output", type=options.OUTPUT_FILE, help="Write the hits here instead of on stdout.")
@click.option("--threads", type=int, help="Threads of the scan.  [default: $RSHASH_NUM_THREADS or all cores]")
@click.option("--picture", type=options.OUTPUT_FILE, help="Write a contact sheet of the query and its hits (.png).")
@options.as_json
def command(
    archive: Path,
    text: str | None,
    image_path: Path | None,
    k: int | None,
    radius: int | None,
    bbox: tuple[float, ...] | None,
    datetime: str | None,
    where: str | None,
    ids_file: Any,
    rerank: str | None,
    shortlist: int | None,
    explain: bool,
    form: str | None,
    output: Path | None,
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
      rshash search my.rshash "a runway" --bbox 8,49,9,50 --datetime 2023-06/.. --where "cloud_cover < 10" \\
                    -o hits.geojson --explain
    """
    if (text is None) == (image_path is None):
        raise click.UsageError("ask with a sentence or with --image FILE, one of them")
    form = _format(form, output, as_json)
    opened = open_archive(archive)
    query: Any = text
    if image_path is not None:
        from rshash.data.images import read_image

        query = read_image(image_path)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", UserWarning)
        hits = opened.search(
            query,
            k=k,
            radius=radius,
            bbox=bbox,
            datetime=datetime,
            where=where,
            ids=None if ids_file is None else _read_ids(opened, ids_file),
            rerank=rerank,
            shortlist=shortlist,
            n_threads=threads,
        )
    for warning in noted:
        click.echo(str(warning.message), err=True)
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


def _format(form: str | None, output: Path | None, as_json: bool) -> str:
    """Return the format to write: as asked, else by the name of the file."""
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} were both given: choose one")
    suffix = "" if output is None else output.suffix.lower().removeprefix(".")
    form = form or ("json" if as_json else suffix if suffix in FORMATS else "table")
    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet writes a file: give its name with -o")
    return form


def _read_ids(archive: Archive, file: Any) -> list[str] | list[int]:
    """Return the ids of a file, one a line."""
    lines = [line.rstrip("\r\n") for line in file if line.strip()]
    if archive.manifest.id_type == "string":
        return lines
    try:
        return [int(line) for line in lines]
    except ValueError as error:
        raise ValueError(f"{file.name}: ids of {archive.path} are integers: {error}") from None


def _nothing(radius: int | None, conditions: str) -> str:
    """Say that there is no hit, and of what."""
    near = "" if radius is None else f" within distance {radius} of the query"
    return f"nothing{near}" + (f" among the items of {conditions}" if conditions else "")
