import json
import os
import struct
from datetime import UTC, datetime

import duckdb
import numpy as np
import pytest
from PIL import Image

from rshash.archive.geometry import wkb_to_geojson
from rshash.data.captions import read_captions
from rshash.data.images import IMAGE_SUFFIXES, BadImage
from rshash.ingest.entry import BadInput, Entry
from rshash.ingest.listing import FolderListing, Listed
from rshash.ingest.pictures import DatasetSource, PictureSource
from rshash.ingest.place import read_moment, read_place
from rshash.ingest.table import TableListing


def draw(path, seed=0, size=(40, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def ids(source):
    return [entry.id for entry in source]


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("b.png", "a/2.png", "a/1.png", "a-b/3.png", "a.png")):
        draw(tmp_path / "images" / name, seed)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    (tmp_path / "images" / ".hidden.png").write_bytes(b"")
    return tmp_path / "images"


def test_a_folder_is_walked_in_the_order_of_its_ids(folder):
    listing = FolderListing(folder, IMAGE_SUFFIXES)
    assert ids(listing) == sorted(ids(listing)) == ["a-b/3.png", "a.png", "a/1.png", "a/2.png", "b.png"]
    assert len(listing) == 5
    assert ids(FolderListing(folder / "b.png", IMAGE_SUFFIXES, prefix="x/")) == ["x/b.png"]


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="give the folder that holds the images"):
        FolderListing(tmp_path / "none", IMAGE_SUFFIXES)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_listed_is_reported(folder):
    (folder / "a").chmod(0)
    try:
        bad = [entry for entry in FolderListing(folder, IMAGE_SUFFIXES) if isinstance(entry, BadInput)]
    finally:
        (folder / "a").chmod(0o755)
    assert [entry.reason for entry in bad] == ["cannot be listed: Permission denied"]


def test_a_link_to_a_folder_above_ends_nowhere(folder):
    (folder / "a" / "up").symlink_to(folder)
    assert len(FolderListing(folder, IMAGE_SUFFIXES)) == 5


def test_a_name_that_is_no_unicode_is_reported(folder):
    os.rename(os.fsencode(folder / "b.png"), os.fsencode(folder) + b"/b\xff.png")
    (bad,) = [entry for entry in PictureSource(FolderListing(folder, IMAGE_SUFFIXES)) if isinstance(entry, BadInput)]
    assert "no valid Unicode" in bad.reason
    json.dumps([bad.id, bad.file, bad.reason]).encode()


def test_a_picture_knows_its_pixels_and_changes_with_them(folder):
    (entry,) = PictureSource(FolderListing(folder / "b.png", IMAGE_SUFFIXES))
    assert np.array_equal(entry.read(), np.asarray(Image.open(folder / "b.png")))
    assert entry.columns == {"source": str((folder / "b.png").resolve())}
    before = entry.digest(), entry.stamp
    draw(folder / "b.png", seed=77)
    (after,) = PictureSource(FolderListing(folder / "b.png", IMAGE_SUFFIXES))
    assert after.digest() != before[0]
    assert after.stamp != before[1]
    assert after.columns_digest() == entry.columns_digest()


def test_a_data_set_gives_images_or_captions(tmp_path):
    draw(tmp_path / "images" / "river_1.png")
    rows = [
        {"filename": "river_1.png", "sentences": [{"raw": "a river"}, {"raw": "water"}]},
        {"filename": "gone_2.png", "sentences": [{"raw": "gone"}]},
    ]
    (tmp_path / "dataset_x.json").write_text(json.dumps({"images": rows}))
    dataset = read_captions(tmp_path / "dataset_x.json", tmp_path / "images", on_bad="skip")
    bad, image = DatasetSource(dataset, "images")
    assert isinstance(bad, BadInput)
    assert bad.id == "gone_2.png"
    assert "no such file" in bad.reason
    assert image.columns["captions"] == ["a river", "water"]
    assert image.columns["class"] == "river"
    sentences = [entry for entry in DatasetSource(dataset, "captions", prefix="x/") if isinstance(entry, Entry)]
    assert [(entry.id, entry.read()) for entry in sentences] == [
        ("x/river_1.png#0", "a river"),
        ("x/river_1.png#1", "water"),
    ]
    assert sentences[0].digest() != sentences[1].digest()
    assert len(DatasetSource(dataset, "captions")) == 3
    with pytest.raises(ValueError, match="has no captions"):
        DatasetSource(dataset.subset([]), "captions")


