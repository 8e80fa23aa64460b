import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rshash.codes import unpack_codes
from rshash.data.dataset import CaptionDataset
from rshash.models.hasher import CrossModalHasher
from rshash.training import TrainingDiverged, train
from rshash.training.validation import Validation
from toy import toy_dataset

SMALL = {
    "method": "duch",
    "n_bits": 16,
    "image_encoder": "small-cnn",
    "caption_encoder": "bag-of-words",
    "progress": False,
    "epochs": 4,
    "batch_size": 16,
    "options": {"hidden": 32},
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_training_learns_to_tell_colours_apart(cache):
    options = {"hidden": 64, "learning_rate": 1e-3}
    hasher = train(toy_dataset(120), **{**SMALL, "epochs": 60, "options": options}, validation=0.2, cache=cache)
    metrics = hasher.provenance["metrics"]["mAP@20"]
    assert min(metrics["i2t"], metrics["t2i"]) > 0.7  # chance is a third
    (query,) = unpack_codes(hasher.encode_captions(["many stripes of red run north"]), 16).astype(int)
    data = toy_dataset(9)
    images = unpack_codes(hasher.encode_images([data.image(row) for row in range(9)]), 16).astype(int)
    assert (images @ query).reshape(3, 3).mean(axis=0).argmax() == 0  # every third image is red


def test_same_seed_gives_the_same_bytes_and_another_does_not(cache):
    first, again = (train(toy_dataset(), **SMALL, cache=cache).fingerprint for _ in range(2))
    assert first == again
    assert train(toy_dataset(), **SMALL, cache=cache, seed=1).fingerprint != first


def test_training_neither_reads_nor_changes_the_global_random_state(cache):
    first = train(toy_dataset(), **SMALL, cache=cache).fingerprint
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    state = torch.random.get_rng_state()
    assert train(toy_dataset(), **SMALL, cache=cache).fingerprint == first
    assert torch.equal(torch.random.get_rng_state(), state)


def test_provenance_tells_where_the_weights_come_from(cache):
    data = toy_dataset()
    provenance = train(data, **SMALL, cache=cache, seed=5).provenance
    assert (provenance["method"], provenance["seed"], provenance["epoch"]) == ("duch", 5, 4)
    assert provenance["data"] == {"name": "toy", "fingerprint": data.fingerprint()}
    assert provenance["options"]["hidden"] == 32
    assert provenance["images"] == {"training": 43, "validation": 5}
    assert {"rshash", "torch", "numpy", "python"} <= provenance["versions"].keys()
    assert provenance["encoders"] == {"small-cnn": "1", "bag-of-words": "1"}
    assert json.loads(json.dumps(provenance)) == provenance


def test_log_has_one_line_an_epoch(cache, tmp_path):
    train(toy_dataset(), **SMALL, cache=cache, log=tmp_path / "log.jsonl")
    records = lines(tmp_path / "log.jsonl")
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]
    for record in records:
        assert record.keys() == {"epoch", "learning_rate", "losses", "validation", "seconds"}
        assert {"inter", "image", "caption", "adversarial", "quantization", "balance"} == record["losses"].keys()
        assert {"i2t", "t2i"} == record["validation"].keys()


def test_batch_of_the_method_larger_than_the_data_is_one_batch(cache):
    common = {name: value for name, value in SMALL.items() if name != "batch_size"}
    default = train(toy_dataset(), **common, cache=cache)
    exact = train(toy_dataset(), **common, batch_size=43, cache=cache)
    assert default.fingerprint == exact.fingerprint


def test_validation_is_carved_out_and_changes_nothing_but_the_training_set(cache):
    whole = train(toy_dataset(), **SMALL, cache=cache, validation=0)
    assert whole.provenance["images"] == {"training": 48, "validation": 0}
    assert whole.provenance["metrics"] == {}


def test_without_classes_validation_is_recall_of_the_own_partner(cache):
    hasher = train(toy_dataset(labels=False), **SMALL, cache=cache)
    assert hasher.provenance["metrics"].keys() == {"recall@10"}


def test_any_caption_is_another_training(cache):
    options = {"hidden": 32, "captions": "any"}
    assert train(toy_dataset(), **{**SMALL, "options": options}, cache=cache).fingerprint != (
        train(toy_dataset(), **SMALL, cache=cache).fingerprint
    )


def test_best_epoch_is_kept_beside_the_last_and_returned_when_asked_for(cache, tmp_path):
    common = {**SMALL, "epochs": 8, "cache": cache, "validation": 0.3}
    last = train(toy_dataset(), **common, checkpoints=tmp_path / "run", log=tmp_path / "log.jsonl")
    scores = [sum(record["validation"].values()) for record in lines(tmp_path / "log.jsonl")]
    best = CrossModalHasher.load(tmp_path / "run" / "best.hasher")
    assert best.provenance["epoch"] == 1 + int(np.argmax(scores))
    assert last.provenance["epoch"] == 8
    kept = train(toy_dataset(), **{**common, "options": {"hidden": 32, "keep": "best"}})
    assert kept.fingerprint == best.fingerprint


