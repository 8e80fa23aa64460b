import pytest
import torch

from rshash.models.heads import HashHead


def test_relaxed_codes_lie_between_minus_one_and_one():
    relaxed = HashHead(dim=6, n_bits=16, hidden=8).eval()(torch.randn(5, 6))
    assert relaxed.shape == (5, 16)
    assert relaxed.abs().max() < 1


def test_one_row_keeps_its_axis():
    assert HashHead(dim=6, n_bits=16, hidden=8).eval()(torch.randn(1, 6)).shape == (1, 16)


def test_standardise_takes_one_mean_and_one_deviation_of_the_training_rows():
    features = torch.tensor([[1.0, 2.0], [3.0, 10.0]])
    head = HashHead(dim=2, n_bits=4, hidden=3)
    head.standardise(features)
    assert head.mean.item() == pytest.approx(features.mean().item())
    assert head.deviation.item() == pytest.approx(features.std(correction=0).item())


def test_codes_do_not_change_with_the_unit_of_the_features():
    features, head = torch.randn(50, 6), HashHead(dim=6, n_bits=16, hidden=8).eval()
    head.standardise(features)
    expected = head(features)
    head.standardise(1000 * features + 7)
    torch.testing.assert_close(head(1000 * features + 7), expected, rtol=1e-3, atol=1e-3)


def test_standardise_refuses_features_that_are_all_equal():
    with pytest.raises(ValueError, match="all equal"):
        HashHead(dim=2, n_bits=4, hidden=3).standardise(torch.ones(5, 2))


def test_standardisation_is_saved_with_the_weights():
    assert {"mean", "deviation"} <= HashHead(dim=2, n_bits=4, hidden=3).state_dict().keys()


def test_head_without_a_hidden_layer_is_linear():
    head = HashHead(dim=3, n_bits=2, hidden=0).eval()
    features = torch.tensor([[1.0, -2.0, 0.5]])
    expected = features @ head.layers[0].weight.T + head.layers[0].bias
    torch.testing.assert_close(head(features), torch.tanh(expected))


def test_sharpness_draws_codes_to_their_signs():
    head = HashHead(dim=3, n_bits=8, hidden=4).eval()
    features = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(features, sharpness=2.0), torch.tanh(2 * torch.atanh(head(features))))
    assert torch.equal(head(features, sharpness=1e6).sign(), head(features).sign())
