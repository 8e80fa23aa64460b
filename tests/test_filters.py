import datetime as dt
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rshash
from rshash.archive.filters import Box, read_box, to_bitmaps
from rshash.archive.interval import parse_interval
from rshash.archive.where import check_where, depends_on_clock

N = 240
SEGMENTS = (0, 100, 102, N)
YEAR = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def some_items():
    """Items on a coarse grid, so that edges meet; some cross the antimeridian, some lack a place or a date."""
    draw = random.Random(0)
    items = []
    for row in range(N):
        item = {
            "id": f"{row}.tif",
            "cloud": draw.randrange(100),
            "caption": draw.choice(["a ship", "SHIPS", "a field"]),
        }
        if row % 10:
            west, east = draw.randrange(-180, 181, 20), draw.randrange(-180, 181, 20)
            west, east = (max(west, east), min(west, east)) if row % 7 == 0 else (min(west, east), max(west, east))
            south, north = sorted(draw.randrange(-90, 91, 15) for _ in range(2))
            item["bbox"] = (west, south, east, north)
        if row % 9:
            item["datetime"] = YEAR + dt.timedelta(hours=6 * draw.randrange(40))
        if row >= SEGMENTS[2]:
            item["later"] = row
        items.append(item)
    return items


ITEMS = some_items()
CODES = np.random.default_rng(0).integers(0, 256, (N, 2), np.uint8)
DELETED = (3, 101, 200)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    opened = rshash.create(tmp_path_factory.mktemp("filters") / "a.rshash", n_bits=16)
    for start, end in pairwise(SEGMENTS):
        opened.append(CODES[start:end], ITEMS[start:end])
    opened.delete([f"{row}.tif" for row in DELETED])
    return opened


def found(archive, **conditions):
    """Return the rows that a search with these conditions can find."""
    return sorted(archive.search(CODES[0], k=N, **conditions).rows[0].tolist())


def expected(admits):
    """Judge item by item."""
    return [row for row, item in enumerate(ITEMS) if row not in DELETED and admits(item)]


def on_circle(west, east, x):
    return west <= x <= east if west <= east else x >= west or x <= east


def touches(item, bbox):
    if "bbox" not in item:
        return False
    (west, south, east, north), (xmin, ymin, xmax, ymax) = bbox, item["bbox"]
    longitudes = on_circle(west, east, xmin) or on_circle(xmin, xmax, west)
    return longitudes and ymin <= north and ymax >= south


longitudes = st.sampled_from(range(-180, 181, 10))
latitudes = st.sampled_from(range(-90, 91, 15))


@given(west=longitudes, east=longitudes, sides=st.tuples(latitudes, latitudes))
@FAST
def test_a_box_finds_what_touches_it_across_the_antimeridian_too(archive, west, east, sides):
    bbox = (west, min(sides), east, max(sides))
    assert found(archive, bbox=bbox) == expected(lambda item: touches(item, bbox))


hours = st.integers(-10, 250)


@given(first=st.none() | hours, last=st.none() | hours)
@FAST
def test_an_interval_finds_the_moments_in_it_its_ends_included(archive, first, last):
    ends = [None if hour is None else YEAR + dt.timedelta(hours=hour) for hour in (first, last)]
    if ends == [None, None] or (None not in ends and ends[1] < ends[0]):
        return
    text = "/".join(".." if end is None else end.isoformat() for end in ends)

    def admits(item):
        moment = item.get("datetime")
        return moment is not None and (ends[0] is None or moment >= ends[0]) and (ends[1] is None or moment <= ends[1])

    assert found(archive, datetime=text) == expected(admits) == found(archive, datetime=tuple(ends))


