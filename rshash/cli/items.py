"""``rshash items``: list items of an archive, by their ids or by conditions."""

from pathlib import Path
from typing import Any

import click

from rshash.archive import formats
from rshash.archive.interval import format_moment
from rshash.archive.reader import Archive
from rshash.archive.selection import select_rows
from rshash.cli import choosing, forms, opening, options


@click.command()
@click.argument("archive", type=options.PATH)
@click.argument("ids", nargs=-1)
@choosing.choice
@click.option("--limit", type=click.IntRange(1), help="At most so many of those that conditions choose.")
@forms.form
@click.option("-o", "--output", type=options.OUTPUT_FILE, help="Write the items here instead of on stdout.")
@opening.damaged
@options.as_json
def command(
    archive: Path,
    ids: tuple[str, ...],
    choice: choosing.Choice,
    limit: int | None,
    form: str | None,
    output: Path | None,
    damaged: str,
    as_json: bool,
) -> None:
    """List the items of ARCHIVE that IDS name, in this order; or those that conditions choose, in the archive's order.

    With both, those of IDS that fulfil the conditions.

    \b
    Examples:
      rshash items my.rshash chip_17.tif chip_4.tif
      rshash items my.rshash --ids ids.txt --json
      rshash items my.rshash --datetime 2023-06 --where "cloud_cover < 10" -o june.geojson
      rshash items my.rshash --where true --limit 20
    """
    if not (ids or choice):
        raise click.UsageError('name ids, or choose with --ids, --bbox, --datetime or --where ("--where true" is all)')
    form = forms.choose_form(form, output, as_json)
    with opening.open_to_read(archive, damaged) as opened:
        conditions = choice.conditions(opened, ids)
        in_order = conditions["ids"] is not None and not choice.filters
        rows = opened.rows_of(conditions["ids"]) if in_order else select_rows(opened, **conditions)
        _write(opened, opened.items_at(rows[:limit]), form, output)


def _write(archive: Archive, items: list[dict[str, Any]], form: str, output: Path | None) -> None:
    """Write items in one of the forms."""
    if form == "parquet":
        formats.write_parquet(output or Path(), items, list(archive.columns), archive.columns)
        return
    if form == "json":
        text = formats.to_json({"archive": str(archive.path)}, items, "items")
    elif form == "csv":
        text = formats.to_csv(items, list(archive.columns))
    elif form == "geojson":
        text = formats.to_geojson(items)
    else:
        text = "\n".join(_line(item) for item in items)
    formats.write_text(text, output)
    if output is None and text:
        click.echo(text, nl=not text.endswith("\n"))


def _line(item: dict[str, Any]) -> str:
    """Return an item as a line for people."""
    about = [format_moment(item["datetime"]) if "datetime" in item else "", formats.caption_of(item)]
    return "  ".join([str(item["id"]), *(part for part in about if part)])
