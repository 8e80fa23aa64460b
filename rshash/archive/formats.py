"""Hits as other programs read them: JSON, CSV, GeoJSON, GeoParquet, a contact sheet. In: hits as dicts."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.columns import Column, read_columns
from rshash.archive.geometry import SIDES
from rshash.archive.interval import format_moment
from rshash.archive.items import connect, name_of
from rshash.archive.parquet import copy_items, write_items
from rshash.data.images import BadImage, read_image
from rshash.files import write_atomically
from rshash.picture import Tile, contact_sheet

if TYPE_CHECKING:
    from PIL.Image import Image

Hit = Mapping[str, Any]
RANKING = {"query": np.int64, "rank": np.int64, "distance": np.int64, "fine_distance": np.float64}
"""Columns that a search adds to items."""


def to_json(about: Mapping[str, Any], hits: Sequence[Hit], name: str = "hits") -> str:
    """Return hits as a JSON object: what it is about, then the hits under their name, one a line.

    >>> print(to_json({"n_bits": 64}, [{"rank": 1, "id": "a"}, {"rank": 2, "id": "b"}]))
    {"n_bits": 64, "hits": [
      {"rank": 1, "id": "a"},
      {"rank": 2, "id": "b"}
    ]}
    """
    lines = ",\n".join(f"  {_dump(hit)}" for hit in hits)
    return _dump(about)[:-1] + (f', "{name}": [\n{lines}\n]}}' if lines else f', "{name}": []}}')


def to_csv(hits: Sequence[Hit], columns: Sequence[str]) -> str:
    """Return hits as CSV with a header; see `ArchiveHits.to_csv`.

    >>> print(to_csv([{"rank": 1, "id": "a", "bbox": (0.0, 1.0, 2.0, 3.0)}], ["rank", "id", "bbox"]), end="")
    rank,id,xmin,ymin,xmax,ymax
    1,a,0.0,1.0,2.0,3.0
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for column in columns for name in (SIDES if column == "bbox" else (column,))])
    for hit in hits:
        cells: list[Any] = []
        for column in columns:
            value = hit.get(column)
            cells.extend(value or ("",) * 4) if column == "bbox" else cells.append(_cell(value))
        writer.writerow(cells)
    return text.getvalue()


def to_geojson(hits: Sequence[Hit]) -> str:
    """Return hits as a GeoJSON FeatureCollection; geometry is null where an item has none.

    >>> to_geojson([{"rank": 1, "id": "a", "geometry": {"type": "Point", "coordinates": [8.0, 50.0]}}])[:60]
    '{"type": "FeatureCollection", "features": [{"type": "Feature'
    """
    features = []
    for hit in hits:
        feature: dict[str, Any] = {"type": "Feature", "id": hit["id"]}
        if "bbox" in hit:
            feature["bbox"] = hit["bbox"]
        feature["geometry"] = hit.get("geometry")
        feature["properties"] = {name: hit[name] for name in hit if name not in ("id", "bbox", "geometry")}
        features.append(feature)
    return _dump({"type": "FeatureCollection", "features": features})


def write_parquet(path: Path, hits: Sequence[Hit], columns: Sequence[str], kinds: Mapping[str, str]) -> None:
    """Write hits as GeoParquet; see `ArchiveHits.to_parquet`.

    Args:
        path: file to write.
        hits: as dicts.
        columns: names in their order.
        kinds: column of the archive → DuckDB type.
    """
    values: dict[str, Column] = {
        name: np.array([hit[name] for hit in hits], RANKING[name]) for name in columns if name in RANKING
    }
    names = {name: "BIGINT" if RANKING[name] is np.int64 else "DOUBLE" for name in values}
    items = [{name: value for name, value in hit.items() if name not in RANKING} for hit in hits]
    values |= read_columns(items, len(items))
    with write_atomically(path) as draft:
        if hits:
            write_items(draft, values, {**names, **kinds})
        else:
            typed = ", ".join(f"NULL::{kind} AS {name_of(name)}" for name, kind in {**names, **kinds}.items())
            copy_items(connect(draft.parent), f"SELECT {typed} WHERE false", draft, None)


def draw(
    shown: Sequence[str | NDArray[np.uint8] | None],
    hits: Sequence[Sequence[Hit]],
    heading: str,
    most: int,
    path: str | os.PathLike[str] | None,
) -> "Image":
    """Draw queries beside their hits; see `ArchiveHits.to_picture`."""
    rows = []
    for position, (query, found) in enumerate(zip(shown, hits, strict=True)):
        words = query if isinstance(query, str) else f"codes {position}"
        tile = Tile("query", words, query if isinstance(query, np.ndarray) else None)
        rows.append((tile, [_tile(hit) for hit in found[:most]]))
    sheet = contact_sheet(rows, heading=heading)
    if path is not None:
        with write_atomically(path) as draft:
            sheet.save(draft)
    return sheet


def write_text(text: str, path: str | os.PathLike[str] | None) -> str:
    """Write text to a file, if there is a name for one, and return it."""
    if path is not None:
        with write_atomically(path) as draft:
            draft.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    return text


def caption_of(item: Hit) -> str:
    """Return the sentence to show for an item: its own, or the first of its image."""
    return str(item.get("caption") or next(iter(item.get("captions", ())), ""))


def _tile(hit: Hit) -> Tile:
    """Draw one hit: its picture when the file is still there."""
    title, text = f"{hit['rank']}. distance {hit['distance']}", caption_of(hit) or str(hit["id"])
    try:
        return Tile(title, text, _picture(hit) if hit.get("source") else None)
    except (BadImage, OSError, ImportError) as error:
        return Tile(title, f"{text} ({error})")


def _picture(hit: Hit) -> NDArray[np.uint8]:
    """Read the image of a hit, or the chip of its scene."""
    if hit.get("window") and hit.get("recipe"):
        from rshash.raster.scene import read_chip

        return read_chip(hit["source"], hit["window"], hit["recipe"])
    return read_image(hit["source"])


def _cell(value: Any) -> Any:
    """Return a value as a cell of CSV."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    plain = _plain(value)
    return _dump(plain) if isinstance(plain, dict | list) else plain


def _dump(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a value in the types of JSON; moments as ISO 8601, bytes as hex, what is no number as null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return format_moment(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
