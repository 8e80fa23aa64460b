"""``ingest``: a source in, its rows in an archive, committed every so often; running it again does what is left."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from rshash.archive.reader import Archive, create_archive, open_archive
from rshash.ingest.commit import Committer
from rshash.ingest.encode import Encoder, Reading
from rshash.ingest.entry import BadInput, Entry, Source
from rshash.ingest.ledger import item_of, judge, look_up
from rshash.ingest.read_ahead import blocks, read_ahead
from rshash.ingest.report import IngestReport
from rshash.kernels import threads
from rshash.models.cache import FeatureCache
from rshash.models.hasher import CrossModalHasher

COMMIT_ROWS = 16_384
COMMIT_SECONDS = 60.0

_LOOKED_UP = 16_384  # entries that are compared with the archive in one query
_ENCODED = 32  # entries encoded together


def ingest(
    path: str | os.PathLike[str],
    source: Source,
    hasher: CrossModalHasher,
    *,
    cache: FeatureCache | None = None,
    keep_relaxed: bool | None = None,
    strict: bool = False,
    commit_rows: int = COMMIT_ROWS,
    commit_seconds: float = COMMIT_SECONDS,
    n_threads: int | None = None,
    progress: bool = True,
) -> IngestReport:
    """Bring an archive up to date with a source: add what is new, replace what has changed, leave the rest.

    Memory stays flat however much there is. Rows are committed as it goes: a process that is killed loses those since
    the last commit, and nothing that was committed is encoded again. What the source no longer has stays.

    Args:
        path: the archive; created if there is none.
        source: rows that should be.
        hasher: encodes them; of an archive that is there it must be the archive's own.
        cache: where features are looked up and kept; None keeps none.
        keep_relaxed: keep relaxed codes for re-ranking, 2 bytes a bit; None does as the archive does.
        strict: stop at the first bad input, keeping what was done before it, instead of reporting it.
        commit_rows: commit at least this often.
        commit_seconds: commit at least this often, once there are rows.
        n_threads: threads that read ahead; None takes RSHASH_NUM_THREADS, else every core.
        progress: show a bar with rate and remaining time on stderr where that is a terminal.

    Returns:
        What was done, and what could not be used.

    Raises:
        ValueError: if the source is empty, the hasher is not the archive's or the kinds differ (all before anything is
            encoded), or ``strict`` and there is a bad input.
        OSError: if the archive cannot be written, or another process keeps writing it.
    """
    started = time.perf_counter()
    reading_threads = threads(n_threads)
    if commit_rows < 1 or not commit_seconds >= 0:
        raise ValueError(f"commit every 1 row or more and 0 seconds or more, got {commit_rows} and {commit_seconds}")
    report = IngestReport(str(path))
    n_rows = len(source)
    if not n_rows:
        raise ValueError(f"{source.name} has no {source.kind}: give a place that holds some")
    with (
        open_for(path, source, hasher) as archive,
        tqdm(total=n_rows, desc=source.name, unit="row", disable=None if progress else True) as bar,
    ):
        encoder = Encoder(hasher, source.kind, cache)
        committer = Committer(archive, commit_rows, commit_seconds, _keeps_relaxed(archive, keep_relaxed))
        run = _Run(archive, source, encoder, committer, report, bar, strict)
        readings = read_ahead(run.to_read(), encoder.read, reading_threads, lambda reading: reading.n_bytes)
        try:
            with closing(readings):  # its threads end here, whatever happens
                run.encode(readings)
        finally:  # also when interrupted: what was encoded is kept
            committer.commit()
            encoder.finish()
        committer.merge()
        report.rows = len(archive)
    report.encode_seconds = encoder.seconds
    report.seconds = time.perf_counter() - started
    return report


def open_for(path: str | os.PathLike[str], source: Source, hasher: CrossModalHasher) -> Archive:
    """Open or create the archive that a source goes into.

    Raises:
        ValueError: if its hasher, its kind of rows or its type of ids differ.
        FileExistsError: if there is something else under this name.
    """
    if not Path(path).exists():
        provenance = {"data": source.name, "hasher": hasher.fingerprint}
        return create_archive(path, hasher=hasher, kind=source.kind, provenance=provenance)
    if not any(Path(path).glob("manifest*.json")):
        raise FileExistsError(f"{path} exists and is no archive (no manifest.json in it): choose another name")
    archive = open_archive(path)
    about = archive.manifest
    if about.hasher is None or about.hasher.fingerprint != hasher.fingerprint:
        made = "without a hasher" if about.hasher is None else f"with hasher {about.hasher.fingerprint[:12]}"
        raise ValueError(
            f"{path} was made {made}, this is {hasher.fingerprint[:12]}: their codes cannot be compared. Leave out "
            "--hasher to use the archive's own, or index into another archive"
        )
    if about.kind != source.kind:
        raise ValueError(f"{path} holds {about.kind}, these are {source.kind}: index them into another archive")
    if about.id_type != "string":
        raise ValueError(f"{path} has ids of type {about.id_type}, index makes strings: index into another archive")
    return archive


def _keeps_relaxed(archive: Archive, wanted: bool | None) -> bool:
    """Return whether relaxed codes are kept: all rows of an archive have them or none."""
    if not archive.segments:
        return bool(wanted)
    kept = archive.segments[0].relaxed is not None
    if wanted is not None and wanted != kept:
        raise ValueError(f"{archive.path} keeps {'' if kept else 'no '}relaxed codes: index into another archive")
    return kept


class _Run:
    """One run: the steps of `ingest` and the tally they share."""

    def __init__(
        self,
        archive: Archive,
        source: Source,
        encoder: Encoder,
        committer: Committer,
        report: IngestReport,
        bar: tqdm,
        strict: bool,
    ) -> None:
        self._archive, self._source, self._encoder, self._committer = archive, source, encoder, committer
        self._report, self._bar, self._strict = report, bar, strict
        self._replacing: set[str] = set()

    def to_read(self) -> Iterator[Entry]:
        """Yield the entries whose content must be encoded; settle the others."""
        for block in blocks(self._source, _LOOKED_UP):
            entries = [entry for entry in block if isinstance(entry, Entry)]
            for bad in block:
                if isinstance(bad, BadInput):
                    self._refuse(bad)
            self._report.zoneless += sum(entry.is_zoneless for entry in entries)
            n_same = 0
            for entry, known in zip(entries, look_up(self._archive, entries), strict=True):
                try:
                    verdict = judge(entry, known)
                except (ValueError, OSError) as error:
                    verdict = BadInput(entry.id, str(entry.source), getattr(error, "reason", str(error)))
                if isinstance(verdict, BadInput):
                    self._refuse(verdict)
                elif verdict == "same":
                    n_same += 1
                elif verdict == "described" and known is not None:
                    self._report.described += 1
                    self._committer.add(known.code, known.relaxed, item_of(entry, known.digest or ""))
                    self._bar.update()
                else:
                    if verdict == "changed":
                        self._replacing.add(entry.id)
                    yield entry
            self._report.unchanged += n_same
            self._leave_out(n_same)

    def encode(self, readings: Iterator[Reading]) -> None:
        """Encode what was read and hand it to the committer."""
        good = (reading for reading in readings if self._usable(reading))
        for block in blocks(good, _ENCODED):
            relaxed, finite = self._encoder.encode(block)
            codes = self._encoder.pack(relaxed)
            for reading, code, floats, is_finite in zip(block, codes, relaxed, finite, strict=True):
                entry = reading.entry
                if not is_finite:
                    self._refuse(BadInput(entry.id, str(entry.source), "the encoder gives numbers that are not finite"))
                    continue
                if entry.id in self._replacing:
                    self._replacing.discard(entry.id)
                    self._report.replaced += 1
                else:
                    self._report.added += 1
                self._committer.add(code, floats, item_of(entry, reading.digest))
                self._bar.update()

    def _usable(self, reading: Reading) -> bool:
        if reading.empty:
            self._report.empty += 1
            self._leave_out(1)
            if reading.entry.id in self._replacing:  # it had data when the archive took it in
                self._replacing.discard(reading.entry.id)
                self._committer.remove(reading.entry.id)
        elif reading.fault is not None:
            self._refuse(BadInput(reading.entry.id, str(reading.entry.source), reading.fault))
        return not reading.empty and reading.fault is None

    def _refuse(self, bad: BadInput) -> None:
        if self._strict:
            raise ValueError(f"{bad.file}: {bad.reason if bad.file.endswith(bad.id) else bad}")
        self._report.bad.append(bad)
        self._leave_out(1)

    def _leave_out(self, n_rows: int) -> None:
        """Take rows off the bar's total, so that its rate and remaining time are those of encoding."""
        self._bar.total = max(self._bar.total - n_rows, self._bar.n)
