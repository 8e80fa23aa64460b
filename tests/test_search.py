import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import naive
import rshash
from rshash import kernels
from rshash.index.hits import Hits


def random_codes(n, n_bytes, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, n_bytes), dtype=np.uint8)


CODES = random_codes(500, 8, 0)


def run_python(code, **environment):
    """Run a fresh interpreter: the choice of a backend is made once a process."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_top_k_is_ranked_by_distance_then_row():
    queries = CODES[[3, 400]] ^ np.uint8(1)
    distances, ids = rshash.search(CODES, queries, k=20)
    for i, row in enumerate(naive.all_distances(CODES, queries)):
        assert list(zip(distances[i].tolist(), ids[i].tolist(), strict=True)) == naive.top_k(row, 20)


def test_radius_is_inclusive_and_comes_in_compressed_rows():
    hits = rshash.search(CODES, CODES[:4], radius=20)
    for i, row in enumerate(naive.all_distances(CODES, CODES[:4])):
        distances, ids = hits.of(i)
        assert list(zip(distances.tolist(), ids.tolist(), strict=True)) == naive.within_radius(row, 20)


def test_ten_hits_when_neither_k_nor_radius_is_given():
    assert rshash.search(CODES, CODES[0]).ids.shape == (1, 10)


def test_k_beyond_the_database_returns_all_of_it():
    hits = rshash.search(CODES, CODES[:3], k=10**12)
    assert hits.ids.shape == (3, 500)
    assert np.array_equal(np.sort(hits.ids, axis=1), np.tile(np.arange(500), (3, 1)))


def test_no_queries_give_no_hits():
    top, within = rshash.search(CODES, CODES[:0], k=5), rshash.search(CODES, CODES[:0], radius=5)
    assert (top.n_queries, top.ids.shape) == (0, (0, 5))
    assert (within.n_queries, within.ids.shape, within.offsets.tolist()) == (0, (0,), [0])


def test_hits_of_one_query():
    hits = rshash.search(CODES, CODES[:3], k=2)
    assert hits.of(2)[1][0] == 2
    for query in (3, -1):
        with pytest.raises(IndexError, match="outside the 3 queries"):
            hits.of(query)


def test_hits_unpack_into_distances_and_ids():
    distances, ids = Hits(np.zeros((1, 2), np.int32), np.ones((1, 2), np.int64))
    assert (distances.dtype, ids.dtype) == (np.int32, np.int64)


def test_a_filter_admits_rows_by_bool_or_by_bit():
    admitted = np.arange(500) % 3 == 0
    distances, ids = rshash.search(CODES, CODES[:20], k=9, filter=admitted)
    for i, row in enumerate(naive.all_distances(CODES, CODES[:20])):
        expected = [hit for hit in naive.rank(row) if hit[1] % 3 == 0][:9]
        assert list(zip(distances[i].tolist(), ids[i].tolist(), strict=True)) == expected
    packed = np.packbits(admitted, bitorder="little")
    assert np.array_equal(rshash.search(CODES, CODES[:20], k=9, filter=packed).ids, ids)


def test_a_strict_filter_returns_the_rows_it_leaves():
    admitted = np.zeros(500, bool)
    assert rshash.search(CODES, CODES[:2], k=5, filter=admitted).ids.shape == (2, 0)
    assert rshash.search(CODES, CODES[:2], radius=64, filter=admitted).offsets.tolist() == [0, 0, 0]
    admitted[[7, 300]] = True
    assert sorted(rshash.search(CODES, CODES[0], k=5, filter=admitted).ids[0].tolist()) == [7, 300]
    surplus = np.packbits(admitted, bitorder="little")
    surplus[-1] |= 0xF0
    assert rshash.search(CODES, CODES[:2], k=5, filter=surplus).ids.shape == (2, 2)


def test_an_excluded_row_is_no_hit_of_its_query():
    excluded = np.array([0, -1, 450])
    distances, ids = rshash.search(CODES, CODES[:3], k=4, exclude=excluded)
    within = rshash.search(CODES, CODES[:3], radius=28, exclude=excluded)
    for i, row in enumerate(naive.all_distances(CODES, CODES[:3])):
        expected = [hit for hit in naive.rank(row) if hit[1] != excluded[i]]
        assert list(zip(distances[i].tolist(), ids[i].tolist(), strict=True)) == expected[:4]
        near = [hit for hit in expected if hit[0] <= 28]
        assert list(zip(*(part.tolist() for part in within.of(i)), strict=True)) == near
    assert rshash.search(CODES, CODES[:3], k=600, exclude=excluded).ids.shape == (3, 499)
    assert rshash.search(CODES[:1], CODES[:1], k=3, exclude=[0]).ids.shape == (1, 0)


def test_the_plan_is_told_and_can_be_forced():
    pytest.importorskip("rshash.kernels._native")
    assert rshash.search(CODES, CODES[0]).plan == "popcount"
    assert rshash.search(CODES, CODES).plan == "sliced"
    for plan in ("popcount", "sliced"):
        hits = rshash.search(CODES, CODES, k=5, plan=plan)
        assert hits.plan == plan
        assert np.array_equal(hits.ids, rshash.search(CODES, CODES, k=5).ids)


def test_torch_tensors_are_searched_in_place():
    torch = pytest.importorskip("torch")
    hits = rshash.search(torch.from_numpy(CODES), torch.from_numpy(CODES)[7], k=1)
    assert hits.ids.tolist() == [[7]]


@pytest.mark.parametrize(
    ("codes", "query", "arguments", "error", "message"),
    [
        (CODES.astype(np.float32), CODES[0], {}, TypeError, "codes must be packed codes of dtype uint8, got float32"),
        (CODES, CODES[0].astype(np.int64), {}, TypeError, "queries must be packed codes of dtype uint8, got int64"),
        (CODES[0], CODES[0], {}, ValueError, r"codes must have shape \(N, n_bytes\), got \(8,\)"),
        (CODES, CODES[None, :2], {}, ValueError, "queries must have shape"),
        (CODES, CODES[:2, :4], {}, ValueError, "queries have 4 bytes per code, the database has 8: encode them"),
        (CODES[:0], CODES[0], {}, ValueError, "the database is empty"),
        (CODES, CODES[0], {"k": 0}, ValueError, "k must be at least 1, got 0"),
        (CODES, CODES[0], {"k": -3}, ValueError, "k must be at least 1, got -3"),
        (CODES, CODES[0], {"k": True}, TypeError, "k must be an integer, got bool True"),
        (CODES, CODES[0], {"k": 2.0}, TypeError, "k must be an integer, got float 2.0"),
        (CODES, CODES[0], {"radius": -1}, ValueError, "radius must be between 0 and 64, got -1"),
        (CODES, CODES[0], {"radius": 65}, ValueError, "radius must be between 0 and 64, got 65"),
        (CODES, CODES[0], {"radius": "3"}, TypeError, "radius must be an integer, got str '3'"),
        (CODES, CODES[0], {"k": 1, "radius": 1}, ValueError, "k and radius were both given"),
        (CODES, CODES[0], {"plan": "guess"}, ValueError, "plan must be one of popcount.*, got 'guess'"),
        (CODES, CODES[0], {"filter": np.ones(499, bool)}, ValueError, r"filter must be bool of shape \(500,\)"),
        (CODES, CODES[0], {"filter": np.ones(500, int)}, ValueError, r"packed into uint8 of shape \(63,\), got int64"),
        (CODES, CODES[0], {"exclude": [1, 2]}, ValueError, r"exclude must be integers of shape \(1,\)"),
        (CODES, CODES[0], {"exclude": [0.5]}, ValueError, "exclude must be integers"),
        (CODES, CODES[0], {"exclude": [500]}, ValueError, "exclude must name rows of the database, 0..499"),
        (CODES, CODES[0], {"n_threads": 0}, ValueError, "n_threads must be at least 1, got 0"),
        (CODES, CODES[0], {"n_threads": 2**31}, ValueError, "n_threads must be at most 65536, got 2147483648"),
        (CODES, CODES[0], {"plan": np.zeros(2)}, TypeError, "plan must be the name of one or None, got ndarray"),
        (CODES, CODES[0], {"n_threads": True}, TypeError, "n_threads must be an integer, got bool True"),
    ],
)
def test_bad_input_is_named_in_one_sentence(codes, query, arguments, error, message):
    with pytest.raises(error, match=message):
        rshash.search(codes, query, **arguments)


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5"])
def test_a_bad_number_of_threads_in_the_environment_is_named(monkeypatch, text):
    monkeypatch.setenv("RSHASH_NUM_THREADS", text)
    with pytest.raises(ValueError, match="RSHASH_NUM_THREADS must be a positive integer"):
        rshash.search(CODES, CODES[0])


def test_the_environment_sets_the_number_of_threads(monkeypatch):
    monkeypatch.setenv("RSHASH_NUM_THREADS", "3")
    assert kernels.threads() == 3
    assert kernels.threads(1) == 1
    assert kernels.describe()["threads"] == 3


@pytest.mark.parametrize("name", kernels.BACKENDS)
def test_a_backend_can_be_forced(name):
    if name != "numpy":
        pytest.importorskip("rshash.kernels._native" if name == "native" else "numba")
    found = run_python(
        "import rshash, numpy as np; from rshash import kernels\n"
        "codes = np.arange(64, dtype=np.uint8).reshape(8, 8)\n"
        "print(kernels.describe()['backend'], rshash.search(codes, codes[5], k=1).ids.item())",
        RSHASH_BACKEND=name,
    )
    assert found.stdout.split() == [name, "5"], found.stderr


def test_an_unknown_backend_is_refused():
    found = run_python("from rshash import kernels; kernels.backend()", RSHASH_BACKEND="natve")
    assert "unknown backend in RSHASH_BACKEND 'natve'; did you mean 'native'?" in found.stderr


def test_a_forced_backend_that_does_not_work_fails_loudly():
    found = run_python(
        "import sys; sys.modules['rshash.kernels._native'] = None\nfrom rshash import kernels; kernels.backend()",
        RSHASH_BACKEND="native",
    )
    assert "ImportError: RSHASH_BACKEND=native does not work here" in found.stderr
    assert "RSHASH_BUILD=require" in found.stderr


def test_a_broken_extension_is_reported_not_hidden(tmp_path):
    """A file that is no library stands where the extension is looked for."""
    (tmp_path / "_native.abi3.so").write_bytes(b"not a library")
    found = run_python(
        f"import rshash.kernels as kernels; kernels.__path__.insert(0, {str(tmp_path)!r})\nprint(kernels.describe())",
        RSHASH_BACKEND="",
    )
    assert "'native': 'broken:" in found.stdout, found.stderr
    assert "installed but broken" in found.stderr


@pytest.mark.parametrize(
    ("simd", "message"),
    [("sse9", "RSHASH_SIMD must be one of portable, neon, avx2, avx512, got 'sse9'")],
)
def test_an_unknown_instruction_set_is_refused(monkeypatch, simd, message):
    native = pytest.importorskip("rshash.kernels.native")
    monkeypatch.setenv("RSHASH_SIMD", simd)
    with pytest.raises(ValueError, match=message):
        native.simd()


def test_an_instruction_set_this_processor_lacks_is_refused(monkeypatch):
    native = pytest.importorskip("rshash.kernels.native")
    monkeypatch.setattr(native, "simd_levels", lambda: ["portable"])
    monkeypatch.setenv("RSHASH_SIMD", "avx512")
    with pytest.raises(ImportError, match="RSHASH_SIMD=avx512 is not available here; available are portable"):
        native.simd()


def test_the_forced_instruction_set_searches(monkeypatch):
    native = pytest.importorskip("rshash.kernels.native")
    for level in native.simd_levels():
        monkeypatch.setenv("RSHASH_SIMD", level)
        assert native.simd() == level
        assert native.top_k(CODES, CODES[:1], 1, 1, "sliced")[1].tolist() == [[0]]


def test_many_python_threads_may_search_at_once():
    expected = rshash.search(CODES, CODES, k=5, n_threads=1).ids
    answers = [None] * 8

    def work(i):
        answers[i] = rshash.search(CODES, CODES, k=5, n_threads=2).ids

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(answer, expected) for answer in answers)


def test_other_python_threads_run_during_a_search():
    pytest.importorskip("rshash.kernels._native")
    codes = random_codes(200_000, 8, 1)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(1)
            time.sleep(0.0005)

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        before = len(ticks)
        rshash.search(codes, codes[:4000], k=5, n_threads=1)
        assert len(ticks) > before + 1
    finally:
        done.set()
        ticker.join()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")
def test_an_interrupt_ends_a_long_search():
    pytest.importorskip("rshash.kernels._native")
    codes = np.broadcast_to(random_codes(1, 64, 1), (10**10, 64))  # minutes of work on one line of memory

    def interrupt(_signal, _frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            rshash.search(codes, codes[:1], k=3, n_threads=2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc to read the private memory")
@pytest.mark.parametrize("view", ["codes", "codes[::2]", "codes[:, 1:]"])
def test_searching_a_mapped_file_does_not_copy_it(tmp_path, view):
    path = tmp_path / "codes.npy"
    mapped = np.lib.format.open_memmap(path, "w+", np.uint8, (1 << 20, 64))  # 64 MiB, sparse on disk
    mapped[12345] = 7
    del mapped
    found = run_python(
        "import numpy as np, rshash\n"
        "def private():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('RssAnon'))\n"
        f"codes = np.load({str(path)!r}, mmap_mode='r')\n"
        "rshash.search(codes[:1000], codes[:2], k=2)\n"
        "before = private()\n"
        f"hits = rshash.search({view}, {view}[:16], k=10)\n"
        "print(private() - before)"
    )
    assert int(found.stdout) < 8 << 10, found.stderr  # KiB


def test_search_needs_no_torch():
    found = run_python(
        "import sys, rshash, numpy as np\nrshash.search(*[np.zeros((3, 2), np.uint8)] * 2)\n"
        "print('torch' in sys.modules)"
    )
    assert found.stdout.strip() == "False", found.stderr


def test_threads_nobody_asked_for_start_only_where_the_work_is_worth_it(monkeypatch):
    kernel, used = kernels.backend(), []

    class Recording:
        def __getattr__(self, name):
            return getattr(kernel, name)

        def top_k(self, codes, queries, k, n_threads, *rest, **more):
            used.append(n_threads)
            return kernel.top_k(codes, queries, k, n_threads, *rest, **more)

    monkeypatch.setenv("RSHASH_NUM_THREADS", "3")
    monkeypatch.setattr("rshash.index.scan.backend", Recording)
    wide = random_codes(40_000, 512, 1)
    for codes, n_threads in ((CODES, None), (CODES, 3), (wide, None)):
        rshash.search(codes, codes[0], n_threads=n_threads)
    assert used == [1, 3, 3]
