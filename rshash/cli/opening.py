"""Opening an archive to read it, whole or without its damaged parts: the option ``--damaged`` and what it means."""

from pathlib import Path

import click

from rshash.archive.reader import Archive, open_archive
from rshash.archive.snapshot import DAMAGED

damaged = click.option(
    "--damaged",
    type=click.Choice(DAMAGED),
    default="refuse",
    show_default=True,
    help="What to do with an archive that is damaged: stop, or read all of it and leave out the damaged segments.",
)


def open_to_read(path: Path, damaged: str) -> Archive:
    """Open an archive, and say on stderr which segments were left out.

    Raises:
        FileNotFoundError, ValueError: as `open_archive`.
    """
    archive = open_archive(path, damaged)
    n_segments = len(archive.manifest.segments)
    for name, wrong in archive.skipped.items():
        click.echo(f"warning: segment {name} of {n_segments} is left out: {wrong}", err=True)
    return archive
