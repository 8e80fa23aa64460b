"""Training, encoding and every verb with ``--device``: nothing mixes devices, and codes are those of the CPU.

There is no GPU in most places, so the device is `pretended`: it refuses what a GPU refuses, with the CPU's numbers.
"""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from pretended import NAME, Pretended, pretended_device
from rshash.cli import main
from rshash.evaluation import evaluate
from rshash.methods import METHODS
from rshash.models.encoders import ENCODERS, load_caption_encoder, load_image_encoder
from rshash.models.hasher import CrossModalHasher
from rshash.noise import find_wrong_pairs
from rshash.training import train
from toy import toy_dataset

ENCODERS_WITHOUT_WEIGHTS = {"image_encoder": "small-cnn", "caption_encoder": "bag-of-words"}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


def arguments(method):
    words = {**ENCODERS_WITHOUT_WEIGHTS, "method": method.name, "n_bits": 8, "progress": False, "seed": 3}
    words["clean"] = range(24) if "clean" in method.supervision else None
    fields = method.options.__dataclass_fields__
    if "epochs" in fields:
        phases = {field: 1 for field in ("clean_epochs", "fusion_epochs", "looks", "first_look") if field in fields}
        words |= {"epochs": 2, "batch_size": 16, "options": {"hidden": 16, **phases}}
    return words


# The device itself: what it refuses, and what it lets pass as a GPU does.


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: here @ there,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: here @ there.to(NAME) + there.sum() * there,
        lambda here, there: there[here.long()],
        lambda here, there: here.index_copy_(0, torch.arange(2), here),
        lambda here, there: here.__setitem__(torch.arange(2), there),
        lambda here, there: torch.stack([here.sum(), there.sum()]),
    ],
)
def test_the_pretended_device_refuses_to_mix(mix):
    with pretended_device():
        here, there = torch.ones(2, 2, device=NAME), torch.ones(2, 2)
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            mix(here, there)


def test_the_pretended_device_takes_what_a_gpu_takes():
    with pretended_device():
        here, there = torch.ones(2, 2, device=NAME), torch.arange(4.0).view(2, 2)
        assert (here * there.sum()).sum().item() == 24
        assert here[there > 1].tolist() == [1, 1]
        here[torch.tensor([0])] = 7.0
        assert here.copy_(there).cpu().tolist() == there.tolist()
        assert there.add_(here.cpu()).tolist() == [[0, 2], [4, 6]]
        with pytest.raises(TypeError, match="convert lazy device type tensor to numpy"):
            here.numpy()
        with pytest.raises(TypeError, match="convert lazy device type tensor to numpy"):
            np.asarray(here)
    assert type(here) is Pretended


def test_a_tensor_left_on_the_cpu_is_found(monkeypatch):
    eye = torch.eye
    monkeypatch.setattr(torch, "eye", lambda n, device=None, **words: eye(n, **words))
    with pretended_device(), pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        train(toy_dataset(), **arguments(METHODS["consensus"]), device=NAME)


# What runs on it.


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_every_method_trains_and_resumes_on_a_device(method, cache, tmp_path, monkeypatch):
    words = {**arguments(method), "cache": cache}
    expected = train(toy_dataset(), **words)
    start_epoch, seen = method.objective.start_epoch, []

    class Stop(Exception):
        pass

    def stop_once(self, epoch):
        seen.append(epoch)
        if seen == [0, 1]:
            raise Stop
        return start_epoch(self, epoch)

    monkeypatch.setattr(method.objective, "start_epoch", stop_once)
    with pretended_device():
        words |= {"checkpoints": tmp_path, "seconds_between_checkpoints": 0, "device": NAME}
        if "epochs" in words:
            with pytest.raises(Stop):
                train(toy_dataset(), **words)
        hasher = train(toy_dataset(), **words, resume=True)
        assert {weights.device.type for weights in hasher.image_head.parameters()} == {NAME}
        assert hasher.fingerprint == expected.fingerprint
    assert seen == ([0, 1, 1] if "epochs" in words else [])


