import copy
import json
import multiprocessing
import os
import pickle
import re
import shutil
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import rshash
from rshash.archive.geometry import wkb_to_geojson
from rshash.archive.lock import write_lock
from rshash.archive.manifest import read_manifest
from rshash.archive.reader import Archive, create_archive, open_archive
from rshash.export.run import export

pytest.importorskip("duckdb")


def some_codes(n, n_bytes=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, n_bytes), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path):
    codes = some_codes(7)
    opened = create_archive(tmp_path / "a.rshash", n_bits=64, provenance={"data": "seven"})
    opened.append(codes[:4], [{"id": f"{row}.tif", "caption": "zwölf Flüge ✈"} for row in range(4)])
    opened.append(codes[4:], [{"id": f"{row}.tif", "lat": row / 3} for row in range(4, 7)])
    return tmp_path / "a.rshash"


def test_what_was_written_is_read(archive):
    opened = rshash.open(archive)
    assert len(opened) == 7
    assert (opened.n_bits, opened.kind, opened.provenance) == (64, "images", {"data": "seven"})
    assert np.array_equal(np.concatenate([segment.codes for segment in opened.segments]), some_codes(7))
    assert opened.items(["6.tif", "0.tif"]) == [
        {"id": "6.tif", "lat": 2.0},
        {"id": "0.tif", "caption": "zwölf Flüge ✈"},
    ]
    assert opened.items_at([1, 5, 1])[1]["id"] == "5.tif"
    assert "7 images at 64 bits" in repr(opened)


def test_codes_are_plain_npy_files(archive):
    assert np.array_equal(np.load(archive / "codes-000001.npy"), some_codes(7)[:4])


def test_every_form_of_items_means_the_same(tmp_path):
    rows = [
        {
            "id": "a",
            "bbox": (8, 49, 9, 50),
            "datetime": "2024-05-01T10:00:00+02:00",
            "cloud": 3,
            "captions": ["x", "y"],
        },
        {"id": "b", "bbox": None, "datetime": None, "cloud": None, "captions": None},
        {"id": "c", "bbox": (7, 1, 7, 1), "datetime": datetime(2024, 5, 1, 8), "cloud": 4, "captions": []},
    ]
    rows[2]["datetime"] = "2024-05-01"
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    arrays = columns | {
        "bbox": np.array([(8, 49, 9, 50), (np.nan,) * 4, (7, 1, 7, 1)]),
        "datetime": np.array(["2024-05-01T08:00:00", "NaT", "2024-05-01"], "datetime64[s]"),
        "cloud": np.ma.masked_array([3, 0, 4], [False, True, False]),
    }
    found = []
    for position, items in enumerate((rows, columns, arrays)):
        opened = create_archive(tmp_path / str(position), n_bits=64)
        opened.append(some_codes(3), items)
        found.append(opened.items(["a", "b", "c"]))
    assert found[0] == found[1] == found[2]
    assert found[0][0]["datetime"] == datetime(2024, 5, 1, 8, tzinfo=UTC)
    assert found[0][0]["bbox"] == (8, 49, 9, 50)
    assert found[0][0]["geometry"]["type"] == "Polygon"
    assert found[0][2]["geometry"] == {"type": "Point", "coordinates": [7, 1]}
    assert found[0][1] == {"id": "b"}
    assert found[0][0]["captions"] == ["x", "y"]


def test_codes_ask_an_archive_without_a_hasher(archive):
    hits = open_archive(archive).search(some_codes(7)[3], k=1)
    assert hits.ids.tolist() == [["3.tif"]]
    assert hits.distances.tolist() == [[0]]
    with pytest.raises(ValueError, match="holds codes only, no hasher"):
        open_archive(archive).search("a runway")


def test_a_query_of_another_width_is_refused(archive):
    with pytest.raises(ValueError, match=re.escape("queries have 16 bytes per code, expected 8 (n_bits=64)")):
        open_archive(archive).search(some_codes(1, n_bytes=16))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (None, r"expected a sentence, a list of sentences, an image .* float, got None"),
        ([], r"expected a sentence, .* got \[\]"),
        (5, "expected a sentence, .* got 5"),
        (Path("a.png"), r"got PosixPath: read the image with rshash\.data\.images\.read_image\('a\.png'\)"),
        (Image.new("RGB", (2, 2)), r"got Image: read the image with rshash\.data\.images\.read_image\('path'\)"),
    ],
    ids=["none", "nothing", "number", "path", "pillow"],
)
def test_what_is_no_query_is_told_what_is(archive, query, said):
    with pytest.raises(TypeError, match=said):
        rshash.open(archive).search(query)


