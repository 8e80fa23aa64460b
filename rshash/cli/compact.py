"""``rshash compact``: rewrite an archive without what was deleted, in the order of months and places."""

import json
from pathlib import Path

import click

from rshash.archive.reader import open_archive
from rshash.cli import options


@click.command()
@click.argument("archive", type=options.PATH)
@options.as_json
def command(archive: Path, as_json: bool) -> None:
    """Rewrite the living items of ARCHIVE as one segment, ordered by month and place, so that filters read little.

    Nothing living is lost: the rewritten files count from one rename on, and a crash before it leaves all as it was.
    Readers that have it open keep what they see, and its files, until the next change after they closed it. The disk
    must hold both for that time.

    \b
    Examples:
      rshash compact my.rshash
      rshash compact my.rshash --json
    """
    with open_archive(archive) as opened:
        before = opened.info()
        changed = opened.compact()
        after = opened.info()
    if as_json:
        kept = ("rows", "segments", "deleted rows", "file bytes")
        facts = {"archive": str(archive), "changed": changed}
        facts |= {when: {name: info[name] for name in kept} for when, info in (("before", before), ("after", after))}
        click.echo(json.dumps(facts, indent=2))
    elif changed:
        click.echo(
            f"{archive}: {after['rows']:,} rows, {before['segments']} segments → {after['segments']}, "
            f"{before['deleted rows']:,} deleted rows dropped, {before['file bytes']:,} → {after['file bytes']:,} bytes"
        )
    else:
        click.echo(f"{archive}: nothing to do, {after['rows']:,} rows in {after['segments']} segments are in order")
