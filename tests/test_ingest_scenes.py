import os
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform_geom

from rshash.archive.geometry import wkb_bounds, wkb_to_geojson
from rshash.data.images import BadImage
from rshash.ingest.entry import BadInput, Entry
from rshash.ingest.footprint import as_item
from rshash.ingest.listing import FolderListing
from rshash.ingest.scenes import Cutting, SceneSource, read_time
from rshash.raster.scene import SCENE_SUFFIXES, EmptyChip, read_chip
from rshash.raster.stretch import Stretch, to_bytes
from rshash.raster.windows import count_windows, cut, starts

UTM = "EPSG:32632"
NORTH_UP = from_origin(500_000, 5_600_000, 10, 10)


def write_scene(path, values, crs=UTM, transform=NORTH_UP, tags=None, interpretation=None, **profile):
    """Write (bands, H, W) values as a GeoTIFF."""
    bands, height, width = values.shape
    profile = {"count": bands, "height": height, "width": width, "dtype": values.dtype, **profile}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **profile) as target:
        target.write(values)
        if tags:
            target.update_tags(**tags)
        if interpretation:
            target.colorinterp = interpretation
    return path


def noise(bands=3, height=100, width=100, dtype=np.uint8, most=256, seed=0):
    return np.random.default_rng(seed).integers(1, most, (bands, height, width)).astype(dtype)


def chips_of(path, **cutting):
    return list(SceneSource(FolderListing(path, SCENE_SUFFIXES), Cutting(**cutting)))


def reason_of(path, **cutting):
    (bad,) = chips_of(path, **cutting)
    assert isinstance(bad, BadInput)
    assert bad.file == str(path)
    return bad.reason


@given(st.integers(1, 200), st.integers(1, 60), st.integers(1, 60))
def test_chips_cover_a_side_from_edge_to_edge(length, size, stride):
    first = starts(length, size, stride)
    assert first == sorted(set(first))
    assert first[0] == 0
    assert first[-1] + min(size, length) == length
    assert all(after - before <= stride for before, after in pairwise(first))


def test_windows_are_cut_row_by_row_and_counted():
    lines = list(cut(70, 50, size=32, stride=32))
    assert [[window[:2] for window in line] for line in lines] == [
        [(0, 0), (32, 0), (38, 0)],
        [(0, 18), (32, 18), (38, 18)],
    ]
    assert count_windows(70, 50, 32, 32) == 6
    with pytest.raises(ValueError, match="stride must be at least 1 pixel, got 0"):
        starts(10, 4, 0)


def test_chips_are_the_pixels_of_their_windows(tmp_path):
    values = noise(height=70, width=90)
    path = write_scene(tmp_path / "a.tif", values, tiled=True, blockxsize=16, blockysize=16)
    chips = chips_of(path, size=32)
    assert len(chips) == len(SceneSource(FolderListing(path, SCENE_SUFFIXES), Cutting(size=32))) == 9
    for chip in chips:
        column, row, width, height = chip.columns["window"]
        assert chip.id == f"a.tif#xywh={column},{row},{width},{height}"
        assert np.array_equal(chip.read(), values[:, row : row + height, column : column + width].transpose(1, 2, 0))
    assert {chip.recipe for chip in chips} == {"bands 1,2,3, values as they are"}
    assert len({chip.digest() for chip in chips}) == 1