@pytest.mark.parametrize("value", [object(), float("nan"), {"b": [Path("x")]}, datetime(2024, 1, 1)])
def test_provenance_that_is_no_json_is_refused(tmp_path, value):
    with pytest.raises(TypeError, match="provenance 'a' is no JSON"):
        create_archive(tmp_path / "a", n_bits=8, provenance={"fine": [1, None], "a": value})
    assert not (tmp_path / "a").exists()


def test_a_lone_id_or_box_is_asked_to_be_a_list(archive):
    opened = rshash.open(archive)
    with pytest.raises(TypeError, match="ids must be a list of ids, got 1: put one id in brackets"):
        opened.items(1)
    with pytest.raises(TypeError, match="bbox must be a list or an array with a value for each item, got 5"):
        opened.append(some_codes(1), {"id": ["x"], "bbox": 5})
    with pytest.raises(ValueError, match="bbox must be four numbers xmin, ymin, xmax, ymax, got 5"):
        opened.append(some_codes(1), [{"id": "x", "bbox": 5}])


def test_rows_outside_are_refused(archive):
    for row in (-1, 7):
        with pytest.raises(IndexError, match=f"row {row} is outside the archive's rows 0..6"):
            open_archive(archive).items_at([row])


def test_deleted_ids_are_gone_and_may_come_again(archive):
    opened = open_archive(archive)
    assert opened.delete(["1.tif", "5.tif", "5.tif"]) == 2
    assert len(opened) == 5
    assert opened.rows_of(["0.tif", "6.tif"]).tolist() == [0, 6]
    with pytest.raises(ValueError, match=r"2 of 3 ids are not in .*: 1\.tif, 5\.tif"):
        opened.rows_of(["1.tif", "0.tif", "5.tif"])
    assert 1 not in opened.search(some_codes(7), k=7).rows
    opened.append(some_codes(1, seed=5), [{"id": "1.tif"}])
    assert opened.rows_of(["1.tif"]).tolist() == [7]
    assert len(open_archive(archive)) == 6


def test_ids_that_exist_are_refused_replaced_or_skipped(archive):
    opened = open_archive(archive)
    new = some_codes(2, seed=9), [{"id": "3.tif", "caption": "new"}, {"id": "new.tif"}]
    with pytest.raises(ValueError, match=r"1 of 2 ids are in .* already: 3\.tif"):
        opened.append(*new)
    assert opened.manifest.commit == 2
    opened.append(*new, on_duplicate="skip")
    assert (len(opened), opened.items(["3.tif"])[0]["caption"]) == (8, "zwölf Flüge ✈")
    opened.append(*new, on_duplicate="replace")
    assert (len(opened), opened.items(["3.tif"])[0]["caption"]) == (8, "new")
    with pytest.raises(ValueError, match=r"1 of 1 ids are not in .*: none"):
        opened.update(new[0][:1], [{"id": "none"}])
    opened.update(new[0][:1], [{"id": "0.tif", "caption": "newer"}])
    assert opened.items(["0.tif"]) == [{"id": "0.tif", "caption": "newer"}]
    assert len(open_archive(archive)) == 8


def test_integer_ids(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=64, id_type="integer")
    opened.append(some_codes(3), {"id": np.array([5, -1, 1 << 62])})
    assert opened.rows_of([1 << 62, 5]).tolist() == [2, 0]
    with pytest.raises(TypeError, match="ids of this archive are of type integer, got str"):
        opened.rows_of(["5"])
    with pytest.raises(TypeError, match="ids of this archive are of type integer"):
        opened.append(some_codes(1), [{"id": "x"}])


def test_an_archive_is_replaced_only_on_purpose(archive):
    with pytest.raises(FileExistsError, match="choose another name"):
        create_archive(archive, n_bits=64)
    assert len(create_archive(archive, n_bits=64, overwrite=True)) == 0
    other = archive.parent / "precious"
    other.mkdir()
    with pytest.raises(FileExistsError, match="is no archive"):
        create_archive(other, n_bits=64, overwrite=True)