def test_conditions_add_up(archive):
    hits = archive.search(
        CODES[:5],
        k=4,
        bbox=(-60, -45, 90, 60),
        datetime="2023-01-02/..",
        where="cloud < 60 AND caption ILIKE '%ship%'",
        ids=[f"{row}.tif" for row in range(10, 190) if row not in DELETED],
        filter=np.arange(N) % 2 == 0,
    )
    rows = expected(
        lambda item: (
            touches(item, (-60, -45, 90, 60))
            and item.get("datetime", YEAR) >= YEAR + dt.timedelta(days=1)
            and item["cloud"] < 60
            and "ship" in item["caption"].lower()
            and 10 <= int(item["id"][:-4]) < 190
            and int(item["id"][:-4]) % 2 == 0
        )
    )
    assert len(rows) > 4
    for query in range(5):
        distances = {row: int(np.bitwise_count(CODES[query] ^ CODES[row]).sum()) for row in rows}
        nearest = sorted(rows, key=lambda row: (distances[row], row))[:4]
        assert hits.rows[query].tolist() == nearest
        assert hits.distances[query].tolist() == [distances[row] for row in nearest]
    assert sum(share.n_admitted for share in hits.explanation.segments) == len(rows)


@pytest.mark.parametrize(
    ("where", "admits"),
    [
        ("cloud < 10 OR cloud > 90", lambda item: item["cloud"] < 10 or item["cloud"] > 90),
        ("later >= 150", lambda item: item.get("later", 0) >= 150),
        ("later IS NULL -- not yet", lambda item: "later" not in item),
        ("bbox.xmin > 100 /* east */", lambda item: "bbox" in item and item["bbox"][0] > 100),
        ("datetime < '2023-01-03 12:00'", lambda item: "datetime" in item and (item["datetime"] - YEAR).days * 24
         + (item["datetime"] - YEAR).seconds / 3600 < 60),
        ("CASE WHEN cloud > 50 THEN caption LIKE 'a%' ELSE false END",
         lambda item: item["cloud"] > 50 and item["caption"].startswith("a")),
        ("regexp_matches(id, '^1.*7')", lambda item: item["id"].startswith("1") and "7" in item["id"]),
        ("length(id) = list_max([5, 6]) AND cloud IN (1, 2, 3)", lambda item: len(item["id"]) == 6
         and item["cloud"] in (1, 2, 3)),
        ("cloud + 1 < 40 AND -cloud < -2", lambda item: 2 < item["cloud"] < 39),
        ("abs(cloud * 2 - 60) / 4 % 3 <= 1", lambda item: abs(item["cloud"] * 2 - 60) / 4 % 3 <= 1),
        ("bbox.xmax - bbox.xmin > 1", lambda item: "bbox" in item and item["bbox"][2] - item["bbox"][0] > 1),
        ("datetime > TIMESTAMPTZ '2023-01-03 00:00:00Z' - INTERVAL 12 HOURS",
         lambda item: item.get("datetime", YEAR) > YEAR + dt.timedelta(hours=36)),
        ("datetime + INTERVAL 7 DAYS < '2023-01-09'",
         lambda item: item.get("datetime", dt.datetime.max.replace(tzinfo=dt.UTC)) < YEAR + dt.timedelta(days=1)),
        ("datetime > now() - INTERVAL 7 DAYS", lambda item: False),
        ("age(datetime) > INTERVAL 2 YEARS", lambda item: "datetime" in item),
        ("year(datetime) = 2023 AND month(datetime) = 1 AND day(datetime) = 2",
         lambda item: "datetime" in item and item["datetime"].date() == dt.date(2023, 1, 2)),
        ("extract(hour FROM datetime) = 6", lambda item: "datetime" in item and item["datetime"].hour == 6),
        ("date_trunc('day', datetime) = TIMESTAMPTZ '2023-01-02 00:00:00Z'",
         lambda item: "datetime" in item and item["datetime"].date() == dt.date(2023, 1, 2)),
        ("strftime(datetime, '%H') = '06' OR dayname(datetime) = 'Monday'", lambda item: "datetime" in item
         and (item["datetime"].hour == 6 or item["datetime"].weekday() == 0)),
        ("date_diff('day', TIMESTAMPTZ '2023-01-01 00:00:00Z', datetime) = 1",
         lambda item: "datetime" in item and item["datetime"].date() == dt.date(2023, 1, 2)),
        ("datetime::DATE = DATE '2023-01-02'",
         lambda item: "datetime" in item and item["datetime"].date() == dt.date(2023, 1, 2)),
        ("upper(caption) || '!' LIKE 'A%!' AND split_part(id, '.', 1)[-1] = '7'",
         lambda item: item["caption"].startswith("a") and item["id"].split(".")[0][-1] == "7"),
        ("contains(lower(trim(caption)), 'ship') AND substr(id, 1, 1) = '1' AND concat(id, 'x') <> id",
         lambda item: "ship" in item["caption"].lower() and item["id"][0] == "1"),
        ("false", lambda item: False),
    ],
)  # fmt: skip
def test_where_is_true_of_what_it_finds(archive, where, admits):
    assert found(archive, where=where) == expected(admits)