@pytest.mark.parametrize("modality", ["image", "caption"])
def test_every_encoder_gives_the_features_of_the_cpu(modality):
    load = {"image": load_image_encoder, "caption": load_caption_encoder}[modality]
    dataset = toy_dataset(5)
    items = [dataset.image(row) for row in range(5)] if modality == "image" else [c[0] for c in dataset.captions]
    for name in ENCODERS[modality]:
        try:
            expected = load(name).encode(items)
        except ImportError:
            continue
        with pretended_device():
            features = load(name, NAME).encode(items)
        assert isinstance(features, np.ndarray)
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4, err_msg=name)


def test_hashers_encode_evaluate_and_move_between_devices(tmp_path):
    dataset = toy_dataset()
    words = {**arguments(METHODS["consensus"]), "validation": 0.0}
    images, captions = [dataset.image(row) for row in range(9)], [texts[0] for texts in dataset.captions[:9]]
    with pretended_device():
        hasher = train(dataset, **words, device=NAME)
        hasher.save(tmp_path / "a.hasher")
        codes = hasher.encode_images(images), hasher.encode_captions(captions)
        report = evaluate(hasher, dataset, dataset)
        moved = CrossModalHasher.load(tmp_path / "a.hasher", device=NAME)
        assert {weights.device.type for weights in moved.caption_head.parameters()} == {NAME}
        assert np.array_equal(moved.encode_images(images), codes[0])
    on_cpu = CrossModalHasher.load(tmp_path / "a.hasher")
    assert np.array_equal(on_cpu.encode_images(images), codes[0])
    assert np.array_equal(on_cpu.encode_captions(captions), codes[1])
    assert str(evaluate(on_cpu, dataset, dataset)) == str(report)


def test_wrong_pairs_are_found_on_a_device():
    words = {**ENCODERS_WITHOUT_WEIGHTS, "n_bits": 8, "progress": False}
    expected = find_wrong_pairs(toy_dataset(), **words)
    with pretended_device():
        found = find_wrong_pairs(toy_dataset(), **words, device=NAME)
    assert np.array_equal(found.probabilities, expected.probabilities)


def test_every_verb_with_a_device_runs_on_it(tmp_path, monkeypatch):
    used, load = [], CrossModalHasher.load
    monkeypatch.setattr(
        CrossModalHasher,
        "load",
        classmethod(lambda cls, path, device="cpu": used.append(device) or load(path, device=device)),
    )

    def ask(verb, *words):
        result = CliRunner().invoke(main, [verb, *map(str, words)], catch_exceptions=True)
        assert result.exit_code == 0, (verb, result.output, result.exception)
        return result.stdout

    ask("scenes", "-n", 24, "--size", 32, "-o", tmp_path / "scenes")
    data = ["--captions", tmp_path / "scenes/captions.json", "--images", tmp_path / "scenes/images"]
    common = [*data, "--cache", tmp_path / "cache", "--device", NAME, "-q"]
    hasher = ["--hasher", tmp_path / "a.hasher"]
    encoders = ["--image-encoder", "small-cnn", "--caption-encoder", "bag-of-words"]
    with pretended_device():
        ask("train", *common, *encoders, "--epochs", 1, "--bits", 16, "--split", "all", "-o", tmp_path / "a.hasher")
        ask("encode", *common, *hasher, "-o", tmp_path / "codes.npy")
        ask("index", *common, *hasher, "-o", tmp_path / "a.rshash")
        ask("evaluate", *common, *hasher, "--split", "all", "--relevance", "pair", "-k", 5)
        ask("diagnose", *common, *hasher)
        compared = ["--data", data[1], data[3], *encoders, "--method", "random-rotation", "--bits", 8, "--seed", 0]
        ask("compare", *compared, "--cache", tmp_path / "cache", "--device", NAME, "-q", "-o", tmp_path / "runs")
        ask("noise", *common, *encoders, "-o", tmp_path / "noise.json")
    assert set(used) == {NAME}
    assert np.load(tmp_path / "codes.npy").shape == (24, 2)
    assert json.loads((tmp_path / "noise.json").read_text())
