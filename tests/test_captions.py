import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rshash.data.captions import read_captions, read_image_folder
from rshash.data.dataset import CaptionDataset

REAL = Path(__file__).parents[2] / "shared" / "data"


def write_image(path, value=0, size=(8, 6)):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 0)).save(path)


def row(name, *captions, **more):
    return {"filename": name, "sentences": [{"raw": caption} for caption in captions], **more}


@pytest.fixture
def write(tmp_path):
    """Write rows as a caption file, with an image for every .png, and return (file, folder)."""

    def written(*rows):
        (tmp_path / "images").mkdir(exist_ok=True)
        for entry in rows:
            name = entry.get("filename") if isinstance(entry, dict) else None
            if isinstance(name, str) and name.endswith(".png") and "/" not in name:
                write_image(tmp_path / "images" / name)
        (tmp_path / "dataset_small.json").write_text(json.dumps({"images": rows}))
        return tmp_path / "dataset_small.json", tmp_path / "images"

    return written


def test_rows_captions_classes_and_splits_are_read_in_order(write):
    file, folder = write(
        row("b.png", " a plane ", "two planes", split="train", classname="runway"),
        row("a.png", "a ship", split="test", classname="harbour"),
        row("c.png", "a tree", classname="runway"),
    )
    data = read_captions(file, folder)
    assert (data.name, data.ids) == ("small", ("b.png", "a.png", "c.png"))
    assert data.captions == (("a plane", "two planes"), ("a ship",), ("a tree",))
    assert data.classes == ("harbour", "runway")
    assert data.labels.tolist() == [1, 0, 1]
    assert data.splits == ("train", "test", None)
    assert len(data.report) == 0
    assert data.image(1).shape == (6, 8, 3)


def test_classes_come_from_file_names_where_every_row_has_one(write):
    file, _ = write(row("boat_1.tif", "x"), row("plane_22.tif", "y"), row("boat_3.tif", "z"))
    assert read_captions(file).labels.tolist() == [0, 1, 0]
    file, _ = write(row("boat_1.tif", "x"), row("00022.tif", "y"))
    assert read_captions(file).labels is None


def test_classes_in_some_rows_only_are_left_out_and_reported(write):
    file, _ = write(row("1.tif", "x", classname="boat"), row("2.tif", "y"))
    data = read_captions(file)
    assert data.labels is None
    assert "some rows have no class" in str(data.report)


BAD_ROWS = [
    ("no object", "row 1", "expected a file name"),
    ({"sentences": [{"raw": "x"}]}, "row 1", "expected a file name"),
    (row(7, "x"), "row 1", "expected a file name"),
    (row("", "x"), "row 1", "expected a file name"),
    (row("good.png", "x"), "good.png", "came before"),
    (row("../good.png", "x"), "../good.png", "leaves the image folder"),
    (row("/etc/passwd", "x"), "/etc/passwd", "leaves the image folder"),
    (row("..\\good.png", "x"), "good.png", "leaves the image folder"),
    (row("missing.tif", "x"), "missing.tif", "no such file"),
    (row("empty.png"), "empty.png", "no usable caption"),
    ({"filename": "none.png"}, "none.png", 'expected a list under "sentences", got NoneType'),
    ({"filename": "str.png", "sentences": "text"}, "str.png", 'expected a list under "sentences", got str'),
    (row("blank.png", " ", ""), "blank.png", "caption 0 is ' '"),
    (row("number.png", 5, None, ["x"]), "number.png", "caption 0 is 5"),
    (row("half.png", "a pla\ud83dne"), "half.png", "caption 0 is 'a pla\\ud83dne'"),
    (row("half\udc00.tif", "x"), "half", "no valid Unicode"),
]


@pytest.mark.parametrize(("bad", "name", "reason"), BAD_ROWS)
def test_bad_rows_are_named_and_skipped_or_refused(write, bad, name, reason):
    file, folder = write(row("good.png", "x"), bad)
    with pytest.raises(ValueError, match="bad entr") as refusal:
        read_captions(file, folder)
    assert name in str(refusal.value)
    assert reason in str(refusal.value)
    data = read_captions(file, folder, on_bad="skip")
    assert data.ids == ("good.png",)
    assert name in str(data.report)
    assert json.dumps(data.report.to_json())


def test_a_split_of_another_name_is_reported_and_the_image_kept(write):
    file, _ = write(row("a.tif", "x", split="tain"), row("b.tif", "y", split=["test"]), row("c.tif", "z", split="val"))
    data = read_captions(file)
    assert data.splits == (None, None, "val")
    assert "a.tif: split: 'tain' is none of train, val, test" in str(data.report)
    assert len(data.report) == 2


def test_one_bad_caption_does_not_cost_the_others(write):
    file, folder = write(row("a.png", "good", "", "better"))
    assert read_captions(file, folder, on_bad="skip").captions == (("good", "better"),)


def test_rows_marked_as_not_available_are_left_out_without_refusal(write):
    file, folder = write(row("a.png", "x"), row("gone.tif", "y", image_available=False))
    assert read_captions(file, folder).ids == ("a.png",)
    assert read_captions(file).ids == ("a.png", "gone.tif")


