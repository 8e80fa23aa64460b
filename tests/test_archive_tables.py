"""Items as tables of pandas and Arrow: what they say is missing is missing, and types are kept."""

import datetime as dt

import numpy as np
import pytest

import rshash

pytest.importorskip("duckdb")

JANUARY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def appended(tmp_path, items, n, **how):
    """Append items and return them as they come back, without geometry."""
    tmp_path.mkdir(exist_ok=True)
    archive = rshash.create(tmp_path / "a", n_bits=8, **how)
    archive.append(np.zeros((n, 1), np.uint8), items)
    return [{k: v for k, v in item.items() if k != "geometry"} for item in archive.items_at(range(n))], archive.columns


def test_a_pandas_table_is_read(tmp_path):
    pd = pytest.importorskip("pandas", reason="pip install pandas")
    table = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "bbox": [(1, 2, 3, 4), None, np.array([5.0, 6, 7, 8])],
            "datetime": pd.to_datetime(["2024-01-01T01:00", None, "2024-01-01T02:30"]).tz_localize("Europe/Berlin"),
            "caption": ["x", None, np.nan],
            "cloud": [1.5, np.nan, 3],
            "count": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "text": pd.Series(["q", pd.NA, None], dtype="string"),
            "mixed": pd.Series(["q", pd.NA, None], dtype=object),
            "sort": pd.Categorical(["u", None, "v"]),
            "moment": pd.Series([pd.NaT, pd.Timestamp("2024-01-01"), None], dtype=object),
            "tags": [["t"], None, ["u", "v"]],
            "empty": [None] * 3,
        }
    )
    table.index = [7, 8, 9]
    common = {"text": "q", "mixed": "q"}
    items, columns = appended(tmp_path, table, 3)
    assert items == [
        {"id": "a", "bbox": (1, 2, 3, 4), "datetime": JANUARY, "caption": "x", "cloud": 1.5, "count": 1, "flag": True}
        | common
        | {"sort": "u", "tags": ["t"]},
        {"id": "b", "moment": dt.datetime(2024, 1, 1)},
        {"id": "c", "bbox": (5, 6, 7, 8), "datetime": JANUARY + dt.timedelta(hours=1.5), "cloud": 3, "count": 3}
        | {"flag": False, "sort": "v", "tags": ["u", "v"]},
    ]
    assert (columns["count"], columns["flag"], columns["tags"]) == ("BIGINT", "BOOLEAN", "VARCHAR[]")
    assert "empty" not in columns


def test_a_pandas_table_that_cannot_be_kept_is_refused(tmp_path):
    pd = pytest.importorskip("pandas", reason="pip install pandas")
    with pytest.raises(ValueError, match="two columns of one name: id, x, x"):
        appended(tmp_path / "twice", pd.DataFrame([["a", 1, 2]], columns=["id", "x", "x"]), 1)
    with pytest.raises(ValueError, match="column t holds timedelta64"):
        appended(tmp_path / "span", pd.DataFrame({"id": ["a"], "t": pd.to_timedelta([1], unit="s")}), 1)


def test_an_arrow_table_is_read(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="pip install pyarrow")
    table = pa.table(
        {
            "id": pa.chunked_array([[7], [8, 9]]),
            "bbox": pa.array([[1, 2, 3, 4], None, [5, 6, 7, 8]], pa.list_(pa.float64(), 4)),
            "datetime": pa.array([JANUARY, None, JANUARY], pa.timestamp("us", "Europe/Berlin")),
            "caption": pa.array(["x", None, "y"]).dictionary_encode(),
            "cloud": pa.array([1.5, None, 3], pa.float32()),
            "count": pa.array([1, None, 3], pa.int32()),
            "day": pa.array([JANUARY.date(), None, None]),
            "long": pa.array(["p", "q", None], pa.large_string()),
            "nothing": pa.nulls(3),
        }
    )
    items, columns = appended(tmp_path, table, 3, id_type="integer")
    assert items == [
        {"id": 7, "bbox": (1, 2, 3, 4), "datetime": JANUARY, "caption": "x", "cloud": 1.5, "count": 1}
        | {"day": JANUARY.date(), "long": "p"},
        {"id": 8, "long": "q"},
        {"id": 9, "bbox": (5, 6, 7, 8), "datetime": JANUARY, "caption": "y", "cloud": 3, "count": 3},
    ]
    assert "nothing" not in columns
    boxes = [{"xmin": 1.0, "ymin": 2.0, "xmax": 3.0, "ymax": 4.0}, None]
    items, _ = appended(tmp_path / "batch", pa.RecordBatch.from_pydict({"id": ["a", "b"], "bbox": boxes}), 2)
    assert items == [{"id": "a", "bbox": (1, 2, 3, 4)}, {"id": "b"}]
