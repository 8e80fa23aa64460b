import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from records import record
from rshash.cli import main
from rshash.data.captions import read_captions
from rshash.data.scenes import generate_scenes
from rshash.data.splits import duch_split
from rshash.methods import METHODS
from rshash.models.cache import FeatureCache
from rshash.protocol import plot, runner
from rshash.protocol.perform import Settings, perform, recorded_radii
from rshash.protocol.plan import Run, check_data, grid
from rshash.protocol.plot import plot_all
from rshash.protocol.record import check_metrics, find_record, read_folder, run_of, score, write_record
from rshash.protocol.rows import merge_rows, rows_of
from rshash.protocol.runner import Clock, compare
from rshash.protocol.table import markdown

SETTINGS = Settings(image_encoder="small-cnn", caption_encoder="bag-of-words")
QUICK = {"epochs": 2, "hidden": 16}


@pytest.fixture(scope="module")
def scenes():
    return generate_scenes(60, size=32)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory, scenes):
    """A folder with the records of eight runs, and the lines that were told."""
    folder, lines = tmp_path_factory.mktemp("comparison"), []
    choices = {"methods": ["duch"], "seeds": [0, 1], "variant": "quick", "options": QUICK}
    runs = grid(["scenes-0"], bits=[8, 16], **choices) + grid(["scenes-0"], bits=[16], noise=[0.5], **choices)
    runs += grid(["scenes-0"], bits=[16], split="official", **choices)
    records, failures = compare(
        runs, {"scenes-0": scenes}, folder, SETTINGS, FeatureCache(folder / "cache"), tell=lines.append
    )
    assert not failures
    assert len(records) == len(runs) == 8
    return folder, lines


def test_every_run_is_told_with_the_time_that_remains(comparison):
    _, lines = comparison
    assert len(lines) == 8
    assert lines[0].startswith("[1/8] scenes-0, duch (quick), 8 bits, split 42, seed 0: ")
    assert " left, until " in lines[0]
    assert lines[-1].endswith("; done")


def test_finished_runs_are_not_done_again(comparison, scenes, monkeypatch):
    folder, _ = comparison
    monkeypatch.setattr(runner, "perform", lambda *_: pytest.fail("was done again"))
    runs = [run_of(record) for record in read_folder(folder)]
    records, _ = compare(runs, {"scenes-0": scenes}, folder, SETTINGS, FeatureCache(folder / "cache"))
    assert len(records) == 8


def test_a_record_of_other_settings_is_not_mixed_in(comparison):
    folder, _ = comparison
    first = read_folder(folder)[0]
    run, settings = run_of(first), first["settings"]
    assert find_record(folder, run, settings) == first
    with pytest.raises(ValueError, match=r"made with other settings \(fingerprint differ\): choose another"):
        find_record(folder, run, settings | {"fingerprint": "x"})
    with pytest.raises(ValueError, match=r"other settings \(options differ\)"):
        find_record(folder, replace(run, options={"epochs": 3}), settings)


def test_a_record_says_how_its_figures_came_about(comparison):
    folder, _ = comparison
    noisy = read_folder(folder, lambda run: run.noise > 0)[0]
    assert noisy["images"] == {"train": 30, "query": 6, "database": 24}
    assert 0 < noisy["wrong_pairs"] < 30
    assert noisy["relevance"] == "class"
    assert noisy["hasher"]["options"]["image_views"]
    assert {"torch", "numpy", "rshash", "python"} <= set(noisy["hasher"]["versions"])
    assert noisy["duplicates"]["query, database"] == {"images": 0, "examples": []}
    assert 0 <= noisy["query_captions_in_training"] <= 1
    assert noisy["seconds"]["train"] > 0
    assert noisy["cpu_seconds"]["train"] > 0
    assert set(noisy["scores"]) == {"hamming", "cosine"}


