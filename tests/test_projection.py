"""Projection: principal directions, and heads that read features again."""

import numpy as np
import pytest
import torch

from rshash.models.heads import HashHead
from rshash.models.projection import Projection


def random_features(n: int, dim: int, scale=1.0) -> np.ndarray:
    return (np.random.default_rng(0).normal(size=(n, dim)) * scale + 3).astype(np.float32)


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize("rotated", [False, True])
def test_an_unfolded_head_gives_the_same_codes(hidden, rotated):
    torch.manual_seed(0)
    features = random_features(50, 12, np.linspace(0.1, 2, 12))
    projection = Projection.fit(features, n_components=4)
    projected = torch.from_numpy(projection(features)) + 0.5  # a mean that is not 0
    head = HashHead(dim=4, n_bits=6, hidden=hidden)
    head.standardise(projected)
    if rotated:
        head.rotate(torch.linalg.qr(torch.randn(6, 6)).Q)
    head(projected)  # batch norm sees the data
    head.eval()
    whole = projection.unfold(head)
    expected = head(torch.from_numpy(projection(features)))
    torch.testing.assert_close(whole(torch.from_numpy(features)), expected, rtol=1e-4, atol=1e-5)
    assert not whole.training


def test_directions_are_those_of_largest_variance():
    features = random_features(500, 6, np.array([1, 9, 1, 5, 1, 1]))
    projection = Projection.fit(features, n_components=2)
    assert np.abs(projection.directions).argmax(axis=0).tolist() == [1, 3]
    centred = features - features.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(projection(features)), np.abs(centred @ directions[:2].T), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(projection(features), axis=0), sizes[:2], rtol=1e-4)


def test_directions_in_which_training_rows_do_not_vary_are_left_out():
    assert Projection.fit(random_features(5, 8), n_components=6).directions.shape == (8, 4)


def test_equal_features_are_refused():
    with pytest.raises(ValueError, match="all equal"):
        Projection.fit(np.ones((5, 8), np.float32), n_components=3)
