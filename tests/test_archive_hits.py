import csv
import datetime as dt
import io
import json

import numpy as np
import pytest

import rshash

N = 40
CODES = np.random.default_rng(0).integers(0, 256, (N, 4), np.uint8)
ITEMS = [
    {
        "id": f"tile,{row}",
        "bbox": (row, 10.0, row + 1.0, 11.5),
        "datetime": dt.datetime(2023, 5, 1, row % 24, tzinfo=dt.UTC),
        "caption": f'Häfen "{row}",\nzwei Zeilen',
        "captions": ["one", "two"],
        "cloud": float("nan") if row == 3 else row / 4,
    }
    if row % 5
    else {"id": f"tile,{row}"}
    for row in range(N)
]


@pytest.fixture
def archive(tmp_path):
    opened = rshash.create(tmp_path / "a.rshash", n_bits=32)
    opened.append(CODES[:25], ITEMS[:25])
    opened.append(CODES[25:], [{**item, "later": row} for row, item in enumerate(ITEMS[25:])])
    return opened


def naive_hits(query, k):
    distances = [(int(np.bitwise_count(code ^ query).sum()), row) for row, code in enumerate(CODES)]
    return sorted(distances)[:k]


def test_hits_are_ids_with_their_distances(archive):
    hits = archive.search(CODES[:3], k=7)
    assert hits.distances.dtype == np.int32
    assert hits.rows.dtype == np.int64
    distances, ids = hits
    for query in range(3):
        expected = naive_hits(CODES[query], 7)
        assert [*zip(distances[query].tolist(), ids[query].tolist(), strict=True)] == [
            (distance, f"tile,{row}") for distance, row in expected
        ]
        assert hits.of(query)[1].tolist() == ids[query].tolist()
    assert hits.n_queries == 3
    assert archive.items(ids[1])[0]["id"] == "tile,1"


def test_items_of_hits_name_query_rank_and_distance(archive):
    hits = archive.search(CODES[:2], k=4)
    items = hits.items()
    assert [(item["query"], item["rank"]) for item in items] == [
        (query, rank) for query in (0, 1) for rank in (1, 2, 3, 4)
    ]
    for item, (distance, row) in zip(items, naive_hits(CODES[0], 4) + naive_hits(CODES[1], 4), strict=True):
        assert item["distance"] == distance
        stored = {
            name: value
            for name, value in item.items()
            if name not in ("query", "rank", "distance", "geometry", "later")
        }
        assert stored == ITEMS[row]
    assert hits.items(1) == items[4:]
    with pytest.raises(IndexError, match="query 2 is outside the 2 queries"):
        hits.items(2)


def test_a_radius_gives_each_query_its_own_hits(archive):
    hits = archive.search(CODES[:5], radius=11)
    for query in range(5):
        expected = [(distance, row) for distance, row in naive_hits(CODES[query], N) if distance <= 11]
        assert [*zip(*(array.tolist() for array in hits.of(query)), strict=True)] == [
            (distance, f"tile,{row}") for distance, row in expected
        ]
    assert len(hits.items()) == len(hits.rows) == hits.offsets[-1] > 5


def test_integer_ids_are_integers(tmp_path):
    archive = rshash.create(tmp_path / "i.rshash", n_bits=32, id_type="integer")
    archive.append(CODES, {"id": np.arange(N) * 10})
    hits = archive.search(CODES[4], k=1)
    assert hits.ids.dtype == np.int64
    assert hits.ids.tolist() == [[40]]
    assert archive.search(CODES[4], k=1, ids=[20, 70]).ids.tolist() != [[40]]


def test_csv_holds_every_hit_and_column(archive, tmp_path):
    hits = archive.search(CODES[:2], k=N)
    text = hits.to_csv(tmp_path / "hits.csv")
    assert (tmp_path / "hits.csv").read_text(encoding="utf-8") == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * N
    by_id = {item["id"]: item for item in ITEMS}
    for row, item in zip(rows, hits.items(), strict=True):
        expected = by_id[row["id"]]
        assert (int(row["query"]), int(row["rank"]), int(row["distance"])) == (
            item["query"],
            item["rank"],
            item["distance"],
        )
        assert row["caption"] == expected.get("caption", "")
        sides = [row[side] for side in ("xmin", "ymin", "xmax", "ymax")]
        assert sides == [str(float(side)) for side in expected["bbox"]] if "bbox" in expected else sides == [""] * 4
        assert row["datetime"] == (expected["datetime"].isoformat()[:-6] + "Z" if "datetime" in expected else "")
        assert json.loads(row["captions"] or "[]") == expected.get("captions", [])
    assert {row["cloud"] for row in rows if row["id"] == "tile,3"} == {""}


