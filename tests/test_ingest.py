import json
import os
import threading

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

import rshash
from rshash.data.dataset import CaptionDataset
from rshash.data.images import IMAGE_SUFFIXES
from rshash.ingest.entry import BadInput
from rshash.ingest.listing import FolderListing
from rshash.ingest.pictures import DatasetSource, PictureSource
from rshash.ingest.run import ingest
from rshash.ingest.scenes import Cutting, SceneSource
from rshash.models.cache import FeatureCache
from rshash.models.encoders import load_caption_encoder, load_image_encoder
from rshash.models.hasher import CrossModalHasher
from rshash.models.heads import HashHead
from rshash.raster.scene import SCENE_SUFFIXES, read_chip
from rshash.raster.stretch import Stretch


def make_hasher(seed=0):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        dims = load_image_encoder("small-cnn").dim, load_caption_encoder("bag-of-words").dim
        return CrossModalHasher(*(HashHead(dim, 32, 8) for dim in dims), "small-cnn", "bag-of-words")


@pytest.fixture(scope="module")
def hasher():
    return make_hasher()


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    pixels[:12] //= 1 + seed % 7
    Image.fromarray(pixels).save(path)


@pytest.fixture
def images(tmp_path):
    for number in range(10):
        draw(tmp_path / "images" / f"{number}.png", number)
    return tmp_path / "images"


def take_in(path, folder, hasher, prefix="", **options):
    source = PictureSource(FolderListing(folder, IMAGE_SUFFIXES, prefix))
    return ingest(path, source, hasher, progress=False, n_threads=2, **options)


def counts(report):
    return report.added, report.replaced, report.described, report.unchanged, len(report.bad)


def codes_by_id(path):
    with rshash.open(path) as archive:
        rows = archive.connection.execute("SELECT row, id FROM items").fetchall()
        codes = np.concatenate([segment.codes for segment in archive.segments])
        living = np.concatenate([segment.living() for segment in archive.segments])
        return {id: codes[row].tobytes() for row, id in rows if living[row]}


def encoded_one_by_one(hasher, folder):
    pictures = {path.relative_to(folder).as_posix(): np.asarray(Image.open(path)) for path in folder.rglob("*.png")}
    return {name: hasher.encode_images([picture]).tobytes() for name, picture in pictures.items()}


def test_a_folder_becomes_an_archive_that_is_searched(images, hasher, tmp_path):
    report = take_in(tmp_path / "a.rshash", images, hasher)
    assert counts(report) == (10, 0, 0, 0, 0)
    assert codes_by_id(tmp_path / "a.rshash") == encoded_one_by_one(hasher, images)
    with rshash.open(tmp_path / "a.rshash") as archive:
        (item,) = archive.items(["3.png"])
        assert item["source"] == str(images / "3.png")
        hits = archive.search(np.asarray(Image.open(images / "3.png")), k=1)
        assert hits.distances[0, 0] == 0
        assert archive.provenance["hasher"] == hasher.fingerprint


def test_running_again_does_nothing(images, hasher, tmp_path, monkeypatch):
    take_in(tmp_path / "a.rshash", images, hasher)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "a.rshash").iterdir()}
    monkeypatch.setattr(type(hasher.load_image_encoder()), "encode", lambda *_: pytest.fail("encoded again"))
    assert counts(take_in(tmp_path / "a.rshash", images, hasher)) == (0, 0, 0, 10, 0)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "a.rshash").iterdir()} == before


def test_only_what_is_new_or_changed_is_encoded(images, hasher, tmp_path):
    take_in(tmp_path / "a.rshash", images, hasher)
    draw(images / "new.png", 77)
    draw(images / "3.png", 78)
    os.utime(images / "4.png", ns=(5, 5))  # touched, the same content
    seen = []
    encode = type(hasher.load_image_encoder()).encode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(hasher.load_image_encoder()), "encode", lambda self, all: [seen.append(len(all)), encode(self, all)][1]
        )
        report = take_in(tmp_path / "a.rshash", images, hasher)
    assert counts(report) == (1, 1, 1, 8, 0)
    assert sum(seen) == 2
    assert codes_by_id(tmp_path / "a.rshash") == encoded_one_by_one(hasher, images)
    assert counts(take_in(tmp_path / "a.rshash", images, hasher)) == (0, 0, 0, 11, 0)


