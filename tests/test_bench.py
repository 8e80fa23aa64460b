import itertools
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import naive
from rshash.bench.cases import Case, grid, quick_table, reach_table
from rshash.bench.contenders import Contender, Numpy, Rshash
from rshash.bench.data import FLIPS, KINDS, generate_codes, generate_queries
from rshash.bench.limits import Limits, binding, measure_limits
from rshash.bench.measure import measure
from rshash.bench.outcome import Outcome, Rules
from rshash.bench.peers import CONTENDERS
from rshash.bench.readme import END, START
from rshash.bench.referee import WrongAnswer, check_top_k
from rshash.cli import main
from rshash.kernels import describe

SMALL = Case(64, 300, 3, k=5)
RULES = Rules(repeats=2, seconds=0.01, build_seconds=1.0)
needs_native = pytest.mark.skipif(describe()["backend"] != "native", reason="limits are measured by the native module")


def ask(*words):
    return CliRunner().invoke(main, ["bench", *map(str, words)])


def report_of(case, *contenders, rules=RULES):
    [report] = measure([case], contenders, rules)
    return report


@pytest.mark.parametrize("n_bits", [16, 64, 96])
@pytest.mark.parametrize("name", [name for name, kind in CONTENDERS.items() if kind.exact])
def test_exact_contenders_agree_with_the_naive_reference(name, n_bits):
    kind = CONTENDERS[name]
    if kind.missing():
        pytest.skip(kind.missing())
    codes, queries = generate_codes(200, n_bits, seed=1), generate_queries(4, n_bits, seed=1)
    truth = naive.all_distances(codes, queries)
    contender = kind()
    contender.build(codes)
    contender.use_threads(1)
    for variant in contender.variants():
        contender.choose(variant)
        for n_queries in (1, 4):
            distances, ids = contender.search(queries[:n_queries], 7)
            assert distances.tolist() == [[d for d, _ in naive.top_k(row, 7)] for row in truth[:n_queries]]
            assert all(truth[i][row] == distances[i][j] for i, rows in enumerate(ids) for j, row in enumerate(rows))
        if kind.can_radius():
            counts = contender.within_radius(queries, n_bits // 3)
            assert counts.tolist() == [len(naive.within_radius(row, n_bits // 3)) for row in truth]
            assert counts.any()


def test_multihash_is_exact_by_radius():
    kind = CONTENDERS["faiss-multihash"]
    if kind.missing():
        pytest.skip(kind.missing())
    report = report_of(Case(64, 2000, 5, radius=11, data="clustered"), Rshash, kind)
    assert [(outcome.exact, outcome.wrong, outcome.recall) for outcome in report.outcomes] == [(True, None, 1.0)] * 2


@pytest.mark.parametrize("case", [Case(64, 300, 3, k=5, keep=0.1), Case(64, 300, 3, radius=29, keep=0.1)])
def test_a_filter_is_kept_by_all_that_take_one(case):
    contenders = [kind for kind in CONTENDERS.values() if kind.can_filter and not kind.missing()]
    report = report_of(case, *contenders, CONTENDERS["usearch"])
    assert [outcome.wrong or outcome.reason for outcome in report.outcomes[:-1]] == [None] * len(contenders)
    assert report.outcomes[-1].reason is not None


def test_a_filter_that_is_ignored_is_caught():
    class Ignorant(Numpy):
        name = "ignorant"

        def search(self, queries, k):
            self.bitmap = None
            return super().search(queries, k)

    report = report_of(Case(64, 300, 3, k=5, keep=0.1), Ignorant)
    assert "other distances than the truth" in report.outcomes[0].wrong


class OffByOne(Numpy):
    name = "off by one"

    def search(self, queries, k):
        distances, ids = super().search(queries, k)
        return distances + 1, ids


class SecondBest(Numpy):
    name = "second best"

    def search(self, queries, k):
        distances, ids = super().search(queries, k + 1)
        return distances[:, 1:], ids[:, 1:]

    def within_radius(self, queries, radius):
        return super().within_radius(queries, radius) - 1


class SameRow(Numpy):
    name = "same row"

    def search(self, queries, k):
        distances, ids = super().search(queries, k)
        return distances[:, :1].repeat(k, 1), ids[:, :1].repeat(k, 1)


class Flatterer(Numpy):
    name = "flatterer"
    exact = False

    def search(self, queries, k):
        distances, ids = super().search(queries, k + 9)
        return distances[:, :k], ids[:, 9:]


class Broken(Numpy):
    name = "broken"

    def search(self, queries, k):
        raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("contender", "complaint"),
    [
        (OffByOne, "other distances than the truth"),
        (SecondBest, "other distances than the truth"),
        (SameRow, "other distances than the truth"),
        (Flatterer, "states distances that its rows do not have"),
    ],
)
def test_a_wrong_contender_is_caught(contender, complaint):
    report = report_of(SMALL, Rshash, contender, Numpy)
    ours, wrong, right = report.outcomes
    assert complaint in wrong.wrong
    assert not wrong.measured
    assert ours.measured
    assert right.measured


def test_a_wrong_number_within_the_radius_is_caught():
    report = report_of(Case(64, 300, 3, radius=30), Rshash, SecondBest)
    assert "another number of rows within the radius" in report.outcomes[1].wrong


def test_a_contender_that_fails_costs_only_its_own_row():
    report = report_of(SMALL, Rshash, Broken)
    assert report.outcomes[0].measured
    assert report.outcomes[1].reason == "failed: out of order"


def test_rshash_itself_is_held_against_numpy(monkeypatch):
    monkeypatch.setattr(Rshash, "search", lambda self, queries, k: (np.ones((3, 5), int), np.zeros((3, 5), int)))
    with pytest.raises(WrongAnswer, match="other distances than the truth"):
        report_of(SMALL, Rshash)


@pytest.mark.parametrize(
    ("distances", "ids", "complaint"),
    [
        ([[0, 1]], [[0, 0]], "names a row twice"),
        ([[1, 0]], [[1, 0]], "is not in order"),
        ([[0, 1]], [[0, 9]], "names rows beyond the 3 there are"),
        ([[0, 2]], [[0, 1]], "states distances that its rows do not have"),
        ([[0]], [[0]], "answered with shapes"),
    ],
)
def test_the_referee_believes_nobody(distances, ids, complaint):
    codes = np.array([[0], [1], [3]], np.uint8)
    with pytest.raises(WrongAnswer, match=complaint):
        check_top_k((np.array(distances), np.array(ids)), np.array([[0, 1]]), codes, codes[:1], exact=False)


def test_ties_and_missing_rows_in_the_recall():
    codes = np.array([[0], [1], [2], [7]], np.uint8)
    truth = np.array([[0, 1]])
    tie = np.array([[0, 1]]), np.array([[0, 2]])
    assert check_top_k(tie, truth, codes, codes[:1], exact=True) == 1.0
    half = np.array([[0, 99]]), np.array([[0, -1]])
    assert check_top_k(half, truth, codes, codes[:1], exact=False) == 0.5


def test_missing_peers_are_named_with_their_command():
    class Absent(Contender):
        name = "absent"
        module = "no_such_package"

    report = report_of(SMALL, Rshash, Absent)
    assert report.outcomes[1].reason == 'no_such_package is not installed: pip install "rshash[bench]"'


def test_slow_large_and_unfit_contenders_are_left_out_with_a_reason():
    class SlowBuild(Numpy):
        name = "slow build"

        @classmethod
        def expected_build_seconds(cls, n_rows, n_bits):
            return n_rows

    class Small(Numpy):
        name, max_rows = "small", 299

    class Hungry(Numpy):
        name, max_pairs = "hungry", 299

    class NoRadius(Contender):
        name = "no radius"

    report = report_of(Case(64, 300, 3, radius=3), SlowBuild, Small, Hungry, NoRadius)
    assert [outcome.reason for outcome in report.outcomes] == [
        "its build takes about 300 s of one core, allowed are 1 s",
        "not tried above 299 rows",
        "keeps all distances of a call, too many already for one query of 300 rows",
        "does not search by radius",
    ]


def test_a_contender_over_its_budget_gets_fewer_queries():
    class Slow(Numpy):
        name = "slow"

        def search(self, queries, k):
            sum(i * i for i in range(20_000 * len(queries)))
            return super().search(queries, k)

    outcome = report_of(Case(64, 100, 50), Slow, rules=Rules(repeats=2, seconds=0.05)).outcomes[0]
    assert outcome.reason is not None or 1 <= outcome.n_queries < 50


@pytest.mark.parametrize("kind", KINDS)
def test_codes_depend_on_the_seed_and_their_row_only(kind):
    few, many = generate_codes(70, 20, kind, seed=3), generate_codes(90, 20, kind, seed=3)
    assert (many[:70] == few).all()
    assert (generate_codes(70, 20, kind, seed=4) != few).any()
    assert (generate_queries(70, 20, kind, seed=3) != few).any()
    assert not (many[:, -1] & 0x0F).any()


def test_clustered_codes_lie_near_their_centres():
    codes, queries = generate_codes(200_000, 256, "clustered"), generate_queries(5, 256, "clustered")
    rate = FLIPS / 256
    nearest = np.bitwise_count(codes ^ queries[:, None]).sum(axis=2).min(axis=1)
    assert (nearest < 2 * rate * (1 - rate) * 256 + 10).all()
    assert abs(np.unpackbits(codes[:5000]).mean() - 0.5) < 0.05


def test_codes_fill_what_they_are_given(tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "codes.npy", "w+", np.uint8, (10, 8))
    assert generate_codes(10, 64, out=mapped) is mapped
    assert (mapped == generate_codes(10, 64)).all()
    with pytest.raises(ValueError, match=r"out must have shape \(9, 8\), got \(10, 8\)"):
        generate_codes(9, 64, out=mapped)


@needs_native
def test_limits_are_measured_for_every_instruction_set():
    for simd in describe()["simd_available"]:
        limits = measure_limits(1, simd, read_bytes=1 << 20)
        assert min(limits.read_bytes_a_second, limits.popcount_rate, limits.plane_rate) > 0
        assert limits.simd == simd


def test_bounds_name_what_stops_a_search():
    limits = Limits(1, "avx512", read_bytes_a_second=40e9, popcount_rate=32e9, plane_rate=60e9)
    cached = Limits(1, "avx512", 40e9, 32e9, 60e9, cache_bytes=10**9)
    single, batch = Case(64, 10**7, 1), Case(64, 10**7, 256)
    assert binding(limits.bounds(single)) == ("memory", 5e9)
    assert binding(limits.bounds(batch)) == ("planes", 60e9)
    assert binding(cached.bounds(single)) == ("popcount", 32e9)
    assert binding({}) is None


def test_the_tables_of_cases_hold_each_case_once_and_databases_together():
    for cases in (reach_table(), quick_table(), reach_table(1000, n_threads=1)):
        assert len(set(cases)) == len(cases)
        databases = [case.database for case in cases]
        assert len(set(databases)) == 1 + sum(a != b for a, b in itertools.pairwise(databases))
    assert len(grid(n_bits=[8, 16], n_rows=[10], n_queries=[1, 2, 3])) == 6


def test_median_and_spread():
    outcome = Outcome("a", True, n_queries=2, wall=[1.0, 2.0, 4.0], cpu=[1.0, 1.0, 1.0])
    assert outcome.pairs_a_second(10) == 10.0
    assert outcome.spread() == 1.5
    assert outcome.spread("cpu") == 0.0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run in a JSON file, and what it printed."""
    folder = tmp_path_factory.mktemp("bench")
    result = ask("--n", 500, "--bits", 32, "--queries", 2, "-k", 3, "--seconds", 0.01, "--json", folder / "run.json")
    assert result.exit_code == 0, result.output
    return folder / "run.json", result.stdout


def test_the_report_holds_everything(finished):
    path, printed = finished
    document = json.loads(path.read_text())
    assert document["format"] == 1
    assert {"processor", "cores", "caches", "load", "versions", "search", "date"} <= document["machine"].keys()
    [case] = document["cases"]
    assert case["title"] in printed
    assert case["case"]["n_bits"] == 32
    assert [result["ours"] for result in case["results"]].count(True) == 3
    for result in case["results"]:
        assert result["wrong"] is None
        if result["reason"] is None:
            assert min(result["gcq_a_second"], result["gb_a_second"], result["spread"]) > 0
            assert result["recall"] == 1 or not result["exact"]
            assert len(result["wall"]) == len(result["cpu"]) >= 5
        else:
            assert result["contender"] in printed
    assert case["best_exact_peer"]["gcq_a_second"] > 0
    assert "load average" in printed
    if describe()["backend"] == "native":
        assert {"memory", "popcount", "planes"} & case["bounds"].keys()


def test_json_on_stdout_is_json_alone():
    result = ask("--n", 50, "--bits", 16, "--queries", 1, "--seconds", 0.01, "--peer", "none", "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["cases"]) == 1


def test_the_plot_is_written(finished, tmp_path):
    pytest.importorskip("matplotlib")
    result = ask("--from", finished[0], "--plot", tmp_path / "run.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_plot_says_what_to_install(finished, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = ask("--from", finished[0], "--plot", tmp_path / "run.png")
    assert result.exit_code == 2
    assert 'pip install "rshash[bench]"' in result.stderr


def test_the_table_takes_the_place_between_the_markers(finished, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    for _ in range(2):
        result = ask("--from", finished[0], "--update", readme)
        assert result.exit_code == 0, result.output
        text = readme.read_text()
        assert text.startswith(f"before\n{START}\n| search | `rshash.search` Gcq/s |")
        assert text.endswith(f"\n{END}\nafter\n")
        assert "old" not in text
        (row,) = (line for line in text.splitlines() if "32 bit, N = 500 uniform, Q = 2, k = 3, 1 thread |" in line)
        assert "MultiIndex" in row.split("|")[-2]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--peer", "fais-flat"], "unknown peer 'fais-flat'; did you mean 'faiss-flat'"),
        (["--bits", "0"], "n_bits must be between 1 and 4096, got 0"),
        (["--n", "0"], "n_rows must be at least 1, got 0"),
        (["--threads", "-1"], "n_threads must be at least 1, got -1"),
        (["--bits", "8", "--radius", "9"], "radius must be between 0 and n_bits=8, got 9"),
        (["--keep", "0"], "keep must be above 0 and at most 1, got 0.0"),
        (["-k", "3", "--radius", "3"], "give -k or --radius, not both"),
        (["--full", "--bits", "64"], "--full names its own cases"),
        (["--repeats", "0"], "repeats must be at least 1, got 0"),
        (["--seconds", "0"], "seconds must be positive"),
        (["--update", "/nowhere/README.md"], "No such file"),
        (["--from", "/nowhere/run.json"], "No such file"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(words, complaint):
    result = ask(*words)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_readme_without_markers_is_refused_before_the_work(finished, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("no markers")
    result = ask("--update", readme)
    assert result.exit_code == 2
    assert "must hold <!-- bench:start -->" in result.stderr
    assert readme.read_text() == "no markers"


def test_a_file_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("[]")
    result = ask("--from", tmp_path / "run.json")
    assert result.exit_code == 2
    assert "is no run of rshash bench in format 1" in result.stderr


def test_rows_of_rshash_are_those_of_the_truth(monkeypatch):
    class OtherTies(Numpy):
        name = "other ties"
        ours = True

        def search(self, queries, k):
            distances, ids = super().search(queries, len(self.codes))
            order = np.lexsort((-ids, distances))[:, :k]
            return np.take_along_axis(distances, order, 1), np.take_along_axis(ids, order, 1)

    monkeypatch.setattr("rshash.bench.measure.generate_codes", lambda *_: np.zeros((300, 8), np.uint8))
    report = report_of(SMALL, Rshash, OtherTies)
    assert report.outcomes[0].measured
    assert "has other rows than the truth" in report.outcomes[1].wrong


def test_wrong_answers_end_the_run_with_exit_code_1(monkeypatch):
    monkeypatch.setitem(CONTENDERS, "numpy", OffByOne)
    result = ask("--n", 50, "--bits", 16, "--queries", 1, "--seconds", 0.01, "--peer", "numpy")
    assert result.exit_code == 1
    assert "wrong answers: off by one" in result.stderr
    assert "WRONG" in result.stdout


def test_an_instruction_set_that_is_not_there_is_said():
    result = ask("--n", 50, "--bits", 16, "--queries", 1, "--peer", "none", "--simd", "mmx")
    assert result.exit_code == 0, result.output
    assert "this machine does not run mmx" in result.stdout