def test_duplicates_across_halves_are_told_before_features_are_computed(trained, tmp_path, monkeypatch):
    images = tmp_path / "images"
    shutil.copytree(trained / "scenes" / "images", images)
    data = read_captions(trained / "scenes" / "captions.json", images)
    split = duch_split(len(data))
    for query, twin in ((split.query[0], split.database[3]), (split.query[1], split.train[2])):
        shutil.copy(images / data.ids[query], images / data.ids[twin])
    monkeypatch.setattr(runner, "cache_features", lambda *_: pytest.fail("features were computed", pytrace=False))
    runs = grid([data.name], ["duch"], seeds=[0, 1])
    with pytest.warns(UserWarning, match="1 query images are in the") as told, pytest.raises(pytest.fail.Exception):
        compare(runs, {data.name: data}, tmp_path / "runs", SETTINGS, FeatureCache(tmp_path / "cache"))
    assert [str(warning.message).partition(" under")[0] for warning in told] == [
        f"scenes, split 42: 1 query images are in the {part}" for part in ("database", "training half")
    ]


def test_a_run_is_the_same_as_training_and_evaluating_by_hand(comparison, scenes):
    import rshash

    folder, _ = comparison
    found = read_folder(folder, lambda run: (run.n_bits, run.noise, run.seed, run.split) == (16, 0, 1, "duch"))[0]
    split, cache = duch_split(60), folder / "cache"
    encoders = {"image_encoder": "small-cnn", "caption_encoder": "bag-of-words"}
    hasher = rshash.train(
        scenes.subset(split.train),
        n_bits=16,
        seed=1,
        validation=0,
        cache=cache,
        options=QUICK,
        method="duch",
        **encoders,
    )
    report = rshash.evaluate(hasher, scenes.subset(split.query), scenes.subset(split.database), cache=cache)
    assert hasher.fingerprint == found["hasher"]["fingerprint"]
    for way in ("i2t", "t2i"):
        for column in ("mAP@20", "DUCH mAP@20", "mAP", "expected R@5"):
            assert score(found, way, column) == report.scores[way][column]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_on_wrong_pairs(method, scenes, comparison):
    folder, _ = comparison
    known = {entry.name for entry in fields(METHODS[method].options)}
    quick = {"epochs": 2, "hidden": 16, "clean_epochs": 1, "fusion_epochs": 1}
    options = {name: value for name, value in quick.items() if name in known}
    run = Run("scenes-0", method, 8, noise=0.5, variant="tiny", options=options)
    found = perform(run, scenes, SETTINGS, FeatureCache(folder / "cache"))
    assert 0 <= score(found, "i2t", "mAP@5") <= 1
    assert ("hamming" in found["scores"]) == METHODS[method].codes


def test_the_official_split_gives_mean_recall_over_both_directions(comparison):
    folder, _ = comparison
    official = read_folder(folder, lambda run: run.split == "official")[0]
    six = [official["scores"]["hamming"][way][f"expected R@{k}"] for way in ("i2t", "t2i") for k in (1, 5, 10)]
    assert score(official, "i2t", "mR") == pytest.approx(sum(six) / 6)
    assert official["relevance"] == "pair"
    assert official["captions"] == "all"


@pytest.mark.parametrize("fault", [ValueError, RuntimeError, MemoryError])
def test_a_run_that_fails_is_told_and_the_others_go_on(fault, scenes, tmp_path, monkeypatch):
    def perform(run, *_):
        if run.seed == 0:
            raise fault("it diverged")
        return record(run) | {"settings": SETTINGS.recorded(run, scenes)}

    monkeypatch.setattr(runner, "perform", perform)
    runs = grid(["scenes-0"], ["duch"], seeds=[0, 1])
    records, failures = compare(runs, {"scenes-0": scenes}, tmp_path, SETTINGS, FeatureCache(tmp_path / "cache"))
    assert [run_of(found).seed for found in records] == [1]
    assert failures == {"scenes-0, duch, 64 bits, split 42, seed 0": "it diverged"}
    assert [run_of(found).seed for found in read_folder(tmp_path)] == [1]