def test_an_archive_is_not_replaced_while_it_is_written(archive):
    with write_lock(archive), pytest.raises(BlockingIOError, match="is being written by"):
        create_archive(archive, n_bits=64, overwrite=True)
    assert len(open_archive(archive)) == 7


def test_what_was_meant_for_an_archive_does_not_go_into_its_replacement(archive):
    opened = open_archive(archive)
    create_archive(archive, n_bits=32, overwrite=True)
    with pytest.raises(ValueError, match="was replaced by quite another archive since it was opened"):
        opened.append(some_codes(1), [{"id": "late"}])
    assert len(open_archive(archive)) == 0


@pytest.mark.parametrize(
    ("codes", "items", "message"),
    [
        (some_codes(2), [{"id": "a"}], "2 codes came with 1 items"),
        (some_codes(1), [{"name": "a"}], "every item needs an id"),
        (some_codes(2), [{"id": "a"}, {"id": ""}], "every item needs an id, item 1 has none"),
        (some_codes(2), [{"id": "a"}, {"id": "a"}], "id 'a' comes twice"),
        (some_codes(1, n_bytes=4), [{"id": "a"}], "have 4 bytes per code, expected 8"),
        (some_codes(2), [{"id": "a", "x": 1}, {"id": "b", "x": "1"}], "column x holds int and str"),
        (some_codes(1), [{"id": "a", "Row": 1}], "cannot be called 'Row'"),
        (some_codes(1), [{"id": "a", "ID": 1}], "differ only in upper and lower case"),
        (some_codes(1), [{"id": "a", "Source": "x"}], "column Source is called source in this archive"),
        (some_codes(1), [{"id": "a", "LAT": 1.0}], "column LAT is called lat in this archive"),
        (some_codes(1), [{"id": "a\ud800"}], r"column id holds text that is no valid Unicode, '\\ud800'"),
        (some_codes(1), [{"id": "a", "tags": ["\ud800"]}], "the items cannot be stored: .*surrogate"),
        (some_codes(1), [{"id": "a", "datetime": 2024}], "column datetime holds BIGINT, in this archive"),
        (some_codes(1), [{"id": "a", "datetime": "yesterday"}], "datetime of item 'a' is 'yesterday'"),
        (some_codes(1), [{"id": "a", "bbox": (0, 0, 1, 91)}], "bbox of item 0 is"),
        (some_codes(1), [{"id": "a", "bbox": (0, 0, 1)}], "bbox must be four numbers"),
        (some_codes(1), [{"id": "a", "geometry": b"no"}], "the geometry is no WKB"),
        (some_codes(1), [{"id": "a", "geometry": b"no", "bbox": (0, 0, 1, 1)}], "the geometry is no WKB"),
        (some_codes(1), [{"id": "a", "geometry": {"type": "Blob"}}], "geometry of item 0: expected a GeoJSON"),
        (some_codes(1), [{"id": "a", "caption": 3}], "column caption must hold strings"),
        (some_codes(1), [{"id": "a", "lat": "north"}], "column lat holds VARCHAR, in this archive it is DOUBLE"),
    ],
)
def test_rows_that_do_not_fit_are_refused(archive, codes, items, message):
    before = sorted(path.name for path in archive.iterdir())
    with pytest.raises(ValueError, match=message):
        open_archive(archive).append(codes, items)
    assert sorted(path.name for path in archive.iterdir()) == before
    assert len(open_archive(archive)) == 7


def test_a_missing_archive_says_how_to_build_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="build one with rshash index"):
        open_archive(tmp_path / "nothing")


def test_an_archive_of_version_1_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "rshash archive", "version": 1, "n_rows": 3}))
    with pytest.raises(ValueError, match="format version 1, which no release of rshash wrote: index it again"):
        open_archive(tmp_path)


def test_an_archive_opens_after_it_was_moved(archive, tmp_path):
    shutil.move(archive, tmp_path / "else[w]here's")
    opened = open_archive(tmp_path / "else[w]here's")
    opened.append(some_codes(1), [{"id": "x"}])
    assert opened.items(["x"]) == [{"id": "x"}]
    assert read_manifest(opened.path).commit == 3


