"""The CUDA backend: on a GPU against the naive reference and the CPU; without one, what it says instead."""

import importlib.util
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import naive
import rshash
from rshash import kernels
from rshash.index.device import check_device

CODES = np.random.default_rng(0).integers(0, 256, (50, 8), dtype=np.uint8)
IS_BUILT = importlib.util.find_spec("rshash.kernels._cuda") is not None
MISSING = kernels.describe_cuda().get("missing")

built = pytest.mark.skipif(not IS_BUILT, reason="the CUDA kernels were not built")
on_device = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
without_device = pytest.mark.skipif(MISSING is None, reason="there is a GPU here")


def run_python(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


# Host side: these run everywhere.


def test_importing_and_searching_leave_the_extension_out():
    program = (
        "import sys, numpy as np, rshash, rshash.cli\n"
        "codes = np.zeros((9, 8), np.uint8)\n"
        "rshash.search(codes, codes[:2], k=3, device='cpu'), rshash.FlatIndex(codes).to('cpu').search(codes[:2])\n"
        "assert not [name for name in sys.modules if 'cuda' in name and name.startswith('rshash')]"
    )
    done = run_python(program, RSHASH_BACKEND="")
    assert done.returncode == 0, done.stderr


def test_no_backend_is_the_gpu_unasked():
    assert "cuda" not in kernels.BACKENDS
    assert kernels.describe()["backend"] != "cuda" or os.environ.get("RSHASH_BACKEND") == "cuda"


def test_device_names_are_checked():
    assert [check_device(name) for name in ("cpu", "cuda", "cuda:0", "cuda:3")] == [None, 0, 0, 3]
    for wrong in ("gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:0 ", ""):
        with pytest.raises(ValueError, match="device must be 'cpu', 'cuda' or 'cuda:<number>', got"):
            rshash.search(CODES, CODES[0], device=wrong)
    with pytest.raises(TypeError, match="device must be a name such as 'cuda', got int"):
        rshash.FlatIndex(CODES).to(0)
    with pytest.raises(ValueError, match="use a FlatIndex"):
        rshash.DeviceIndex(CODES, "cpu")


def test_torch_devices_are_names():
    torch = pytest.importorskip("torch")
    assert check_device(torch.device("cuda", 1)) == 1
    assert check_device(torch.device("cpu")) is None


def test_the_cpu_is_a_device():
    hits = rshash.search(CODES, CODES[:3], k=4, device="cpu")
    assert np.array_equal(hits.ids, rshash.search(CODES, CODES[:3], k=4).ids)
    index = rshash.FlatIndex(CODES)
    assert index.to("cpu") is index


@pytest.mark.skipif(IS_BUILT, reason="the CUDA kernels were built")
def test_without_the_extension_every_door_names_the_remedy():
    for search in (
        lambda: rshash.search(CODES, CODES[0], device="cuda"),
        lambda: rshash.FlatIndex(CODES).to("cuda"),
        kernels.cuda_backend,
    ):
        with pytest.raises(ImportError, match=r"the CUDA kernels cannot be loaded .*RSHASH_CUDA=require"):
            search()


@built
@without_device
def test_without_a_device_every_door_says_so():
    for search in (
        lambda: rshash.search(CODES, CODES[0], device="cuda"),
        lambda: rshash.search(CODES, CODES[0], radius=3, device="cuda:1"),
        lambda: rshash.FlatIndex(CODES).to("cuda"),
        kernels.cuda_backend().describe if IS_BUILT else None,
        lambda: kernels.cuda_backend().synchronize(),
        lambda: kernels.cuda_backend().measure_copies(1 << 20),
        lambda: kernels.cuda_backend().measure_popcounts(8),
    ):
        with pytest.raises(OSError, match=r"there is no (CUDA device|NVIDIA driver) here"):
            search()


@without_device
def test_a_forced_gpu_that_is_not_there_fails_loudly():
    done = run_python("from rshash import kernels; kernels.backend()", RSHASH_BACKEND="cuda")
    assert done.returncode != 0
    assert "ImportError: RSHASH_BACKEND=cuda does not work here" in done.stderr


def test_info_tells_of_gpus_or_what_is_missing():
    from rshash.cli.info import describe_machine

    assert describe_machine()["cuda"] in ({"missing": MISSING}, {"devices": kernels.describe_cuda().get("devices")})


@built
@pytest.mark.parametrize(
    ("facts", "error", "message"),
    [
        ({"typestr": "<f4", "shape": (2, 8)}, TypeError, "queries must be packed codes of dtype uint8, got float32"),
        ({"typestr": "|u1", "shape": (8,)}, ValueError, r"must have shape \(N, n_bytes\) with N >= 1, got \(8,\)"),
        ({"typestr": "|u1", "shape": (0, 8)}, ValueError, "N >= 1"),
        ({"typestr": "|u1", "shape": (2, 8), "strides": (16, 1)}, ValueError, r"call \.contiguous\(\) first"),
        ({"typestr": "|u1", "shape": (2, 513)}, ValueError, "1 to 512 bytes"),
    ],
)
def test_what_is_no_codes_on_a_device_is_refused(facts, error, message):
    array = SimpleNamespace(__cuda_array_interface__={"data": (256, True), "version": 3, **facts})
    with pytest.raises(error, match=message):
        kernels.cuda_backend().view_on_device(array, "queries")


@built
def test_questions_that_make_no_sense_are_refused_before_a_device_is_asked():
    cuda = kernels.cuda_backend()
    for call, message in (
        (lambda: cuda.top_k(CODES, CODES, 0, 1, "popcount"), "k must be between 1"),
        (lambda: cuda.top_k(CODES, CODES, 51, 1, "popcount"), "k must be between 1"),
        (lambda: cuda.top_k(CODES, CODES[:, :7], 1, 1, "popcount"), "queries and codes must have one width"),
        (lambda: cuda.top_k(CODES[:0], CODES, 1, 1, "popcount"), "codes must have at least one row"),
        (lambda: cuda.within_radius(CODES, CODES, 65, 1, "popcount"), "radius must be between 0"),
        (lambda: cuda.within_radius(CODES, CODES, 5, 1, "popcount", np.zeros(6, np.uint8)), "admitted must have one"),
        (lambda: cuda.measure_popcounts(24), "n_bytes must be 8, 16 or 32"),
        (lambda: cuda.measure_copies(0), "n_bytes must be at least 1"),
        (lambda: rshash.search(CODES, CODES[0], plan="sliced", device="cuda"), "plan must be one of popcount"),
        (lambda: rshash.search(CODES, CODES[0, :7], device="cuda"), "queries have 7 bytes per code"),
        (lambda: rshash.search(CODES[:0], CODES[0], device="cuda"), "the database is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="must be packed codes of dtype uint8"):
        rshash.search(CODES.astype(np.int64), CODES[0], device="cuda")


# On a device: the naive reference, then the CPU as reference at sizes where that would be slow.


def ties(n, n_bytes, seed):
    rng = np.random.default_rng([seed, n, n_bytes])
    return rng.integers(0, 256, (max(1, n // 3), n_bytes), dtype=np.uint8)[rng.integers(0, max(1, n // 3), n)]


@on_device
@pytest.mark.parametrize("n_bytes", [1, 2, 3, 8, 9, 16, 25, 32, 48, 64, 128, 512])
@pytest.mark.parametrize("n_queries", [1, 3, 8, 33])
def test_hits_are_those_of_the_reference(n_bytes, n_queries):
    codes, queries = ties(300, n_bytes, 1), ties(n_queries, n_bytes, 1)
    distances = naive.all_distances(codes, queries)
    index = rshash.FlatIndex(codes).to("cuda")
    for k in (1, 10, 300):
        for hits in (index.search(queries, k=k), rshash.search(codes, queries, k=k, device="cuda")):
            for i in range(n_queries):
                assert list(zip(hits.distances[i], hits.ids[i], strict=True)) == naive.top_k(distances[i], k)
    for radius in (0, 4 * n_bytes, 8 * n_bytes):
        hits = index.search(queries, radius=radius)
        for i in range(n_queries):
            assert list(zip(*hits.of(i), strict=True)) == naive.within_radius(distances[i], radius)


@on_device
@pytest.mark.parametrize(("n_bytes", "n_queries", "k"), [(8, 1, 10), (8, 100, 10_000), (16, 5, 3), (9, 17, 500)])
def test_hits_are_those_of_the_cpu(n_bytes, n_queries, k):
    codes = np.random.default_rng(2).integers(0, 256, (1_500_000, n_bytes), dtype=np.uint8)
    codes[1::5] = codes[0]
    admitted = np.random.default_rng(3).random(len(codes)) < 0.3
    index = rshash.FlatIndex(codes).to("cuda")
    for filter in (None, admitted):
        asked = {"k": k, "filter": filter, "exclude": np.arange(n_queries)}
        expected = rshash.search(codes, codes[:n_queries], **asked, device="cpu")
        for hits in (
            index.search(codes[:n_queries], **asked),
            rshash.search(codes, codes[:n_queries], **asked, device="cuda"),
        ):
            assert np.array_equal(hits.ids, expected.ids)
            assert np.array_equal(hits.distances, expected.distances)


@on_device
def test_rows_in_the_worst_order_are_found():
    codes = np.packbits(np.arange(64) < np.linspace(64, 0, 1_000_000)[:, None], axis=1)
    expected = rshash.search(codes, np.zeros(8, np.uint8), k=50, device="cpu")
    for where in (codes, codes[::-1]):
        hits = rshash.search(where, np.zeros(8, np.uint8), k=50, device="cuda")
        assert np.array_equal(hits.distances, expected.distances)


@on_device
def test_tensors_on_the_device_are_searched_in_place():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    codes = torch.from_numpy(ties(5000, 9, 4)).cuda()
    expected = rshash.search(codes.cpu(), codes[:40].cpu(), k=20)
    free = torch.cuda.mem_get_info()[0]
    index = rshash.DeviceIndex(codes)
    assert torch.cuda.mem_get_info()[0] == free
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        queries = codes[:40] + 0
    for hits in (index.search(queries, k=20), rshash.search(codes, queries, k=20, device="cuda")):
        assert np.array_equal(hits.ids, expected.ids)
    assert np.array_equal(index.search(codes[7], k=20).ids[0], expected.ids[7])
    with pytest.raises(ValueError, match=r"call \.contiguous"):
        rshash.search(codes[:, 1:], codes[:1, 1:], device="cuda")
    odd = codes[1:]  # begins at an odd address
    assert np.array_equal(rshash.search(odd, queries, device="cuda").ids, rshash.search(odd.cpu(), queries.cpu()).ids)


@on_device
def test_threads_search_at_once():
    codes = ties(200_000, 8, 5)
    index, found = rshash.FlatIndex(codes).to("cuda"), {}
    expected = rshash.search(codes, codes[:160], k=30, device="cpu").ids

    def search(i):
        found[i] = index.search(codes[20 * i : 20 * i + 20], k=30).ids

    workers = [threading.Thread(target=search, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert np.array_equal(np.concatenate([found[i] for i in range(8)]), expected)


@on_device
def test_limits_are_of_this_device():
    cuda = kernels.cuda_backend()
    seconds, n_bytes = cuda.measure_copies(64 << 20)
    assert 1e10 < n_bytes / seconds < 1e14
    for n_bytes in (8, 16, 32):
        seconds, n_pairs = cuda.measure_popcounts(n_bytes)
        assert 1e10 < n_pairs / seconds < 1e14
    with pytest.raises(MemoryError, match="GiB more are needed"):
        cuda.measure_copies(1 << 45)


@on_device
def test_too_much_memory_and_missing_devices_are_told():
    huge = np.broadcast_to(np.zeros(512, np.uint8), (1 << 40, 512))
    with pytest.raises(MemoryError, match=r"GiB more are needed, and .* GiB are free"):
        rshash.DeviceIndex(huge)
    with pytest.raises(OSError, match="there is no CUDA device 999"):
        rshash.search(CODES, CODES[0], device="cuda:999")