def test_a_scene_smaller_than_a_chip_is_one_chip(tmp_path):
    (chip,) = chips_of(write_scene(tmp_path / "a.tif", noise(height=20, width=30)), size=64)
    assert chip.read().shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (UTM, NORTH_UP),
        ("EPSG:32733", from_origin(300_000, 8_000_000, 30, 30)),
        ("EPSG:3857", from_origin(1_000_000, 6_500_000, 5, 5)),
        ("EPSG:4326", from_origin(8.4, 50.1, 0.001, 0.001)),
        (UTM, Affine(8, 3, 500_000, 2, -9, 5_600_000)),  # rotated and sheared
    ],
)
def test_a_footprint_is_where_the_projection_says(tmp_path, crs, transform):
    path = write_scene(tmp_path / "a.tif", noise(height=70, width=90), crs, transform)
    for chip in chips_of(path, size=32):
        x, y, width, height = chip.columns["window"]
        a, b, c, d, e, f = transform[:6]
        corners = ((x, y), (x, y + height), (x + width, y + height), (x + width, y), (x, y))
        ring = [(a * column + b * row + c, d * column + e * row + f) for column, row in corners]
        expected = transform_geom(crs, "EPSG:4326", {"type": "Polygon", "coordinates": [ring]})["coordinates"][0]
        (found,) = wkb_to_geojson(chip.columns["geometry"])["coordinates"]
        assert len(found) == 5
        assert found[0] == found[-1]
        for corner in found:
            assert np.abs(np.subtract(expected, corner)).max(axis=1).min() < 1e-6
        longitudes, latitudes = np.array(found).T
        expected_box = (longitudes.min(), latitudes.min(), longitudes.max(), latitudes.max())
        assert chip.columns["bbox"] == pytest.approx(expected_box, abs=1e-9)
        area = np.sum(longitudes[:-1] * latitudes[1:] - longitudes[1:] * latitudes[:-1])
        assert area > 0, "exterior rings are counter-clockwise"


def test_a_footprint_beyond_the_antimeridian_is_cut_there(tmp_path):
    path = write_scene(tmp_path / "a.tif", noise(), "EPSG:4326", from_origin(179.95, 10, 0.001, 0.001))
    (chip,) = chips_of(path, size=100)
    geometry = wkb_to_geojson(chip.columns["geometry"])
    assert geometry["type"] == "MultiPolygon"
    west, east = (np.array(part[0]) for part in geometry["coordinates"])
    assert (west[:, 0].min(), west[:, 0].max()) == pytest.approx((179.95, 180))
    assert (east[:, 0].min(), east[:, 0].max()) == pytest.approx((-180, -179.95))
    assert chip.columns["bbox"] == pytest.approx((179.95, 9.9, -179.95, 10))


def test_a_footprint_that_ends_at_the_antimeridian_stays_whole():
    ring = np.array([[179.0, 0], [180.0, 0], [180.0, 1], [179.0, 1]])
    assert as_item(ring)["bbox"] == (179, 0, 180, 1)
    assert wkb_to_geojson(as_item(ring)["geometry"])["type"] == "Polygon"


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3031", -90), ("EPSG:3413", 90), ("EPSG:32661", 90)])
@pytest.mark.parametrize("place", ["inside", "on an edge", "at a corner"])
def test_a_footprint_with_a_pole_spans_all_longitudes_up_to_it(tmp_path, crs, pole, place):
    (x,), (y,) = rasterio.warp.transform("EPSG:4326", crs, [0], [pole])
    column, row = {"inside": (30, 55), "on an edge": (30, 100), "at a corner": (0, 0)}[place]
    transform = from_origin(x - 1000 * column, y + 1000 * row, 1000, 1000)
    (chip,) = chips_of(write_scene(tmp_path / "a.tif", noise(), crs, transform), size=100)
    west, south, east, north = chip.columns["bbox"]
    assert (west, east) == (-180, 180)
    assert pole in (south, north)
    assert 0.4 < north - south < 2
    (ring,) = wkb_to_geojson(chip.columns["geometry"])["coordinates"]
    assert ring[0] == ring[-1]
    assert wkb_bounds(chip.columns["geometry"]) == chip.columns["bbox"]
    longitudes, latitudes = np.array(ring).T
    assert np.sum(longitudes[:-1] * latitudes[1:] - longitudes[1:] * latitudes[:-1]) > 0
    columns, rows = np.random.default_rng(0).uniform(0, 100, (2, 200))
    xs, ys = transform.c + 1000 * columns, transform.f - 1000 * rows
    lons, lats = rasterio.warp.transform(crs, "EPSG:4326", xs.tolist(), ys.tolist())
    border = sorted((lon, lat) for lon, lat in ring if lat != pole)
    limits = np.interp(lons, *zip(*border, strict=True))
    assert (np.abs(lats) >= np.abs(limits) - 1e-9).all(), "no pixel lies outside"