def test_an_archive_goes_to_other_processes_by_opening_anew(archive, monkeypatch):
    opened = rshash.open(archive)
    held = opened._snapshot.held
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        hits = pool.apply(Archive.search, (opened, some_codes(3)), {"k": 1})
    assert hits.ids.tolist() == [["0.tif"], ["1.tif"], ["2.tif"]]
    for again in (pickle.loads(pickle.dumps(opened)), copy.copy(opened)):
        assert again._snapshot.held != held
        again.close()
    os.fstat(held)  # the caller's own is still open
    assert opened.search(some_codes(1), k=1).ids.tolist() == [["0.tif"]]
    monkeypatch.chdir(archive)
    assert open_archive(".").__reduce__()[1] == (archive, "refuse")


def test_an_empty_archive_has_no_rows(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=12)
    assert len(opened) == 0
    assert opened.connection.execute("SELECT count(*) FROM items").fetchone() == (0,)
    assert isinstance(opened, Archive)
    with pytest.raises(ValueError, match="holds no items"):
        opened.search(np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="holds no items"):
        opened.search(np.zeros(2, np.uint8), bbox=(0, 0, 1, 1))
    with pytest.raises(ValueError, match="bits set behind bit 11"):
        opened.append(np.full((1, 2), 255, np.uint8), [{"id": "a"}])


def test_without_duckdb_codes_can_be_searched_and_items_say_what_is_missing(archive, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    opened = open_archive(archive)
    assert opened.search(some_codes(7)[3], k=1).rows.tolist() == [[3]]
    with pytest.raises(ImportError, match=re.escape('pip install "rshash[archive]"')):
        opened.items_at([3])


def test_compaction_keeps_living_rows_and_orders_them(tmp_path):
    random = np.random.default_rng(4)
    n = 300
    boxes = np.column_stack([random.uniform(-179, 178, n), random.uniform(-89, 88, n)])
    boxes = np.column_stack([boxes, boxes + 1])
    when = np.datetime64("2024-01-01") + random.integers(0, 180, n).astype("timedelta64[D]")
    codes, relaxed = some_codes(n), random.normal(size=(n, 64)).astype(np.float32)
    opened = create_archive(tmp_path / "a", n_bits=64)
    for rows in np.array_split(np.arange(n), 4):
        items = {"id": [f"{row}" for row in rows], "bbox": boxes[rows], "datetime": when[rows]}
        opened.append(codes[rows], items, relaxed[rows])
    opened.delete([f"{row}" for row in range(100, 150)])
    kept = [row for row in range(n) if not 100 <= row < 150]
    before = opened.items([f"{row}" for row in kept])
    assert opened.compact()
    assert opened.items([f"{row}" for row in kept]) == before
    assert [(segment.n_rows, segment.alive) for segment in opened.segments] == [(250, None)]
    rows = opened.rows_of([f"{row}" for row in kept])
    assert np.array_equal(opened.segments[0].codes[rows], codes[kept])
    assert np.array_equal(opened.segments[0].relaxed[rows], relaxed[kept].astype(np.float16))
    months = when.astype("datetime64[M]")[[int(item["id"]) for item in opened.items_at(range(250))]]
    assert (np.diff(months.astype(int)) >= 0).all()
    assert opened.verify().ok
    assert not opened.compact()  # nothing is left to do
    assert opened.manifest.commit == 6


def test_the_hilbert_curve_visits_every_cell_by_steps_of_one(monkeypatch):
    from rshash.archive import order

    monkeypatch.setattr(order, "HILBERT_BITS", 5)
    x, y = (axis.ravel().astype(np.uint32) for axis in np.meshgrid(np.arange(32), np.arange(32)))
    positions = order.hilbert(x, y)
    along = np.argsort(positions)
    assert positions[along].tolist() == list(range(1024))
    steps = np.abs(np.diff(x[along].astype(int))) + np.abs(np.diff(y[along].astype(int)))
    assert (steps == 1).all()


def test_relaxed_codes_are_of_all_rows_or_of_none(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=64)
    opened.append(some_codes(1), [{"id": "a"}], np.ones((1, 64), np.float32))
    with pytest.raises(ValueError, match="keeps relaxed codes: append all of its rows with them or all without"):
        opened.append(some_codes(1), [{"id": "b"}])
    for wrong in (np.ones((1, 63)), np.ones((1, 64), int), np.full((1, 64), np.nan)):
        with pytest.raises(ValueError, match="relaxed codes"):
            opened.append(some_codes(1), [{"id": "b"}], wrong)


GEOMETRIES = [
    {"type": "Point", "coordinates": [1.0, 2.0]},
    {"type": "LineString", "coordinates": [[1.0, 2.0], [3.0, 4.0]]},
    {"type": "Polygon", "coordinates": [[[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 0.0]]]},
    {"type": "MultiPoint", "coordinates": [[1.0, 2.0], [3.0, 4.0]]},
    {"type": "MultiLineString", "coordinates": [[[1.0, 2.0], [3.0, 4.0]]]},
    {"type": "MultiPolygon", "coordinates": [[[[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 0.0]]]]},
    {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1.0, 2.0]}]},
]


