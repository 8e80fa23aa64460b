"""Boxes and moments beside the codes: filters by them equal DuckDB's, whatever the rows and wherever blocks begin."""

import datetime as dt
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rshash
from rshash.archive import places
from rshash.archive.filters import Conditions, find_bitmaps, find_rows, read_box, read_conditions, to_bitmaps
from rshash.archive.interval import Interval
from rshash.archive.places import NEVER, block_bounds, judge_blocks, judge_rows

pytest.importorskip("duckdb")

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def some_places(seed, n):
    """Boxes and moments on a coarse grid, so that edges meet; some cross the antimeridian, some are missing."""
    random = np.random.default_rng(seed)
    x, y = random.integers(-9, 10, (2, n)) * 20.0, random.integers(-6, 7, (2, n)) * 15.0
    xmin, xmax = np.where(random.random(n) < 0.1, [x.max(axis=0), x.min(axis=0)], [x.min(axis=0), x.max(axis=0)])
    boxes = np.array([xmin, y.min(axis=0), xmax, y.max(axis=0)])
    moments = random.integers(-20, 20, n) * 1_000_000
    boxes[:, random.random(n) < random.choice([0, 0.1, 0.9])] = np.nan
    moments[random.random(n) < random.choice([0, 0.1, 0.9])] = NEVER
    return boxes, moments


longitudes, latitudes = st.integers(-18, 18).map(lambda x: x * 10.0), st.integers(-12, 12).map(lambda y: y * 7.5)
boxes_asked = st.builds(lambda w, e, y: read_box((w, min(y), e, max(y))), longitudes, longitudes, st.tuples(latitudes, latitudes))  # fmt: skip  # noqa: E501
moments_asked = st.integers(-25, 25).map(lambda second: EPOCH + dt.timedelta(seconds=second))
intervals = st.one_of(
    moments_asked.map(lambda first: Interval(first, None)),
    moments_asked.map(lambda last: Interval(None, last)),
    st.tuples(moments_asked, moments_asked).map(lambda ends: Interval(min(ends), max(ends))),
)
asked = st.one_of(st.tuples(boxes_asked, st.none()), st.tuples(st.none(), intervals), st.tuples(boxes_asked, intervals))