def test_a_pole_that_is_a_line_or_beyond_leaves_footprints_as_they_are(tmp_path):
    for crs, transform in (
        ("EPSG:4326", from_origin(-0.05, 90, 0.001, 0.001)),
        ("EPSG:3413", from_origin(1000, 200_000, 1000, 1000)),
        ("EPSG:3857", from_origin(0, 6_500_000, 5, 5)),
    ):
        (chip,) = chips_of(write_scene(tmp_path / "a.tif", noise(), crs, transform), size=100)
        assert chip.columns["bbox"][2] - chip.columns["bbox"][0] < 179


def test_sixteen_bits_are_stretched_alike_in_all_chips_of_a_scene(tmp_path):
    values = noise(dtype=np.uint16, most=10_000)
    chips = chips_of(write_scene(tmp_path / "a.tif", values), size=50)
    ends = np.percentile(values.reshape(3, -1), (2, 98), axis=1).T[:, :, None, None]  # (3, 2, 1, 1)
    expected = np.clip((values - ends[:, 0]) / (ends[:, 1] - ends[:, 0]), 0, 1) * 255
    for chip in chips:
        x, y, width, height = chip.columns["window"]
        found = chip.read().transpose(2, 0, 1).astype(float)
        assert np.abs(found - expected[:, y : y + height, x : x + width]).max() <= 0.5 + 1e-6
    assert chips[0].recipe == "bands 1,2,3, values 2%:98%"


def test_a_stated_stretch_is_taken(tmp_path):
    values = np.full((1, 10, 10), 1500, np.int16)
    (chip,) = chips_of(write_scene(tmp_path / "a.tif", values), size=10, stretch=Stretch.parse("0:3000"))
    assert np.unique(chip.read()).tolist() == [128]
    assert chip.recipe == "bands 1, values 0:3000"


@pytest.mark.parametrize("text", ["3000", "5:1", "2%:3000", "-1%:50%", "0:inf", "nan:1", ""])
def test_a_stretch_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="stretch is"):
        Stretch.parse(text)


