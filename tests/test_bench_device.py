"""`rshash bench --device cuda` where there is no GPU: a backend that pretends, and torch on the CPU."""

import itertools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import naive
from rshash import kernels
from rshash.bench.cases import Case, device_reach_table
from rshash.bench.data import generate_bitmap, generate_codes, generate_queries
from rshash.bench.device import DEVICE_CONTENDERS, FaissDevice, RshashDevice, TorchLookup, TorchProduct
from rshash.bench.limits import DeviceLimits, binding, measure_device_limits
from rshash.bench.machine import driver
from rshash.bench.measure import measure
from rshash.bench.outcome import Rules
from rshash.bench.readme import MARKERS
from rshash.cli import main
from rshash.kernels import numpy as host

SMALL = Case(64, 300, 3, k=5, device="cuda")
RULES = Rules(repeats=2, seconds=0.01, build_seconds=1.0)
MISSING = kernels.describe_cuda().get("missing")
GIB = 1 << 30

without_device = pytest.mark.skipif(MISSING is None, reason="there is a GPU here")


class FakeCodes(np.ndarray):
    """Codes that claim to lie on a device."""

    device = 0


class FakeCuda:
    """What `rshash.kernels.cuda` offers, done on the host, and what it was asked for."""

    PLANS = ("popcount",)
    DeviceCodes = FakeCodes

    def __init__(self):
        self.calls = []

    def describe(self):
        facts = {"name": "Pretended GPU", "capability": "9.0", "multiprocessors": 2}
        return [{**facts, "memory_bytes": 80 * GIB, "cache_bytes": 1000}]

    def choose_plan(self, n_queries):
        return self.PLANS[0]

    def copy_to_device(self, codes, device=0):
        return np.ascontiguousarray(codes).view(FakeCodes)

    def synchronize(self, device=0):
        self.calls.append("wait")

    def measure_copies(self, n_bytes, device=0):
        return 0.5, 2 * n_bytes

    def measure_popcounts(self, n_bytes, device=0):
        return 0.25, {8: 5 * 10**11, 16: 4 * 10**11, 32: 3 * 10**11}[n_bytes]

    def top_k(self, codes, queries, k, n_threads, plan, admitted=None, device=0):
        self.calls.append("top_k")
        return host.top_k(np.asarray(codes), queries, k, 1, plan, admitted)

    def within_radius(self, codes, queries, radius, n_threads, plan, admitted=None, device=0):
        self.calls.append("within_radius")
        return host.within_radius(np.asarray(codes), queries, radius, 1, plan, admitted)


@pytest.fixture
def fake(monkeypatch):
    """A machine with a GPU that pretends, on which torch has the CPU for one."""
    cuda = FakeCuda()
    for module in ("bench.device", "bench.limits", "bench.machine", "index.device"):
        monkeypatch.setattr(f"rshash.{module}.cuda_backend", lambda: cuda)
    for contender in (TorchLookup, TorchProduct):
        monkeypatch.setattr(contender, "device", "cpu")
    return cuda


def ask(*words):
    return CliRunner().invoke(main, ["bench", "--device", "cuda", *map(str, words)])


def report_of(case, *contenders, limits=lambda case: None):
    [report] = measure([case], contenders, RULES, limits)
    return report


@without_device
def test_without_a_gpu_the_run_ends_with_one_sentence():
    result = ask("--n", 100)
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert MISSING in line or "the CUDA kernels cannot be loaded" in line


def test_torch_is_left_alone_unless_a_gpu_is_asked_for():
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from rshash.cli import main\n"
        "import rshash.bench.device\n"
        "words = 'bench --n 50 --bits 16 --queries 1 --seconds 0.01 --peer none'.split()\n"
        "result = CliRunner().invoke(main, words)\n"
        "assert result.exit_code == 0, result.output\n"
        "CliRunner().invoke(main, ['bench', '--device', 'cuda', '--n', '50', '--peer', 'none'])\n"
        "assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("n_bits", [8, 64, 72, 256])
