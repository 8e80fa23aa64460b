import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin

import rshash
from rshash.cli import main


def run(*words):
    return CliRunner().invoke(main, ["index", *map(str, words), "-q"])


def facts(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def counts(told):
    return told["added"], told["replaced"], told["described"], told["unchanged"], len(told["bad"])


@pytest.fixture
def images(trained):
    return trained / "scenes" / "images"


def test_an_archive_takes_more_without_its_hasher_being_named(trained, images, tmp_path):
    (tmp_path / "few").mkdir()
    for path in sorted(images.iterdir())[:5]:
        (tmp_path / "few" / path.name).write_bytes(path.read_bytes())
    target = tmp_path / "a.rshash"
    assert counts(facts("--hasher", trained / "a.hasher", "--images", tmp_path / "few", "-o", target)) == (
        5,
        0,
        0,
        0,
        0,
    )
    (tmp_path / "few" / "one more.png").write_bytes(path.read_bytes())
    told = facts("--images", tmp_path / "few", "-o", target)
    assert counts(told) == (1, 0, 0, 5, 0)
    assert (told["rows"], told["kind"], told["n_bits"]) == (6, "images", 32)


def test_bad_inputs_are_named_and_reported(trained, images, tmp_path):
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "good.png").write_bytes(next(images.iterdir()).read_bytes())
    (tmp_path / "few" / "bad.png").write_bytes(b"bad")
    words = "--hasher", trained / "a.hasher", "--images", tmp_path / "few", "-o", tmp_path / "a.rshash"
    result = run(*words, "--report", tmp_path / "report.json")
    assert result.exit_code == 0
    assert result.stderr == "left out: bad.png: not an image that Pillow can read\n"
    assert "1 added, 0 replaced, 0 unchanged, 1 bad (bad.png: not an image that Pillow can read)" in result.stdout
    (bad,) = json.loads((tmp_path / "report.json").read_text())["bad"]
    assert bad == {
        "id": "bad.png",
        "file": str(tmp_path / "few" / "bad.png"),
        "reason": "not an image that Pillow can read",
    }
    strict = run(*words, "--strict")
    assert strict.exit_code == 2
    assert "bad.png: not an image" in strict.stderr
    (tmp_path / "few" / "good.png").unlink()
    nothing = run(*words[:-1], tmp_path / "b.rshash")
    assert nothing.exit_code == 2
    assert "nothing could be used" in nothing.stderr


def test_overwriting_begins_anew(trained, images, tmp_path):
    one = next(images.iterdir())
    target = tmp_path / "a.rshash"
    facts("--hasher", trained / "a.hasher", "--images", one, "-o", target)
    told = facts("--hasher", trained / "a.hasher", "--images", one, "-o", target, "--overwrite", "--prefix", "x/")
    assert told["rows"] == 1
    with rshash.open(target) as archive:
        assert archive.items([f"x/{one.name}"])[0]["source"] == str(one)


def test_a_table_gives_places_and_times_that_filters_understand(trained, images, tmp_path):
    names = [path.name for path in sorted(images.iterdir())[:4]]
    rows = ", ".join(
        f"('{name}', 'chip {number}', {8 + number}, 50.0, '2024-0{number + 1}-01', {number * 10})"
        for number, name in enumerate(names)
    )
    table = tmp_path / "chips.parquet"
    duckdb.execute(f"COPY (SELECT * FROM (VALUES {rows}) t(path, id, lon, lat, datetime, cloud_cover)) TO '{table}'")
    target = tmp_path / "a.rshash"
    words = "--hasher", trained / "a.hasher", "--table", table, "--images", images, "-o", target
    assert counts(facts(*words)) == (4, 0, 0, 0, 0)
    assert counts(facts(*words)) == (0, 0, 0, 4, 0)
    with rshash.open(target) as archive:
        item = archive.items(["chip 2"])[0]
        assert item["bbox"] == (10, 50, 10, 50)
        assert item["geometry"] == {"type": "Point", "coordinates": [10, 50]}
        assert item["datetime"].isoformat() == "2024-03-01T00:00:00+00:00"
        found = archive.connection.execute("SELECT id FROM items WHERE cloud_cover >= 20 ORDER BY id").fetchall()
        assert found == [("chip 2",), ("chip 3",)]
    duckdb.execute(f"COPY (SELECT * REPLACE (5 AS cloud_cover) FROM '{table}') TO '{tmp_path}/new.parquet'")
    (tmp_path / "new.parquet").rename(table)
    assert counts(facts(*words)) == (0, 0, 4, 0, 0)


