"""``rshash verify``: hold every byte of an archive against its checksum."""

import json
from pathlib import Path

import click

from rshash.archive.reader import Archive, open_archive
from rshash.cli import options

EXIT_DAMAGED = 1


@click.command()
@click.argument("archive", type=options.PATH)
@options.as_json
def command(archive: Path, as_json: bool) -> None:
    """Read every file of ARCHIVE and say what is damaged: checksums, shapes, and what the format promises.

    The exit code is 0 if it is whole, 1 if something is damaged, 2 if it cannot be opened at all.

    \b
    Examples:
      rshash verify my.rshash
      rshash verify my.rshash --json
    """
    with _open(archive) as opened:
        report = opened.verify()
    if as_json:
        problems = [{"file": problem.file, "reason": problem.reason} for problem in report.problems]
        facts = {"archive": str(archive), "commit": report.commit, "ok": report.ok, "files": report.n_files}
        click.echo(json.dumps(facts | {"bytes": report.n_bytes, "problems": problems}, indent=2, ensure_ascii=False))
    else:
        click.echo(str(report))
    if not report.ok:
        raise click.exceptions.Exit(EXIT_DAMAGED)


def _open(path: Path) -> Archive:
    """Open an archive, without its damaged parts where it has some."""
    try:
        return open_archive(path)
    except (ValueError, OSError):
        return open_archive(path, damaged="skip")
