"""``rshash duplicates``: groups of items whose codes are equal or near."""

import json
from pathlib import Path

import click

from rshash.cli import choosing, opening, options


@click.command()
@click.argument("archive", type=options.PATH)
@click.option("--radius", type=int, default=0, show_default=True, help="Greatest Hamming distance; 0 is equal codes.")
@choosing.choice
@click.option("--surplus", is_flag=True, help="Print only all but the first id of each group, one a line.")
@click.option("--threads", type=int, help="Threads of the search.  [default: $RSHASH_NUM_THREADS or all cores]")
@opening.damaged
@options.as_json
def command(
    archive: Path, radius: int, choice: choosing.Choice, surplus: bool, threads: int | None, damaged: str, as_json: bool
) -> None:
    """Group the items of ARCHIVE whose codes lie within a radius of each other.

    One group a line, its ids with tabs between. A group holds all that can be reached by steps of at most the radius;
    its first id is the one of the lowest row. Conditions say among which items to look.

    Learnt codes say what kind of scene an item shows: equal codes may be of different images, so look at a group before
    you delete its surplus (rshash delete --ids FILE).

    \b
    Examples:
      rshash duplicates my.rshash
      rshash duplicates my.rshash --radius 2 --datetime 2023 --json
      rshash duplicates my.rshash --surplus > surplus.txt
    """
    with opening.open_to_read(archive, damaged) as opened:
        found = opened.duplicates(radius, n_threads=threads, **choice.conditions(opened))
        n_surplus = len(found.rows) - len(found)
        if as_json:
            facts = {"archive": str(archive), "radius": radius, "surplus": n_surplus, "groups": found.ids}
            click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
            return
        lines = found.surplus if surplus else ["\t".join(map(str, group)) for group in found]
    for line in lines:
        click.echo(str(line))
    click.echo(f"{len(found):,} groups of {len(found.rows):,} items, {n_surplus:,} of them surplus", err=True)