@pytest.mark.parametrize("kind", [RshashDevice, TorchLookup, TorchProduct])
def test_contenders_agree_with_the_naive_reference(fake, monkeypatch, kind, n_bits):
    if kind.missing():
        pytest.skip(kind.missing())
    for baseline in (TorchLookup, TorchProduct):
        monkeypatch.setattr(baseline, "block_pairs", (1 << 6, 1 << 8, 1 << 20))
    monkeypatch.setattr(TorchProduct, "block_bits", 1 << 12)
    codes, queries = generate_codes(200, n_bits, seed=1), generate_queries(4, n_bits, seed=1)
    truth = naive.all_distances(codes, queries)
    contender = kind()
    contender.build(codes)
    contender.use_threads(1)
    for variant, keep in itertools.product(contender.variants(), (None, 0.3)):
        contender.choose(variant)
        contender.bitmap = None if keep is None else generate_bitmap(200, keep)
        kept = range(200) if keep is None else np.flatnonzero(np.unpackbits(contender.bitmap, bitorder="little"))
        for n_queries in (1, 4):
            expected = [naive.rank((row[i], i) for i in kept) for row in truth[:n_queries]]
            expected = [[distance for (distance, _), _ in hits] for hits in expected]
            distances, ids = contender.search(queries[:n_queries], 20)
            assert distances.tolist() == [hits[:20] for hits in expected]
            assert set(ids.ravel().tolist()) <= set(kept)
            assert all(truth[i][row] == distances[i][j] for i, rows in enumerate(ids) for j, row in enumerate(rows))
            counts = contender.within_radius(queries[:n_queries], n_bits // 2)
            assert counts.tolist() == [sum(d <= n_bits // 2 for d in hits) for hits in expected]


def test_the_product_is_exact_at_the_widest_code(fake, monkeypatch):
    torch = pytest.importorskip("torch")
    assert torch.arange(-4096, 4097, 2).half().long().tolist() == list(range(-4096, 4097, 2))


def test_the_device_is_idle_before_and_after_every_timed_call(fake):
    report_of(SMALL, RshashDevice)
    timed, checked = "wait top_k wait ", "top_k "
    calls = "".join(f"{call} " for call in fake.calls)
    assert re.fullmatch(f"({timed})+{checked}({timed})+", calls)


def test_what_is_slow_on_the_device_is_on_the_clock(fake, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("rshash.bench.trial.time.perf_counter", lambda: now[0])

    def finish(device=0):
        now[0] += sum(1.0 for call in fake.calls if call == "top_k")
        fake.calls.clear()

    monkeypatch.setattr(fake, "synchronize", finish)
    report = report_of(SMALL, RshashDevice)
    assert report.outcomes[0].reason == "2 runs of one query take 2.0 s, allowed are 0.01 s"


def test_every_contender_answers_a_filter_and_a_radius(fake):
    kinds = [kind for kind in DEVICE_CONTENDERS.values() if kind is not FaissDevice and not kind.missing()]
    for case in (Case(64, 300, 3, k=5, keep=0.1, device="cuda"), Case(64, 300, 3, radius=29, device="cuda")):
        report = report_of(case, *kinds)
        assert [outcome.wrong or outcome.reason for outcome in report.outcomes] == [None] * len(kinds)


def test_a_gpu_that_orders_ties_otherwise_is_caught(fake, monkeypatch):
    def top_k(codes, queries, k, *_, **__):
        distances, rows = host.top_k(np.asarray(codes), queries, k, 1, "popcount")
        return distances, rows[:, ::-1]

    monkeypatch.setattr(fake, "top_k", top_k)
    monkeypatch.setattr("rshash.bench.measure.generate_codes", lambda *_: np.zeros((300, 8), np.uint8))
    assert "has other rows than the truth" in report_of(SMALL, RshashDevice).outcomes[0].wrong


def test_bounds_name_what_stops_a_gpu():
    limits = DeviceLimits("one", 4e12, 2e12, 1.25e12, 1e12, cache_bytes=10**6)
    single = Case(64, 10**8, 1, device="cuda")
    assert binding(limits.bounds(single)) == ("memory", 5e11)
    assert binding(limits.bounds(Case(256, 10**8, 1024, device="cuda"))) == ("popcount", 1e12)
    fifteen_words = 1 / 1e12 + 1 / 1.25e12 + 1.5 / 2e12
    assert binding(limits.bounds(Case(480, 10**8, 1024, device="cuda"))) == ("popcount", 1 / fifteen_words)
    assert binding(limits.bounds(Case(64, 1000, 1, device="cuda"))) == ("popcount", 2e12)


def test_limits_are_the_best_of_their_samples(fake):
    limits = measure_device_limits(copy_bytes=1000)
    assert limits == DeviceLimits("Pretended GPU", 4000.0, 2e12, 1.6e12, 1.2e12, 1000)


def test_the_reach_table_holds_what_the_goals_name():
    cases = device_reach_table()
    asked = {(case.n_bits, case.n_queries, case.k, case.radius, case.keep) for case in cases if case.n_rows == 10**8}
    assert {(64, n, 10, None, None) for n in (1, 8, 64, 1024)} < asked
    assert {(64, 64, 10_000, None, None), (256, 1024, 10, None, None)} < asked
    assert any(case.radius is not None for case in cases)
    assert any(case.keep is not None for case in cases)
    assert {case.device for case in cases} == {"cuda"}
    assert cases[0].title == "64 bit, N = 100,000,000 uniform, Q = 1, k = 10, GPU"


def test_a_run_from_end_to_end(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("rshash.bench.machine.driver", lambda: "580.65.06")
    words = ("--n", 500, "--bits", 32, "--queries", 2, "-k", 3, "--seconds", 0.5, "--json", tmp_path / "run.json")
    result = ask(*words)
    assert result.exit_code == 0, result.output
    assert "rshash searches on Pretended GPU, 80 GiB, driver 580.65.06" in result.stdout
    assert "32 bit, N = 500 uniform, Q = 2, k = 3, GPU" in result.stdout
    document = json.loads((tmp_path / "run.json").read_text())
    assert document["machine"]["gpu"]["name"] == "Pretended GPU"
    assert document["limits"][0]["device"] == "Pretended GPU"
    [case] = document["cases"]
    results = {result["contender"]: result for result in case["results"]}
    assert results["rshash"]["share_of_limit"] > 0
    assert results["rshash"]["recall"] == 1
    if TorchLookup.missing() is None:
        assert case["best_exact_peer"]["contender"].startswith("torch")
        assert results["torch xor + lookup"]["variant"].endswith("bits")
    if FaissDevice.missing() is not None:
        assert "faiss" in results["faiss GpuIndexBinaryFlat"]["reason"]

    readme = tmp_path / "README.md"
    start, end = MARKERS["cuda"]
    readme.write_text(f"{MARKERS['cpu'][0]}\nof the CPU\n{MARKERS['cpu'][1]}\n{start}\n{end}\n")
    result = CliRunner().invoke(main, ["bench", "--from", str(tmp_path / "run.json"), "--update", str(readme)])
    assert result.exit_code == 0, result.output
    assert "of the CPU" in readme.read_text()
    assert "*Pretended GPU, 80 GiB, driver 580.65.06, rshash" in readme.read_text()


def test_what_is_missing_says_so(monkeypatch):
    faiss = pytest.importorskip("faiss")
    monkeypatch.delattr(faiss, "GpuIndexBinaryFlat", raising=False)
    assert "is a build for the CPU, without GpuIndexBinaryFlat: conda install" in FaissDevice.missing()
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert TorchLookup.missing().endswith("sees no GPU: install its CUDA build")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--threads", "1"], "--threads, --simd and --clock cpu are of the CPU"),
        (["--simd", "avx2"], "--threads, --simd and --clock cpu are of the CPU"),
        (["--clock", "cpu"], "--threads, --simd and --clock cpu are of the CPU"),
        (["--peer", "usearch"], "unknown peer 'usearch'"),
        (["--full", "--bits", "64"], "--full names its own cases"),
        (["--update", "/nowhere/README.md"], "No such file"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(words, complaint):
    result = ask(*words)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_the_driver_is_read_from_what_the_system_says(tmp_path):
    file = tmp_path / "version"
    for line in (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC 12.3.0",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build  (build@host)\nGCC 12.3.0",
        "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  535.104.05  Release Build  (build@host)\nGCC 12.3.0",
    ):
        file.write_text(line)
        assert driver(file) == "535.104.05"
    file.write_text("something else")
    assert driver(file) is None
