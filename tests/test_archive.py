import json
import os
import re
import shutil

import numpy as np
import pytest

from rshash.archive.reader import open_archive
from rshash.archive.writer import write_archive


def some_codes(n, n_bytes=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, n_bytes), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path):
    codes = some_codes(7)
    with write_archive(tmp_path / "a.rshash", n_bits=64, provenance={"data": "seven"}) as writer:
        writer.append(codes[:4], [{"id": f"{row}.tif", "caption": "zwölf Flüge ✈"} for row in range(4)])
        writer.append(codes[4:], [{"id": f"{row}.tif", "lat": row / 3} for row in range(4, 7)])
    return tmp_path / "a.rshash"


def test_what_was_written_is_read(archive):
    opened = open_archive(archive)
    assert len(opened) == 7
    assert (opened.n_bits, opened.kind, opened.provenance) == (64, "images", {"data": "seven"})
    assert np.array_equal(opened.codes, some_codes(7))
    assert opened.items([6, 0]) == [{"id": "6.tif", "lat": 2.0}, {"id": "0.tif", "caption": "zwölf Flüge ✈"}]
    assert "7 images at 64 bits" in repr(opened)


def test_codes_are_a_plain_npy_file(archive):
    assert np.array_equal(np.load(archive / "codes.npy"), some_codes(7))


def test_codes_ask_an_archive_without_a_hasher(archive):
    hits = open_archive(archive).search(some_codes(7)[3], k=1)
    assert hits.ids.tolist() == [[3]]
    assert hits.distances.tolist() == [[0]]
    with pytest.raises(ValueError, match="holds codes only, no hasher"):
        open_archive(archive).search("a runway")


def test_filters_reach_the_search(archive):
    hits = open_archive(archive).search(some_codes(7)[3], filter=np.arange(7) < 2)
    assert sorted(hits.ids[0].tolist()) == [0, 1]


def test_a_query_of_another_width_is_refused(archive):
    with pytest.raises(ValueError, match=re.escape("queries have 16 bytes per code, expected 8 (n_bits=64)")):
        open_archive(archive).search(some_codes(1, n_bytes=16))


def test_rows_outside_are_refused(archive):
    for row in (-1, 7):
        with pytest.raises(IndexError, match=f"row {row} is outside the archive's rows 0..6"):
            open_archive(archive).items([row])


def test_an_error_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), write_archive(tmp_path / "a.rshash", n_bits=64) as writer:
        writer.append(some_codes(2), [{"id": "a"}, {"id": "b"}])
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_an_archive_is_replaced_only_on_purpose(archive):
    with pytest.raises(FileExistsError, match="choose another name"), write_archive(archive, n_bits=64):
        pass
    with write_archive(archive, n_bits=64, overwrite=True) as writer:
        writer.append(some_codes(1), [{"id": "new"}])
    assert len(open_archive(archive)) == 1
    other = archive.parent / "precious"
    other.mkdir()
    with pytest.raises(FileExistsError, match="is no archive"), write_archive(other, n_bits=64, overwrite=True):
        pass


@pytest.mark.parametrize(
    ("codes", "items", "message"),
    [
        (some_codes(2), [{"id": "a"}], "2 codes came with 1 items"),
        (some_codes(1), [{"name": "a"}], "every item needs a string id"),
        (some_codes(1, n_bytes=4), [{"id": "a"}], "have 4 bytes per code, expected 8"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path, codes, items, message):
    with pytest.raises(ValueError, match=message), write_archive(tmp_path / "a", n_bits=64) as writer:
        writer.append(codes, items)
    assert os.listdir(tmp_path) == []


def test_an_empty_archive_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs at least one"), write_archive(tmp_path / "a", n_bits=64):
        pass


def test_a_missing_archive_says_how_to_build_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="build one with rshash index"):
        open_archive(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["codes.npy", "item_offsets.npy", "manifest.json"])
def test_files_cut_short_at_any_byte_are_named(archive, name):
    whole = (archive / name).read_bytes()
    for length in range(0, len(whole), 7):
        (archive / name).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=name):
            open_archive(archive)


def test_damaged_items_are_named(archive):
    text = (archive / "items.jsonl").read_bytes()
    (archive / "items.jsonl").write_bytes(text[:20])
    with pytest.raises(ValueError, match=r"items\.jsonl is damaged at row 6"):
        open_archive(archive).items([6])


@pytest.mark.parametrize("line", ["5", '{"name": "a.tif"}', '{"id": 5}'])
def test_items_without_an_id_are_damaged(archive, line):
    (archive / "items.jsonl").write_text(line)
    with pytest.raises(ValueError, match=r"items\.jsonl is damaged at row 0: expected an object with a string id"):
        open_archive(archive).items([0])


def test_offsets_that_point_nowhere_are_damage(archive):
    np.save(archive / "item_offsets.npy", np.full(7, -5))
    with pytest.raises(ValueError, match=r"items\.jsonl is damaged at row 3"):
        open_archive(archive).items([3])


def test_a_missing_file_is_named(archive):
    (archive / "codes.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"codes\.npy is missing: copy the whole archive"):
        open_archive(archive)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "format version 99, this rshash reads 1: a newer rshash"),
        ({"format": "zip"}, "not the manifest of an rshash archive"),
        ({"n_rows": 8}, "the manifest says"),
        ({"n_rows": -1}, "is damaged"),
        ({"n_bits": 128}, "the manifest says"),
        ({"n_bits": 99_999}, "is damaged"),
        ({"kind": "sounds"}, "is damaged"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(archive, change, message):
    manifest = json.loads((archive / "manifest.json").read_text())
    (archive / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(ValueError, match=message):
        open_archive(archive)


def test_an_archive_opens_after_it_was_moved(archive, tmp_path):
    shutil.move(archive, tmp_path / "elsewhere")
    assert len(open_archive(tmp_path / "elsewhere")) == 7
