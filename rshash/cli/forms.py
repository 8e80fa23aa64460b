"""The option that says how rows are written, and what it means together with ``-o`` and ``--json``."""

from pathlib import Path

import click

FORMS = ("table", "json", "csv", "geojson", "parquet")

form = click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="How to write them.  [default: by the name of -o, else table]",
)


def choose_form(form: str | None, output: Path | None, as_json: bool) -> str:
    """Return the form to write: as asked, else by the name of the file.

    Raises:
        click.UsageError: if the options contradict each other.
    """
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} were both given: choose one")
    suffix = "" if output is None else output.suffix.lower().removeprefix(".")
    form = form or ("json" if as_json else suffix if suffix in FORMS else "table")
    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet writes a file: give its name with -o")
    return form