def test_finished_run_resumes_to_the_same_hasher(cache, tmp_path):
    common = {**SMALL, "cache": cache, "checkpoints": tmp_path}
    assert train(toy_dataset(), **common).fingerprint == train(toy_dataset(), **common, resume=True).fingerprint


def test_killed_run_resumes_to_the_bytes_of_an_unbroken_one(cache, tmp_path):
    settings = {**SMALL, "epochs": 30, "cache": str(cache), "seconds_between_checkpoints": 0}
    script = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
import torch
from toy import toy_dataset
from rshash.training import train
torch.set_num_threads({torch.get_num_threads()})
train(toy_dataset(), **{settings!r}, checkpoints={str(tmp_path / "run")!r}, log={str(tmp_path / "log.jsonl")!r})
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    log = tmp_path / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) >= 5) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    resumed = train(toy_dataset(), **settings, checkpoints=tmp_path / "run", log=log, resume=True)
    unbroken = train(toy_dataset(), **settings, checkpoints=tmp_path / "whole", log=tmp_path / "whole.jsonl")
    assert resumed.fingerprint == unbroken.fingerprint
    assert resumed.provenance == unbroken.provenance
    for name in ("hasher.json", "weights.safetensors"):
        best = [(tmp_path / run / "best.hasher" / name).read_bytes() for run in ("run", "whole")]
        assert best[0] == best[1]
    without_times = [
        [{k: v for k, v in record.items() if k != "seconds"} for record in lines(path)]
        for path in (log, tmp_path / "whole.jsonl")
    ]
    assert without_times[0] == without_times[1]
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")) == [
        "best.hasher",
        "last.pt",
    ]


def test_resume_goes_on_from_the_checkpoint_and_not_from_the_start(cache, tmp_path):
    class Stop(Exception):
        pass

    def stop_after_two(self, epoch):
        if epoch == 2:
            raise Stop

    common = {**SMALL, "cache": cache, "checkpoints": tmp_path, "seconds_between_checkpoints": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rshash.methods.objective.Objective.start_epoch", stop_after_two)
        with pytest.raises(Stop):
            train(toy_dataset(), **common)
    epochs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rshash.methods.objective.Objective.start_epoch", lambda self, epoch: epochs.append(epoch))
        resumed = train(toy_dataset(), **common, resume=True)
    assert epochs == [2, 3]
    assert resumed.fingerprint == train(toy_dataset(), **SMALL, cache=cache).fingerprint


def test_a_run_that_was_told_to_stop_goes_on_as_if_interrupted(cache, tmp_path):
    common = {**SMALL, "cache": cache, "checkpoints": tmp_path}
    assert train(toy_dataset(), **common, stop_after=3).provenance["epoch"] == 3
    whole = train(toy_dataset(), **SMALL, cache=cache)
    assert train(toy_dataset(), **common, resume=True, stop_after=9).fingerprint == whole.fingerprint
    with pytest.raises(ValueError, match="stop_after is 0; expected 1 or more epochs"):
        train(toy_dataset(), **SMALL, stop_after=0)


def test_resume_without_a_checkpoint_starts(cache, tmp_path):
    assert train(toy_dataset(), **SMALL, cache=cache, checkpoints=tmp_path, resume=True).provenance["epoch"] == 4


def test_resume_with_other_settings_is_refused(cache, tmp_path):
    train(toy_dataset(), **SMALL, cache=cache, checkpoints=tmp_path)
    with pytest.raises(ValueError, match="was made with seed = 0, this run has 1; resume with the same settings"):
        train(toy_dataset(), **SMALL, cache=cache, checkpoints=tmp_path, resume=True, seed=1)
    with pytest.raises(ValueError, match="was made with data = "):
        train(toy_dataset(47), **SMALL, cache=cache, checkpoints=tmp_path, resume=True)


@pytest.mark.parametrize("n_bytes", [0, 3, 100, -1000])
def test_damaged_checkpoint_is_refused(cache, tmp_path, n_bytes):
    train(toy_dataset(), **SMALL, cache=cache, checkpoints=tmp_path)
    file = tmp_path / "last.pt"
    file.write_bytes(file.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=r"last\.pt is damaged; remove it to train from the start"):
        train(toy_dataset(), **SMALL, cache=cache, checkpoints=tmp_path, resume=True)


def test_checkpoint_of_a_newer_version_is_refused(cache, tmp_path):
    train(toy_dataset(), **SMALL, cache=cache, checkpoints=tmp_path)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    torch.save({**state, "format_version": 9}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="has format version 9, this rshash reads 2"):
        train(toy_dataset(), **SMALL, cache=cache, checkpoints=tmp_path, resume=True)


def test_divergence_names_the_term_and_the_epoch(cache, tmp_path):
    from rshash.methods.duch import Duch

    whole = Duch.losses

    def breaking(self, batch):
        self.n_steps = getattr(self, "n_steps", 0) + 1
        terms = whole(self, batch)
        if self.n_steps == 5:  # three batches of 16, 16 and 11 an epoch
            terms["quantization"] = terms["quantization"] * float("nan")
        return terms

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Duch, "losses", breaking)
        with pytest.raises(
            TrainingDiverged, match="the loss term 'quantization' is nan in epoch 2, batch 2; lower the learn"
        ):
            train(toy_dataset(), **SMALL, cache=cache, log=tmp_path / "log.jsonl")
    assert len(lines(tmp_path / "log.jsonl")) == 1


