"""``rshash delete``: remove items from an archive, by their ids or by conditions."""

import json
from pathlib import Path

import click

from rshash.archive.reader import open_archive
from rshash.archive.selection import ids_at, select_rows
from rshash.cli import choosing, options


@click.command()
@click.argument("archive", type=options.PATH)
@click.argument("ids", nargs=-1)
@choosing.choice
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
def command(archive: Path, ids: tuple[str, ...], choice: choosing.Choice, yes: bool, as_json: bool) -> None:
    """Delete the items of ARCHIVE that IDS name or conditions choose, in one commit; all conditions must hold.

    They are gone for every reader that opens the archive from then on. Their bytes stay in its files until rshash
    compact.

    \b
    Examples:
      rshash delete my.rshash chip_17.tif chip_4.tif
      rshash delete my.rshash --datetime ../2015-12 --yes
      rshash delete my.rshash --ids surplus.txt
    """
    if not (ids or choice):
        raise click.UsageError("name ids, or choose with --ids, --bbox, --datetime or --where")
    with open_archive(archive) as opened:
        names = ids_at(opened, select_rows(opened, **choice.conditions(opened, ids)))
        n_before = len(opened)
        n_deleted = 0
        if len(names):
            choosing.confirm(f"delete {len(names):,} of {n_before:,} items of {archive}?", yes)
            n_deleted = opened.delete(names)
        facts = {"archive": str(archive), "deleted": n_deleted, "rows": len(opened)}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo(f"{archive}: {n_deleted:,} items deleted, {facts['rows']:,} left")
