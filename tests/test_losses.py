import math

import pytest
import torch

from rshash.losses.adversarial import discriminator_loss, generator_loss, gradient_penalty
from rshash.losses.balance import bit_balance, code_balance
from rshash.losses.contrastive import nt_xent
from rshash.losses.quantization import quantization


def relaxed_codes(n, n_bits=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.tanh(torch.randn(n, n_bits, generator=generator, dtype=torch.float64))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def naive_nt_xent(first, second, temperature):
    rows = [row.tolist() for row in torch.cat([first, second])]
    n = len(first)
    losses = []
    for i in range(n):
        total = 0.0
        for anchor, positive in ((i, i + n), (i + n, i)):
            others = [math.exp(cosine(rows[anchor], rows[k]) / temperature) for k in range(2 * n) if k != anchor]
            total -= math.log(math.exp(cosine(rows[anchor], rows[positive]) / temperature) / sum(others))
        losses.append(total)
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_nt_xent_is_the_loop_over_pairs(n, temperature):
    first, second = relaxed_codes(n, seed=1), relaxed_codes(n, seed=2)
    expected = naive_nt_xent(first, second, temperature)
    torch.testing.assert_close(nt_xent(first, second, temperature), expected, rtol=1e-12, atol=1e-12)


def test_nt_xent_of_a_single_pair_is_zero():
    loss = nt_xent(relaxed_codes(1, seed=1), relaxed_codes(1, seed=2), temperature=0.1)
    torch.testing.assert_close(loss, torch.zeros(1, dtype=torch.float64))


def test_constant_e_is_right_at_temperature_one_and_wrong_elsewhere():
    first, second = relaxed_codes(5, seed=1), relaxed_codes(5, seed=2)
    torch.testing.assert_close(nt_xent(first, second), nt_xent(first, second, self_term="constant e"))
    wrong = nt_xent(first, second, 0.5, self_term="constant e")
    assert (wrong > nt_xent(first, second, 0.5) + 0.1).all()


def test_nt_xent_ignores_length_order_of_sides_and_order_of_pairs():
    first, second = relaxed_codes(6, seed=1), relaxed_codes(6, seed=2)
    loss = nt_xent(first, second, 0.5)
    torch.testing.assert_close(nt_xent(3 * first, 0.5 * second, 0.5), loss)
    torch.testing.assert_close(nt_xent(second, first, 0.5), loss)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(nt_xent(first[order], second[order], 0.5), loss[order])


def test_nt_xent_falls_when_pairs_meet():
    first, second = relaxed_codes(6, seed=1), relaxed_codes(6, seed=2)
    assert nt_xent(first, first).sum() < nt_xent(first, second).sum()


def test_nt_xent_has_a_finite_gradient_at_low_temperature_and_zero_codes():
    codes = torch.zeros(3, 4, requires_grad=True)
    nt_xent(codes, relaxed_codes(3, 4).float(), 0.01).sum().backward()
    assert torch.isfinite(codes.grad).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_nt_xent_refuses_a_temperature_that_is_not_positive(temperature):
    with pytest.raises(ValueError, match="expected a number above 0"):
        nt_xent(relaxed_codes(2), relaxed_codes(2), temperature)


def test_nt_xent_refuses_sides_of_different_shape():
    with pytest.raises(ValueError, match=r"got \(2, 8\) and \(3, 8\)"):
        nt_xent(relaxed_codes(2), relaxed_codes(3))


def test_adversarial_losses_are_the_logarithms_of_the_paper():
    real, fake = torch.tensor([-2.0, 0.5]).double(), torch.tensor([1.0, -3.0]).double()
    sigmoid = [(1 / (1 + math.exp(-r)), 1 / (1 + math.exp(-f))) for r, f in zip(real, fake, strict=True)]
    expected = [-math.log(r) - math.log(1 - f) for r, f in sigmoid]
    torch.testing.assert_close(discriminator_loss(real, fake), torch.tensor(expected).double())
    torch.testing.assert_close(generator_loss(real), torch.log1p(torch.exp(-real)))


def test_adversarial_losses_stay_finite_for_a_sure_discriminator():
    sure = torch.tensor([1e4])
    assert torch.isfinite(discriminator_loss(-sure, sure)).all()
    assert torch.isfinite(generator_loss(-sure)).all()


def test_gradient_penalty_is_zero_for_slope_one_and_grows_with_it():
    real, fake, shares = relaxed_codes(4, seed=1), relaxed_codes(4, seed=2), torch.rand(4, 8).double()
    for slope in (1.0, 0.25, 3.0):
        direction = torch.nn.functional.normalize(torch.arange(1.0, 9.0).double(), dim=0) * slope
        penalty = gradient_penalty(lambda codes, d=direction: codes @ d, real, fake, shares)
        torch.testing.assert_close(penalty, torch.full((4,), (slope - 1) ** 2).double())


def test_gradient_penalty_is_taken_between_real_and_fake_and_reaches_the_weights():
    weights = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    real, fake = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    penalty = gradient_penalty(lambda c: weights * c[:, 0] ** 2, real, fake, torch.full((1, 1), 0.25).double())
    torch.testing.assert_close(penalty, torch.zeros(1).double())  # slope 2 * 2 * 0.25 = 1
    gradient_penalty(lambda c: weights * c[:, 0] ** 2, real, fake, torch.ones(1, 1).double()).sum().backward()
    torch.testing.assert_close(weights.grad, torch.tensor(12.0).double())  # d/dw (2w - 1)² = 4 (2w - 1)


@pytest.mark.parametrize("n", [1, 5])
def test_quantization_and_balance_are_the_loops(n):
    relaxed, targets = relaxed_codes(n), relaxed_codes(n, seed=1).sign()
    rows, goals = relaxed.tolist(), targets.tolist()
    squares = [sum((t - r) ** 2 for r, t in zip(*pair, strict=True)) for pair in zip(rows, goals, strict=True)]
    torch.testing.assert_close(quantization(relaxed, targets), torch.tensor(squares).double())
    torch.testing.assert_close(code_balance(relaxed), torch.tensor([sum(row) ** 2 for row in rows]).double())
    columns = [sum(column) ** 2 for column in zip(*rows, strict=True)]
    torch.testing.assert_close(bit_balance(relaxed), torch.tensor(columns).double())


def test_quantization_is_zero_on_its_targets_and_balance_on_opposites():
    corners = relaxed_codes(4).sign()
    assert quantization(corners, corners).sum() == 0
    assert bit_balance(torch.cat([corners, -corners])).sum() == 0
    assert code_balance(torch.cat([corners, -corners], dim=1)).sum() == 0


@pytest.mark.parametrize("loss", [
    lambda a, b: nt_xent(a, b, 0.5), lambda a, b: quantization(a, b.detach().sign()),
    lambda a, b: bit_balance(a), lambda a, b: code_balance(a),
])  # fmt: skip
def test_gradients_are_those_of_finite_differences(loss):
    first, second = relaxed_codes(3, 4).requires_grad_(), relaxed_codes(3, 4, seed=1)
    assert torch.autograd.gradcheck(lambda codes: loss(codes, second), first)