def test_what_is_gone_from_the_folder_stays_and_is_counted(trained, images, tmp_path):
    shutil.copytree(images, tmp_path / "images")
    words = "--hasher", trained / "a.hasher", "--images", tmp_path / "images", "-o", tmp_path / "a.rshash"
    assert facts(*words)["others"] == 0
    for path in sorted((tmp_path / "images").iterdir())[:3]:
        path.unlink()
    said = run(*words)
    assert said.exit_code == 0, said.output
    assert "images at 32 bits, 3 of them of other sources or gone from this one" in said.output


def test_times_without_a_zone_are_counted_at_the_end(trained, images, tmp_path):
    names = [path.name for path in sorted(images.iterdir())[:3]]
    times = "2024-05-01T10:00:00", "2024-05-01T10:00:00Z", "2024-05-01"
    lines = [f"{name},{time},1" for name, time in zip(names, times, strict=True)]
    (tmp_path / "t.tsv").write_text("\n".join(["path,datetime,x", *lines]).replace(",", "\t"))
    duckdb.execute(
        f"COPY (FROM read_csv('{tmp_path}/t.tsv', delim = '\t', all_varchar = true)) TO '{tmp_path}/t.parquet'"
    )
    words = "--hasher", trained / "a.hasher", "--table", tmp_path / "t.parquet", "--images", images
    said = run(*words, "-o", tmp_path / "a.rshash")
    assert said.exit_code == 0, said.output
    assert "3 added, 0 replaced, 0 unchanged, 1 times without a zone taken as UTC" in said.output
    assert facts(*words, "-o", tmp_path / "a.rshash")["zoneless"] == 1


def test_scenes_take_what_a_table_knows_of_them(trained, tmp_path):
    (tmp_path / "scenes").mkdir()
    for name in ("a.tif", "b.tif"):
        with rasterio.open(
            tmp_path / "scenes" / name, "w", driver="GTiff", crs="EPSG:32632", count=4, height=40, width=70,
            transform=from_origin(5e5, 5.6e6, 10, 10), dtype="uint16", photometric="MINISBLACK",
        ) as target:  # fmt: skip
            target.write(np.random.default_rng(0).integers(1, 4000, (4, 40, 70)).astype(np.uint16))
    (tmp_path / "t.csv").write_text(
        "path,datetime,cloud_cover,lon,lat\na.tif,2024-05-01T10:00:00Z,3,1,1\nb.tif,,80,,\nc.tif,,1,,\n"
    )
    words = "--scenes", tmp_path / "scenes", "--table", tmp_path / "t.csv", "--chip", 32, "--bands", "4,3,2"
    told = facts("--hasher", trained / "a.hasher", *words, "--stretch", "0:3000", "-o", tmp_path / "a.rshash")
    assert counts(told) == (12, 0, 0, 0, 1)
    assert told["bad"][0]["reason"] == "no such file"
    with rshash.open(tmp_path / "a.rshash") as archive:
        item = archive.items(["a.tif#xywh=38,8,32,32"])[0]
        assert (item["cloud_cover"], item["recipe"]) == (3, "bands 4,3,2, values 0:3000")
        assert item["datetime"].isoformat() == "2024-05-01T10:00:00+00:00"
        assert item["bbox"][0] > 9, "a chip's place is its own, not the scene's"


@pytest.mark.parametrize("words", ["--chip 64", "--bands 3,2,1", "--max-nodata 0.1", "--crs EPSG:32632"])
def test_options_of_scenes_are_refused_without_scenes(words, trained, images, tmp_path):
    result = run("--hasher", trained / "a.hasher", "--images", images, "-o", tmp_path / "a", *words.split())
    assert result.exit_code == 2
    assert f"{words.split()[0]} says how scenes are cut into chips: give --scenes PATH" in result.stderr
    assert not (tmp_path / "a").exists()


def test_half_of_other_data_is_refused(trained, tmp_path):
    content = json.loads((trained / "scenes" / "captions.json").read_text())
    content["images"] = content["images"][:9]
    (tmp_path / "other.json").write_text(json.dumps(content))
    words = "--captions", tmp_path / "other.json", "--half", "query", "--of", "captions"
    result = run("--hasher", trained / "a.hasher", *words, "-o", tmp_path / "a.rshash")
    assert result.exit_code == 2
    assert "other is other data" in result.stderr
    assert not (tmp_path / "a.rshash").exists()


def test_an_ingest_that_is_killed_again_and_again_loses_and_repeats_nothing(tmp_path):
    command = [sys.executable, str(Path(__file__).with_name("ingest_killer.py")), str(tmp_path), "--kills", "5"]
    path = os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] == 5
    assert told["encoded"] > 0