@given(seed=st.integers(0, 10**6), asked=asked)
@settings(max_examples=300, deadline=None)
def test_bounds_of_blocks_never_tell_what_rows_deny(seed, asked):
    random = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "BLOCK_ROWS", int(random.choice([1, 2, 8])))
        boxes, moments = some_places(seed, 50)
        order = np.lexsort((boxes[0], moments // 10_000_000))
        boxes, moments = boxes[:, order], moments[order]
        rows = judge_rows(boxes, moments, *asked)
        some, every = judge_blocks(block_bounds(boxes, moments, 50), *asked)
        blocks = rows[: len(some) * places.BLOCK_ROWS].reshape(len(some), places.BLOCK_ROWS)
    assert not blocks[~some].any()
    assert blocks[every].all()
    if (places.BLOCK_ROWS == 1) and asked[1] is None:
        assert np.array_equal(some, every)


@pytest.fixture(scope="module", params=["as they came", "compacted"])
def archive(request, tmp_path_factory):
    """Several segments of small blocks, with deletions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "BLOCK_ROWS", 16)
        patch.setattr(places, "BLOCK_BYTES", 2)
        patch.setattr(places, "BLOCKS_AT_ONCE", 3)
        opened = rshash.create(tmp_path_factory.mktemp("places") / "a.rshash", n_bits=8, id_type="integer")
        boxes, moments = some_places(1, 700)
        codes = np.random.default_rng(0).integers(0, 256, (700, 1), np.uint8)
        for start, end in pairwise((0, 5, 300, 316, 700)):
            items = {"id": np.arange(start, end), "bbox": boxes.T[start:end]}
            items["datetime"] = moments[start:end].view("datetime64[us]")
            if start == 5:
                del items["bbox"]
            if start == 300:
                del items["datetime"]
            opened.append(codes[start:end], items)
        opened.delete(np.arange(0, 700, 9))
        if request.param == "compacted":
            opened.compact()
        assert opened.verify().ok
        yield opened


@given(asked=asked)
@FAST
def test_places_admit_what_duckdb_finds(archive, asked):
    conditions = Conditions(*asked)
    never = lambda: pytest.fail("DuckDB was asked")  # noqa: E731
    by_places = find_bitmaps(never, archive.segments, archive.columns, conditions)
    found = find_rows(archive.database, archive.segments, archive.columns, conditions)
    for mine, theirs in zip(by_places, to_bitmaps(archive.segments, found), strict=True):
        assert mine.tolist() == theirs.tolist()
    hits = archive.search(np.zeros(1, np.uint8), k=700, bbox=None, filter=archive_rows(archive, by_places))
    living = np.isin(found, hits.rows[0])
    assert len(hits.rows[0]) == len(np.unique(found[living]))


def archive_rows(archive, bitmaps):
    """Bitmaps of segments → (n_rows,) bool."""
    parts = zip(bitmaps, archive.segments, strict=True)
    return np.concatenate([np.unpackbits(b, count=s.n_rows, bitorder="little").view(bool) for b, s in parts])


def test_a_search_by_place_and_time_leaves_duckdb_out(archive, monkeypatch):
    opened = rshash.open(archive.path)
    monkeypatch.setattr(type(opened), "database", property(lambda self: pytest.fail("DuckDB was opened")))
    hits = opened.search(np.zeros(1, np.uint8), bbox=(-60, -45, 90, 60), datetime="1970-01-01T00:00:00Z/..")
    assert hits.rows.size == 10
    assert ", by places\n" in str(hits.explanation)


def test_a_condition_in_sql_goes_with_box_and_interval_to_duckdb(archive):
    hits = archive.search(np.zeros(1, np.uint8), bbox=(-60, -45, 90, 60), where="id % 2 = 0")
    assert ", by DuckDB\n" in str(hits.explanation)
    assert all(number % 2 == 0 for number in hits.ids[0])


def test_an_archive_without_places_and_moments_has_no_files_of_them(tmp_path):
    opened = rshash.create(tmp_path / "a", n_bits=8)
    opened.append(np.zeros((2, 1), np.uint8), [{"id": "a"}, {"id": "b"}])
    opened.append(np.zeros((1, 1), np.uint8), [{"id": "c", "datetime": "2024-01-01"}])
    assert sorted(name for name in opened.manifest.files() if name[:4] not in ("code", "item")) == [
        "blocks-000002.npy",
        "moments-000002.npy",
    ]
    assert opened.search(np.zeros(1, np.uint8), datetime="2024").ids.tolist() == [["c"]]
    assert opened.search(np.zeros(1, np.uint8), bbox=(-180, -90, 180, 90)).rows.size == 0
    opened.append(np.zeros((1, 1), np.uint8), [{"id": "d"}])
    opened.delete(["c"])
    assert opened.compact()
    assert len(opened.manifest.files()) == 2


@pytest.mark.parametrize("what", ["boxes", "moments", "blocks"])
def test_places_that_are_not_the_items_are_found(tmp_path, what):
    opened = rshash.create(tmp_path / "a", n_bits=8, id_type="integer")
    boxes, moments = some_places(2, 1100)
    items = {"id": np.arange(1100), "bbox": boxes.T, "datetime": moments.view("datetime64[us]")}
    with pytest.MonkeyPatch.context() as patch:
        write = rshash.archive.store.Draft.write_array

        def write_wrongly(self, name, blocks, shape, dtype):
            blocks = [np.array(block) for block in blocks]
            if name.startswith(what):
                blocks[-1][..., -1] += 1
            write(self, name, blocks, shape, dtype)

        patch.setattr("rshash.archive.store.Draft.write_array", write_wrongly)
        opened.append(np.zeros((1100, 1), np.uint8), items)
    report = opened.verify()
    assert what in str(report)
    assert not report.ok


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10000-01-01", "datetime of item 'a' is '10000-01-01': expected ISO 8601"),
        ("soon", "datetime of item 'a' is 'soon': expected ISO 8601"),
        (np.datetime64("10000-01-01"), "datetime of item 'a' is .*10000-01-01.*: expected ISO 8601"),
        (np.datetime64("-0001-01-01"), "datetime of item 'a' is .*-0?001-01-01.*: expected ISO 8601"),
        (3, "column datetime holds BIGINT, in this archive it is TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_moments_that_no_filter_could_name_are_refused(tmp_path, value, message):
    opened = rshash.create(tmp_path / "a", n_bits=8)
    with pytest.raises(ValueError, match=message):
        opened.append(np.zeros((1, 1), np.uint8), {"id": ["a"], "datetime": np.array([value])})
    assert len(opened) == 0


def test_dates_texts_and_moments_are_the_same_moment(tmp_path):
    opened = rshash.create(tmp_path / "a", n_bits=8, id_type="integer")
    for number, value in enumerate(
        [
            dt.date(2024, 2, 1),
            "2024-02-01",
            "2024-02-01T02:00:00+02:00",
            dt.datetime(2024, 2, 1, tzinfo=dt.UTC),
            "2024-02-01T00:00:00Z",
        ]
    ):
        opened.append(np.zeros((1, 1), np.uint8), [{"id": number, "datetime": value}])
    wanted = read_conditions(None, "2024-02-01T00:00:00Z", None, opened.columns)
    assert len(find_rows(opened.database, opened.segments, opened.columns, wanted)) == 5
    assert opened.search(np.zeros(1, np.uint8), datetime="2024-02-01T00:00:00Z").rows.size == 5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([dt.datetime(2024, 2, 1), None], "datetime 2024-02-01T00:00:00 has no zone: taken as UTC"),
        (["2024-02-01T10:00:00", "2024-02-01 10:00"], "datetime 2024-02-01T10:00:00 has no zone, nor have 1 more"),
        (["2024-02-01T10:00:00Z", "2024-02-01 10:00"], "datetime 2024-02-01 10:00 has no zone: taken as UTC"),
        ([dt.datetime(2024, 2, 1, tzinfo=dt.UTC), dt.datetime(2024, 2, 2)], "datetime 2024-02-02T00:00:00 has no zone"),
    ],
)
@pytest.mark.parametrize("change", ["append", "update"])
def test_times_without_a_zone_are_utc_and_one_warning_says_so(tmp_path, values, said, change):
    opened = rshash.create(tmp_path / "a", n_bits=8)
    codes, ids = np.zeros((2, 1), np.uint8), ["a", "b"]
    if change == "update":
        opened.append(codes, {"id": ids})
    with pytest.warns(UserWarning, match=said) as noted:
        getattr(opened, change)(codes, {"id": ids, "datetime": values})
    assert len(noted) == 1
    assert noted[0].filename == __file__, "it points at the call"
    zoned = [str(item["datetime"].tzinfo) for item in opened.items(ids) if "datetime" in item]
    assert set(zoned) == {"UTC"}


@pytest.mark.parametrize(
    "values",
    [
        ["2024-02-01T10:00:00Z", "2024-02-01T10:00:00-05", "2024-02-01", "2024-02-01 10:00:00 Europe/Berlin"],
        np.array(["2024-02-01T10:00:00"] * 4, "datetime64[s]"),
        [np.datetime64("2024-02-01T10:00:00", "us")] * 4,
        [dt.date(2024, 2, 1)] * 4,
    ],
)
def test_days_and_what_has_a_zone_or_never_one_need_no_warning(tmp_path, values):
    opened = rshash.create(tmp_path / "a", n_bits=8)
    opened.append(np.zeros((4, 1), np.uint8), {"id": list("abcd"), "datetime": values})
    assert all("datetime" in item for item in opened.items(list("abcd")))


def test_a_moment_that_cannot_be_read_is_told_with_its_plain_id(tmp_path):
    opened = rshash.create(tmp_path / "a", n_bits=8, id_type="integer")
    with pytest.raises(ValueError, match="datetime of item 19 is 'soon': expected ISO 8601"):
        opened.append(np.zeros((1, 1), np.uint8), {"id": np.array([19]), "datetime": ["soon"]})
