"""``rshash index``: images, captions, tables or scenes → an archive; run again, it adds what is new or changed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rshash.cli import options
from rshash.cli.sources import SourceOptions, source_options

if TYPE_CHECKING:
    from rshash.ingest.report import IngestReport
    from rshash.models.hasher import CrossModalHasher


@click.command()
@click.option(
    "--hasher",
    "hasher_path",
    type=options.PATH,
    help="Hasher that rshash train wrote.  [default: the archive's own, where there is one]",
)
@source_options
@click.option("-o", "--output", type=options.OUTPUT, required=True, help="Archive to make or to add to.")
@click.option("--overwrite", is_flag=True, help="Drop what an archive of that name holds, and start anew.")
@click.option(
    "--relaxed/--no-relaxed",
    default=None,
    help="Keep relaxed codes as float16 for re-ranking, 2 bytes a bit.  [default: as the archive does, else no]",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad input; what came before it stays.")
@click.option("--report", type=options.OUTPUT_FILE, help="Write counts and every bad input with its reason as JSON.")
@click.option(
    "--commit-seconds",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Save what is done at least this often; a run that is killed loses no more.",
)
@click.option("--threads", type=int, help="Threads that read ahead.  [default: $RSHASH_NUM_THREADS or all cores]")
@click.option(
    "--cache",
    "cache_folder",
    type=options.OUTPUT,
    envvar="RSHASH_CACHE",
    help="Folder that keeps encoder features between runs.  [default: with --captions $RSHASH_CACHE or "
    "~/.cache/rshash, as training has it; else none]",
)
@options.device
@options.quiet
@options.as_json
def command(
    hasher_path: Path | None,
    source: SourceOptions,
    output: Path,
    overwrite: bool,
    relaxed: bool | None,
    strict: bool,
    report: Path | None,
    commit_seconds: float,
    threads: int | None,
    cache_folder: Path | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Encode images, captions or chips of scenes into an archive: codes, items and the hasher in one directory.

    Run it again, and only what is new or has changed (size or time of its file, then its content; or what is said of
    it) is added. What is no longer there stays in the archive until rshash delete; how many items of the archive a run
    did not meet is said at its end. A run that was interrupted or killed goes on where it last saved. Memory stays flat
    however much there is. Bad inputs are named on stderr and in --report; they stop nothing unless --strict. Times
    without a zone, of a table or a TIFF, are taken as UTC; how many there were is said at the end.

    \b
    Examples:
      rshash index --hasher my.hasher --images images/ -o my.rshash
      rshash index --images images/ -o my.rshash                                   add what is new since
      rshash index --hasher my.hasher --captions dataset.json --images images/ -o my.rshash
      rshash index --hasher my.hasher --captions dataset.json --of captions -o sentences.rshash
    \b
    Images with places and times from a table (path, and as wanted id, lon, lat, bbox, geometry, datetime, caption, …):
      rshash index --hasher my.hasher --table chips.parquet --images chips/ -o my.rshash
    \b
    GeoTIFF scenes, cut into chips with footprints in longitude and latitude:
      rshash index --hasher my.hasher --scenes scenes/ --chip 256 -o my.rshash
      rshash index --hasher my.hasher --scenes s2/ --bands 4,3,2 --stretch 0:3000 --stride 128 -o my.rshash
      rshash index --hasher my.hasher --scenes s2/ --table scenes.csv -o my.rshash   metadata of each scene
    """
    source.check()
    if overwrite:
        options.check_output(output, "manifest.json", overwrite)
    from rshash.archive.reader import create_archive
    from rshash.ingest.run import ingest

    hasher = _load_hasher(hasher_path, output, device)
    rows = source.open(hasher, progress=not quiet)
    if overwrite and output.exists():
        provenance = {"data": rows.name, "hasher": hasher.fingerprint}
        create_archive(output, hasher=hasher, kind=rows.kind, provenance=provenance, overwrite=True).close()
    cached = cache_folder is not None or source.captions is not None
    done = ingest(
        output,
        rows,
        hasher,
        cache=options.open_cache(cache_folder) if cached else None,
        keep_relaxed=relaxed,
        strict=strict,
        commit_seconds=commit_seconds,
        n_threads=threads,
        progress=not quiet,
    )
    if report is not None:
        done.save(report)
    _tell(done, {"kind": rows.kind, "n_bits": hasher.n_bits}, as_json)


def _load_hasher(path: Path | None, archive: Path, device: str) -> "CrossModalHasher":
    """Load the hasher named, else the one that the archive keeps."""
    from rshash.models.hasher import CrossModalHasher

    if path is None:
        if not (archive / "manifest.json").is_file():
            raise click.UsageError(f"give --hasher FOLDER: {archive} is no archive yet that could have its own")
        from rshash.archive.reader import open_archive

        with open_archive(archive) as opened:
            kept = opened.manifest.hasher
        if kept is None:
            raise ValueError(f"{archive} holds codes only, no hasher: nothing can be encoded for it")
        path = archive / kept.folder
    return CrossModalHasher.load(path, device=device)


def _tell(done: "IngestReport", about: dict[str, Any], as_json: bool) -> None:
    """Print what was done, and refuse to call it done when there is nothing."""
    for bad in done.bad[: options.PROBLEMS_SHOWN]:
        click.echo(f"left out: {bad}", err=True)
    if len(done.bad) > options.PROBLEMS_SHOWN:
        click.echo(f"left out: {len(done.bad) - options.PROBLEMS_SHOWN} more; --report FILE lists all", err=True)
    if not done.rows:
        raise ValueError(f"nothing could be used, {done.archive} is empty: {done.summary()}")
    if as_json:
        click.echo(json.dumps(done.to_json() | about, indent=2, ensure_ascii=False))
    else:
        others = f", {done.others:,} of them of other sources or gone from this one" if done.others else ""
        click.echo(f"{done.summary()}\n{done.archive}: {done.rows:,} {about['kind']} at {about['n_bits']} bits{others}")