def test_the_same_size_and_time_with_other_content_waits_for_a_new_time(images, hasher, tmp_path):
    """The price of not reading every file: as rsync, size and time are believed."""
    take_in(tmp_path / "a.rshash", images, hasher)
    stamp = (images / "3.png").stat()
    content = bytearray((images / "3.png").read_bytes())
    content[-20] ^= 1
    (images / "3.png").write_bytes(content)
    os.utime(images / "3.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert counts(take_in(tmp_path / "a.rshash", images, hasher)) == (0, 0, 0, 10, 0)


def test_what_was_deleted_comes_back_while_its_file_is_there(images, hasher, tmp_path):
    take_in(tmp_path / "a.rshash", images, hasher)
    with rshash.open(tmp_path / "a.rshash") as archive:
        archive.delete(["3.png"])
    assert counts(take_in(tmp_path / "a.rshash", images, hasher)) == (1, 0, 0, 9, 0)


def test_an_id_of_another_folder_is_not_overwritten(images, hasher, tmp_path):
    take_in(tmp_path / "a.rshash", images, hasher)
    draw(tmp_path / "other" / "3.png", 55)
    report = take_in(tmp_path / "a.rshash", tmp_path / "other", hasher)
    assert counts(report) == (0, 0, 0, 0, 1)
    assert f"its id belongs to {images / '3.png'}: give these another --prefix" in report.bad[0].reason
    assert counts(take_in(tmp_path / "a.rshash", tmp_path / "other", hasher, prefix="other/")) == (1, 0, 0, 0, 0)


def test_a_folder_that_moved_keeps_its_codes(images, hasher, tmp_path):
    take_in(tmp_path / "a.rshash", images, hasher)
    images.rename(tmp_path / "moved")
    assert counts(take_in(tmp_path / "a.rshash", tmp_path / "moved", hasher)) == (0, 0, 10, 0, 0)
    with rshash.open(tmp_path / "a.rshash") as archive:
        assert archive.items(["3.png"])[0]["source"] == str(tmp_path / "moved" / "3.png")
    assert codes_by_id(tmp_path / "a.rshash") == encoded_one_by_one(hasher, tmp_path / "moved")


def test_bad_pictures_are_reported_and_the_rest_is_taken(images, hasher, tmp_path):
    whole = (images / "3.png").read_bytes()
    (images / "3.png").write_bytes(whole[: len(whole) // 2])
    (images / "5.png").write_bytes(b"")
    report = take_in(tmp_path / "a.rshash", images, hasher)
    assert counts(report) == (8, 0, 0, 0, 2)
    assert {bad.id: bad.file for bad in report.bad} == {name: str(images / name) for name in ("3.png", "5.png")}
    assert all(bad.reason for bad in report.bad)
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["bad"][0].keys() == {"id", "file", "reason"}
    assert "2 bad (3.png: " in report.summary()
    (images / "3.png").write_bytes(whole)
    assert counts(take_in(tmp_path / "a.rshash", images, hasher)) == (1, 0, 0, 8, 1)


def test_strict_stops_at_the_first_and_keeps_what_came_before(images, hasher, tmp_path):
    for number in range(100, 180):
        draw(images / f"{number}.png", number)
    (images / "9.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^/\S+/9\.png: (?!9\.png)"):
        take_in(tmp_path / "a.rshash", images, hasher, strict=True)
    (images / "9.png").unlink()
    report = take_in(tmp_path / "a.rshash", images, hasher, strict=True)
    assert report.unchanged >= 32
    assert report.unchanged + report.added == 89


def test_an_interrupted_run_keeps_what_it_encoded(images, hasher, tmp_path, monkeypatch):
    for number in range(100, 130):
        draw(images / f"{number}.png", number)
    encode = type(hasher.load_image_encoder()).encode
    batches = iter([False, True])

    def interrupted(self, pictures):
        if next(batches):
            raise KeyboardInterrupt
        return encode(self, pictures)

    with monkeypatch.context() as patch:
        patch.setattr(type(hasher.load_image_encoder()), "encode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            take_in(tmp_path / "a.rshash", images, hasher)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
    assert counts(take_in(tmp_path / "a.rshash", images, hasher)) == (8, 0, 0, 32, 0)


def test_another_hasher_is_refused_before_anything_happens(images, hasher, tmp_path, monkeypatch):
    take_in(tmp_path / "a.rshash", images, hasher)
    draw(images / "new.png", 1)
    other = make_hasher(1)
    before = {file.name: file.read_bytes() for file in (tmp_path / "a.rshash").glob("*.*")}
    monkeypatch.setattr(type(other.load_image_encoder()), "encode", lambda *_: pytest.fail("encoded"))
    with pytest.raises(ValueError, match="their codes cannot be compared"):
        take_in(tmp_path / "a.rshash", images, other)
    assert {file.name: file.read_bytes() for file in (tmp_path / "a.rshash").glob("*.*")} == before


def test_an_archive_that_cannot_take_these_rows_is_refused(images, hasher, tmp_path):
    rshash.create(tmp_path / "bare.rshash", n_bits=32).close()
    with pytest.raises(ValueError, match="was made without a hasher"):
        take_in(tmp_path / "bare.rshash", images, hasher)
    rshash.create(tmp_path / "texts.rshash", hasher=hasher, kind="captions").close()
    with pytest.raises(ValueError, match="holds captions, these are images"):
        take_in(tmp_path / "texts.rshash", images, hasher)
    rshash.create(tmp_path / "numbers.rshash", hasher=hasher, id_type="integer").close()
    with pytest.raises(ValueError, match="ids of type integer"):
        take_in(tmp_path / "numbers.rshash", images, hasher)
    with pytest.raises(FileExistsError, match="is no archive"):
        take_in(images, images, hasher)
    with pytest.raises(ValueError, match="commit every 1 row or more"):
        take_in(tmp_path / "a.rshash", images, hasher, commit_rows=0)


def test_a_new_caption_or_class_changes_the_item_and_keeps_the_code(images, hasher, tmp_path):
    def dataset(caption):
        return CaptionDataset("d", [f"{n}.png" for n in range(10)], [(caption,)] + [("a",)] * 9, folder=images)

    first = ingest(tmp_path / "a.rshash", DatasetSource(dataset("one"), "images"), hasher, progress=False)
    again = ingest(tmp_path / "a.rshash", DatasetSource(dataset("two"), "images"), hasher, progress=False)
    assert (counts(first), counts(again)) == ((10, 0, 0, 0, 0), (0, 0, 1, 9, 0))
    with rshash.open(tmp_path / "a.rshash") as archive:
        assert archive.items(["0.png"])[0]["captions"] == ["two"]
    texts = ingest(tmp_path / "t.rshash", DatasetSource(dataset("one"), "captions"), hasher, progress=False)
    again = ingest(tmp_path / "t.rshash", DatasetSource(dataset("two"), "captions"), hasher, progress=False)
    assert (counts(texts), counts(again)) == ((10, 0, 0, 0, 0), (0, 1, 0, 9, 0))
    assert codes_by_id(tmp_path / "t.rshash")["0.png#0"] == hasher.encode_captions(["two"])[0].tobytes()
    dithering = CrossModalHasher(hasher.image_head, hasher.caption_head, "small-cnn", "bag-of-words", dither=1.0)
    ingest(tmp_path / "d.rshash", DatasetSource(dataset("two"), "captions"), dithering, progress=False)
    expected = dithering.encode_captions(["two"], database=True)[0].tobytes()
    assert codes_by_id(tmp_path / "d.rshash")["0.png#0"] == expected != hasher.encode_captions(["two"])[0].tobytes()


def test_features_in_a_cache_are_not_computed_again(images, hasher, tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path / "cache")
    take_in(tmp_path / "a.rshash", images, hasher, cache=cache)
    monkeypatch.setattr(type(hasher.load_image_encoder()), "encode", lambda *_: pytest.fail("encoded again"))
    assert counts(take_in(tmp_path / "b.rshash", images, hasher, cache=cache)) == (10, 0, 0, 0, 0)
    assert codes_by_id(tmp_path / "a.rshash") == codes_by_id(tmp_path / "b.rshash")


def test_training_and_ingest_share_their_cache(images, hasher, tmp_path, monkeypatch):
    from rshash.models.features import image_features

    dataset = CaptionDataset("d", [f"{n}.png" for n in range(10)], [()] * 10, folder=images)
    cache = FeatureCache(tmp_path / "cache")
    image_features(dataset, hasher.load_image_encoder(), cache=cache, progress=False)
    monkeypatch.setattr(type(hasher.load_image_encoder()), "encode", lambda *_: pytest.fail("encoded again"))
    assert counts(take_in(tmp_path / "a.rshash", images, hasher, cache=cache)) == (10, 0, 0, 0, 0)


def test_features_that_are_not_finite_are_reported(images, hasher, tmp_path, monkeypatch):
    encode = type(hasher.load_image_encoder()).encode

    def spoilt(self, pictures):
        features = encode(self, pictures)
        features[2] = np.nan
        return features

    monkeypatch.setattr(type(hasher.load_image_encoder()), "encode", spoilt)
    report = take_in(tmp_path / "a.rshash", images, hasher)
    assert report.bad == [BadInput("2.png", str(images / "2.png"), "the encoder gives numbers that are not finite")]
    assert report.added == 9


def write_scene(path, seed, dtype=np.uint16):
    values = np.random.default_rng(seed).integers(1, 5000, (3, 96, 128)).astype(dtype)
    values[:, :, 96:] = 0
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32632", transform=from_origin(5e5, 5.6e6, 10, 10), nodata=0,
        count=3, height=96, width=128, dtype=dtype,
    ) as target:  # fmt: skip
        target.write(values)


def test_scenes_become_chips_with_places(hasher, tmp_path):
    (tmp_path / "scenes").mkdir()
    write_scene(tmp_path / "scenes" / "a.tif", 0)
    (tmp_path / "scenes" / "b.tif").write_bytes(b"broken")

    def take(**cutting):
        source = SceneSource(FolderListing(tmp_path / "scenes", SCENE_SUFFIXES), Cutting(size=32, **cutting))
        return ingest(tmp_path / "a.rshash", source, hasher, progress=False, n_threads=2)

    first = take()
    assert (counts(first), first.empty) == ((9, 0, 0, 0, 1), 3)
    with rshash.open(tmp_path / "a.rshash") as archive:
        item = archive.items(["a.tif#xywh=32,64,32,32"])[0]
        assert item["window"] == [32, 64, 32, 32]
        assert item["recipe"] == "bands 1,2,3, values 2%:98%"
        assert item["geometry"]["type"] == "Polygon"
        west, south, east, north = item["bbox"]
        assert 9 < west < east < 9.1
        assert 50 < south < north < 51
        places = archive.connection.execute("SELECT count(*) FROM items WHERE bbox.xmax > 9").fetchone()
        assert places == (9,)
        chip = read_chip(item["source"], item["window"], item["recipe"])
        assert hasher.encode_images([chip])[0].tobytes() == codes_by_id(tmp_path / "a.rshash")[item["id"]]
        hits = archive.search(chip, k=1)
        hits.to_picture(tmp_path / "hits.png")
        with Image.open(tmp_path / "hits.png") as sheet:
            assert sheet.width > 100
    again = take()
    assert (counts(again), again.empty) == ((0, 0, 0, 9, 1), 3)
    assert counts(take(stretch=Stretch.parse("0:4000"))) == (0, 9, 0, 0, 1)
    with rasterio.open(tmp_path / "scenes" / "a.tif", "r+") as scene:
        scene.write(np.zeros((3, 32, 128), np.uint16), window=((0, 32), (0, 128)))
    emptied = take(stretch=Stretch.parse("0:4000"))
    assert (counts(emptied), emptied.empty, emptied.rows) == ((0, 6, 0, 0, 1), 6, 6)


def test_relaxed_codes_are_kept_where_asked(images, hasher, tmp_path):
    take_in(tmp_path / "a.rshash", images, hasher, keep_relaxed=True)
    draw(images / "new.png", 77)
    os.utime(images / "4.png", ns=(5, 5))
    assert counts(take_in(tmp_path / "a.rshash", images, hasher)) == (1, 0, 1, 9, 0)
    with rshash.open(tmp_path / "a.rshash") as archive:
        assert all(segment.relaxed is not None for segment in archive.segments)
        (row,) = archive.rows_of(["4.png"]) - archive.segments[-1].first_row
        expected = hasher.relax_images([np.asarray(Image.open(images / "4.png"))])[0]
        assert np.abs(archive.segments[-1].relaxed[row] - expected).max() < 1e-3
    with pytest.raises(ValueError, match="keeps relaxed codes: index into another archive"):
        take_in(tmp_path / "a.rshash", images, hasher, keep_relaxed=False)


def test_small_segments_are_merged_where_they_add_up(images, hasher, tmp_path):
    take_in(tmp_path / "a.rshash", images, hasher, commit_rows=1)
    with rshash.open(tmp_path / "a.rshash") as archive:
        assert [segment.n_rows for segment in archive.segments] == [10]
    for number in range(20, 22):
        draw(images / f"{number}.png", number)
    take_in(tmp_path / "a.rshash", images, hasher, commit_rows=1)
    with rshash.open(tmp_path / "a.rshash") as archive:
        assert [segment.n_rows for segment in archive.segments] == [10, 1, 1]
    assert codes_by_id(tmp_path / "a.rshash") == encoded_one_by_one(hasher, images)


def test_a_long_run_never_leaves_many_segments(images, hasher, tmp_path, monkeypatch):
    n_segments = []
    compact = rshash.Archive.compact

    def counted(archive):
        n_segments.append(len(archive.segments))
        return compact(archive)

    monkeypatch.setattr("rshash.ingest.commit.FEW_SEGMENTS", 3)
    monkeypatch.setattr("rshash.ingest.commit.MANY_SEGMENTS", 3)
    monkeypatch.setattr(rshash.Archive, "compact", counted)
    take_in(tmp_path / "a.rshash", images, hasher, commit_rows=1)
    assert n_segments == [4, 4, 4]
    assert codes_by_id(tmp_path / "a.rshash") == encoded_one_by_one(hasher, images)


def test_a_hasher_with_several_views_is_followed(images, tmp_path):
    plain = make_hasher()
    heads = plain.image_head, plain.caption_head
    hasher = CrossModalHasher(*heads, "small-cnn", "bag-of-words", image_views=("original", "flip"), dither=0.9)
    cache = FeatureCache(tmp_path / "cache")
    for name in ("a.rshash", "b.rshash"):
        take_in(tmp_path / name, images, hasher, cache=cache)
        assert codes_by_id(tmp_path / name) == encoded_one_by_one(hasher, images)


def test_images_are_expanded_where_they_ask_among_captions_only(images, hasher, tmp_path):
    anchors = np.random.default_rng(0).uniform(-1, 1, (4, hasher.n_bits)).astype(np.float32)
    heads = hasher.image_head, hasher.caption_head
    expanding = CrossModalHasher(*heads, "small-cnn", "bag-of-words", expansion=1.0, anchors=anchors)
    data = CaptionDataset("d", ["0.png"], [("a harbour",)], folder=images)
    image = data.image(0)
    assert not np.array_equal(expanding.encode_images([image], query=True), hasher.encode_images([image]))
    for kind, codes in (
        ("images", expanding.encode_images([image])),
        ("captions", expanding.encode_captions(["a harbour"], database=True)),
    ):
        ingest(tmp_path / f"{kind}.rshash", DatasetSource(data, kind), expanding, progress=False)
        with rshash.open(tmp_path / f"{kind}.rshash") as archive:
            asking = expanding.encode_images([image], query=kind == "captions")
            for query, code in ((image, asking), ("a ship", expanding.encode_captions(["a ship"]))):
                expected = rshash.search(codes, code, k=1).distances
                assert np.array_equal(archive.search(query, k=1).distances, expected)


def test_another_writer_is_waited_for(images, hasher, tmp_path, monkeypatch):
    from rshash.archive.lock import write_lock

    take_in(tmp_path / "a.rshash", images, hasher)
    draw(images / "new.png", 77)
    held, done = threading.Event(), threading.Event()

    def hold():
        with write_lock(tmp_path / "a.rshash"):
            held.set()
            done.wait(0.3)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    assert counts(take_in(tmp_path / "a.rshash", images, hasher)) == (1, 0, 0, 10, 0)
    other.join()
    with write_lock(tmp_path / "a.rshash"):
        draw(images / "newer.png", 78)
        monkeypatch.setattr("rshash.ingest.commit.WAIT_SECONDS", 0.0)
        with pytest.raises(BlockingIOError, match="is being written by"):
            take_in(tmp_path / "a.rshash", images, hasher)


def test_commits_come_by_rows_and_seconds(images, hasher, tmp_path):
    take_in(tmp_path / "a.rshash", images, hasher, commit_rows=4)
    with rshash.open(tmp_path / "a.rshash") as archive:
        assert [segment.n_rows for segment in archive.segments] == [4, 4, 2]
    take_in(tmp_path / "b.rshash", images, hasher, commit_seconds=0)
    with rshash.open(tmp_path / "b.rshash") as archive:
        assert archive.n_rows == len(archive) == 10
