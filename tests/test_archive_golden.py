import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import golden_archives
import rshash

pytest.importorskip("duckdb")

GOLDEN = golden_archives.GOLDEN


@pytest.mark.parametrize("version", [2, 3])
def test_an_archive_of_any_version_is_read(version):
    with rshash.open(GOLDEN / f"scenes-v{version}") as archive:
        assert archive.verify().ok
        assert (archive.n_bits, archive.kind, archive.manifest.commit) == (20, "images", 4)
        assert [(segment.n_rows, segment.n_alive) for segment in archive.segments] == [(5, 4), (4, 3), (3, 3)]
        assert archive.segments[1].relaxed.dtype == np.float16
        wanted = {item["id"]: item for item in golden_archives.items_of_scenes(0, 12)}
        del wanted["scene-01"], wanted["scene-07"]
        for item in archive.items(list(wanted)):
            expected = wanted[item["id"]]
            assert item["bbox"] == expected["bbox"]
            assert item["cloud_cover"] == expected["cloud_cover"]
            assert item.get("caption") == expected["caption"]
            assert item.get("tags", []) == expected["tags"]
            assert item.get("sensor") == ("S2" if item["id"] >= "scene-09" else None)
            when = item.get("datetime")
            assert (when and when.isoformat(timespec="milliseconds")) == (
                expected["datetime"] and expected["datetime"].replace(".25Z", ".250+00:00")
            )
        assert archive.items(["scene-11"])[0]["geometry"]["type"] == "MultiPolygon"  # across the antimeridian
        hits = archive.search(archive.segments[2].codes[1], k=1)
        assert hits.ids.tolist() == [["scene-10"]]
        hits = archive.search(archive.segments[2].codes[1], bbox=(179, -10, -179, -9.5), datetime="2024-06/..")
        assert sorted(hits.ids[0]) == ["scene-10", "scene-11"]
        assert f", by {'places' if version > 2 else 'DuckDB'}\n" in str(hits.explanation)


@pytest.mark.parametrize("version", [2, 3])
def test_an_archive_of_any_version_with_integer_ids_is_read(version):
    with rshash.open(GOLDEN / f"integers-v{version}") as archive:
        assert archive.verify().ok
        assert archive.kind == "captions"
        assert archive.items([4, -4]) == [{"id": 4, "caption": "sentence 8"}, {"id": -4, "caption": "sentence 0"}]
        with pytest.raises(ValueError, match="1 of 1 ids are not in"):
            archive.rows_of([0])


def test_an_archive_is_written_as_before(tmp_path):
    golden_archives.write_scenes(tmp_path / "scenes")
    golden_archives.write_blocks(tmp_path / "blocks")
    for name in (
        *("scenes/codes-000002.npy", "scenes/relaxed-000003.npy", "scenes/alive-000001-000004.npy"),
        *(f"scenes/{what}-000003.npy" for what in ("boxes", "moments", "blocks")),
        *(f"blocks/{what}-000002.npy" for what in ("codes", "boxes", "moments", "blocks")),
    ):
        assert (tmp_path / name).read_bytes() == (GOLDEN / name.replace("/", "-v3/")).read_bytes(), name
    with rshash.open(tmp_path / "scenes") as new, rshash.open(GOLDEN / "scenes-v3") as old:
        assert new.columns == old.columns
        assert [s.bounds for s in new.segments] == [s.bounds for s in old.segments]
        assert [s.datetime for s in new.segments] == [s.datetime for s in old.segments]
        assert new.items_at(range(12)) == old.items_at(range(12))


def test_an_archive_of_version_2_grows_into_the_current_one(tmp_path):
    shutil.copytree(GOLDEN / "scenes-v2", tmp_path / "a")
    with rshash.open(tmp_path / "a") as archive:
        items = [item | {"id": f"new-{item['id']}"} for item in golden_archives.items_of_scenes(3, 12)]
        relaxed = np.random.default_rng(5).normal(size=(9, 20))
        archive.append(rshash.pack_codes(relaxed), items, relaxed)
        asked = {"bbox": (172, -11, -179, -9), "datetime": "2024-02/2024-11"}
        hits = archive.search(relaxed[:1], k=99, **asked)
        assert ", 3 segments by DuckDB, 1 segments by places" in str(hits.explanation)
        assert len({name.removeprefix("new-") for name in hits.ids[0]}) == len(hits.ids[0]) - 7 == 8
        archive.compact()
        again = archive.search(relaxed[:1], k=99, **asked)
        assert ", by places" in str(again.explanation)
        assert sorted(again.ids[0]) == sorted(hits.ids[0])
        assert archive.verify().ok


def test_an_archive_of_version_1_is_refused():
    with pytest.raises(ValueError, match=r"format version 1, which no release of rshash wrote: index it again"):
        rshash.open(GOLDEN / "scenes-v1")


def test_an_archive_of_a_newer_version_is_refused(tmp_path):
    shutil.copytree(GOLDEN / "scenes-v3", tmp_path / "a")
    path = tmp_path / "a" / "manifest.json"
    path.write_text(path.read_text().replace('"version": 3', '"version": 4'))
    with pytest.raises(ValueError, match="version 4, this rshash reads up to 3: a newer rshash may be able to open"):
        rshash.open(tmp_path / "a")


def test_the_page_is_enough_to_read_an_archive():
    """Follows docs/archive-format.md with numpy, json and DuckDB alone."""
    import duckdb

    page = (Path(__file__).parents[1] / "docs" / "archive-format.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1].replace('"manifest.json"', "path")
    names = {"path": GOLDEN / "scenes-v3" / "manifest.json"}
    exec(program, names)
    manifest = names["manifest"]
    assert manifest == json.loads(names["path"].read_text())
    living = []
    for segment in manifest["segments"]:
        name, n_rows = segment["name"], segment["n_rows"]
        for file, entry in segment["files"].items():
            content = (GOLDEN / "scenes-v3" / file).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
        codes = np.load(GOLDEN / "scenes-v3" / f"codes-{name}.npy")
        assert codes.shape == (n_rows, (manifest["n_bits"] + 7) // 8)
        relaxed = np.load(GOLDEN / "scenes-v3" / f"relaxed-{name}.npy")
        assert np.array_equal(np.packbits(relaxed >= 0, axis=1), codes)
        parquet = f"read_parquet('{GOLDEN / 'scenes-v3' / f'items-{name}.parquet'}')"
        boxes = duckdb.execute(f"SELECT bbox.xmin, bbox.ymin, bbox.xmax, bbox.ymax FROM {parquet}").fetchall()
        assert np.load(GOLDEN / "scenes-v3" / f"boxes-{name}.npy").T.tolist() == [list(box) for box in boxes]
        moments = np.load(GOLDEN / "scenes-v3" / f"moments-{name}.npy").view("datetime64[us]").tolist()
        assert moments == [cell for (cell,) in duckdb.execute(f"SELECT datetime::TIMESTAMP FROM {parquet}").fetchall()]
        alive = np.ones(n_rows, bool)
        for file in segment["files"]:
            if file.startswith("alive-"):
                bits = np.unpackbits(np.load(GOLDEN / "scenes-v3" / file), bitorder="little")
                alive, surplus = bits[:n_rows].astype(bool), bits[n_rows:]
                assert not surplus.any()
        assert alive.sum() == segment["n_alive"]
        ids = duckdb.execute(f"SELECT id, bbox.xmin FROM {parquet}").fetchall()
        living += [id for (id, _), lives in zip(ids, alive, strict=True) if lives]
    assert living == [f"scene-{row:02d}" for row in range(12) if row not in (1, 7)]
