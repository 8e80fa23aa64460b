"""What every method of the literature must hold: it trains, repeats itself, resumes, and refuses what it cannot use."""

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import CCA

from rshash.methods import METHODS
from rshash.methods.closed_form import cca, itq, random_rotation
from rshash.methods.pairs import TrainingPairs
from rshash.training import train
from toy import toy_dataset

TRAINED = [method for method in METHODS.values() if hasattr(method.options, "epochs")]
CLOSED = [method for method in METHODS.values() if method not in TRAINED]
COMMON = {"n_bits": 8, "image_encoder": "small-cnn", "caption_encoder": "bag-of-words", "progress": False, "seed": 3}
name = lambda method: method.name  # noqa: E731


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


def arguments(method, **changes):
    words = {**COMMON, "method": method.name, "clean": range(24) if "clean" in method.supervision else None}
    if method in TRAINED:
        fields = method.options.__dataclass_fields__
        phases = {field: 1 for field in ("clean_epochs", "fusion_epochs") if field in fields}  # one epoch in each
        words |= {"epochs": 2, "batch_size": 16, "options": {"hidden": 16, **phases}}
    return {**words, **changes}


@pytest.fixture(scope="module")
def unbroken(cache):
    """Method → its hasher, trained once."""
    hashers = {}

    def train_once(method):
        if method.name not in hashers:
            hashers[method.name] = train(toy_dataset(), **arguments(method), cache=cache)
        return hashers[method.name]

    return train_once


@pytest.mark.parametrize("method", METHODS.values(), ids=name)
def test_every_method_says_where_its_weights_come_from(method, unbroken):
    provenance = unbroken(method).provenance
    assert (provenance["method"], provenance["paper"]) == (method.name, method.paper)
    assert set(provenance["metrics"]["mAP@20"]) == {"i2t", "t2i"}


@pytest.mark.parametrize("method", TRAINED, ids=name)
def test_resumed_run_gives_the_bytes_of_an_unbroken_one(method, cache, unbroken, tmp_path):
    class Stop(Exception):
        pass

    def stop_before_the_second_epoch(self, epoch):
        if epoch == 1:
            raise Stop
        return original(self, epoch)

    words = arguments(method, checkpoints=tmp_path, seconds_between_checkpoints=0, cache=cache)
    original = method.objective.start_epoch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method.objective, "start_epoch", stop_before_the_second_epoch)
        with pytest.raises(Stop):
            train(toy_dataset(), **words)
    assert train(toy_dataset(), **words, resume=True).fingerprint == unbroken(method).fingerprint


@pytest.mark.parametrize("method", [method for method in METHODS.values() if "labels" in method.supervision], ids=name)
def test_labels_are_asked_for_before_anything_is_encoded(method):
    with pytest.raises(ValueError, match="learns from class labels, toy has none"):
        train(toy_dataset(labels=False), **arguments(method))
    one_class = toy_dataset()
    one_class.labels[:] = 1
    with pytest.raises(ValueError, match="all images to train on of toy are of one"):
        train(one_class, **arguments(method))


@pytest.mark.parametrize("method", [method for method in METHODS.values() if method.supervision == "none"], ids=name)
def test_methods_without_supervision_need_no_labels_and_ignore_them(method, cache, unbroken):
    without = train(toy_dataset(labels=False), **arguments(method), cache=cache)
    assert without.fingerprint == unbroken(method).fingerprint


@pytest.mark.parametrize("method", CLOSED, ids=name)
def test_closed_forms_have_no_epochs_and_are_measured_all_the_same(method, cache, tmp_path):
    with pytest.raises(ValueError, match="unknown option 'epochs'"):
        train(toy_dataset(), **arguments(method, epochs=3), cache=cache)
    words = arguments(method, checkpoints=tmp_path, resume=True, log=tmp_path / "log.jsonl")
    hasher = train(toy_dataset(), **words, cache=cache)
    assert hasher.provenance["epoch"] == 0
    assert hasher.provenance["metrics"]["mAP@20"]["i2t"] > 0.3
    assert hasher.image_head.hidden == 0
    hasher.save(tmp_path / "a.hasher")
    assert type(hasher).load(tmp_path / "a.hasher").fingerprint == hasher.fingerprint


def correlated(n=400, dims=(6, 5), seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 3))
    sides = [np.hstack([common, rng.normal(size=(n, 9))]) @ rng.normal(size=(12, dim)) for dim in dims]
    return [torch.from_numpy(side - side.mean(axis=0)) for side in sides]


