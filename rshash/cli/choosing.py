"""Options that say which rows of an archive are meant, for the verbs that ask, list, delete and export."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from rshash.archive.reader import Archive


@dataclass(frozen=True)
class Choice:
    """What ``--bbox``, ``--datetime``, ``--where`` and ``--ids`` say."""

    bbox: tuple[float, ...] | None
    datetime: str | None
    where: str | None
    ids_file: Any

    def conditions(self, archive: Archive, words: Sequence[str] = ()) -> dict[str, Any]:
        """Return the conditions as `Archive.search` takes them; ids in ``words`` count as if they were in the file.

        Raises:
            ValueError: if the archive's ids are integers and one is none.
        """
        lines = list(words)
        if self.ids_file is not None:
            lines += [line.strip() for line in self.ids_file if line.strip()]
        ids = _ids(archive, lines) if words or self.ids_file is not None else None
        return {"bbox": self.bbox, "datetime": self.datetime, "where": self.where, "ids": ids}

    @property
    def filters(self) -> bool:
        """Whether there are conditions besides ids."""
        return any(value is not None for value in (self.bbox, self.datetime, self.where))

    def __bool__(self) -> bool:
        return self.filters or self.ids_file is not None


def choice(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command receives them as one ``choice``."""

    @wraps(command)
    def gather(
        bbox: tuple[float, ...] | None, datetime: str | None, where: str | None, ids_file: Any, **others: Any
    ) -> Any:
        return command(choice=Choice(bbox, datetime, where, ids_file), **others)

    wrapped: Callable[..., Any] = gather
    for option in (
        click.option(
            "--ids",
            "ids_file",
            type=click.File(encoding="utf-8"),
            help="Only the ids in this file, one a line, spaces around them left out; - is stdin.",
        ),
        click.option("--where", help='Items this SQL expression over their columns is true of: "cloud_cover < 10".'),
        click.option(
            "--datetime", help="Items of this moment or interval, UTC: 2023-06, 2023-01-01/.., 2023-01-01T00:00:00Z."
        ),
        click.option(
            "--bbox",
            metavar="W,S,E,N",
            callback=_read_box,
            help="Items that touch this box in WGS84 degrees; W > E crosses the antimeridian.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


def confirm(question: str, yes: bool) -> None:
    """Ask before something is lost, unless the user said ``--yes``.

    Raises:
        ValueError: if the answer is no, or nobody can answer.
    """
    try:
        if yes or click.confirm(question, err=True):
            return
    except click.Abort:
        click.echo(err=True)
    raise ValueError("nothing was changed: answer y, or say --yes")


def _read_box(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Read four numbers with commas between."""
    try:
        return None if value is None else tuple(float(side) for side in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not numbers with commas between: west,south,east,north") from None


def _ids(archive: Archive, lines: list[str]) -> list[str] | list[int]:
    """Return ids in the archive's type."""
    if archive.manifest.id_type == "string":
        return lines
    try:
        return [int(line) for line in lines]
    except ValueError as error:
        raise ValueError(f"ids of {archive.path} are integers: {error}") from None