def write_table(path, select):
    duckdb.execute(f"COPY ({select}) TO '{path}'")
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet", "tsv"])
def test_a_table_brings_place_time_and_whatever_else(tmp_path, suffix):
    select = (
        "SELECT 'a.png' AS path, 8.5 AS lon, 49.5 AS lat, TIMESTAMPTZ '2024-05-01 12:00:00+02' AS datetime, "
        "'a river' AS caption, 12 AS cloud_cover"
    )
    options = " (FORMAT csv, DELIMITER '\t', HEADER)" if suffix == "tsv" else ""
    duckdb.execute(f"COPY ({select}) TO '{tmp_path}/t.{suffix}'{options}")
    (row,) = TableListing(tmp_path / f"t.{suffix}")
    assert row == Listed(
        "a.png",
        tmp_path / "a.png",
        {
            "bbox": (8.5, 49.5, 8.5, 49.5),
            "datetime": datetime(2024, 5, 1, 10, tzinfo=UTC),
            "caption": "a river",
            "cloud_cover": 12,
        },
    )


@pytest.mark.parametrize(
    ("moment", "zoneless"),
    [
        ("'2024-05-01T12:00:00'", True),
        ("TIMESTAMP '2024-05-01 12:00:00'", True),
        ("TIMESTAMPTZ '2024-05-01 12:00:00Z'", False),
        ("'2024-05-01T12:00:00Z'", False),
        ("DATE '2024-05-01'", False),
        ("NULL", False),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_tells_times_without_a_zone(tmp_path, moment, zoneless, suffix):
    (row,) = TableListing(write_table(tmp_path / f"t.{suffix}", f"SELECT 'a.png' AS path, {moment} AS DateTime"))
    assert row.is_zoneless == zoneless


def test_a_table_names_its_bad_rows_and_goes_on(tmp_path):
    values = [
        "('a', 'a.png', 8.0, 95.0, '2024-01-01')",
        "('b', 'b.png', 8.0, 49.0, 'yesterday')",
        "('c', NULL, 8.0, 49.0, NULL)",
        "('d', 'd.png', NULL, NULL, NULL)",
        "('d', 'e.png', NULL, NULL, NULL)",
        "('f', 'f.png', 8.0, NULL, NULL)",
    ]
    select = f"SELECT * FROM (VALUES {', '.join(values)}) t(id, path, lon, lat, datetime)"
    listing = TableListing(write_table(tmp_path / "t.parquet", select), tmp_path / "elsewhere", prefix="p/")
    found = list(listing)
    assert len(listing) == len(found) == 6
    assert [row.id for row in found if isinstance(row, Listed)] == ["p/d"]
    reasons = [row.reason for row in found if isinstance(row, BadInput)]
    for reason, part in zip(
        reasons,
        ("lat is", "expected ISO 8601", "expected the path of an image", "id that came before", "lat is None"),
        strict=True,
    ):
        assert part in reason


def test_a_table_may_shout_and_mix_types(tmp_path):
    select = (
        "SELECT 'a' AS Path, 8.5 AS LON, 49.5 AS LAT, 7 AS Caption, 1.5::DECIMAL(4, 2) AS price, "
        "'5c1f0a52-7b0a-4c1e-9a55-3d6f3b6c2a11'::UUID AS ID, NULL AS nothing, "
        "TIMESTAMPTZ '2024-05-01 00:00:00Z' AS seen"
    )
    (row,) = TableListing(write_table(tmp_path / "t.parquet", select))
    assert row.id == "5c1f0a52-7b0a-4c1e-9a55-3d6f3b6c2a11"
    assert row.columns == {
        "bbox": (8.5, 49.5, 8.5, 49.5), "caption": "7", "price": 1.5, "seen": datetime(2024, 5, 1),
    }  # fmt: skip


def test_a_geoparquet_brings_its_geometry(tmp_path):
    select = "SELECT 'a' AS path, 'POLYGON ((1 2, 3 2, 3 5, 1 2))'::GEOMETRY AS geometry"
    (row,) = TableListing(write_table(tmp_path / "t.parquet", select))
    assert row.columns["bbox"] == (1, 2, 3, 5)
    assert wkb_to_geojson(row.columns["geometry"])["coordinates"][0][0] == [1, 2]


def test_an_id_may_be_missing_but_not_come_twice(tmp_path):
    select = "SELECT * FROM (VALUES ('a', 'x'), (NULL, 'a'), (NULL, 'c')) t(id, path)"
    first, second, third = TableListing(write_table(tmp_path / "t.parquet", select))
    assert (first.id, third.id) == ("a", "c")
    assert "id that came before" in second.reason


def test_a_table_of_many_rows_is_read_in_pieces(tmp_path):
    select = "SELECT 'i' || range || '.png' AS path, range AS number FROM range(10000)"
    rows = list(TableListing(write_table(tmp_path / "t.parquet", select)))
    assert [row.columns["number"] for row in rows] == list(range(10000))


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("SELECT 1 AS id", "has no column path"),
        ("SELECT 'a' AS path, 'b' AS source", "has a column source, which the archive fills itself"),
        ("SELECT 'a' AS path, 'b' AS Source", "has a column Source, which the archive fills itself"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, select, message):
    with pytest.raises(ValueError, match=message):
        TableListing(write_table(tmp_path / "t.parquet", select))


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ValueError, match="cannot be read"):
        TableListing(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="expected a name that ends in"):
        TableListing(tmp_path / "t.xlsx")
    with pytest.raises(FileNotFoundError, match="give a Parquet or CSV table"):
        TableListing(tmp_path / "none.csv")


def test_a_table_takes_geometry_as_text_or_bytes(tmp_path):
    select = "SELECT 'a' AS path, 'POINT (1 2)' AS geometry UNION ALL SELECT 'b', 'nowhere' UNION ALL SELECT 'c', NULL"
    good, bad, none = TableListing(write_table(tmp_path / "t.csv", select))
    assert good.columns["geometry"] == struct.pack("<BIdd", 1, 1, 1, 2)
    assert "no WKB or WKT" in bad.reason
    assert good.columns["bbox"] == (1, 2, 1, 2)
    assert none.columns == {}


def test_a_place_keeps_what_it_was_given_as():
    assert read_place({"bbox": [170, -10, -170, 10]}) == {"bbox": (170, -10, -170, 10)}  # beyond the antimeridian
    assert read_place({"bbox": '{"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}'}) == {"bbox": (1, 2, 3, 4)}
    assert read_place({"xmin": -180, "ymin": -90, "xmax": 180, "ymax": 90}) == {"bbox": (-180, -90, 180, 90)}
    assert read_place({"longitude": 8, "latitude": 49}) == {"bbox": (8, 49, 8, 49)}
    assert read_place({"lon": None, "geometry": None}) == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"bbox": [1, 2, 3]}, "expected xmin, ymin, xmax, ymax"),
        ({"bbox": "[1, 2"}, "expected xmin, ymin, xmax, ymax"),
        ({"bbox": [0, 3, 1, 2]}, "ymin 3.0 above ymax 2.0"),
        ({"xmin": 1.0}, "expected degrees"),
        ({"lon": "east", "lat": 1}, "its lon is 'east', expected degrees from -180 to 180"),
        ({"lon": float("nan"), "lat": 1}, "its lon is nan"),
        ({"geometry": "POINT"}, "no WKB or WKT"),
    ],
)
def test_no_place_is_said_so(row, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace("[", r"\[")):
        read_place(row)


def test_a_moment_is_in_utc():
    assert read_moment(datetime(2024, 1, 1, 12)) == datetime(2024, 1, 1, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="expected a date or a time"):
        read_moment(2024)


def test_a_missing_picture_is_reported(tmp_path):
    class Nothing:
        name = "nothing"

        def __len__(self):
            return 1

        def __iter__(self):
            yield Listed("a.png", tmp_path / "a.png")

    (bad,) = PictureSource(Nothing())
    assert (bad.id, bad.reason) == ("a.png", "no such file")


def test_a_broken_picture_says_so_when_it_is_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no png")
    (entry,) = PictureSource(FolderListing(tmp_path, IMAGE_SUFFIXES))
    with pytest.raises(BadImage, match="not an image"):
        entry.read()