def test_geometries_come_back_as_they_were_given(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=64)
    items = [{"id": f"{row}", "geometry": geometry} for row, geometry in enumerate(GEOMETRIES)]
    opened.append(some_codes(7), items)
    assert [item["geometry"] for item in opened.items_at(range(7))] == GEOMETRIES
    assert opened.items_at([2])[0]["bbox"] == (0, 0, 4, 3)
    assert opened.segments[0].bounds == (0, 0, 4, 4)
    opened.append(some_codes(2), {"id": ["x", "y"], "geometry": np.array([[5.0, 6.0], [np.nan, np.nan]])})
    assert opened.items(["x", "y"])[0]["geometry"] == {"type": "Point", "coordinates": [5.0, 6.0]}
    assert opened.items(["y"]) == [{"id": "y"}]


@pytest.mark.parametrize(
    "geometry", [[None, GEOMETRIES[0], None], np.array([[np.nan, np.nan], [8, 50], [np.nan, np.nan]])]
)
def test_of_items_with_a_bbox_or_a_geometry_all_have_both(tmp_path, geometry):
    opened = create_archive(tmp_path / "a", n_bits=64)
    boxes = np.array([(0, 1, 2, 3), (np.nan,) * 4, (np.nan,) * 4])
    opened.append(some_codes(3), {"id": ["box", "point", "nothing"], "bbox": boxes, "geometry": geometry})
    x, y = opened.items(["point"])[0]["geometry"]["coordinates"]
    assert opened.items(["point"])[0]["bbox"] == (x, y, x, y)
    assert opened.items(["box"])[0]["geometry"]["type"] == "Polygon"
    assert opened.items(["nothing"]) == [{"id": "nothing"}]
    assert np.isnan(boxes[1]).all()  # the caller's own


def test_a_box_is_the_footprint_of_an_item_without_a_geometry(tmp_path):
    def ring(xmin, ymin, xmax, ymax):
        corners = (xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax, xmin, ymin)
        return struct.pack("<BIII10d", 1, 3, 1, 5, *corners)

    boxes = [(8.4, 49.9, 8.7, 50.1), (-0.0, 0, 0, 1e-300), (7, -9, 7, -9), (170, -1, -170.5, 1), (np.nan,) * 4]
    opened = create_archive(tmp_path / "a", n_bits=64)
    opened.append(some_codes(5), {"id": list("abcde"), "bbox": np.array(boxes)})
    assert [cell for (cell,) in opened.connection.execute("SELECT geometry FROM items ORDER BY row").fetchall()] == [
        ring(*boxes[0]),
        ring(*boxes[1]),
        struct.pack("<BIdd", 1, 1, 7, -9),
        struct.pack("<BII", 1, 6, 2) + ring(170, -1, 180, 1) + ring(-180, -1, -170.5, 1),
        None,
    ]


def test_a_geometry_cut_at_the_antimeridian_lies_on_both_sides_of_it_only(tmp_path):
    made = create_archive(tmp_path / "boxes", n_bits=64)
    made.append(some_codes(2), {"id": ["crossing", "around"], "bbox": [(170.0, -1, -170, 1), (-180, -1, 180, 1)]})
    crossing, around = (item["geometry"] for item in made.items_at([0, 1]))
    whole = {"type": "MultiPolygon", "coordinates": [around["coordinates"]]}
    opened = create_archive(tmp_path / "a", n_bits=64)
    opened.append(some_codes(2), {"id": ["crossing", "around"], "geometry": [crossing, whole]})
    assert [item["bbox"] for item in opened.items_at([0, 1])] == [(170, -1, -170, 1), (-180, -1, 180, 1)]
    assert opened.search(some_codes(1), bbox=(0, 0, 1, 1)).ids.tolist() == [["around"]]
    assert len(opened.search(some_codes(1), bbox=(175, 0, -175, 1)).ids[0]) == 2


