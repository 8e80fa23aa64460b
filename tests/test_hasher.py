import json
import os
import threading

import numpy as np
import pytest
import torch

from rshash.codes import dither, expand, pack_codes
from rshash.models.encoders import load_caption_encoder, load_image_encoder
from rshash.models.hasher import CrossModalHasher
from rshash.models.heads import HashHead

IMAGES = [np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8) for seed in range(5)]
CAPTIONS = ["many planes near a terminal", "a river", "boats in the harbour", "two courts", "a pool"]


VIEWS = ("original", "flip", "quarter_turn")


def make_hasher(n_bits=20, seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        heads = [
            HashHead(encoder.dim, n_bits, hidden=8)
            for encoder in (load_image_encoder("small-cnn"), load_caption_encoder("bag-of-words"))
        ]
    return CrossModalHasher(*heads, "small-cnn", "bag-of-words", **settings)


@pytest.mark.parametrize("n_bits", [1, 7, 8, 64, 65])
def test_both_modalities_give_packed_codes_of_one_width(n_bits):
    hasher = make_hasher(n_bits)
    for codes in (hasher.encode_images(IMAGES), hasher.encode_captions(CAPTIONS)):
        assert codes.shape == (5, -(-n_bits // 8))
        assert codes.dtype == np.uint8


def test_codes_are_the_signs_of_the_relaxed_codes_of_the_features():
    hasher = make_hasher()
    features = load_image_encoder("small-cnn").encode(IMAGES)
    relaxed = hasher.relaxed_images(features)
    assert relaxed.dtype == np.float32
    assert np.abs(relaxed).max() < 1
    assert np.array_equal(hasher.encode_images(IMAGES), pack_codes(relaxed))
    features = load_caption_encoder("bag-of-words").encode(CAPTIONS)
    assert np.array_equal(hasher.encode_captions(CAPTIONS), pack_codes(hasher.relaxed_captions(features)))


def test_relaxed_codes_do_not_depend_on_the_batch_and_take_memory_maps(tmp_path):
    hasher, features = make_hasher(), np.random.default_rng(0).normal(size=(1500, 372)).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    whole = hasher.relaxed_images(np.load(tmp_path / "features.npy", mmap_mode="r"))
    parts = np.concatenate([hasher.relaxed_images(features[start : start + 1]) for start in range(0, 1500, 300)])
    np.testing.assert_allclose(whole[::300], parts, atol=1e-5)


def test_codes_of_images_are_the_signs_of_the_mean_over_the_views():
    hasher, encode = make_hasher(image_views=VIEWS), load_image_encoder("small-cnn").encode
    views = [encode(IMAGES), encode([image[:, ::-1] for image in IMAGES]), encode([np.rot90(i) for i in IMAGES])]
    relaxed = hasher.relaxed_images(*views)
    expected = sum(make_hasher().relaxed_images(view) for view in views) / 3
    np.testing.assert_allclose(relaxed, expected, atol=1e-6)
    assert np.array_equal(hasher.encode_images(IMAGES), pack_codes(relaxed))
    assert not np.array_equal(hasher.encode_images(IMAGES), make_hasher().encode_images(IMAGES))


@pytest.mark.parametrize(("views", "message"), [
    ((), "expected one or more, each once"),
    (("flip", "flip"), "expected one or more, each once"),
    (("orignal",), "unknown image view of a hasher 'orignal'; did you mean 'original'"),
    (("blur_rotate_crop",), "unknown image view of a hasher 'blur_rotate_crop'"),  # random: another code each time
])  # fmt: skip
def test_views_that_cannot_be_averaged_are_refused(views, message):
    with pytest.raises(ValueError, match=message):
        make_hasher(image_views=views)


def test_features_of_too_few_views_are_refused():
    with pytest.raises(ValueError, match=r"features of 1 image views were given; .* original, flip, quarter_turn"):
        make_hasher(image_views=VIEWS).relaxed_images(np.zeros((2, 372), np.float32))


def test_nothing_gives_no_codes():
    assert make_hasher().encode_images([]).shape == (0, 3)
    assert make_hasher().encode_captions([]).shape == (0, 3)


@pytest.mark.parametrize("shape", [(2, 371), (372,), (1, 2, 372)])
def test_features_of_another_width_are_refused(shape):
    with pytest.raises(ValueError, match=r"features of images have shape .*; expected \(N, 372\) as 'small-cnn' gives"):
        make_hasher().relaxed_images(np.zeros(shape, np.float32))


def test_features_with_nan_are_refused():
    with pytest.raises(ValueError, match="features of captions hold NaN"):
        make_hasher().relaxed_captions(np.full((1, 1024), np.nan, np.float32))


@pytest.mark.parametrize("device", ["banana", "xla", ""])
def test_a_device_that_is_not_there_is_refused(tmp_path, device):
    make_hasher().save(tmp_path / "a.hasher")
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used here"):
        CrossModalHasher.load(tmp_path / "a.hasher", device=device)


def test_heads_of_different_width_are_refused():
    with pytest.raises(ValueError, match="the image head gives 8 bits, the caption head 16"):
        CrossModalHasher(HashHead(3, 8, 4), HashHead(3, 16, 4), "small-cnn", "bag-of-words")


def test_saved_hasher_comes_back_the_same(tmp_path):
    hasher = make_hasher(provenance={"seed": 3, "metrics": {"mAP@20": {"i2t": 0.5}}})
    hasher.save(tmp_path / "a.hasher")
    again = CrossModalHasher.load(tmp_path / "a.hasher")
    assert again.fingerprint == hasher.fingerprint
    assert again.provenance == hasher.provenance
    assert (again.n_bits, again.image_encoder, again.caption_encoder) == (20, "small-cnn", "bag-of-words")
    assert np.array_equal(again.encode_captions(CAPTIONS), hasher.encode_captions(CAPTIONS))


def test_views_are_saved_and_told_by_the_fingerprint(tmp_path):
    hasher = make_hasher(image_views=VIEWS)
    hasher.save(tmp_path / "a.hasher")
    again = CrossModalHasher.load(tmp_path / "a.hasher")
    assert again.image_views == VIEWS
    assert again.fingerprint == hasher.fingerprint != make_hasher().fingerprint
    assert np.array_equal(again.encode_images(IMAGES), hasher.encode_images(IMAGES))


def test_a_hasher_of_the_original_view_stays_readable_by_the_first_version(tmp_path):
    make_hasher().save(tmp_path / "a.hasher")
    settings = json.loads((tmp_path / "a.hasher" / "hasher.json").read_text())
    assert settings["format_version"] == 1
    assert "image_views" not in settings


def test_same_hasher_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        make_hasher().save(tmp_path / name)
    for file in ("hasher.json", "weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_fingerprint_tells_weights_and_settings_and_not_provenance():
    plain = make_hasher().fingerprint
    assert plain == make_hasher(provenance={"note": 1}).fingerprint
    assert plain != make_hasher(seed=1).fingerprint
    renamed = make_hasher()
    renamed.image_encoder = "efficientnet-lite0"
    assert plain != renamed.fingerprint


def test_saving_replaces_the_old_hasher_and_leaves_nothing_else(tmp_path):
    make_hasher(seed=0).save(tmp_path / "a.hasher")
    make_hasher(seed=1).save(tmp_path / "a.hasher")
    assert CrossModalHasher.load(tmp_path / "a.hasher").fingerprint == make_hasher(seed=1).fingerprint
    assert os.listdir(tmp_path) == ["a.hasher"]


def test_failed_save_leaves_the_old_hasher(tmp_path):
    make_hasher().save(tmp_path / "a.hasher")
    with pytest.raises(TypeError):
        make_hasher(seed=1, provenance={"lock": threading.Lock()}).save(tmp_path / "a.hasher")
    assert CrossModalHasher.load(tmp_path / "a.hasher").fingerprint == make_hasher().fingerprint


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not a hasher: it has no hasher\.json"):
        CrossModalHasher.load(tmp_path / "nowhere")
    make_hasher().save(tmp_path / "a.hasher")
    (tmp_path / "a.hasher" / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no weights\.safetensors"):
        CrossModalHasher.load(tmp_path / "a.hasher")


@pytest.mark.parametrize("n_bytes", [0, 1, 7, 8, 100, -1])
def test_truncated_weights_are_refused(tmp_path, n_bytes):
    make_hasher().save(tmp_path / "a.hasher")
    file = tmp_path / "a.hasher" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=r"weights\.safetensors is damaged"):
        CrossModalHasher.load(tmp_path / "a.hasher")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_truncated_settings_are_refused(tmp_path, share):
    make_hasher().save(tmp_path / "a.hasher")
    file = tmp_path / "a.hasher" / "hasher.json"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * (len(content) - 3))])
    with pytest.raises(ValueError, match=r"hasher\.json is damaged"):
        CrossModalHasher.load(tmp_path / "a.hasher")


@pytest.mark.parametrize(("change", "message"), [
    ({"format": "other"}, "does not describe a hasher"),
    ({"format_version": 6}, "format version 6, this rshash reads 1 to 5; install a newer rshash"),
    ({"format_version": 2}, "image_views is None, expected a list"),
    ({"format_version": 2, "image_views": ["original", 3]}, "unknown image view of a hasher '3'"),
    ({"n_bits": "64"}, "n_bits is '64', expected a positive whole number"),
    ({"n_bits": True}, "n_bits is True"),
    ({"image_dim": -1}, "image_dim is -1"),
    ({"caption_hidden": 1 << 40}, "caption_hidden is 1099511627776"),
    ({"n_bits": 21}, "weights.safetensors does not fit hasher.json"),
    ({"image_dim": 1 << 20, "image_hidden": 1 << 20}, "weights.safetensors does not fit hasher.json"),  # 4 TB
    ({"image_encoder": None}, "image_encoder is None, expected a string"),
    ({"provenance": []}, "provenance is .*, expected an object"),
    ({"dither": "much"}, "dither is 'much', expected a share, 0 <= dither <= 1"),
    ({"dither": 1.5}, "dither is 1.5, expected a share"),
    ({"expansion": -1.0}, "expansion is -1.0, expected a share"),
    ({"expansion": 0.5}, "expansion is 0.5, with 0 anchors; expected both"),
    ({"weights_sha256": "0" * 64}, "weights.safetensors is damaged"),
])  # fmt: skip
def test_wrong_settings_are_refused(tmp_path, change, message):
    make_hasher().save(tmp_path / "a.hasher")
    file = tmp_path / "a.hasher" / "hasher.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=message):
        CrossModalHasher.load(tmp_path / "a.hasher")


@pytest.mark.parametrize("content", [b"[]", b"null", b"\xff\xfe", b"{}"])
def test_settings_that_are_something_else_are_refused(tmp_path, content):
    make_hasher().save(tmp_path / "a.hasher")
    (tmp_path / "a.hasher" / "hasher.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"hasher\.json"):
        CrossModalHasher.load(tmp_path / "a.hasher")


def test_unknown_encoder_is_named_when_it_is_needed():
    hasher = CrossModalHasher(HashHead(3, 8, 4), HashHead(3, 8, 4), "small-cn", "bag-of-words")
    assert hasher.relaxed_images(np.zeros((1, 3), np.float32)).shape == (1, 8)
    with pytest.raises(ValueError, match="did you mean 'small-cnn'"):
        hasher.encode_images(IMAGES)


@pytest.mark.parametrize("image_views", [("original",), VIEWS])
def test_a_turned_hasher_keeps_cosines_and_comes_back_the_same(tmp_path, image_views):
    plain, hasher = make_hasher(image_views=image_views), make_hasher(image_views=image_views)
    rotation = torch.nn.init.orthogonal_(torch.empty(20, 20), generator=torch.Generator().manual_seed(0))
    for head in (hasher.image_head, hasher.caption_head):
        head.rotate(rotation)
    features = load_caption_encoder("bag-of-words").encode(CAPTIONS)
    before, after = plain.relaxed_captions(features), hasher.relaxed_captions(features)
    scale = rotation.abs().sum(dim=0).max().item()
    np.testing.assert_allclose(scale**2 * after @ after.T, before @ before.T, atol=1e-4)
    assert np.abs(after).max() < 1
    hasher.save(tmp_path / "a.hasher")
    again = CrossModalHasher.load(tmp_path / "a.hasher")
    assert again.fingerprint == hasher.fingerprint != plain.fingerprint
    assert np.array_equal(again.encode_images(IMAGES), hasher.encode_images(IMAGES))
    assert json.loads((tmp_path / "a.hasher" / "hasher.json").read_text())["format_version"] == 2


def test_only_captions_of_a_database_are_dithered(tmp_path):
    plain, hasher = make_hasher(), make_hasher(dither=0.9)
    sentences = [f"{number} ships" for number in range(50)]
    expected = pack_codes(dither(plain.relax_captions(sentences), 0.9))
    assert np.array_equal(hasher.encode_captions(sentences), plain.encode_captions(sentences))
    assert np.array_equal(hasher.encode_captions(sentences, database=True), expected)
    assert not np.array_equal(expected, plain.encode_captions(sentences))
    assert np.array_equal(plain.encode_captions(sentences, database=True), plain.encode_captions(sentences))
    assert np.array_equal(hasher.encode_images(IMAGES), plain.encode_images(IMAGES))
    hasher.save(tmp_path / "a.hasher")
    again = CrossModalHasher.load(tmp_path / "a.hasher")
    assert again.fingerprint == hasher.fingerprint != plain.fingerprint
    assert np.array_equal(again.encode_captions(sentences, database=True), expected)
    assert json.loads((tmp_path / "a.hasher" / "hasher.json").read_text())["format_version"] == 3


def test_what_asks_is_expanded_and_what_is_searched_is_not(tmp_path):
    plain = make_hasher()
    anchors = np.random.default_rng(0).uniform(-1, 1, (5, plain.n_bits)).astype(np.float32)
    hasher = make_hasher(expansion=0.9, anchors=anchors)
    sentences = [f"{number} ships" for number in range(50)]
    asking = pack_codes(expand(plain.relax_captions(sentences), anchors, 0.9))
    assert not np.array_equal(asking, plain.encode_captions(sentences))
    assert np.array_equal(hasher.encode_captions(sentences), asking)
    assert np.array_equal(hasher.encode_captions(sentences, database=True), plain.encode_captions(sentences))
    assert np.array_equal(hasher.encode_images(IMAGES), plain.encode_images(IMAGES))
    asking_images = pack_codes(expand(plain.relax_images(IMAGES), anchors, 0.9))
    assert np.array_equal(hasher.encode_images(IMAGES, query=True), asking_images)
    hasher.save(tmp_path / "a.hasher")
    again = CrossModalHasher.load(tmp_path / "a.hasher")
    assert again.fingerprint == hasher.fingerprint != plain.fingerprint
    assert np.array_equal(again.encode_captions(sentences), asking)
    settings = tmp_path / "a.hasher" / "hasher.json"
    kept = json.loads(settings.read_text())
    assert kept["format_version"] == 5
    settings.write_text(json.dumps({**kept, "expansion": 0.0}))
    with pytest.raises(ValueError, match=r"expansion is 0\.0, with 5 anchors; expected both"):
        CrossModalHasher.load(tmp_path / "a.hasher")


@pytest.mark.parametrize(("anchors", "message"), [
    (np.zeros((2, 3)), r"shape \(2, 3\); expected \(A, 20\)"),
    (np.zeros(20), r"shape \(20,\); expected \(A, 20\)"),
    (np.full((2, 20), np.nan), "anchors hold NaN or infinity"),
    (np.empty((0, 20)), "expansion is 0.5, with 0 anchors"),
    (None, "expansion is 0.5, with 0 anchors"),
])  # fmt: skip
def test_impossible_anchors_are_refused(anchors, message):
    with pytest.raises(ValueError, match=message):
        make_hasher(expansion=0.5, anchors=anchors)


def test_anchors_are_copied():
    anchors = np.ones((2, 20), np.float32)
    hasher = make_hasher(expansion=0.5, anchors=anchors)
    anchors[:] = -1
    assert (hasher.anchors == 1).all()


@pytest.mark.parametrize("name", ["dither", "expansion"])
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(name, share):
    with pytest.raises(ValueError, match=f"expected a share, 0 <= {name} <= 1"):
        make_hasher(**{name: share})
