"""``rshash compare``: methods × bits × noise × seeds × splits, trained and measured once each, in one table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rshash.cli import options

if TYPE_CHECKING:
    from rshash.data.dataset import CaptionDataset
    from rshash.data.report import OnBad

EXIT_FAILED = 1


@click.command()
@click.option(
    "--data",
    "sources",
    type=(options.PATH, options.PATH),
    multiple=True,
    metavar="CAPTIONS IMAGES",
    help="Caption file (Karpathy-style JSON) and image folder; repeatable.",
)
@click.option("--method", "methods", multiple=True, help="Key of rshash.METHODS; repeatable.  [default: all]")
@click.option("--bits", type=int, multiple=True, help="Width of the codes; repeatable.  [default: 64]")
@click.option("--noise", type=float, multiple=True, help="Probability of wrong captions; repeatable.  [default: 0]")
@click.option("--seed", "seeds", type=int, multiple=True, help="Training seed; repeatable.  [default: 0, 1, 2]")
@click.option(
    "--split",
    type=click.Choice(["duch", "official"]),
    default="duch",
    show_default=True,
    help="duch: relevance by class, one caption an image; official: caption retrieval, R@K and mR, all captions.",
)
@click.option("--split-seed", "split_seeds", type=int, multiple=True, help="Of the DUCH split.  [default: 42]")
@click.option(
    "--option", "settings", metavar="NAME=VALUE", multiple=True, help="Setting of every method; needs --variant."
)
@click.option("--variant", default="", help="What these runs are called beside those of the defaults.")
@click.option(
    "-o", "--output", "folder", type=options.OUTPUT, help="Folder of the records; only --report --results needs none."
)
@click.option("--report", "only_report", is_flag=True, help="Train nothing; report on the records that are there.")
@click.option(
    "--results",
    type=options.OUTPUT_FILE,
    help="Keep the rows of the table in this CSV: means over seeds of the default columns. Rows that it holds already "
    "are shown, too; those measured again are replaced, by no fewer runs.",
)
@click.option("--metric", "metrics", multiple=True, help="Column of the table; repeatable.  [default: by split]")
@click.option("--floats", is_flag=True, help="Also show each head before signs are taken, ranked by cosine.")
@click.option("--table", "table_path", type=options.OUTPUT_FILE, help="Write the table to this Markdown file, too.")
@click.option(
    "--plots", type=options.OUTPUT, help="Folder for pictures: methods ranked, mAP against bits and noise, P@k, PR."
)
@click.option("--update", "pages", type=options.PATH, multiple=True, help="Fill the markers of this page; repeatable.")
@click.option("--image-encoder", default="efficientnet-lite0-levels", show_default=True, help="As in rshash train.")
@click.option("--caption-encoder", default="minilm", show_default=True, help="As in rshash train.")
@click.option(
    "--validation",
    type=float,
    default=0.0,
    show_default=True,
    help="Share of the training images held out, for --option keep=best.",
)
@click.option(
    "--on-bad",
    type=click.Choice(["refuse", "skip"]),
    default="refuse",
    show_default=True,
    help="What to do about unreadable images and faulty captions.",
)
@options.cache
@options.device
@options.quiet
@options.as_json
def command(
    sources: tuple[tuple[Path, Path], ...],
    methods: tuple[str, ...],
    bits: tuple[int, ...],
    noise: tuple[float, ...],
    seeds: tuple[int, ...],
    split: str,
    split_seeds: tuple[int, ...],
    settings: tuple[str, ...],
    variant: str,
    folder: Path | None,
    only_report: bool,
    results: Path | None,
    metrics: tuple[str, ...],
    floats: bool,
    table_path: Path | None,
    plots: Path | None,
    pages: tuple[Path, ...],
    image_encoder: str,
    caption_encoder: str,
    validation: float,
    on_bad: "OnBad",
    cache_folder: Path | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare methods as the field does: each combination is trained and measured once, and kept as one JSON file.

    Interrupt it and give the same command again: finished runs are not done twice. Several commands may fill one
    folder at a time, they share the runs, and the table shows all that is in it. Columns of different definitions of a
    metric are never mixed. Rows kept with --results outlive the records: tables, pages and pictures can be made of them
    alone.

    \b
    Examples:
      rshash compare --data dataset_ucm.json images/ --method duch --method djsrh --bits 16 --bits 64 -o runs
      rshash compare --data dataset_ucm.json images/ --method duch --noise 0 --noise 0.5 -o runs
      rshash compare --data dataset_ucm.json images/ --method duch --option captions=any --variant "5 captions" -o runs
      rshash compare --data dataset_ucm.json images/ --split official -o official
      rshash compare --report -o runs --bits 64 --plots plots/ --results docs/results.csv --update docs/methods.md
      rshash compare --report --results docs/results.csv
    """
    from rshash.extras import require
    from rshash.files import write_atomically
    from rshash.protocol.pages import check_pages, update_page
    from rshash.protocol.plan import Run
    from rshash.protocol.plot import plot_all
    from rshash.protocol.record import Record, check_metrics, read_folder
    from rshash.protocol.results import keep_rows, read_rows
    from rshash.protocol.rows import METRICS, PAPER_METRIC, Row, columns_of, merge_rows, rows_of
    from rshash.protocol.table import markdown

    if results is not None and results.exists():
        read_rows(results)  # refuses a damaged one before any training
    check_pages(pages)
    check_metrics(metrics)
    if plots is not None:
        require("matplotlib", "bench")
    of_rows = {"method": methods, "n_bits": bits, "noise": noise}
    of_runs = of_rows | {"seed": seeds, "split_seed": split_seeds}

    def chosen(found: Run | Row, by: dict[str, tuple[Any, ...]]) -> bool:
        return all(getattr(found, name) in choice for name, choice in by.items() if choice)

    failures: dict[str, str] = {}
    records: list[Record] = []
    if folder is None:
        if not (only_report and results):
            raise click.UsageError("give -o FOLDER, or --report and --results FILE to show what was kept before")
        if as_json or seeds or split_seeds:
            raise click.UsageError("--json, --seed and --split-seed are of records: give -o, the folder that has them")
    elif only_report:
        records = read_folder(folder, lambda run: chosen(run, of_runs))
    else:
        if not sources:
            raise click.UsageError("give --data CAPTIONS IMAGES at least once, or --report")
        failures = _train(
            sources,
            {
                "methods": methods,
                "bits": bits or (64,),
                "noise": noise or (0.0,),
                "seeds": seeds or (0, 1, 2),
                "split": split,
                "split_seeds": split_seeds or (42,),
                "variant": variant,
                "options": dict(options.setting(text) for text in settings),
            },
            folder,
            {
                "image_encoder": image_encoder,
                "caption_encoder": caption_encoder,
                "validation": validation,
                "device": device,
            },
            on_bad,
            cache_folder,
            quiet,
        )
        for title, reason in failures.items():
            click.echo(f"failed: {title}: {reason}", err=True)
        if failures and not any(folder.glob("*.json")):
            raise click.exceptions.Exit(EXIT_FAILED)
        records = read_folder(folder)
    rows = rows_of(records)
    if results is not None:
        rows = [row for row in keep_rows(results, rows) if not only_report or chosen(row, of_rows)]
    if folder is None and not any(row.figures.keys() & columns_of(metrics or METRICS[row.protocol]) for row in rows):
        raise ValueError(f"{results} holds nothing of the kind: ask for other rows or columns, or give -o FOLDER")
    table = markdown(merge_rows([*rows, *rows_of(records, "cosine")]) if floats else rows, metrics)
    if table_path is not None:
        with write_atomically(table_path) as draft:
            draft.write_text(table + "\n", encoding="utf-8")
    for page in pages:
        update_page(page, rows, metrics)
    click.echo(json.dumps(records, indent=2) if as_json else table)
    if plots is not None:
        for path in plot_all(rows, plots, metrics[0] if metrics else PAPER_METRIC):
            click.echo(f"drawn: {path}", err=True)
    if failures:
        raise click.exceptions.Exit(EXIT_FAILED)


def _train(
    sources: Sequence[tuple[Path, Path]],
    choices: dict[str, Any],
    folder: Path,
    settings: dict[str, Any],
    on_bad: "OnBad",
    cache_folder: Path | None,
    quiet: bool,
) -> dict[str, str]:
    """Do the runs that have no record yet; return title → reason of those that failed."""
    from rshash.methods import METHODS
    from rshash.protocol.perform import Settings
    from rshash.protocol.plan import grid
    from rshash.protocol.runner import compare

    choices["methods"] = choices["methods"] or tuple(METHODS)
    grid(["data"], **choices)  # refuses unknown names before images are read
    datasets: dict[str, CaptionDataset] = {}
    for captions, images in sources:
        source = options.DataSource(captions, images, on_bad, None)
        dataset = source.read(progress=not quiet)
        if dataset.name in datasets:
            raise ValueError(f"two data sets are called {dataset.name}: rename the caption file of one")
        datasets[dataset.name] = dataset
    _, failures = compare(
        grid(list(datasets), **choices),
        datasets,
        folder,
        Settings(**settings),
        options.open_cache(cache_folder),
        tell=lambda line: None if quiet else click.echo(line, err=True),
        progress=not quiet,
    )
    return failures
