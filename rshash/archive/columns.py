"""Items as users give them → columns: one array a name, of a type that does not depend on how it was given.

In: a list of dicts, a mapping of columns, a pandas or Arrow table, a DuckDB relation. Out: name → array of the numbers,
strings, bytes, datetime64[us], lists or structs that DuckDB reads.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import filterfalse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.geometry import Boxes, check_boxes, geojson_to_wkb, points_to_wkb, wkb_bounds
from rshash.archive.zone import warn_zoneless

Column = NDArray[Any]
RESERVED = ("row", "query", "rank", "distance", "fine_distance", "file_row_number")
"""Names that hits and readers add to items."""


def read_columns(items: Any, n_rows: int) -> dict[str, Column]:
    """Return the columns of ``n_rows`` items; columns without a value are left out.

    Args:
        items: a sequence of mappings; a mapping of name → values; a pandas or Arrow table; a DuckDB relation.
        n_rows: how many there must be.

    Returns:
        Column name → (n_rows,) array. ``bbox`` is (n_rows, 4) float64, NaN for none. ``geometry`` is WKB, None where
        it is the bbox; it is left out where it always is.

    Raises:
        ValueError: if the number differs, a name cannot be used, or a column mixes types.
        TypeError: if ``items`` is none of these.

    >>> columns = read_columns([{"id": "a.tif", "cloud": 1}, {"id": "b.tif", "cloud": 2.5}], 2)
    >>> columns["cloud"].tolist()
    [1.0, 2.5]
    """
    raw = _raw_columns(items)
    for name in raw:
        if not isinstance(name, str) or not name or name.casefold() in RESERVED or not name.isprintable():
            raise ValueError(
                f"an item's column cannot be called {name!r}: names are printable text, and {', '.join(RESERVED)} are "
                "added by searching"
            )
    if len({name.casefold() for name in raw}) < len(raw):
        raise ValueError(f"columns of items differ only in upper and lower case: {', '.join(raw)}")
    for name, values in raw.items():
        if not hasattr(values, "__len__") or isinstance(values, str | bytes):
            raise TypeError(f"{name} must be a list or an array with a value for each item, got {values!r:.60}")
        if len(values) != n_rows:
            raise ValueError(f"{n_rows} codes came with {len(values)} items ({name}): give one item for each code")
    columns = {name: column(name, values) for name, values in raw.items() if name not in ("geometry", "bbox")}
    found = {name: values for name, values in columns.items() if values is not None}
    return found | _footprints(raw.get("geometry"), raw.get("bbox"), n_rows)


def _raw_columns(items: Any) -> dict[str, Any]:
    """Return name → values, whatever form the items came in."""
    if isinstance(items, Mapping):
        return dict(items)
    if hasattr(items, "fetchnumpy"):  # a DuckDB relation
        return dict(items.fetchnumpy())
    if hasattr(items, "to_pydict"):  # Arrow
        return dict(items.to_pydict())
    if hasattr(items, "to_numpy") and hasattr(items, "columns"):  # pandas
        names = items.columns.tolist()
        if len(set(names)) < len(names):
            raise ValueError(f"the table of items has two columns of one name: {', '.join(map(str, names))}")
        return {name: _from_pandas(items[name]) for name in names}
    if not isinstance(items, Sequence) or isinstance(items, str | bytes):
        raise TypeError(f"items must be a list of dicts or a table of columns, got {type(items).__name__}")
    for item in items:
        if not isinstance(item, Mapping):
            raise TypeError(f"every item must be a dict with an id, got {type(item).__name__} {item!r:.60}")
    names = dict.fromkeys(name for item in items for name in item)
    return {name: [item.get(name) for item in items] for name in names} or {"id": [None] * len(items)}


def _from_pandas(series: Any) -> Any:
    """Return a pandas column as an array, or as values that are None wherever pandas says that there is none."""
    if getattr(series.dtype, "tz", None) is not None:
        series = series.dt.tz_convert(None)  # to UTC, without its zone
    if isinstance(series.dtype, np.dtype) and series.dtype != object:
        return series.to_numpy()
    missing = series.isna().tolist()
    return [None if none else value for value, none in zip(series.tolist(), missing, strict=True)]


def column(name: str, values: Any) -> Column | None:
    """Return values as one array of one type, None if there is no value.

    Raises:
        ValueError: if types are mixed, or a number does not fit.
    """
    array = values if isinstance(values, np.ndarray) else None
    if array is None or array.dtype.kind in "OTUSV":
        if not isinstance(values, list):
            values = list(values) if array is None else array.tolist()
        return _column_of_objects(name, values)
    if array.ndim != 1:
        raise ValueError(f"column {name} must hold one value for each item, got an array of shape {array.shape}")
    if array.dtype.kind == "M":
        return array.astype("datetime64[us]")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"column {name} holds integers beyond 64 bits with sign: give them as strings")
    for kinds, dtype in (("b", bool), ("iu", np.int64), ("f", np.float64)):
        if array.dtype.kind in kinds:
            return array.astype(dtype, copy=False)
    raise ValueError(f"column {name} holds {array.dtype}: give numbers, strings, dates, lists or dicts")


def _column_of_objects(name: str, values: Sequence[Any]) -> Column | None:
    """Return a column of Python values, its type found by looking at all of them."""
    kinds = set(map(type, values)) - {type(None)}
    from_numpy = any(issubclass(kind, np.generic | np.ndarray) for kind in kinds)
    if from_numpy:
        values = [value.tolist() if isinstance(value, np.generic | np.ndarray) else value for value in values]
        kinds = set(map(type, values)) - {type(None)}
    if float in kinds and not kinds <= {int, float}:  # how pandas says that there is none
        values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
        kinds = set(map(type, values)) - {type(None)}
    if not kinds or (kinds <= {list, tuple, dict} and not any(values)):
        return None
    if kinds == {bool} or kinds <= {int, float}:
        return _numbers(name, values, bool if kinds == {bool} else np.float64 if float in kinds else np.int64)
    if all(issubclass(kind, datetime) for kind in kinds):  # pandas has its own
        if name == "datetime" and not from_numpy:  # numpy's own have no zone by nature
            _warn_of_naive(values)
        return np.array([None if value is None else _utc(value) for value in values], "datetime64[us]")
    if tuple in kinds:
        values = [list(value) if isinstance(value, tuple) else value for value in values]
        kinds = kinds - {tuple} | {list}
    if kinds == {str}:
        _check_unicode(name, values)
    if kinds in ({str}, {bytes}, {date}, {dict}, {list}):
        return np.fromiter(values, object, len(values))
    names = " and ".join(sorted(kind.__name__ for kind in kinds))
    raise ValueError(f"column {name} holds {names}: give numbers, strings, dates, lists or dicts, of one type")


def _check_unicode(name: str, texts: Sequence[str | None]) -> None:
    """Refuse half characters (surrogates), which file names of other encodings hold and no file can keep."""
    try:
        "".join(filterfalse(str.isascii, filter(None, texts))).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"column {name} holds text that is no valid Unicode, {error.object[error.start]!a}: replace such characters"
        ) from None


def _numbers(name: str, cells: Sequence[Any], dtype: Any) -> Column:
    """Return numbers as an array, masked where there is none."""
    missing = np.array([cell is None for cell in cells])
    try:
        array: Column = np.array([0 if cell is None else cell for cell in cells], dtype)
    except OverflowError:
        raise ValueError(f"column {name} holds integers beyond 64 bits with sign: give them as strings") from None
    return np.ma.masked_array(array, missing) if missing.any() else array


def _warn_of_naive(moments: Sequence[datetime | None]) -> None:
    """Say that moments without a zone are taken as UTC, if there are any."""
    naive = [moment for moment in moments if moment is not None and moment.tzinfo is None]
    if naive:
        warn_zoneless(naive[0].isoformat(), len(naive) - 1)


def _utc(moment: datetime) -> datetime:
    """Return a moment without its zone, in UTC; naive ones are UTC already."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _footprints(geometry: Any, bbox: Any, n_rows: int) -> dict[str, Column]:
    """Return the columns geometry and bbox; items that have a geometry only get a bbox from it."""
    boxes: Boxes | None = None
    shapes: list[bytes | None] | None = None
    if bbox is not None:
        rows = bbox if isinstance(bbox, np.ndarray) and bbox.dtype != object else [_box(box) for box in bbox]
        boxes = check_boxes(rows)
    if isinstance(geometry, np.ndarray) and geometry.dtype.kind == "f":
        if geometry.shape != (n_rows, 2):
            raise ValueError(f"geometry must be points of shape ({n_rows}, 2) or WKB or GeoJSON, got {geometry.shape}")
        points = check_boxes(np.tile(geometry, 2), "geometry")
        if boxes is not None:
            empty = np.isnan(points[:, 0])
            shapes = [None if e else wkb for e, wkb in zip(empty, points_to_wkb(points[:, :2]), strict=True)]
        boxes = points if boxes is None else _filled(boxes, points)
    elif geometry is not None and any(shape is not None for shape in geometry):
        shapes = [_wkb(row, shape) for row, shape in enumerate(geometry)]
        nothing = (math.nan,) * 4
        around = check_boxes([nothing if shape is None else wkb_bounds(shape) for shape in shapes], "geometry")
        boxes = around if boxes is None else _filled(boxes, around)
    if boxes is None or np.isnan(boxes[:, 0]).all():
        return {}
    return {"bbox": boxes} | ({} if shapes is None else {"geometry": np.fromiter(shapes, object, n_rows)})


def _filled(boxes: Boxes, others: Boxes) -> Boxes:
    """Return boxes (n, 4), those of ``others`` where they are NaN."""
    return np.where(np.isnan(boxes), others, boxes)


def _box(box: Any) -> tuple[float, ...]:
    """Return one box as four numbers."""
    if box is None:
        return (math.nan,) * 4
    if isinstance(box, Mapping):
        box = [box.get(side) for side in ("xmin", "ymin", "xmax", "ymax")]
    if (
        not hasattr(box, "__len__")
        or isinstance(box, str)
        or len(box) != 4
        or not all(isinstance(side, int | float | np.number) for side in box)
    ):
        raise ValueError(f"bbox must be four numbers xmin, ymin, xmax, ymax, got {box!r:.80}")
    return tuple(box)


def _wkb(row: int, shape: Any) -> bytes | None:
    """Return one geometry as WKB."""
    if shape is None:
        return None
    if isinstance(shape, bytes | bytearray | memoryview):
        return bytes(shape)
    try:
        return geojson_to_wkb(shape)
    except ValueError as error:
        raise ValueError(f"geometry of item {row}: {error}") from None