def test_cca_is_that_of_scikit_learn():
    images, captions = correlated()
    *projections, correlations = cca(images, captions, 3, ridge=1e-12)
    of_sklearn = CCA(n_components=3, scale=False, max_iter=5000, tol=1e-12).fit(images.numpy(), captions.numpy())
    scores = of_sklearn.transform(images.numpy(), captions.numpy())
    expected = [np.corrcoef(scores[0][:, i], scores[1][:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(correlations.numpy(), expected, atol=1e-6)
    for side, projection, of_other in zip((images, captions), projections, scores, strict=True):
        ours = (side @ projection).numpy()
        np.testing.assert_allclose((ours**2).mean(axis=0), 1, rtol=1e-6)
        for i in range(3):
            assert abs(np.corrcoef(ours[:, i], of_other[:, i])[0, 1]) > 1 - 1e-6


def test_cca_of_too_few_directions_is_refused():
    with pytest.raises(ValueError, match="CCA of these features and 400 pairs has 5 directions, got n_bits 6"):
        cca(*correlated(), 6, ridge=0.1)


def test_itq_lowers_the_quantization_error_and_stays_a_rotation():
    projected = correlated(dims=(8, 8))[0]
    torch.manual_seed(0)
    start = random_rotation(8)
    errors = []
    for iterations in (0, 1, 5, 50):
        rotation = itq(projected, start, iterations)
        torch.testing.assert_close(rotation @ rotation.T, torch.eye(8, dtype=torch.float64))
        turned = projected @ rotation
        errors.append(float(((torch.where(turned >= 0, 1.0, -1.0) - turned) ** 2).sum()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]


def test_a_joint_space_is_asked_for_by_name(cache):
    with pytest.raises(ValueError, match=r'space="joint" needs encoders of one space, got 372 features of images'):
        train(toy_dataset(), **arguments(METHODS["random-rotation"], options={"space": "joint"}), cache=cache)


def made_pairs(n=24, n_views=2):
    """Pairs of three classes whose features tell the class."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 3
    views = [
        tuple(torch.eye(dim)[labels] * 2 + torch.randn(n, dim, generator=generator) * 0.3 + 0.5 for _ in range(n_views))
        for dim in (6, 5)
    ]
    return TrainingPairs(*views, np.arange(n + 1), np.arange(n), labels, torch.arange(n) < n // 2)


def made_objective(method, pairs, **changes):
    torch.manual_seed(0)
    learning_rate = max(1e-3, method.options().learning_rate)
    return method.objective(pairs, 8, method.options(hidden=16, learning_rate=learning_rate, **changes))


def step(objective, batch):
    terms = objective.losses(batch)
    loss = torch.stack(list(terms.values())).sum()
    objective.optimizers["heads"].zero_grad()
    loss.backward()
    gradients = [head.layers[-1].weight.grad for head in (objective.image_head, objective.caption_head)]
    objective.optimizers["heads"].step()
    return loss.item(), gradients


@pytest.mark.parametrize("stage", ["first", "last"])
@pytest.mark.parametrize("method", TRAINED, ids=name)
def test_losses_fall_and_gradients_are_finite(method, stage):
    if method.name == "cmdvh" and stage == "first":
        pytest.skip("its heads learn in the second stage only")
    pairs = made_pairs(n_views=len(method.options().image_views))
    objective = made_objective(method, pairs)
    objective.train()
    objective.start_epoch(0 if stage == "first" else method.options().epochs - 1)
    (batch,) = pairs.batches(24, np.random.default_rng(0))
    losses = []
    for _ in range(40):
        loss, gradients = step(objective, batch)
        losses.append(loss)
        assert all(torch.isfinite(gradient).all() and gradient.abs().sum() > 0 for gradient in gradients)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


@pytest.mark.parametrize("method", TRAINED, ids=name)
def test_a_batch_of_two_pairs_is_enough(method):
    pairs = made_pairs(2, n_views=len(method.options().image_views))
    objective = made_objective(method, pairs, **({"categories": 2} if method.name == "category-contrast" else {}))
    objective.train()
    objective.start_epoch(0)
    (batch,) = pairs.batches(2, np.random.default_rng(0))
    assert all(np.isfinite(term.item()) for term in objective.losses(batch).values())