@pytest.mark.parametrize("stretch", ["auto", "0:3000", "1%:99%"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_chip_is_read_again_from_what_its_item_says(tmp_path, dtype, stretch):
    path = write_scene(tmp_path / "a.tif", noise(dtype=dtype, most=250), crs=None)
    for chip in chips_of(path, size=50, crs=UTM, stretch=Stretch.parse(stretch), bands=(3, 1, 2)):
        again = read_chip(chip.columns["source"], chip.columns["window"], chip.recipe)
        assert np.array_equal(again, chip.read())
    with pytest.raises(BadImage, match="'soup' is no recipe"):
        read_chip(path, (0, 0, 9, 9), "soup")


def test_what_is_not_finite_becomes_black():
    values = np.array([[[np.nan, np.inf, -np.inf, 1.0]]])
    assert to_bytes(values, np.array([[0.0, 1.0]])).tolist() == [[[0, 255, 0, 255]]]


@pytest.mark.parametrize("how", ["nodata", "mask", "nan"])
def test_chips_with_too_little_data_are_empty(tmp_path, how):
    values = noise(height=64, width=128, dtype=np.float32 if how == "nan" else np.uint8)
    missing = {"nodata": 0, "mask": 7, "nan": np.nan}[how]
    values[:, :, :32], values[:, :, 64:110] = missing, missing
    path = write_scene(tmp_path / "a.tif", values, nodata=0 if how == "nodata" else None)
    if how == "mask":
        with rasterio.open(path, "r+") as scene:
            scene.write_mask(np.any(values != 7, axis=0))
    half, mostly = chips_of(path, size=64, most_nodata=0.5)
    assert not half.read()[:, :32].any()
    assert half.read()[:, 32:].any()
    with pytest.raises(EmptyChip):
        mostly.read()
    assert chips_of(path, size=64, most_nodata=0.8)[1].read().any()


def test_colours_are_found_by_name_or_chosen(tmp_path):
    from rasterio.enums import ColorInterp as Colour

    values = noise(bands=4)
    names = [Colour.blue, Colour.green, Colour.red, Colour.undefined]
    path = write_scene(tmp_path / "a.tif", values, interpretation=names, photometric="MINISBLACK")
    assert np.array_equal(chips_of(path)[0].read(), values[[2, 1, 0]].transpose(1, 2, 0))
    assert np.array_equal(chips_of(path, bands=(4, 1, 4))[0].read(), values[[3, 0, 3]].transpose(1, 2, 0))
    grey = chips_of(path, bands=(2,))[0].read()
    assert all(np.array_equal(grey[:, :, band], values[1]) for band in range(3))


def test_time_comes_from_the_file(tmp_path):
    (chip,) = chips_of(write_scene(tmp_path / "a.tif", noise(), tags={"TIFFTAG_DATETIME": "2024:05:31 10:21:09"}))
    assert chip.columns["datetime"] == datetime(2024, 5, 31, 10, 21, 9, tzinfo=UTC)
    assert chip.is_zoneless
    assert read_time(None) is None
    assert read_time("2024:13:31 10:21:09") is None
    assert "datetime" not in chips_of(write_scene(tmp_path / "b.tif", noise()))[0].columns


def test_scenes_in_several_projections_go_together(tmp_path):
    write_scene(tmp_path / "a.tif", noise(), UTM)
    write_scene(tmp_path / "b.tif", noise(), "EPSG:3857", from_origin(1_000_000, 6_500_000, 5, 5))
    assert [chip.id.split("#")[0] for chip in chips_of(tmp_path)] == ["a.tif", "b.tif"]


def test_a_scene_without_crs_is_reported_or_taken_as_told(tmp_path):
    path = write_scene(tmp_path / "a.tif", noise(), crs=None)
    assert "has no CRS: name the one to take" in reason_of(path)
    (chip,) = chips_of(path, crs=UTM)
    known = chips_of(write_scene(tmp_path / "b.tif", noise()))[0]
    assert chip.columns["bbox"] == known.columns["bbox"]
    with pytest.raises(ValueError, match="'EPSG:nix' is no CRS"):
        chips_of(path, crs="EPSG:nix")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # of the scenes that are written here
def test_scenes_that_cannot_be_placed_or_shown_are_reported(tmp_path):
    assert "has no geotransform" in reason_of(write_scene(tmp_path / "a.tif", noise(), transform=Affine.identity()))
    points = [rasterio.control.GroundControlPoint(row, col, 8 + col, 50 - row) for row in (0, 9) for col in (0, 9)]
    gcps = write_scene(tmp_path / "b.tif", noise(), crs=None, transform=None)
    with rasterio.open(gcps, "r+") as scene:
        scene.gcps = points, rasterio.crs.CRS.from_epsg(4326)
    assert "ground control points" in reason_of(gcps)
    assert "it has 2 bands: choose" in reason_of(write_scene(tmp_path / "c.tif", noise(bands=2)))
    assert "band 9 was asked for" in reason_of(write_scene(tmp_path / "d.tif", noise()), bands=(1, 2, 9))
    assert "need a stretch" in reason_of(
        write_scene(tmp_path / "e.tif", noise(dtype=np.uint16)), stretch=Stretch.parse("none")
    )
    assert "complex" in reason_of(write_scene(tmp_path / "f.tif", noise(1).astype(np.complex64)))
    far = write_scene(tmp_path / "g.tif", noise(), "EPSG:4326", from_origin(0, 95, 0.1, 0.1))
    assert "no longitude and latitude" in reason_of(far)
    local = 'LOCAL_CS["Local",UNIT["m",1]]'
    assert "leads to no longitude and latitude" in reason_of(write_scene(tmp_path / "l.tif", noise(), crs=local))
    (tmp_path / "h.tif").write_bytes(b"II*\0 and no more")
    assert reason_of(tmp_path / "h.tif")
    os.mkfifo(tmp_path / "i.tif")
    assert len(FolderListing(tmp_path, SCENE_SUFFIXES)) == 9


def test_a_scene_cut_short_is_reported_where_it_ends(tmp_path):
    path = write_scene(tmp_path / "a.tif", noise(height=256, width=64), compress=None, blockysize=16)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = chips_of(path, size=64)
    assert all(isinstance(chip, Entry) for chip in found)
    with pytest.raises(ValueError, match=r"cannot use image .*a\.tif"):
        found[-1].read()


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"stride": 0}, {"bands": (1, 2)}, {"bands": (0,)}, {"most_nodata": 1.5}, {"most_nodata": -1}]
)
def test_a_cutting_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"expected|at least 1"):
        Cutting(**wrong)