def test_segments_out_of_bounds_are_not_read(tmp_path):
    archive = rshash.create(tmp_path / "a.rshash", n_bits=16)
    places = [(8, 49, 9, 50), (170, 0, 171, 1), None]
    for number, bbox in enumerate(places):
        month = f"2023-0{number + 1}-15T00:00:00Z"
        archive.append(CODES[number : number + 1], [{"id": str(number), "bbox": bbox, "datetime": month}])
    for segment in archive.segments[1:]:
        segment.items_path.unlink()
    for conditions in ({"bbox": (0, 40, 20, 60)}, {"datetime": "2023-01"}):
        hits = archive.search(CODES[0], **conditions)
        assert hits.ids.tolist() == [["0"]]
        assert [share.outside for share in hits.explanation.segments] == [False, True, True]
        assert "2 of 3 segments unread, out of bounds" in str(hits.explanation)
    with pytest.raises(OSError, match="items"):
        archive.search(CODES[0], where="id = '0'")


def test_conditions_asked_again_are_remembered_until_the_next_commit(tmp_path):
    archive = rshash.create(tmp_path / "a.rshash", n_bits=16)
    archive.append(CODES[:9], ITEMS[:9])
    expected_rows = [row for row in range(9) if ITEMS[row]["cloud"] < 60]
    for asked in range(2):
        hits = archive.search(CODES[0], k=9, where="cloud < 60")
        assert sorted(hits.rows[0].tolist()) == expected_rows
        assert hits.explanation.kept == bool(asked)
    assert ", as found before" in str(hits.explanation)
    archive.delete([f"{expected_rows[0]}.tif"])
    hits = archive.search(CODES[0], k=9, where="cloud < 60")
    assert sorted(hits.rows[0].tolist()) == expected_rows[1:]
    assert not hits.explanation.kept
    for _ in range(2):
        hits = archive.search(CODES[0], k=9, where="cloud < 60 AND datetime < now()")
        assert not hits.explanation.kept
    for number in range(20):
        archive.search(CODES[0], k=9, where=f"cloud < {number}")
    assert len(archive.kept_filters) == 8


@pytest.mark.parametrize(
    "words",
    [
        *("now()", "current_date", "CURRENT_TIMESTAMP", "localtimestamp", "today()", "NOW ( )"),
        *("current_localtimestamp()", "age(datetime)"),
    ],
)
def test_expressions_of_the_clock_are_known(words):
    assert depends_on_clock(f"datetime < {words} - INTERVAL 7 DAYS")
    assert not depends_on_clock(f"caption = '{words}'")


def test_conditions_that_nothing_fulfils_leave_no_hits(archive):
    hits = archive.search(CODES[:3], k=5, datetime="1999")
    assert hits.ids.shape == hits.distances.shape == (3, 0)
    assert found(archive, ids=[]) == []


