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


def test_an_archive_of_version_2_is_read():
    with rshash.open(GOLDEN / "scenes-v2") as archive:
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


def test_an_archive_of_version_2_with_integer_ids_is_read():
    with rshash.open(GOLDEN / "integers-v2") as archive:
        assert archive.verify().ok
        assert archive.kind == "captions"
        assert archive.items([4, -4]) == [{"id": 4, "caption": "sentence 8"}, {"id": -4, "caption": "sentence 0"}]
        with pytest.raises(ValueError, match="1 of 1 ids are not in"):
            archive.rows_of([0])


def test_an_archive_of_version_2_is_written_as_before(tmp_path):
    golden_archives.write_scenes(tmp_path / "a")
    for name in ("codes-000002.npy", "relaxed-000003.npy", "alive-000001-000004.npy"):
        assert (tmp_path / "a" / name).read_bytes() == (GOLDEN / "scenes-v2" / name).read_bytes()
    with rshash.open(tmp_path / "a") as new, rshash.open(GOLDEN / "scenes-v2") as old:
        assert new.columns == old.columns
        assert [s.bounds for s in new.segments] == [s.bounds for s in old.segments]
        assert [s.datetime for s in new.segments] == [s.datetime for s in old.segments]
        assert new.items_at(range(12)) == old.items_at(range(12))


def test_an_archive_of_version_1_is_refused():
    with pytest.raises(ValueError, match=r"format version 1, which no release of rshash wrote: index it again"):
        rshash.open(GOLDEN / "scenes-v1")


def test_an_archive_of_a_newer_version_is_refused(tmp_path):
    shutil.copytree(GOLDEN / "scenes-v2", tmp_path / "a")
    path = tmp_path / "a" / "manifest.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 3'))
    with pytest.raises(ValueError, match="format version 3, this rshash reads 2: a newer rshash may be able to open"):
        rshash.open(tmp_path / "a")


def test_the_page_is_enough_to_read_an_archive():
    """Follows docs/archive-format.md with numpy, json and DuckDB alone."""
    import duckdb

    page = (Path(__file__).parents[1] / "docs" / "archive-format.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1].replace('"manifest.json"', "path")
    names = {"path": GOLDEN / "scenes-v2" / "manifest.json"}
    exec(program, names)
    manifest = names["manifest"]
    assert manifest == json.loads(names["path"].read_text())
    living = []
    for segment in manifest["segments"]:
        name, n_rows = segment["name"], segment["n_rows"]
        for file, entry in segment["files"].items():
            content = (GOLDEN / "scenes-v2" / file).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
        codes = np.load(GOLDEN / "scenes-v2" / f"codes-{name}.npy")
        assert codes.shape == (n_rows, (manifest["n_bits"] + 7) // 8)
        relaxed = np.load(GOLDEN / "scenes-v2" / f"relaxed-{name}.npy")
        assert np.array_equal(np.packbits(relaxed >= 0, axis=1), codes)
        alive = np.ones(n_rows, bool)
        for file in segment["files"]:
            if file.startswith("alive-"):
                bits = np.unpackbits(np.load(GOLDEN / "scenes-v2" / file), bitorder="little")
                alive, surplus = bits[:n_rows].astype(bool), bits[n_rows:]
                assert not surplus.any()
        assert alive.sum() == segment["n_alive"]
        query = f"SELECT id, bbox.xmin FROM read_parquet('{GOLDEN / 'scenes-v2' / f'items-{name}.parquet'}')"
        ids = duckdb.execute(query).fetchall()
        living += [id for (id, _), lives in zip(ids, alive, strict=True) if lives]
    assert living == [f"scene-{row:02d}" for row in range(12) if row not in (1, 7)]