def test_json_is_json(archive, tmp_path):
    hits = archive.search(CODES[:2], k=N)
    assert hits.to_json(tmp_path / "hits.json") + "\n" == (tmp_path / "hits.json").read_text(encoding="utf-8")
    found = json.loads(hits.to_json(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert found["n_bits"] == 32
    assert found["queries"] == [None, None]
    assert [hit["id"] for hit in found["hits"]] == hits.ids.ravel().tolist()
    (third,) = [hit for hit in found["hits"] if hit["id"] == "tile,3" and hit["query"] == 0]
    assert third.get("cloud") is None
    assert third["datetime"] == "2023-05-01T03:00:00Z"


def test_geojson_has_a_feature_a_hit(archive):
    found = json.loads(archive.search(CODES[0], k=N).to_geojson())
    assert found["type"] == "FeatureCollection"
    assert len(found["features"]) == N
    for feature in found["features"]:
        item = ITEMS[int(feature["id"].split(",")[1])]
        assert feature["type"] == "Feature"
        assert feature["properties"]["rank"] >= 1
        if "bbox" not in item:
            assert feature["geometry"] is None
            continue
        xmin, ymin, xmax, ymax = item["bbox"]
        assert feature["bbox"] == [xmin, ymin, xmax, ymax]
        assert sorted(map(tuple, feature["geometry"]["coordinates"][0][:4])) == sorted(
            [(xmin, ymin), (xmin, ymax), (xmax, ymin), (xmax, ymax)]
        )


def test_geoparquet_opens_in_other_programs(archive, tmp_path):
    import duckdb

    hits = archive.search(CODES[:2], k=N)
    hits.to_parquet(tmp_path / "hits.parquet")
    path = str(tmp_path / "hits.parquet")
    columns = ["query", "rank", "distance", "id", "caption", "cloud", "captions", "later"]
    connection = duckdb.connect()
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM read_parquet(?)", [path]).fetchall()
    assert len(rows) == 2 * N
    for row, item in zip(rows, hits.items(), strict=True):
        for name, value in zip(columns, row, strict=True):
            assert value == item.get(name) or (value != value and item[name] != item[name])
    (geo,) = connection.execute("SELECT value FROM parquet_kv_metadata(?) WHERE key = 'geo'", [path]).fetchone()
    about = json.loads(geo)
    assert (about["version"], about["primary_column"]) == ("1.1.0", "geometry")
    assert about["columns"]["geometry"]["bbox"] == [1, 10, N, 11.5]
    found = connection.execute("SELECT count(*) FROM read_parquet(?) WHERE bbox.xmin >= 30", [path]).fetchone()
    assert found == (2 * sum(row >= 30 for row in range(N) if row % 5),)


def test_no_hits_are_written_too(archive, tmp_path):
    import duckdb

    hits = archive.search(CODES[:2], radius=32, where="false")
    hits.to_parquet(tmp_path / "none.parquet")
    relation = duckdb.read_parquet(str(tmp_path / "none.parquet"))
    assert relation.columns[:4] == ["query", "rank", "distance", "id"]
    assert relation.fetchall() == []
    assert json.loads(hits.to_json())["hits"] == []
    assert json.loads(hits.to_geojson())["features"] == []
    assert len(hits.to_csv().splitlines()) == 1
    assert hits.table() == ""


def test_tables_show_one_line_a_hit(archive):
    lines = archive.search(CODES[:2], k=3).table().splitlines()
    single = archive.search(CODES[1], k=3).table().splitlines()
    assert len(lines) == 6
    assert len(single) == 3
    assert single[0].startswith("   1  distance   0  tile,1  2023-05-01T01:00:00Z  Häfen")


def test_pictures_show_queries_and_hits(archive, tmp_path):
    from PIL import Image

    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(tmp_path / "a.png")
    codes = np.zeros((2, 4), np.uint8)
    archive.append(codes, [{"id": "a", "source": str(tmp_path / "a.png")}, {"id": "b", "source": "gone.png"}])
    sheet = archive.search(codes[0], k=2).to_picture(tmp_path / "hits.png")
    with Image.open(tmp_path / "hits.png") as saved:
        assert saved.size == sheet.size
    assert (90, 90, 90) in {colour for _, colour in sheet.getcolors(1 << 20)}


def test_hits_outlive_appends_and_deletions_but_not_compaction(archive):
    hits = archive.search(CODES[:1], k=3)
    archive.append(CODES[:1], [{"id": "new"}])
    archive.delete(["tile,0"])
    assert hits.ids[0, 0] == "tile,0"
    late = archive.search(CODES[:1], k=3)
    archive.compact()
    with pytest.raises(ValueError, match="compacted or replaced since this search: search again"):
        late.items()
    with pytest.raises(ValueError, match="search again"):
        _ = late.ids


def test_hits_do_not_take_ids_from_an_archive_that_replaced_theirs(archive):
    hits = archive.search(CODES[:1], k=3)
    with rshash.create(archive.path, n_bits=archive.n_bits, overwrite=True) as other:
        for rows in np.array_split(np.arange(len(CODES)), len(archive.segments)):  # files of the same names
            other.append(CODES[rows], {"id": [f"other {row}" for row in rows]})
    archive.refresh()
    with pytest.raises(ValueError, match="compacted or replaced since this search: search again"):
        _ = hits.ids


def test_hits_cannot_be_written_over_a_directory(archive, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        archive.search(CODES[0], k=1).to_csv(tmp_path / "taken")
