"""``rshash evaluate``: how well a hasher retrieves, in all four directions."""

from pathlib import Path

import click

from rshash.cli import options


@click.command()
@options.hasher
@options.data
@click.option(
    "--split",
    type=click.Choice(options.SPLITS),
    help="Which images ask and which answer.  [default: the split the hasher was trained on]",
)
@click.option("--split-seed", type=int, help="Seed of the DUCH split.  [default: as trained]")
@click.option("-k", "ks", type=int, multiple=True, default=(1, 5, 10, 20), show_default=True, help="Cut; repeatable.")
@click.option(
    "--direction",
    "directions",
    type=click.Choice(["i2t", "t2i", "i2i", "t2t"]),
    multiple=True,
    help="Query modality 2 database modality; repeatable.  [default: all four]",
)
@click.option(
    "--relevance",
    type=click.Choice(["class", "pair"]),
    help="What makes a hit relevant: the same class, or the same image.  [default: class where labels are given]",
)
@click.option(
    "--use-captions",
    type=click.Choice(["one", "all"]),
    default="one",
    show_default=True,
    help="One caption an image (drawn as DUCH does) or all of them.",
)
@click.option("--radius", "radii", type=int, multiple=True, default=(2,), show_default=True, help="Of Hamming balls.")
@click.option(
    "--ranking",
    type=click.Choice(["hamming", "cosine"]),
    default="hamming",
    show_default=True,
    help="cosine: rank the relaxed codes, to see what their signs cost.",
)
@click.option("-o", "--output", type=options.OUTPUT_FILE, help="Also write the report as JSON to this file.")
@options.cache
@options.device
@options.quiet
@options.as_json
def command(
    hasher_path: Path,
    source: options.DataSource,
    split: str | None,
    split_seed: int | None,
    ks: tuple[int, ...],
    directions: tuple[str, ...],
    relevance: str | None,
    use_captions: str,
    radii: tuple[int, ...],
    ranking: str,
    output: Path | None,
    cache_folder: Path | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure a hasher on the query and database halves of a captioned data set.

    Three different numbers are called mAP@k in the literature; each has its own column. mAP@k counts hits inside rank k
    only, DUCH mAP@k the first k relevant items wherever they rank, DJSRH mAP@k divides by the relevant hits found. Ties
    are broken by row; columns called expected are means over all orders within ties.

    \b
    Examples:
      rshash evaluate --hasher my.hasher --captions dataset.json --images images/
      rshash evaluate --hasher my.hasher --captions dataset.json --images images/ -k 20 -o report.json
      rshash evaluate --hasher my.hasher --captions dataset.json --images images/ \\
                      --split official --relevance pair --use-captions all
    """
    from rshash.evaluation import DIRECTIONS, evaluate
    from rshash.models.hasher import CrossModalHasher

    hasher = CrossModalHasher.load(hasher_path, device=device)
    trained = options.trained_split(hasher) or {"name": "duch", "seed": 42}
    split = split or trained["name"]
    split_seed = trained["seed"] if split_seed is None else split_seed
    dataset = source.read(progress=not quiet)
    halves = options.make_split(dataset, split, split_seed)
    options.warn_of_leaks(hasher, dataset, split, split_seed)
    report = evaluate(
        hasher,
        dataset.subset(halves.query),
        dataset.subset(halves.database),
        directions=directions or DIRECTIONS,
        ks=ks,
        relevance=relevance,
        captions=use_captions,
        radii=radii,
        ranking=ranking,
        cache=options.open_cache(cache_folder),
        progress=not quiet,
    )
    report.protocol["split"] = {"name": split, "seed": split_seed}
    if output is not None:
        report.save(output)
    for direction, missing in report.n_unanswerable.items():
        if missing:
            asked = report.n_queries[direction]
            click.echo(
                f"{direction}: {missing} of {asked} queries have nothing relevant to find; they count 0", err=True
            )
    if same := (report.protocol["duplicates"] or {"images": 0})["images"]:
        click.echo(f"{same} query images are in the database under another name; they are found for free", err=True)
    click.echo(report.to_json() if as_json else report.table())