def test_a_search_without_conditions_leaves_duckdb_out(archive, monkeypatch):
    opened = rshash.open(archive.path)
    monkeypatch.setattr(type(opened), "database", property(lambda self: pytest.fail("DuckDB was opened")))
    assert opened.search(CODES[7], k=1).rows.tolist() == [[7]]


@given(st.lists(st.integers(0, N - 1), max_size=60))
@FAST
def test_bitmaps_hold_the_rows_of_their_segment(archive, rows):
    for segment, bitmap in zip(archive.segments, to_bitmaps(archive.segments, np.array(rows, np.int64)), strict=True):
        bits = [bitmap[row // 8] >> (row % 8) & 1 for row in range(8 * len(bitmap))]
        assert [segment.first_row + row for row, bit in enumerate(bits) if bit] == sorted(
            {row for row in rows if segment.first_row <= row < segment.first_row + segment.n_rows}
        )


BAD = [
    ({"bbox": (1, 2, 3)}, "bbox must be four numbers west, south, east, north"),
    ({"bbox": "1,2,3,4"}, "bbox must be four numbers"),
    ({"bbox": (0, 0, 190, 10)}, "longitudes outside -180..180: a box across the antimeridian"),
    ({"bbox": (0, float("nan"), 9, 9)}, "latitudes in -90..90, south not above north"),
    ({"bbox": (float("nan"), 0, 9, 9)}, "longitudes outside"),
    ({"bbox": (0, 50, 9, 49)}, "south not above north"),
    ({"bbox": (0, -91, 9, 49)}, "latitudes in -90..90"),
    ({"datetime": "yesterday"}, "datetime 'yesterday' cannot be read: expected a moment"),
    ({"datetime": "2023-02-30"}, "is no date of the calendar"),
    ({"datetime": "2023-01-01T25:00:00Z"}, "is no date of the calendar"),
    ({"datetime": "0001-01-01T00:00:00+09:00"}, "outside the years 1 to 9999 in UTC"),
    ({"datetime": "2023/2024/2025"}, "has 3 ends"),
    ({"datetime": "../.."}, "open at both ends: leave it out"),
    ({"datetime": ""}, "says no moment"),
    ({"datetime": "2024/2023"}, "ends before it begins"),
    ({"datetime": "2023-01-01Z"}, "cannot be read"),
    ({"ids": ["0.tif", "x.tif", "y.tif"]}, r"2 of 3 ids are not in .*: x\.tif, y\.tif"),
    ({"ids": ["3.tif"]}, "1 of 1 ids are not in"),
    ({"filter": np.ones(5, bool)}, r"filter must be bool of shape \(240,\)"),
    ({"where": "cloud <"}, r"where: syntax error at (or near|end of)(.|\n)*cloud <\n +\^"),
    ({"where": "clod < 3"}, r'where: Referenced column "clod" not found(.|\n)*clod < 3\n  \^'),
    ({"where": "cloud < 3 AND\nlowr(id) = 'a'"}, r"lowr does not exist(.|\n)*lower"),
    ({"where": "cloud"}, "where must be a condition, true or false, this is of type BIGINT: cloud"),
    ({"where": "1 = 1; DROP TABLE x"}, "where must be one SQL expression and nothing else, without semicolons"),
    ({"where": "cloud < 3 AND\ncloud > 'é'"}, r"where: Could not convert string(.|\n)*\n  cloud > 'é'\n          \^"),
    ({"where": " "}, "where must be an SQL expression"),
    ({"where": "CAST(id AS INTEGER) > 3"}, r"where: Could not convert string '.*tif' to INT32(.|\n)*CAST\(id"),
]


@pytest.mark.parametrize(("conditions", "message"), BAD, ids=[str(bad[0]) for bad in BAD])
def test_bad_conditions_are_explained(archive, conditions, message):
    with pytest.raises(ValueError, match=message):
        archive.search(CODES[0], **conditions)


def test_conditions_of_another_type_are_refused(archive):
    with pytest.raises(TypeError, match="datetime must be a string"):
        archive.search(CODES[0], datetime=2023)
    with pytest.raises(TypeError, match="where must be an SQL expression as a string, got int"):
        archive.search(CODES[0], where=1)


REACHING = [
    "cloud IN (SELECT 1)",
    "EXISTS (FROM items)",
    "cloud = (SELECT max(cloud) FROM read_parquet('/etc/passwd'))",
    "cloud < 1) OR (true",
    "cloud < 1; DROP VIEW items",
    "cloud < 1;",
    "true UNION SELECT true",
    "true FROM items",
    "true ORDER BY 1",
    "true LIMIT 1",
    "true AS x",
    "true, true",
    "*",
    "COLUMNS(*) > 1",
    "#1 = 1",
    "cloud = ?",
    "cloud = $1",
    "sum(cloud) > 1",
    "row_number() OVER () < 3",
    "unnest([true])",
    "read_text('/etc/passwd') = ''",
    "getenv('HOME') = ''",
    "current_setting('threads') = '1'",
    "current_database() = 'memory'",
    "in_search_path('a', 'b')",
    "txid_current() > 0",
    "uuid() = id",
    "setseed(0.5) IS NULL",
    "currval('x') = 1",
    "error('x') IS NULL",
    "main.random() < 0.5",
    "getvariable('x') = 1",
    "nextval('x') = 1",
    "random() < 0.5",
    "write_log('x') IS NULL",
    "pg_sleep(5) IS NULL",
    "sleep_ms(5000) IS NULL",
    "cloud < 1 --\n) OR (true",
    "/* cloud",
    "'a' = 'a",
    "SELECT true",
    "COPY items TO 'x'",
    "ATTACH 'x'",
    "true\0",
    "file_row_number < 10",
    "filename = ''",
    "row < 10",
    "from items",
]


@pytest.mark.parametrize("expression", REACHING)
def test_expressions_that_reach_beyond_the_row_are_refused(archive, expression):
    with pytest.raises(ValueError, match="where"):
        check_where(expression, archive.columns)


WORDS = [
    *(
        "cloud",
        "id",
        "bbox",
        ".xmin",
        "datetime",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ";",
        "--",
        "/*",
        "*/",
        "'",
        '"',
        "$$",
    ),
    *("::", "<", "=", "AND", "OR", "NOT", "IN", "IS", "NULL", "SELECT", "FROM", "UNION", "CASE", "WHEN", "END", "CAST"),
    *("lower", "max", "unnest", "read_csv", "now", "interval", "1", "1e400", "'a'", "true", "*", "?", "#1", "lambda"),
    *("EXISTS", "OVER", "ORDER BY", "LIMIT", "VALUES", "current_date", "é", "\n", "\x07"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_words_in_any_order_are_a_condition_or_a_clear_error(archive, expression):
    try:
        check_where(expression, archive.columns)
    except ValueError:
        return
    found(archive, where=f"TRY({expression}\n)")


@pytest.mark.parametrize("expression", ["cloud" + " + 1" * 500 + " > 1", "NOT " * 900 + "true", "NOT " * 3000 + "true"])
def test_expressions_nested_too_deeply_are_refused(archive, expression):
    with pytest.raises(ValueError, match=r"where.*(nested too deeply|depth limit)"):
        check_where(expression, archive.columns)


def test_a_refused_condition_leaves_the_connection_usable(archive):
    for _ in range(3):
        with pytest.raises(ValueError, match="where"):
            archive.search(CODES[0], where="TRY_CAST(id AS INTEGER) / 0 = CAST(caption AS INTEGER)")
        assert found(archive, where="cloud >= 0") == expected(lambda item: True)


MOMENTS = [
    ("2023", "2023-01-01T00:00:00Z/2023-12-31T23:59:59.999999Z"),
    ("2024-02", "2024-02-01T00:00:00Z/2024-02-29T23:59:59.999999Z"),
    ("2023-12", "2023-12-01T00:00:00Z/2023-12-31T23:59:59.999999Z"),
    ("9999", "9999-01-01T00:00:00Z/9999-12-31T23:59:59.999999Z"),
    ("2023-06-01", "2023-06-01T00:00:00Z/2023-06-01T23:59:59.999999Z"),
    ("2023-06-01T12:00:00Z", "2023-06-01T12:00:00Z/2023-06-01T12:00:00Z"),
    ("2023-06-01t12:00:00.25z", "2023-06-01T12:00:00.250000Z/2023-06-01T12:00:00.250000Z"),
    ("2023-06-01T12:00:00+02:00/..", "2023-06-01T10:00:00Z/.."),
    ("/2023-06", "../2023-06-30T23:59:59.999999Z"),
    ("2022/2023", "2022-01-01T00:00:00Z/2023-12-31T23:59:59.999999Z"),
    ("2023-01-01T00:00:00.0000001Z/2023-01-01T00:00:00.1234567Z", "2023-01-01T00:00:00.000001Z/"
     "2023-01-01T00:00:00.123456Z"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "interval"), MOMENTS)
def test_the_grammar_of_stac_is_read(text, interval):
    assert str(parse_interval(text)) == interval


def test_a_moment_without_a_zone_is_utc_and_a_warning_says_so(archive):
    with pytest.warns(UserWarning, match=r"2023-01-02T00:00:00 has no zone: taken as UTC \(write 2023-01-02T00:00:00Z"):
        naive = found(archive, datetime="2023-01-02T00:00:00/..")
    assert naive == found(archive, datetime="2023-01-02/..")
    with pytest.warns(UserWarning, match="has no zone: taken as UTC"):
        assert found(archive, datetime=(dt.datetime(2023, 1, 2), None)) == naive
    with pytest.warns(UserWarning, match="has no zone") as said:
        found(archive, datetime="2023-01-02T00:00:00")
    assert len(said) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.date(2023, 1, 2), "2023-01-02"),
        ((dt.date(2023, 1, 2), None), "2023-01-02/.."),
        (np.datetime64("2023-01-02"), "2023-01-02"),
        (np.datetime64("2023-01"), "2023-01"),
        (np.datetime64("2023"), "2023"),
        (np.datetime64("2023-01-02T06", "h"), "2023-01-02T06:00:00Z"),
        (np.datetime64("2023-01-02T06:00:00.25", "ms"), "2023-01-02T06:00:00.250Z"),
        ((None, np.datetime64("2023-01-02T06:00:00", "ns")), "../2023-01-02T06:00:00Z"),
    ],
)
def test_dates_and_moments_of_numpy_are_read_as_text_is(archive, value, text):
    assert parse_interval(value) == parse_interval(text)
    assert found(archive, datetime=value) == found(archive, datetime=text)


def test_no_moment_of_numpy_is_refused():
    with pytest.raises(ValueError, match="datetime 'NaT' cannot be read"):
        parse_interval(np.datetime64("NaT"))


def test_a_moment_between_two_microseconds_is_of_no_item(archive):
    assert not found(archive, datetime="2023-01-02T00:00:00.0000001Z")


@given(st.datetimes(timezones=st.timezones(), min_value=dt.datetime(1900, 1, 1), max_value=dt.datetime(9999, 12, 30)))
def test_a_moment_of_any_zone_is_the_same_moment(moment):
    interval = parse_interval(moment)
    assert interval.first == interval.last == moment.astimezone(dt.UTC)
    assert str(parse_interval(str(interval))) == str(interval)


def test_boxes_that_share_an_edge_touch():
    assert read_box((0, 0, 10, 10)).touches(Box(10, 10, 20, 20))
    assert read_box((170, 0, -170, 10)).touches(Box(-180, 5, -175, 6))
    assert not read_box((170, 0, -170, 10)).touches(Box(-165, 5, 165, 6))
