"""The option that says how rows are written, and what it means together with ``-o`` and ``--json``."""

from pathlib import Path

import click

FORMS = ("table", "json", "csv", "geojson", "parquet")
ENDINGS = {
    "": "table",
    ".txt": "table",
    ".json": "json",
    ".csv": "csv",
    ".geojson": "geojson",
    ".parquet": "parquet",
    ".geoparquet": "parquet",
}
"""How the name of a file ends → what is written to it unless ``--format`` says otherwise."""

form = click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="How to write them.  [default: by the name of -o (.txt, .json, .csv, .geojson, .parquet), else table]",
)


def choose_form(form: str | None, output: Path | None, as_json: bool) -> str:
    """Return the form to write: as asked, else by the name of the file.

    Raises:
        click.UsageError: if the options contradict each other, or the name says nothing that is known.
    """
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} were both given: choose one")
    suffix = "" if output is None else output.suffix.lower()
    named = ENDINGS.get(suffix)
    if as_json and form is None and suffix and named != "json":
        raise click.UsageError(f"--json and -o {output} say different things: choose one, or add --format")
    if as_json:
        form = "json"
    if form is None and named is None:
        raise click.UsageError(
            f"-o {output} ends in {suffix}, which says no format: end it in {', '.join(filter(None, ENDINGS))}, or "
            "say --format"
        )
    form = form or named or "table"
    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet writes a file: give its name with -o")
    return form
