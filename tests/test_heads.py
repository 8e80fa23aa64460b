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


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize("rotated", [False, True])
def test_a_folded_head_gives_the_same_codes(hidden, rotated):
    torch.manual_seed(0)
    features = torch.randn(50, 12) @ torch.randn(12, 12)
    head = HashHead(dim=12, n_bits=6, hidden=hidden, n_components=4)
    head.standardise(features)
    if rotated:
        head.rotate(torch.linalg.qr(torch.randn(6, 6)).Q)
    head(features)  # batch norm sees the data
    head.eval()
    folded = head.folded()
    assert "components" not in folded.state_dict()
    torch.testing.assert_close(folded(features), head(features), rtol=1e-4, atol=1e-5)


def test_components_are_the_directions_of_largest_variance_at_size_one():
    torch.manual_seed(0)
    features = torch.randn(500, 6) * torch.tensor([1.0, 9.0, 1.0, 5.0, 1.0, 1.0]) + 3
    head = HashHead(dim=6, n_bits=4, hidden=3, n_components=2)
    head.standardise(features)
    strongest = head.components.abs().argmax(dim=0)
    assert strongest.tolist() == [1, 3]
    read = (features - features.mean(dim=0)) / head.deviation @ head.components
    assert read.square().mean().item() == pytest.approx(1, rel=1e-3)


def test_directions_in_which_training_rows_do_not_vary_are_not_read():
    torch.manual_seed(0)
    features = torch.randn(5, 8)  # 5 rows vary in 4 directions
    head = HashHead(dim=8, n_bits=4, hidden=3, n_components=6)
    head.standardise(features)
    assert (head.components.norm(dim=0) > 0).tolist() == [True] * 4 + [False] * 2


def test_more_components_than_features_are_the_features_themselves():
    head = HashHead(dim=6, n_bits=4, hidden=3, n_components=6)
    assert head.components is None
    assert head.folded() is head
