"""``rshash bench``: measure search, on the CPU or a GPU, beside the machine's limits and every installed peer."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rshash.cli import options
from rshash.files import write_atomically

if TYPE_CHECKING:
    from rshash.bench.cases import Case, Device

STDOUT = "-"
EXIT_WRONG = 1


@click.command()
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="cuda: in the memory of the first GPU (CUDA_VISIBLE_DEVICES picks one), beside torch and faiss there.",
)
@click.option("--bits", "n_bits", type=int, multiple=True, help="Width of the codes; repeatable.  [default: 64, 256]")
@click.option(
    "--n", "n_rows", type=int, multiple=True, help="Rows of the database; repeatable.  [default: 1e6; cuda 1e7]"
)
@click.option("--queries", "n_queries", type=int, multiple=True, help="Queries; repeatable.  [default: 1, 256 or 1024]")
@click.option("-k", type=int, multiple=True, help="Nearest rows of each query; repeatable.  [default: 10]")
@click.option("--radius", type=int, multiple=True, help="All rows within this distance instead of -k; repeatable.")
@click.option("--threads", "n_threads", type=int, multiple=True, help="Threads; repeatable.  [default: 1]")
@click.option(
    "--data",
    "kinds",
    type=click.Choice(["uniform", "clustered"]),
    multiple=True,
    help="[default: uniform]; repeatable.",
)
@click.option("--keep", type=float, multiple=True, help="Filter that admits this part of the rows; repeatable.")
@click.option("--simd", help="Hold rshash to one instruction set (see rshash info).")
@click.option("--full", is_flag=True, help="The cases that the project states goals for; with --n of another size.")
@click.option(
    "--peer", "peers", multiple=True, help="Only these peers, or 'none'; repeatable.  [default: all installed]"
)
@click.option("--repeats", type=int, default=5, show_default=True, help="Least number of timed runs a contender.")
@click.option("--seconds", type=float, help="Time for each contender in a case.  [default: 0.5, with --full 10]")
@click.option(
    "--build-seconds", type=float, help="Leave out peers whose build takes longer.  [default: 5, with --full 150]"
)
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="cpu: time of this process where one thread searches, for a machine that others use too.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same codes.")
@click.option("--json", "json_path", is_flag=False, flag_value=STDOUT, help="Write JSON to a FILE, or to stdout.")
@click.option("--plot", "plot_path", type=options.PATH, help="Draw the speeds and limits (.png, .svg, .pdf).")
@click.option("--update", "readme", type=options.PATH, help="Put the table between the markers of this README.")
@click.option("--from", "finished_run", type=options.PATH, help="Measure nothing; report on a file of --json FILE.")
@options.quiet
def command(
    device: "Device",
    n_bits: tuple[int, ...],
    n_rows: tuple[int, ...],
    n_queries: tuple[int, ...],
    k: tuple[int, ...],
    radius: tuple[int, ...],
    n_threads: tuple[int, ...],
    kinds: tuple[str, ...],
    keep: tuple[float, ...],
    simd: str | None,
    full: bool,
    peers: tuple[str, ...],
    repeats: int,
    seconds: float | None,
    build_seconds: float | None,
    clock: str,
    seed: int,
    json_path: str | None,
    plot_path: Path | None,
    readme: Path | None,
    finished_run: Path | None,
    quiet: bool,
) -> None:
    """Measure exact search end to end, beside the machine's own limits and every installed peer.

    Contenders take turns (A B C A B C …), their answers are checked, and the median counts. Peers are faiss, usearch,
    numpy and scikit-learn, on a GPU torch and faiss; the approximate ones are shown with their recall. Exits with 1
    when an answer was wrong.

    \b
    Examples:
      rshash bench
      rshash bench --bits 128 --n 10000000 --queries 16 --queries 256 --threads 1 --threads 2
      rshash bench --data clustered --bits 64 --build-seconds 200 --json run.json --plot run.png
      rshash bench --full --json run.json
      rshash bench --device cuda --full --json gpu.json
      rshash bench --from run.json --update README.md
    """
    from rshash.bench.outcome import Rules
    from rshash.bench.plot import plot
    from rshash.bench.readme import check_markers, update_readme
    from rshash.bench.referee import WrongAnswer
    from rshash.bench.report import case_lines, header_lines, read_document
    from rshash.bench.run import measure_all
    from rshash.extras import require

    if readme is not None and finished_run is None:
        check_markers(readme, device)
    if plot_path is not None:
        require("matplotlib", "bench")
    if full and (n_bits or n_queries or k or radius or n_threads or kinds or keep or simd):
        raise click.UsageError("--full names its own cases; only --n may change their size")
    if k and radius:
        raise click.UsageError("give -k or --radius, not both")
    if device != "cpu" and (n_threads or simd or clock == "cpu"):
        raise click.UsageError("--threads, --simd and --clock cpu are of the CPU; leave them out with --device cuda")

    lines_wanted = json_path != STDOUT

    def show(lines: list[str]) -> None:
        if lines_wanted:
            click.echo("\n".join(lines))

    if finished_run is not None:
        document = read_document(finished_run)
        show(header_lines(document))
        for case in document["cases"]:
            show(case_lines(case))
    else:
        choices = {
            "n_bits": n_bits or (64, 256),
            "n_rows": n_rows or (1_000_000 if device == "cpu" else 10_000_000,),
            "n_queries": n_queries or (1, 256 if device == "cpu" else 1024),
            "k": k or (10,),
            "radius": radius or (None,),
            "n_threads": n_threads or (1,),
            "data": kinds or ("uniform",),
            "keep": keep or (None,),
            "simd": (simd,),
            "device": (device,),
        }
        try:
            document = measure_all(
                _full_cases(n_rows, device) if full else _cases(choices),
                _contenders(peers, device),
                Rules(
                    repeats=repeats,
                    seconds=(10.0 if full else 0.5) if seconds is None else seconds,
                    build_seconds=(150.0 if full else 5.0) if build_seconds is None else build_seconds,
                    seed=seed,
                ),
                "cpu" if clock == "cpu" else "wall",
                started=lambda run: show(header_lines(run)),
                finished=lambda case: show(case_lines(case)),
                progress=lambda line: None if quiet else click.echo(line, err=True),
            )
        except WrongAnswer as complaint:
            raise click.ClickException(f"rshash does not agree with numpy: {complaint}") from complaint
    _write(document, json_path, plot_path, readme, plot, update_readme)
    wrong = [result["contender"] for case in document["cases"] for result in case["results"] if result["wrong"]]
    if wrong:
        click.echo(f"wrong answers: {', '.join(dict.fromkeys(wrong))}", err=True)
        raise click.exceptions.Exit(EXIT_WRONG)


def _cases(choices: dict[str, Any]) -> "list[Case]":
    """Return every combination of the options."""
    from rshash.bench.cases import grid

    return grid(**choices)


def _full_cases(n_rows: tuple[int, ...], device: "Device") -> "list[Case]":
    """Return the cases of ``--full`` for each size."""
    from rshash.bench.cases import by_database, device_reach_table, reach_table
    from rshash.kernels import threads

    if device != "cpu":
        return by_database([case for size in n_rows or (100_000_000,) for case in device_reach_table(size)])
    return by_database([case for size in n_rows or (10_000_000,) for case in reach_table(size, threads())])


def _contenders(peers: tuple[str, ...], device: "Device") -> list[Any]:
    """Return what is ours on a device and the peers that were named, or all."""
    from rshash.bench.device import DEVICE_CONTENDERS
    from rshash.bench.peers import CONTENDERS
    from rshash.names import unknown_name

    contenders = CONTENDERS if device == "cpu" else DEVICE_CONTENDERS
    names = [name for name, contender in contenders.items() if not contender.ours]
    if "none" in peers:
        return [contender for contender in contenders.values() if contender.ours]
    for peer in peers:
        if peer not in names:
            raise unknown_name("peer", peer, names)
    return [contender for name, contender in contenders.items() if contender.ours or not peers or name in peers]


def _write(
    document: dict[str, Any], json_path: str | None, plot_path: Path | None, readme: Path | None, plot: Any, update: Any
) -> None:
    """Write what was asked for."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if json_path == STDOUT:
        click.echo(text)
    elif json_path is not None:
        with write_atomically(json_path) as draft:
            draft.write_text(text + "\n", encoding="utf-8")
    if plot_path is not None:
        plot(document, plot_path)
    if readme is not None:
        update(readme, document)