@given(st.binary(max_size=60))
def test_any_bytes_are_a_geometry_or_refused(content):
    try:
        geometry = wkb_to_geojson(content)
    except ValueError as error:
        assert "geometry" in str(error)  # noqa: PT017
    else:
        assert geometry["type"]


@pytest.mark.parametrize(
    "form",
    [
        lambda columns, duckdb: duckdb.sql(
            "SELECT 'a' AS id, TIMESTAMPTZ '2024-05-01 10:00:00+02' AS datetime, [1, 2] AS sizes, 2.5 AS cloud "
            "UNION ALL SELECT 'b', NULL, NULL, NULL"
        ),
        lambda columns, duckdb: columns,
        lambda columns, duckdb: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    ],
    ids=["relation", "columns", "rows"],
)
def test_tables_are_read_alike(tmp_path, form):
    import duckdb

    columns = {"id": ["a", "b"], "datetime": ["2024-05-01T08:00:00Z", None], "sizes": [[1, 2], None]}
    columns["cloud"] = [2.5, None]
    opened = create_archive(tmp_path / "a", n_bits=64)
    opened.append(some_codes(2), form(columns, duckdb))
    moment = datetime(2024, 5, 1, 8, tzinfo=UTC)
    assert opened.items(["a", "b"]) == [{"id": "a", "datetime": moment, "cloud": 2.5, "sizes": [1, 2]}, {"id": "b"}]


def test_a_column_keeps_its_type_and_integers_become_floats(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=64)
    opened.append(some_codes(1), [{"id": "a", "cloud": 2.5, "band": 3}])
    opened.append(some_codes(1), [{"id": "b", "cloud": 3}])
    assert opened.items(["b"]) == [{"id": "b", "cloud": 3.0}]
    with pytest.raises(ValueError, match="column cloud holds VARCHAR"):
        opened.append(some_codes(1), [{"id": "c", "cloud": "3"}])


def test_a_column_of_integers_takes_floats_and_becomes_one(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=64)
    opened.append(some_codes(2), [{"id": "a", "band": 3}, {"id": "b"}])
    opened.append(some_codes(1), {"id": ["c"], "band": np.array([3.5])})
    expected = [{"id": "a", "band": 3.0}, {"id": "b"}, {"id": "c", "band": 3.5}]
    for again in (opened, rshash.open(tmp_path / "a")):
        assert again.columns["band"] == "DOUBLE"
        assert again.items(["a", "b", "c"]) == expected
        assert isinstance(again.items(["a"])[0]["band"], float)
        assert again.search(some_codes(1), where="band / 2 = 1.5").ids.tolist() == [["a"]]
        assert again.verify().ok
    hits = opened.search(some_codes(1), k=3)
    hits.to_parquet(tmp_path / "hits.parquet")
    export(opened, "parquet", tmp_path / "all.parquet")
    assert opened.compact()
    assert opened.items(["a", "b", "c"]) == expected
    assert opened.verify().ok


def test_integers_that_floats_would_round_are_refused(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=64, id_type="integer")
    opened.append(some_codes(1), [{"id": 2**60, "band": -(2**53) - 1, "cloud": 0.5}])
    with pytest.raises(ValueError, match=r"column band would hold -9007199254740993 among numbers with fractions"):
        opened.append(some_codes(1), [{"id": 2, "band": 3.5}])
    with pytest.raises(ValueError, match=r"column cloud would hold 9007199254740993 among"):
        opened.append(some_codes(1), [{"id": 3, "cloud": 2**53 + 1}])
    assert opened.columns["band"] == "BIGINT"
    opened.append(some_codes(1), [{"id": 4, "cloud": 2**53}])
    assert len(opened) == 2


def test_columns_with_any_name_and_nested_values(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=64)
    item = {"id": "a", 'we"ird, name': 1, "select": "x", "deep": {"a": [1, 2], "b": None, "c": "d"}, "élan": True}
    opened.append(some_codes(1), [item])
    assert opened.items(["a"]) == [item]


def test_columns_may_have_the_names_that_queries_use_inside(tmp_path):
    opened = create_archive(tmp_path / "a", n_bits=64)
    items = [{"id": name, "position": place, "wanted": "w", "ordered": "o"} for place, name in enumerate("abc")]
    opened.append(some_codes(3), items)
    opened.delete(["b"])
    opened.compact()
    assert opened.items(["c", "a"]) == [items[2], items[0]]
