"""``rshash export``: write an archive for another system."""

import json
from pathlib import Path

import click

from rshash.cli import choosing, opening, options
from rshash.export.run import SYSTEMS, export

PARQUET_ENDINGS = (".parquet", ".geoparquet")


@click.command()
@click.argument("archive", type=options.PATH)
@click.option("--to", "system", type=click.Choice(list(SYSTEMS)), required=True, help="What will read it.")
@click.option("-o", "--output", type=options.OUTPUT, required=True, help="Folder to write; for parquet a file.")
@choosing.choice
@click.option("--overwrite", is_flag=True, help="Replace what an earlier export wrote there.")
@opening.damaged
@options.as_json
def command(
    archive: Path, system: str, output: Path, choice: choosing.Choice, overwrite: bool, damaged: str, as_json: bool
) -> None:
    """Write the items of ARCHIVE, all or those that conditions choose, for another system.

    \b
    npy       a folder: codes.npy (n, n_bytes) uint8, ids.npy, about.json; numpy reads them without pickle
    faiss     a folder: index.faiss (IndexBinaryFlat), ids.npy with the id of each position; needs faiss
    parquet   a file: GeoParquet of the items with their codes as bytes, for DuckDB, geopandas, QGIS
    pgvector  a folder: load.sql and items.copy for PostgreSQL 14 or newer with codes as bit(n), query.sql and
              pgvector.sql with examples of how to ask

    \b
    Examples:
      rshash export my.rshash --to npy -o plain/
      rshash export my.rshash --to parquet -o june.parquet --datetime 2023-06 --where "cloud_cover < 10"
      rshash export my.rshash --to pgvector -o sql/ && cd sql && psql -d mydb -f load.sql -f query.sql
    """
    if system == "parquet" and output.suffix.lower() not in PARQUET_ENDINGS:
        raise click.UsageError(
            f"--to parquet writes one file, which programs know by its name: end -o {output} in "
            f"{' or '.join(PARQUET_ENDINGS)}"
        )
    with opening.open_to_read(archive, damaged) as opened:
        done = export(opened, system, output, overwrite=overwrite, **choice.conditions(opened))
    if as_json:
        facts = {"path": str(done.path), "to": done.system, "rows": done.n_rows, "files": dict(done.files)}
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        n_bytes = sum(done.files.values())
        click.echo(f"{done.path}: {done.n_rows:,} rows for {done.system}, {n_bytes:,} bytes in {', '.join(done.files)}")
