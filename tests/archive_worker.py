"""What the processes of the archive's fault tests do: a history of changes that anybody can replay.

Change number n of the history is a function of n alone, so the state after commit n is known without the archive.
"""

import contextlib
import os
import signal
import time

import numpy as np

import rshash

N_BITS = 64
CHANGES = ("compact", "append", "replace", "delete", "update")


def rows_of_change(number, state):
    """Return the ids that a change touches, with the codes they get (None for those deleted)."""
    random = np.random.default_rng(number)
    kind = CHANGES[number % len(CHANGES)]
    known = list(state)
    new = [f"{number}-{row}" for row in range(40)]
    chosen = [known[row] for row in random.permutation(len(known))[: max(1, len(known) // 4)]]
    ids = {"compact": [], "append": new, "replace": new[:10] + chosen, "delete": chosen, "update": chosen}[kind]
    codes = random.integers(0, 4, (len(ids), N_BITS // 8), dtype=np.uint8)  # few values: many ties
    return kind, ids, codes


def state_after(commit):
    """Return id → code after a commit, in the order of the rows."""
    state = {}
    for number in range(1, commit + 1):
        state = advance(state, number)
    return state


def change(archive, number, state):
    """Make change ``number`` of the history."""
    kind, ids, codes = rows_of_change(number, state)
    items = [{"id": id, "caption": f"of change {number}"} for id in ids]
    if kind == "compact":
        archive.compact()
    elif kind == "delete":
        archive.delete(ids)
    elif kind == "update":
        archive.update(codes, items)
    else:
        archive.append(codes, items, on_duplicate="replace")
    assert archive.manifest.commit == number


def write_history(path, seconds, said=None):
    """Make changes until the time is over or the process is killed; say each that is begun and done."""
    end = time.monotonic() + seconds
    with rshash.open(path) as archive:
        state = state_after(archive.manifest.commit)
        while time.monotonic() < end:
            number = archive.manifest.commit + 1
            if said is not None:
                said.send(("begin", number))
            change(archive, number, state)
            state = advance(state, number)
            if said is not None:
                said.send(("done", number))


def change_and_die(path, number, steps):
    """Make a change, but be killed at system call number ``steps`` of those that matter to a commit."""
    left = [steps]

    def counted(call):
        def run(*arguments, **options):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return call(*arguments, **options)

        return run

    with rshash.open(path) as archive:
        for name in ("open", "fsync", "replace", "unlink", "ftruncate"):
            setattr(os, name, counted(getattr(os, name)))
        change(archive, number, state_after(number - 1))


def advance(state, number):
    """Return the state after one more change."""
    kind, ids, codes = rows_of_change(number, state)
    state = dict(state)
    for id, code in zip(ids, codes, strict=True):
        state.pop(id, None)
        if kind != "delete":
            state[id] = code
    return state


def naive_ids(state, query, k):
    """Return the ids of the k nearest codes by (distance, row)."""
    codes = np.array(list(state.values()))
    distances = np.bitwise_count(codes ^ query).sum(axis=1)
    order = np.argsort(distances, kind="stable")[:k]
    return distances[order].tolist(), [list(state)[row] for row in order]


def check_answers(archive, state, seed):
    """Hold a search and its items against the naive answer over a state."""
    query = np.random.default_rng(seed).integers(0, 4, N_BITS // 8, dtype=np.uint8)
    hits = archive.search(query, k=7)
    expected = naive_ids(state, query, 7)
    assert (hits.distances[0].tolist(), hits.ids[0].tolist()) == expected
    assert [item["id"] for item in archive.items_at(hits.rows[0])] == expected[1]


def read_history(path, seconds, said):
    """Search while others write; every answer must be that of the commit the archive says it shows."""
    end = time.monotonic() + seconds
    n_answers, commits, state, known = 0, set(), {}, 0
    with rshash.open(path) as archive:
        while time.monotonic() < end:
            archive.refresh()
            commit = archive.manifest.commit
            for number in range(known + 1, commit + 1):
                state = advance(state, number)
            known = commit
            if state:
                check_answers(archive, state, n_answers)
                n_answers += 1
                commits.add(commit)
    with contextlib.suppress(BrokenPipeError):
        said.send((n_answers, len(commits)))
