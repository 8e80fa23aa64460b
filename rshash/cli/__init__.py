"""The command line: one file a verb, each parses, calls the library and prints.

Results go to stdout (as JSON with ``--json``), progress and warnings to stderr. Exit codes: 0 done, 1 verify found
damage, 2 something about the input is wrong (one sentence says what), 130 interrupted.
"""

import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, TextIO

import click

import rshash
from rshash.extras import explain
from rshash.names import unknown_name

VERBS = {
    "demo": "the main job end to end on embedded data: train, encode, index, search",
    "train": "captioned images → a hasher",
    "noise": "captioned images → which captions do not belong to their image",
    "encode": "images or captions → packed codes in a .npy file",
    "index": "images, captions, tables or scenes → an archive; run again: what is new",
    "search": "ask an archive with a sentence or an image",
    "items": "list items of an archive by their ids or by conditions",
    "duplicates": "groups of items whose codes are equal or near",
    "delete": "remove items from an archive",
    "compact": "rewrite an archive without what was deleted, ordered by month and place",
    "verify": "hold every byte of an archive against its checksum",
    "export": "an archive → numpy, faiss, Parquet, PostgreSQL",
    "evaluate": "mAP@k, precision and recall of a hasher in all four directions",
    "diagnose": "bits, distances, collisions and modality gap of a hasher's codes, and what to try",
    "compare": "methods × bits × noise × seeds × splits, trained and measured into one table",
    "bench": "speed of search beside the machine's limits and every installed peer",
    "info": "versions, backend, instruction set, what is missing; or what a hasher or archive is",
    "scenes": "write a captioned data set of generated aerial scenes",
}
"""Verb → one line of help. A verb lives in ``rshash.cli.<verb>`` and is imported when it is called, so that help and
completion stay fast and a missing extra hurts only the verbs that need it."""

EXIT_INTERRUPTED = 130


class _BadInput(click.ClickException):
    """Something about the input is wrong."""

    exit_code = 2


class _Verbs(click.Group):
    """Loads verbs when they are called and turns errors about the input, and warnings, into one sentence."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[:2] == ["data", "noise"]:  # as one may look for it
            args = args[1:]
        if args[0] not in VERBS:
            raise unknown_name("verb", args[0], VERBS)
        return super().resolve_command(context, args)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = import_module(f"rshash.cli.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, context: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _tell
                return super().invoke(context)
        except (ValueError, TypeError, OSError, ImportError, IndexError) as error:
            if os.environ.get("RSHASH_TRACEBACK") or isinstance(error, BrokenPipeError):
                raise
            message = explain(error) if isinstance(error, ImportError) else str(error)
            raise _BadInput(message or type(error).__name__) from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(EXIT_INTERRUPTED) from None


def _tell(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning as a user of the command line needs it: what it says, not which line of Python says it."""
    click.echo(f"warning: {message}", err=True)


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="See 'rshash VERB --help' for examples. RSHASH_TRACEBACK=1 shows where an error came from.",
)
@click.version_option(rshash.__version__, "-V", "--version", message="rshash %(version)s")
def main() -> None:
    """Turn remote-sensing images and captions into compact binary codes and search them exactly.

    \b
    Start here:
      rshash demo                                    everything once, on generated scenes, in about a minute
      rshash info                                    what this machine can do
    \b
    Your own data:
      rshash train --captions dataset.json --images images/ -o my.hasher
      rshash index --hasher my.hasher --images images/ -o my.rshash
      rshash search my.rshash "harbour with many ships" --picture hits.png
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code instead of leaving the process.

    >>> run(["--version"])
    rshash 0.1.0
    0
    """
    try:
        main(args=arguments, prog_name="rshash")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
