import csv
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rshash.cli import run
from rshash.data.captions import read_captions
from rshash.data.dataset import CaptionDataset
from rshash.data.noise import corrupt_captions, corrupt_pairs
from rshash.noise import NoiseReport, find_wrong_pairs
from rshash.picture import BAD, GOOD
from toy import toy_dataset


def make_dataset(classes):
    captions = [(f"picture {row}", f"scene {row}") for row in range(len(classes))]
    ids = [str(row) for row in range(len(classes))]
    return CaptionDataset("made", ids, captions, labels=np.array(classes), classes=[str(c) for c in range(9)])


@given(
    classes=st.lists(st.integers(0, 3), min_size=2, max_size=40).filter(lambda c: len(set(c)) > 1),
    share=st.floats(0, 1),
    clean=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_wrong_captions_come_whole_from_another_class_and_the_rest_stay(classes, share, clean, seed):
    data = make_dataset(classes)
    found = corrupt_pairs(data, share, seed=seed, clean=clean)
    assert not found.wrong.sum() > len(data) - round(clean * len(data))
    for row, source in enumerate(found.sources):
        assert found.dataset.captions[row] == data.captions[source]
        assert found.wrong[row] == (data.labels[row] != data.labels[source]) == (row != source)
    assert found.dataset.ids == data.ids
    assert np.array_equal(found.dataset.labels, data.labels)


def test_the_same_seed_gives_the_same_noise_and_more_noise_keeps_the_lesser():
    data = make_dataset([row % 4 for row in range(2000)])
    few, many = (corrupt_pairs(data, share, seed=3) for share in (0.2, 0.5))
    again, other = corrupt_pairs(data, 0.5, seed=3), corrupt_pairs(data, 0.5, seed=4)
    assert np.array_equal(many.sources, again.sources)
    assert not np.array_equal(many.sources, other.sources)
    assert few.sources[few.wrong].tolist() == many.sources[few.wrong].tolist()
    assert 0.35 < many.wrong.mean() < 0.45  # 0.8 × 0.5


def test_sources_are_spread_over_the_images_of_other_classes():
    data = make_dataset([0] * 50 + [1] * 150)
    found = corrupt_pairs(data, 1.0, clean=0)
    assert set(found.sources[50:]) <= set(range(50))
    assert len(set(found.sources[:50])) > 35  # of 50 draws among 150
    assert len(set(found.sources[50:])) > 40  # of 150 draws among 50


def test_without_classes_a_wrong_caption_is_one_that_differs():
    data = CaptionDataset("made", "abcd", [("x",), ("x",), ("y",), ("z",)])
    found = corrupt_pairs(data, 1.0, clean=0)
    assert found.wrong.all()
    assert all(new != old for new, old in zip(found.dataset.captions, data.captions, strict=True))


@pytest.mark.parametrize("corrupt", [corrupt_pairs, corrupt_captions])
def test_the_given_data_set_is_left_alone(corrupt):
    data = toy_dataset(12)
    before = data.captions
    corrupted = corrupt(data, 1.0)
    corrupted = corrupted[0] if corrupt is corrupt_captions else corrupted.dataset
    assert corrupted.captions != before
    assert data.captions == before


@pytest.mark.parametrize("labelled", [True, False])
def test_single_captions_come_from_another_class_or_image_and_the_rest_stay(labelled):
    classes = [row % 3 for row in range(300)]
    captions = [tuple(f"{row} {number}" for number in range(1 + row % 4)) for row in range(300)]
    labels = np.array(classes) if labelled else None
    data = CaptionDataset("made", list(map(str, range(300))), captions, labels=labels)
    corrupted, wrong = corrupt_captions(data, 0.5, seed=3)
    assert list(map(len, corrupted.captions)) == list(map(len, captions))
    owners = np.repeat(np.arange(300), list(map(len, captions)))
    before, after = (sum(data.captions, ()) for data in (data, corrupted))
    for number, owner in enumerate(owners):
        source = int(after[number].split()[0])
        kinds = (classes[owner], classes[source]) if labelled else (owner, source)
        assert wrong[number] == (kinds[0] != kinds[1]) == (after[number] != before[number])
    assert 0.35 < wrong.mean() < 0.45  # 0.8 × 0.5
    mixed = [wrong[owners == row].any() and not wrong[owners == row].all() for row in range(300)]
    assert np.mean(mixed) > 0.3


@pytest.mark.parametrize(
    ("classes", "arguments", "message"),
    [
        ([0, 1], {"share": 1.5}, "share is 1.5; expected a share, 0 to 1"),
        ([0, 1], {"share": float("nan")}, "share is nan"),
        ([0, 1], {"share": 0.5, "clean": -1}, "clean is -1"),
        ([0, 0], {"share": 0.5}, "made has one class only"),
    ],
)
def test_impossible_noise_is_refused(classes, arguments, message):
    with pytest.raises(ValueError, match=message):
        corrupt_pairs(make_dataset(classes), **arguments)


@pytest.mark.parametrize("corrupt", [corrupt_pairs, corrupt_captions])
def test_images_without_captions_and_equal_captions_are_refused(corrupt):
    with pytest.raises(ValueError, match="b has no caption"):
        corrupt(CaptionDataset("made", "ab", [("x",), ()]), 0.5)
    with pytest.raises(ValueError, match="made has one set of captions only"):
        corrupt(CaptionDataset("made", "ab", [("x",), ("x",)]), 0.5)


def made_report(truth=None):
    """Three images with one, three and two captions."""
    data = toy_dataset(3)
    data.captions = (("a",), ("b", "c", "d"), ("e", "b"))
    losses = np.array([1.0, 5.0, 2.0, 5.0, 0.5, 3.0])
    return NoiseReport(data, losses, np.clip(losses / 5, 0, 1), truth)


def test_captions_are_ranked_by_loss_and_ties_by_their_order():
    report = made_report()
    assert report.images.tolist() == [0, 1, 1, 1, 2, 2]
    assert report.order.tolist() == [1, 3, 5, 2, 0, 4]
    found = [(entry["id"], entry["caption"]) for entry in report.rows()]
    first, second, third = report.dataset.ids
    assert found == [(second, "b"), (second, "d"), (third, "b"), (second, "c"), (first, "a"), (third, "e")]
    assert report.summary() | {"expected_wrong": 0} == {
        "data": "toy",
        "images": 3,
        "pairs": 6,
        "expected_wrong": 0,
        "suspected": 3,
    }
    assert report.auc is None


def test_auc_is_the_chance_that_a_wrong_pair_stands_before_a_right_one():
    truth = np.array([False, True, True, False, False, False])
    losses = made_report().losses
    pairs = [(a, b) for a in losses[truth] for b in losses[~truth]]
    expected = np.mean([(a > b) + (a == b) / 2 for a, b in pairs])
    assert made_report(truth).auc == pytest.approx(expected)
    assert made_report(np.zeros(6, bool)).auc is None


def test_reports_are_saved_as_json_and_as_a_table(tmp_path):
    report = made_report(np.arange(6) < 2)
    report.save(tmp_path / "wrong.json")
    report.save(tmp_path / "wrong.csv")
    content = json.loads((tmp_path / "wrong.json").read_text())
    assert (content["pairs"], content["wrong"], content["suspected_and_wrong"]) == (6, 2, 1)
    assert content["ranking"][0]["caption"] == "b"
    with open(tmp_path / "wrong.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == [entry["id"] for entry in content["ranking"]]
    assert [row["caption"] for row in table] == list("bdbcae")
    assert [row["wrong"] for row in table] == [str(entry["wrong"]) for entry in content["ranking"]]


def test_a_caption_file_is_cleaned_of_suspected_captions(tmp_path):
    report = made_report()  # doubts the b and d of the second image, the b of the third
    source, cleaned = tmp_path / "captions.json", tmp_path / "cleaned.json"
    rows = [
        {"filename": name, "sentences": [{"raw": f" {text}\n", "sentid": text} for text in own], "imgid": number}
        for number, (name, own) in enumerate(zip(report.dataset.ids, report.dataset.captions, strict=True))
    ]
    second, third = rows[1]["sentences"][1], rows[2]["sentences"][0]
    rows[1]["sentences"][:0] = [{"raw": "  "}, 3, {"raw": None}]  # left out by the reader
    rows[1]["sentids"] = ["b", "c", "d"]
    faulty = [{"filename": ["x"]}, 3, {"filename": "not-judged", "sentences": []}, {**rows[0], "imgid": 9}]
    source.write_text(json.dumps({"dataset": "made", "images": [*rows, *faulty]}))
    report.save_cleaned(source, cleaned)
    kept = [rows[0], {**rows[1], "sentences": [second], "sentids": ["c"]}, {**rows[2], "sentences": [third]}]
    assert json.loads(cleaned.read_text()) == {"dataset": "made", "images": kept}
    assert read_captions(cleaned).captions == (("a",), ("c",), ("e",))
    without_first = NoiseReport(report.dataset, report.losses, np.array([1.0, 0, 0, 0, 1, 1]))
    without_first.save_cleaned(source, cleaned)
    assert read_captions(cleaned).captions == (("b", "c", "d"),)
    hopeless = NoiseReport(report.dataset, report.losses, np.ones(6))
    with pytest.raises(ValueError, match="all 6 pairs of toy are suspected: nothing is left"):
        hopeless.save_cleaned(source, tmp_path / "none.json")
    assert not (tmp_path / "none.json").exists()


def test_another_caption_file_than_was_judged_is_refused(tmp_path):
    report, source = made_report(), tmp_path / "captions.json"
    rows = [
        {"filename": name, "sentences": [{"raw": text} for text in own]}
        for name, own in zip(report.dataset.ids, report.dataset.captions, strict=True)
    ]
    source.write_text(json.dumps({"images": rows[:2]}))
    with pytest.raises(ValueError, match=r"captions.json lacks 2-blue-.*, which was judged: give the file itself"):
        report.save_cleaned(source, tmp_path / "cleaned.json")
    rows[1]["sentences"][1] = {"raw": "edited"}
    source.write_text(json.dumps({"images": rows}))
    with pytest.raises(ValueError, match=r"has other captions of 1-green-.* than were judged"):
        report.save_cleaned(source, tmp_path / "cleaned.json")
    assert not (tmp_path / "cleaned.json").exists()


def test_the_most_suspicious_pairs_are_drawn_with_what_is_known_of_them():
    picture = made_report(np.arange(6) < 2).picture(n=5, columns=2)  # there are three images
    assert picture.size[1] > picture.size[0] > 168
    colours = {colour for _, colour in picture.getcolors(1 << 24)}
    assert {GOOD, BAD} <= colours
    with pytest.raises(ValueError, match="expected 1 in 2 or more"):
        made_report().picture(n=0)


@pytest.mark.parametrize("corrupt", [corrupt_pairs, corrupt_captions])
def test_wrong_captions_of_a_data_set_are_found_without_its_classes(corrupt):
    data = toy_dataset(96)
    if corrupt is corrupt_captions:
        made, truth = corrupt(data, 0.4, seed=1)
    else:
        corruption = corrupt(data, 0.4, seed=1)
        made, truth = corruption.dataset, corruption.wrong.repeat(list(map(len, data.captions)))
    made.labels = None
    tiny = {"image_encoder": "small-cnn", "caption_encoder": "bag-of-words", "n_bits": 16, "progress": False}
    report = find_wrong_pairs(made, truth=truth, **tiny)
    assert report.auc > 0.8
    again = find_wrong_pairs(made, **tiny)
    assert np.array_equal(report.losses, again.losses)


def test_a_truth_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"truth has shape \(3,\); expected one entry for each of 18 captions"):
        find_wrong_pairs(toy_dataset(6), truth=np.zeros(3, bool))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    assert run(["scenes", "-n", "40", "--size", "32", "-o", str(folder / "made"), "--quiet"]) == 0
    return folder / "made"


def test_the_command_ranks_measures_and_draws(scenes, tmp_path, capsys):
    common = ["noise", "--captions", str(scenes / "captions.json"), "--images", str(scenes / "images")]
    common += ["--image-encoder", "small-cnn", "--caption-encoder", "bag-of-words"]
    common += ["--cache", str(scenes.parent / "cache")]
    assert run([*common, "--quiet", "--cleaned", str(tmp_path / "cleaned.json")]) == 0
    n_suspected = int(re.search(r"(\d+) of these more likely wrong", capsys.readouterr().out)[1])
    n_captions = sum(map(len, read_captions(scenes / "captions.json").captions))
    assert sum(map(len, read_captions(tmp_path / "cleaned.json").captions)) == n_captions - n_suspected
    assert run([*common, "--cleaned", str(scenes / "images" / ".." / "captions.json")]) == 2
    assert "is the file that is judged: name another" in capsys.readouterr().err
    outputs = ["-o", str(tmp_path / "wrong.csv"), "--picture", str(tmp_path / "wrong.png"), "--top", "4"]
    capsys.readouterr()
    assert run([*common, "--quiet", "--corrupt", "0.5", "--json", *outputs]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["pairs"]) == (40, n_captions)
    assert 0 <= found["auc"] <= 1
    assert len(found["ranking"]) == 4
    assert len((tmp_path / "wrong.csv").read_text().splitlines()) == n_captions + 1
    assert (tmp_path / "wrong.png").read_bytes().startswith(b"\x89PNG")
    assert run([*common, "--quiet", "--corrupt", "1e-9"]) == 0
    assert re.search(r"\n0 are wrong on purpose, 0 of these suspected; no AUC", capsys.readouterr().out)
    assert run([*common, "-o", str(tmp_path / "wrong.txt")]) == 2
    assert "must end in .json or .csv" in capsys.readouterr().err
    assert run([*common, "--picture", str(tmp_path / "wrong.xyz")]) == 2
    assert "--picture must end in .png, .jpg or another format of pictures" in capsys.readouterr().err
    assert run([*common, "--quiet", "--corrupt", "0.3", "--each", "--json"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)["wrong"] < n_captions
    assert run([*common, "--each"]) == 2
    assert "give --corrupt SHARE, too" in capsys.readouterr().err
    assert run([*common, "--corrupt", "0.5", "--cleaned", str(tmp_path / "none.json")]) == 2
    assert "--corrupt makes some wrong: give one of them" in capsys.readouterr().err