def test_processes_that_fill_one_folder_share_the_runs(scenes, tmp_path, monkeypatch):
    done, lines = [], []

    def perform(run, *_):
        done.append(run.seed)
        time.sleep(0.1)
        return record(run, **{"mAP@20": 0.5}) | {"settings": SETTINGS.recorded(run, scenes)}

    monkeypatch.setattr(runner, "perform", perform)
    monkeypatch.setattr(runner, "SECONDS_BETWEEN_LOOKS", 0.01)
    runs, cache = grid(["scenes-0"], ["duch"], seeds=range(6)), FeatureCache(tmp_path / "cache")
    runner.cache_features(runs, {"scenes-0": scenes}, SETTINGS, cache, False)
    with ThreadPoolExecutor(2) as pool:  # each opens the files of claims anew, as processes do
        given = runs, {"scenes-0": scenes}, tmp_path, SETTINGS, cache
        both = [pool.submit(compare, *given, tell=lines.append) for _ in range(2)]
    assert sorted(done) == list(range(6))
    for future in both:
        records, failures = future.result()
        assert [run_of(found).seed for found in records] == list(range(6))
        assert not failures
    assert sum(line.endswith("; done") for line in lines) == 2
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".json"] * 6


def test_time_that_remains_is_told_by_like_runs():
    clock = Clock([record(Run("ucm", "duch", 64)), record(Run("rsicd", "duch", 64)) | {"seconds": {"train": 400.0}}])
    assert clock.remaining([Run("ucm", "duch", 16)]).startswith("40 s left")
    assert clock.remaining([Run("rsicd", "duch", 16)] * 3).startswith("20 min left")
    assert clock.remaining([Run("ucm", "other", 16)]).startswith("4 min left")


@pytest.mark.parametrize("n_bits", [1, 8, 64, 128, 200, 4096])
def test_precision_within_small_radii_is_recorded_at_any_width(n_bits):
    radii = recorded_radii(n_bits)
    assert set(range(min(5, n_bits) + 1)) <= set(radii) <= set(range(n_bits + 1))
    assert len(radii) < 80


def test_other_settings_of_a_row_are_refused_before_any_training(comparison, scenes, monkeypatch):
    folder, _ = comparison
    monkeypatch.setattr(runner, "perform", lambda *_: pytest.fail("was trained"))
    runs = grid(["scenes-0"], ["duch"], bits=[8], seeds=[7], variant="quick", options=QUICK | {"epochs": 3})
    with pytest.raises(ValueError, match=r"differ in more than seeds \(epochs\)"):
        compare(runs, {"scenes-0": scenes}, folder, SETTINGS, FeatureCache(folder / "cache"))


def test_a_table_of_real_runs_has_a_row_for_each_setting(comparison):
    folder, _ = comparison
    records = read_folder(folder)
    duch, official, notes = markdown(merge_rows([*rows_of(records), *rows_of(records, "cosine")])).split("\n\n")
    for table, n_settings in ((duch.splitlines(), 3), (official.splitlines(), 1)):
        assert len({line.count("|") for line in table}) == 1
        assert len(table) == 2 + 2 * n_settings
        assert sum("duch (quick), float" in line for line in table) == n_settings
    assert "mR" in official
    assert "mR" not in duch
    assert "mR: " in notes


def test_relevance_by_class_and_by_pair_never_share_a_column(comparison):
    folder, _ = comparison
    tables = markdown(rows_of(read_folder(folder)), ["mAP@20"]).split("\n\n")
    assert len(tables) == 3
    assert "official" not in tables[0]
    assert "duch 42" not in tables[1]


def test_unknown_metrics_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"unknown metric 'DUCH mAP@2'; did you mean .*'DUCH mAP@20'"):
        check_metrics(["DUCH mAP@2"])
    words = f"compare --data {tmp_path}/no.json {tmp_path} --metric MAP@20 -o {tmp_path}/runs"
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 2
    assert "unknown metric 'MAP@20'; did you mean 'mAP@20'" in result.stderr


def test_every_recorded_column_may_be_asked_for(comparison):
    folder, _ = comparison
    for found in read_folder(folder):
        for ranking in found["scores"].values():
            check_metrics([column for scores in ranking.values() for column in scores])