def test_weights_that_explode_in_the_last_step_are_found(cache):
    with pytest.raises(TrainingDiverged, match=r"training diverged: .* in epoch 1"):
        train(toy_dataset(), **{**SMALL, "epochs": 1, "options": {"hidden": 8, "learning_rate": 1e38}}, cache=cache)


def test_codes_that_overflow_are_a_divergence(cache):
    one_batch = {**SMALL, "epochs": 2, "batch_size": 43, "options": {"hidden": 8, "learning_rate": 1e30}}
    with pytest.raises(
        TrainingDiverged, match=r"training diverged: the relaxed codes .* are not finite in epoch 1; lower"
    ):
        train(toy_dataset(), **one_batch, cache=cache)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"method": "dutch"}, "unknown method 'dutch'; did you mean 'duch'"),
    ({"n_bits": 0}, "n_bits"),
    ({"seed": -1}, "seed is -1; expected 0 or more"),
    ({"device": "banana"}, "device 'banana' cannot be used here"),
    ({"image_encoder": "small-cnm"}, "did you mean 'small-cnn'"),
    ({"caption_encoder": "bag"}, "caption encoder 'bag'"),
    ({"validation": 1.0}, "validation is 1.0; expected a share"),
    ({"validation": -0.1}, "validation is -0.1"),
    ({"validation": 0.99}, "48 images leave 0 to train on; expected 2 or more"),
    ({"batch_size": 1}, "option 'batch_size' is 1; expected a finite number of at least 2"),
    ({"batch_size": 44}, "batch_size is 44, more than the 43 images to train on"),
    ({"clean": [48]}, "clean names rows 48 to 48; toy has 48 images"),
    ({"epochs": 0}, "option 'epochs' is 0"),
    ({"options": {"hiden": 3}}, "did you mean 'hidden'"),
    ({"options": {"image_views": ["original", "flipped"]}}, "did you mean 'flip'"),
    ({"options": {"keep": "best"}, "validation": 0}, 'keep="best" needs a validation part'),
    ({"resume": True}, "resume needs the folder of checkpoints"),
])  # fmt: skip
def test_wrong_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        train(toy_dataset(), **{**SMALL, **wrong})


def test_images_without_captions_are_refused():
    data = CaptionDataset("bare", ["a.png", "b.png", "c.png"], [("a plane",), (), ("a ship",)])
    with pytest.raises(ValueError, match=r"1 of 3 images have no caption, the first is 'b\.png'"):
        train(data, **SMALL)


def test_validation_leaves_the_own_partner_out_and_counts_classes():
    codes = np.array([[1, 1, 1, 1], [1, 1, 1, -1], [-1, -1, -1, -1]], dtype=np.float32)
    held_out = Validation([codes], codes, np.array([0, 0, 1]))
    assert held_out.measure(lambda x: x, lambda x: x) == {"i2t": 1.0, "t2i": 1.0}  # class 1 has no other item
    swapped = Validation([codes], codes, np.array([0, 1, 0]))
    assert swapped.measure(lambda x: x, lambda x: x) == {"i2t": 0.5, "t2i": 0.5}


def test_validation_of_partners_is_recall():
    codes = np.sign(np.random.default_rng(0).normal(size=(40, 32))).astype(np.float32)
    held_out = Validation([codes], codes, None)
    assert held_out.measure(lambda x: x, lambda x: x) == {"i2t": 1.0, "t2i": 1.0}
    assert held_out.measure(lambda x: x, lambda x: -x)["i2t"] == 0.0


def test_views_that_a_method_averages_are_those_of_the_hasher_and_of_validation(cache):
    common = {**SMALL, "method": "consensus", "epochs": 2, "validation": 0.5, "options": {"hidden": 16}}
    averaged = train(toy_dataset(), **common, cache=cache)
    one = train(toy_dataset(), **{**common, "options": {"hidden": 16, "encoded_views": ["original"]}}, cache=cache)
    assert averaged.image_views == ("original", "flip", "quarter_turn")
    assert one.image_views == ("original",)
    weights = zip(averaged.image_head.parameters(), one.image_head.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
    assert averaged.provenance["metrics"] != one.provenance["metrics"]


def test_random_views_are_refused_before_any_encoding(cache):
    with pytest.raises(ValueError, match="unknown image view of a hasher 'blur_rotate_crop'"):
        train(toy_dataset(), **{**SMALL, "options": {"encoded_views": ["blur_rotate_crop"]}}, cache=cache)


def test_what_a_method_knows_beside_its_heads_can_be_inspected(cache):
    seen = []
    hasher = train(toy_dataset(), **{**SMALL, "method": "consensus"}, cache=cache, inspect=seen.append)
    (objective,) = seen
    assert objective.belief.shape == (3 * hasher.provenance["images"]["training"],)  # captions
