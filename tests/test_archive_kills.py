import contextlib
import json
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest

import rshash
from archive_worker import (
    advance,
    change,
    change_and_die,
    check_answers,
    naive_ids,
    read_history,
    state_after,
    write_history,
)
from rshash.archive import snapshot, store
from rshash.archive.lock import write_lock

pytest.importorskip("duckdb")
if not hasattr(signal, "SIGKILL"):
    pytest.skip("archives are written on systems with flock", allow_module_level=True)

KILLS = int(os.environ.get("RSHASH_KILLS", "8"))
"""How many times a writer is killed; 200 and more before a release."""

SECONDS = float(os.environ.get("RSHASH_READ_SECONDS", "2"))
"""How long readers and a writer work at once; 120 before a release."""

READERS = int(os.environ.get("RSHASH_READERS", "2"))


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["archive_worker", "rshash.archive.reader", "duckdb"])
    return context


@pytest.fixture
def history(tmp_path):
    """An archive at commit 0 of the history."""
    rshash.create(tmp_path / "a.rshash", n_bits=64).close()
    return tmp_path / "a.rshash"


def test_kills_lose_nothing_committed_and_show_nothing_else(history, processes):
    chance = random.Random(0)
    interrupted = 0
    state, known = {}, 0
    for _ in range(KILLS):
        listening, said = processes.Pipe(duplex=False)
        writer = processes.Process(target=write_history, args=(history, 60, said))
        writer.start()
        said.close()
        begun = done = known
        assert listening.poll(60), "the writer did not begin"
        kill_at = time.monotonic() + chance.uniform(0, 0.4)
        while (left := kill_at - time.monotonic()) > 0:
            if listening.poll(left):
                said_what, number = listening.recv()
                begun, done = (number, done) if said_what == "begin" else (begun, number)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        while listening.poll():  # what it still said
            try:
                said_what, number = listening.recv()
            except EOFError:
                break
            begun, done = (number, done) if said_what == "begin" else (begun, number)
        interrupted += begun > done
        with rshash.open(history) as archive:
            commit = archive.manifest.commit
            assert done <= commit <= begun
            for number in range(known + 1, commit + 1):
                state = advance(state, number)
            known = commit
            report = archive.verify()
            assert report.ok, report
            assert len(archive) == len(state)
            if state:
                check_answers(archive, state, commit)
                rows = archive.rows_of(list(state))
                codes = np.concatenate([segment.codes for segment in archive.segments])
                assert np.array_equal(codes[rows], np.array(list(state.values())))
    assert interrupted or KILLS < 8


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_writer_killed_at_any_step_of_a_commit_can_be_succeeded(history, processes, number):
    with rshash.open(history) as archive:
        for earlier in range(1, number):
            change(archive, earlier, state_after(earlier - 1))
    commits = []
    for steps in range(0, 100, 1 if KILLS > 100 else 4):
        writer = processes.Process(target=change_and_die, args=(history, number, steps))
        writer.start()
        writer.join()
        with rshash.open(history) as archive:
            report = archive.verify()
            assert report.ok, report
            commits.append(archive.manifest.commit)
            assert len(archive) == len(state_after(commits[-1]))
        if commits[-1] == number:
            break
    assert commits[0] == number - 1
    assert commits[-1] == number


def test_readers_see_committed_states_only_while_a_writer_works(history, processes):
    writer = processes.Process(target=write_history, args=(history, SECONDS + 1))
    writer.start()
    pipes = [processes.Pipe(duplex=False) for _ in range(READERS)]
    readers = [processes.Process(target=read_history, args=(history, SECONDS, said)) for _, said in pipes]
    for reader in readers:
        reader.start()
    for reader in [*readers, writer]:
        reader.join()
        assert reader.exitcode == 0
    for listening, _ in pipes:
        n_answers, n_commits = listening.recv()
        print(f"{n_answers} answers over {n_commits} commits")
        assert n_answers >= n_commits >= 2
    with rshash.open(history) as archive:
        assert archive.verify().ok


def test_a_snapshot_stays_whole_while_everything_is_replaced(history):
    writing = rshash.open(history)
    change(writing, 1, {})
    with rshash.open(history) as held:
        for number in range(2, 12):
            change(writing, number, state_after(number - 1))
        assert held.manifest.commit == 1
        check_answers(held, state_after(1), 0)
        assert held.verify().problems == ()
        assert (history / "codes-000001.npy").exists()
    change(writing, 12, state_after(11))
    assert not (history / "codes-000001.npy").exists()
    assert len(list(history.glob("manifest-*.json"))) == 1
    state = state_after(12)
    assert naive_ids(state, np.zeros(8, np.uint8), 3)[1] == writing.search(np.zeros(8, np.uint8), k=3).ids[0].tolist()


def test_a_second_writer_is_told_who_writes(history):
    archive = rshash.open(history)
    with write_lock(history):
        with pytest.raises(BlockingIOError, match=rf"is being written by process {os.getpid()} on .* wait until it is"):
            archive.append(np.zeros((1, 8), np.uint8), [{"id": "a"}])
        assert len(rshash.open(history)) == 0
    (history / "lock").write_text(json.dumps({"pid": 1}))  # left by a writer that was killed
    archive.append(np.zeros((1, 8), np.uint8), [{"id": "a"}])
    assert len(archive) == 1


def test_a_reader_that_loses_the_race_reads_the_manifest_again(history, monkeypatch):
    writing = rshash.open(history)
    change(writing, 1, {})
    stale, read = [True], snapshot.newest_manifest

    def newest(path, damaged):
        found = read(path, damaged)
        if stale.pop() if stale else False:
            change(writing, 2, state_after(1))  # sweeps commit 1 between its manifest and its files
            for number in (3, 4, 5):
                change(writing, number, state_after(number - 1))
        return found

    monkeypatch.setattr(snapshot, "newest_manifest", newest)
    reader = rshash.open(history)
    assert reader.manifest.commit == 5
    check_answers(reader, state_after(5), 1)


@pytest.mark.parametrize("failing", range(6))
def test_a_write_that_fails_anywhere_changes_nothing(history, monkeypatch, failing):
    archive = rshash.open(history)
    change(archive, 1, {})
    change(archive, 2, state_after(1))
    before = sorted(path.name for path in history.iterdir())
    count, fsync = [0], os.fsync

    def failing_fsync(handle):
        count[0] += 1
        if count[0] == failing + 1:
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(store.os, "fsync", failing_fsync)
    with contextlib.suppress(OSError):
        archive.append(np.ones((3, 8), np.uint8), [{"id": name} for name in "abc"])
    monkeypatch.undo()
    assert count[0] > failing
    with rshash.open(history) as again:
        assert again.verify().ok
        if again.manifest.commit == 2:
            assert sorted(path.name for path in history.iterdir()) == before
        else:
            assert len(again) == len(state_after(2)) + 3