def test_pictures_are_drawn_of_what_has_points(comparison, tmp_path):
    pytest.importorskip("matplotlib")
    folder, _ = comparison
    drawn = plot_all(rows_of(read_folder(folder)), tmp_path / "plots", n_bits=16)
    assert [path.name.split("-")[0] for path in drawn] == ["bits", "noise", "precision", "recall"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    with pytest.raises(ValueError, match="no picture has two points"):
        plot_all(rows_of(read_folder(folder, lambda run: run.split == "official")), tmp_path)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"methods": ["duhc"]}, "unknown method 'duhc'; did you mean 'duch'"),
        ({"options": {"epoch": 3}, "variant": "x"}, "unknown option 'epoch'; did you mean 'epochs'"),
        ({"options": {"epochs": 3}}, "options need a variant"),
        ({"split": "offical"}, "unknown split 'offical'; did you mean 'official'"),
        ({"bits": [0]}, "n_bits must be between 1 and 4096, got 0"),
        ({"noise": [1.5]}, "noise is 1.5; expected a probability"),
        ({"seeds": [-1]}, "seed is -1; expected 0 or more"),
    ],
)
def test_choices_that_mean_nothing_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        grid(["ucm"], **{"methods": ["duch"], **choices})


def test_data_that_cannot_serve_a_run_is_refused_before_any_training(scenes):
    from rshash.data.dataset import CaptionDataset

    bare = CaptionDataset("bare", scenes.ids, scenes.captions)
    with pytest.raises(ValueError, match=r"relevance by class \(split 'duch'\) needs class labels, bare has none"):
        check_data([Run("bare", "duch", 8)], {"bare": bare})
    one = CaptionDataset("one", scenes.ids, scenes.captions, labels=[0] * 60, classes=["a"])
    official = CaptionDataset("one", scenes.ids, scenes.captions, labels=[0] * 60, classes=["a"], splits=scenes.splits)
    with pytest.raises(ValueError, match="needs at least two classes, all images of one are of one"):
        check_data([Run("one", "duch", 8)], {"one": one})
    with pytest.raises(ValueError, match="marks no image"):
        check_data([Run("bare", "duch", 8, split="official")], {"bare": bare})
    with pytest.raises(ValueError, match="has one class only; a wrong caption must come from another"):
        check_data([Run("one", "duch", 8, noise=0.5, split="official")], {"one": official})
    check_data([Run("one", "duch", 8, split="official")], {"one": official})
    with pytest.raises(ValueError, match="batch_size is 31, more than the 30 images of scenes to train on"):
        check_data([Run("scenes", "duch", 8, options={"batch_size": 31})], {"scenes": scenes})
    with pytest.raises(ValueError, match='keep="best" needs a validation part'):
        check_data([Run("scenes", "duch", 8, options={"keep": "best"})], {"scenes": scenes})
    check_data([Run("scenes", "duch", 8, options={"keep": "best", "batch_size": 24})], {"scenes": scenes}, 0.2)
    with pytest.raises(ValueError, match="at least 10 images"):
        check_data([Run("few", "duch", 8)], {"few": scenes.subset([0, 1, 2])})


def test_damaged_and_foreign_records_are_named(tmp_path):
    with pytest.raises(ValueError, match="holds no record"):
        read_folder(tmp_path)
    write_record(tmp_path, record(Run("ucm", "duch", 64)))
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(ValueError, match=r"b\.json is damaged: .*the run is done again"):
        read_folder(tmp_path)
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(ValueError, match=r"b\.json is no record of a comparison"):
        read_folder(tmp_path)
    (tmp_path / "b.json").write_text(json.dumps(record(Run("ucm", "duch", 64)) | {"format_version": 9}))
    with pytest.raises(ValueError, match="format version 9, this rshash reads 1"):
        read_folder(tmp_path)
    for part in ("run", "settings", "scores", "seconds"):
        for damage in ({}, {part: None}, {part: {"x": 1}}):
            whole = record(Run("ucm", "duch", 64))
            del whole[part]
            (tmp_path / "b.json").write_text(json.dumps(whole | damage))
            with pytest.raises(ValueError, match=r"b\.json is damaged: parts of the record are missing; remove it"):
                read_folder(tmp_path)