def test_an_image_that_is_cut_short_is_found_by_checking(write):
    from PIL import Image

    file, folder = write(row("a.png", "x"), row("cut.png", "y"), row("c.png", "z", split="test"))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "cut.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:3000])
    data = read_captions(file, folder)
    assert len(data) == 3
    with pytest.raises(ValueError, match=r"1 bad entries \(cut\.png: image: "):
        data.check_images(progress=False)
    checked = data.check_images(on_bad="skip", progress=False)
    assert checked.ids == ("a.png", "c.png")
    assert checked.splits == (None, "test")
    assert "cut.png" in str(checked.report)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a JSON file"),
        ('{"images": [', "is not a JSON file"),
        ("[" * 100_000, "is not a JSON file"),
        ("[]", "is no Karpathy-style caption file"),
        ('{"images": {}}', "is no Karpathy-style caption file"),
        ('{"images": []}', "has no usable row"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_captions(tmp_path / "x.json", on_bad="skip")


def test_a_refusal_stays_short_however_much_is_wrong(write):
    file, folder = write(*(row(f"{number}.tif", "x") for number in range(500)))
    for on_bad in ("refuse", "skip"):
        with pytest.raises(ValueError, match=r"0\.tif: image: no such file; .*; … 497 more") as refusal:
            read_captions(file, folder, on_bad=on_bad)
        assert len(str(refusal.value)) < 500


def test_a_byte_order_mark_is_passed_over(write):
    file, _ = write(row("a.tif", "x"))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_captions(file).ids == ("a.tif",)


def test_a_missing_file_or_folder_is_named(tmp_path, write):
    with pytest.raises(OSError, match=r"none\.json"):
        read_captions(tmp_path / "none.json")
    file, _ = write(row("a.png", "x"))
    with pytest.raises(OSError, match="is no folder"):
        read_captions(file, tmp_path / "nowhere")
    with pytest.raises(ValueError, match="on_bad is 'maybe'"):
        read_captions(file, on_bad="maybe")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["filename", "sentences", "raw", "split", "classname", "image_available"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=5))
def test_no_row_whatever_its_form_is_more_than_a_report(tmp_path_factory, rows):
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps({"images": [row("good.tif", "x"), *rows]}))
    assert read_captions(file, on_bad="skip").ids[0] == "good.tif"


def test_a_folder_is_read_sorted_and_recursively(tmp_path):
    for name in ("b.png", "a/z.png", "a/c.JPG"):
        write_image(tmp_path / "images" / name)
    (tmp_path / "images" / "notes.txt").write_text("")
    (tmp_path / "images" / "._b.png").write_text("left by another system")
    (tmp_path / "images" / "broken.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"broken\.png: image: not an image"):
        read_image_folder(tmp_path / "images")
    data = read_image_folder(tmp_path / "images", on_bad="skip")
    assert data.ids == ("a/c.JPG", "a/z.png", "b.png")
    assert data.captions == ((), (), ())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no usable image"):
        read_image_folder(tmp_path / "empty")


def test_a_subset_keeps_everything_of_its_rows():
    data = CaptionDataset(
        "d",
        ["a", "b", "c"],
        [("x",), ("y",), ("z",)],
        labels=np.array([0, 1, 0]),
        classes=["k", "l"],
        splits=["train"] * 3,
    )
    part = data.subset([2, 0])
    assert (part.ids, part.captions, part.labels.tolist()) == (("c", "a"), (("z",), ("x",)), [0, 0])
    assert part.fingerprint() != data.fingerprint()
    assert data.subset(range(3)).fingerprint() == data.fingerprint()
    with pytest.raises(IndexError, match="row 3 is outside the 3 images of d"):
        data.subset([3])
    assert len(data.subset([])) == 0
    with pytest.raises(TypeError, match="rows are bool, expected integers"):
        data.subset(np.array([True, False, True]))


def test_the_content_of_an_image_is_its_key(tmp_path):
    for name, value in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        write_image(tmp_path / name, value)
    keys = [read_image_folder(tmp_path).image_key(position) for position in range(3)]
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) == 16


def test_images_of_captions_alone_cannot_be_opened(write):
    file, _ = write(row("a.png", "x"))
    with pytest.raises(ValueError, match="was read without images"):
        read_captions(file).image(0)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real caption files are not at hand")
@pytest.mark.parametrize(
    ("file", "images", "n", "n_classes", "n_test", "n_problems"),
    [
        ("ucm/dataset_ucm.json", "ucm/images", 2100, 21, 210, 0),
        ("rsicd_aid/dataset_rsicd.json", None, 10921, 31, 1093, 0),
        ("rsicd_aid/dataset_rsicd.json", "rsicd_aid/images", 10000, 30, 1027, 921),
        ("captions_only/dataset_sydney.json", None, 613, 0, 58, 0),
        ("captions_only/dataset_rsitmd.json", None, 4739, 33, 452, 24),
    ],
)
def test_the_published_data_sets_are_read(file, images, n, n_classes, n_test, n_problems):
    data = read_captions(REAL / file, REAL / images if images else None, on_bad="skip")
    assert (len(data), len(data.classes), data.splits.count("test")) == (n, n_classes, n_test)
    assert len(data.report) == n_problems


@pytest.mark.parametrize("name", [b"half\xff.png", b"two\nlines.png"])
def test_file_names_that_cannot_stand_in_a_list_are_named(tmp_path, name):
    write_image(tmp_path / "good.png")
    os.rename(tmp_path / "good.png", os.path.join(os.fsencode(tmp_path), name))
    write_image(tmp_path / "ü.png")
    with pytest.raises(ValueError, match=r"1 bad entries .*the file name"):
        read_image_folder(tmp_path)
    assert read_image_folder(tmp_path, on_bad="skip").ids == ("ü.png",)
