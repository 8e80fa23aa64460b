"""Runs in, records out: each run once, whatever happens in between."""

import time
import warnings
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from rshash.data.dataset import CaptionDataset
from rshash.evaluation.halves import duplicates
from rshash.models.cache import FeatureCache
from rshash.models.device import check_device
from rshash.protocol.claim import claimed
from rshash.protocol.perform import Settings, cache_features, perform
from rshash.protocol.plan import Run, check_data, halves
from rshash.protocol.record import Record, check_alike, find_record, read_record, score, write_record

SECONDS_BETWEEN_LOOKS = 1.0
"""How long a process waits for runs that others do, before it looks again."""


def compare(
    runs: Sequence[Run],
    datasets: Mapping[str, CaptionDataset],
    folder: Path,
    settings: Settings,
    cache: FeatureCache,
    *,
    tell: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> tuple[list[Record], dict[str, str]]:
    """Do every run that has no record yet.

    A comparison that is interrupted goes on where it stopped when it is asked for again; several processes that are
    given one folder share its runs. A run that fails is told and left out; the others go on.

    Args:
        runs: what to do, as `rshash.protocol.plan.grid` lists it.
        datasets: name → data set.
        folder: of the records; made where it is missing.
        settings: what all runs share.
        cache: where features are kept.
        tell: is given a line for each run, with the time that remains.
        progress: show bars on stderr while features are computed.

    Returns:
        The records of all runs that succeeded, old and new, and title → reason of those that failed.

    Raises:
        ValueError: if a data set cannot serve a run, the device cannot be used, or a record of other settings is in the
            way; before any training.
    """
    check_device(settings.device)
    check_data(runs, datasets, settings.validation)
    recorded = {run.title: settings.recorded(run, datasets[run.data]) for run in runs}
    records = {run.title: find_record(folder, run, recorded[run.title]) for run in runs}
    planned: list[Record] = [{"run": asdict(run), "settings": recorded[run.title]} for run in runs]
    check_alike([*map(read_record, sorted(folder.glob("*.json"))), *planned])
    missing = [run for run in runs if records[run.title] is None]
    if len(missing) < len(runs):
        tell(f"{len(runs) - len(missing)} of {len(runs)} runs are finished already")
    if missing:
        _warn_of_duplicates(missing, datasets)
        cache_features(missing, dict(datasets), settings, cache, progress)
    failures: dict[str, str] = {}
    clock = Clock([record for record in records.values() if record is not None])
    queue, n_passed_over = deque(missing), 0
    while queue:
        run = queue.popleft()
        with claimed(folder / run.file_name) as mine:
            if mine:
                n_passed_over = 0
                record = find_record(folder, run, recorded[run.title])  # another process may have done it since
                place = f"[{len(missing) - len(queue)}/{len(missing)}] {run.title}"
                try:
                    if record is None:
                        record = perform(run, datasets[run.data], settings, cache)
                        write_record(folder, record)
                    records[run.title] = record
                    clock.add(record)
                    tell(f"{place}: {_found(record)}; {clock.remaining(queue)}")
                except (ValueError, RuntimeError, MemoryError) as error:  # torch: no memory left, no solution
                    failures[run.title] = str(error) or type(error).__name__
                    tell(f"{place}: failed, {failures[run.title]}")
            else:  # another process does it: come back when the others are done
                queue.append(run)
                n_passed_over += 1
        if n_passed_over == len(queue) > 0:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            n_passed_over = 0
    return [record for record in records.values() if record is not None], failures


def _warn_of_duplicates(runs: Sequence[Run], datasets: Mapping[str, CaptionDataset]) -> None:
    """Warn of query images that are in another part of their split under another name, once for each split."""
    for run in {(run.data, run.split, run.split_seed): run for run in runs}.values():
        dataset = datasets[run.data]
        split, name = halves(dataset, run), f"split {run.split_seed}" if run.split == "duch" else "official split"
        for part, rows in (("database", split.database), ("training half", split.train)):
            if (found := duplicates(dataset.subset(split.query), dataset.subset(rows))) and found["images"]:
                one, other = found["examples"][0]
                warnings.warn(
                    f"{run.data}, {name}: {found['images']} query images are in the {part} under another name, "
                    f"the first is {one}, there {other}",
                    stacklevel=3,
                )


class Clock:
    """Says how long the rest will take, from what like runs took.

    >>> Clock([]).remaining([])
    'done'
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self._seconds: dict[tuple[str, str], list[float]] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Note what a run took."""
        key = record["run"]["data"], record["run"]["method"]
        self._seconds.setdefault(key, []).append(sum(record["seconds"].values()))

    def remaining(self, runs: Collection[Run]) -> str:
        """Return the time that runs will take, in words."""
        if not runs:
            return "done"
        everything = [seconds for known in self._seconds.values() for seconds in known]
        left = sum(fmean(self._seconds.get((run.data, run.method), everything)) for run in runs)
        finish = time.strftime("%H:%M", time.localtime(time.time() + left))
        return f"{left:.0f} s left, until {finish}" if left < 120 else f"{left / 60:.0f} min left, until {finish}"


def _found(record: Record) -> str:
    """Return the time a run took and one figure of each direction."""
    metric = "mAP@20" if record["run"]["split"] == "duch" else "expected R@10"
    found = ", ".join(f"{way} {score(record, way, metric) or 0:.3f}" for way in ("i2t", "t2i"))
    same = (record.get("duplicates", {}).get("query, database") or {"images": 0})["images"]
    warning = f"; {same} query images are in the database under another name" if same else ""
    return f"{sum(record['seconds'].values()):.0f} s, {metric} {found}{warning}"