def test_the_command_trains_once_and_reports_again(tmp_path, trained, monkeypatch):
    scenes = trained / "scenes"
    words = f"compare --data {scenes}/captions.json {scenes}/images --method duch --bits 8 --seed 0 -o {tmp_path}/runs"
    words += " --image-encoder small-cnn --caption-encoder bag-of-words --option epochs=1 --option hidden=16"
    words += f" --cache {trained}/cache --variant quick"
    first = CliRunner().invoke(main, words.split())
    assert first.exit_code == 0, first.output
    assert "[1/1] " in first.stderr
    again = CliRunner().invoke(main, words.split())
    assert "1 of 1 runs are finished already" in again.stderr
    assert "[1/1] " not in again.stderr
    shown = f"compare --report -o {tmp_path}/runs --metric mAP@5 --table {tmp_path}/table.md".split()
    report = CliRunner().invoke(main, shown)
    assert report.exit_code == 0, report.output
    assert "mAP@5 image → text" in report.stdout
    assert (tmp_path / "table.md").read_text() == report.stdout
    kept = f"compare --report --results {tmp_path}/results.csv".split()
    filled = CliRunner().invoke(main, [*kept, "-o", f"{tmp_path}/runs"])
    assert filled.exit_code == 0, filled.output
    assert CliRunner().invoke(main, [*kept, "--bits", "8"]).stdout == filled.stdout
    for words, message in {
        "--bits 9": "results.csv holds nothing of the kind: ask for other rows",
        "--metric P@5": "results.csv holds nothing of the kind: ask for other rows",
        "--seed 0": "--seed and --split-seed are of records: give -o",
        "--json": "--json, --seed and --split-seed are of records: give -o",
    }.items():
        refused = CliRunner().invoke(main, [*kept, *words.split()])
        assert refused.exit_code == 2
        assert message in refused.stderr
    floats = CliRunner().invoke(main, [*kept, "-o", f"{tmp_path}/runs", "--floats"])
    assert "| duch (quick), float, small-cnn |" in floats.stdout
    assert CliRunner().invoke(main, kept).stdout == filled.stdout
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(plot, "plot_all", Mock(side_effect=ValueError("no picture has two points")))
    undrawn = CliRunner().invoke(main, [*shown, "--plots", f"{tmp_path}/plots"])
    assert undrawn.exit_code == 2
    assert undrawn.stdout == report.stdout
    wrong = CliRunner().invoke(main, [*shown, "--bits", "99"])
    assert wrong.exit_code == 2
    assert "holds no record of such a run" in wrong.stderr


def test_the_command_tells_why_no_run_succeeded(tmp_path, trained):
    scenes = trained / "scenes"
    words = f"compare --data {scenes}/captions.json {scenes}/images --method cca-itq --seed 0 -o {tmp_path}/runs -q"
    words += f" --image-encoder small-cnn --caption-encoder bag-of-words --cache {trained}/cache"
    result = CliRunner().invoke(main, [*words.split(), "--bits", "4000"])
    assert result.exit_code == 1
    assert "seed 0: CCA of these features and 80 pairs has" in result.stderr
    assert "holds no record" not in result.stderr
    result = CliRunner().invoke(main, [*words.split(), "--device", "nonsense"])
    assert result.exit_code == 2
    assert "device 'nonsense' cannot be used here" in result.stderr


def test_the_command_needs_records_or_kept_results(tmp_path):
    for words, code, message in (
        ("--report", 2, "give -o FOLDER, or --report and --results FILE"),
        (f"--report --results {tmp_path}/no.csv", 2, "No such file"),
        (f"--results {tmp_path}/no.csv", 2, "give -o FOLDER"),
    ):
        result = CliRunner().invoke(main, ["compare", *words.split()])
        assert result.exit_code == code
        assert message in result.stderr
        assert not any(tmp_path.iterdir())


def test_the_command_refuses_wrong_names_before_it_reads_images(tmp_path):
    words = f"compare --data {tmp_path}/no.json {tmp_path} --method duhc -o {tmp_path}/runs"
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 2
    assert "unknown method 'duhc'; did you mean 'duch'" in result.stderr
