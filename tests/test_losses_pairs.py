"""Losses over pairs of a batch: each against loops over pairs in float64, batches of one included."""

import math

import pytest
import torch

from rshash.losses.balance import decorrelation
from rshash.losses.contrastive import bank_contrast, info_nce
from rshash.losses.ranking import cross_modal_ranking, triplet
from rshash.losses.similarity import inner_product, pairwise_likelihood, similarity_error

SIZES = [1, 2, 7]


def relaxed_codes(n, n_bits=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.tanh(torch.randn(n, n_bits, generator=generator, dtype=torch.float64))


def sides(n):
    return relaxed_codes(n, seed=1), relaxed_codes(n, seed=2)


def classes(n):
    labels = torch.arange(n) % 3
    return labels[:, None] == labels[None, :]


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def mean(values):
    return sum(values) / len(values) if values else 0.0


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("n", SIZES)
def test_similarity_error_is_the_loop_over_pairs(n):
    first, second = sides(n)
    target = relaxed_codes(n, n, seed=3) * 1.5
    expected = [mean([(cosine(first[i], second[j]) - float(target[i, j])) ** 2 for j in range(n)]) for i in range(n)]
    torch.testing.assert_close(similarity_error(first, second, target), doubles(expected))


def squared(u, v, relevant):
    return (dot(u, v) / len(u) - (1 if relevant else -1)) ** 2


def likelihood(u, v, relevant):
    logit = dot(u, v) / 2
    return math.log(1 + math.exp(logit)) - (logit if relevant else 0)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize(("loss", "naive"), [(inner_product, squared), (pairwise_likelihood, likelihood)])
@pytest.mark.parametrize("n", SIZES)
def test_inner_products_are_the_loops_over_pairs(n, loss, naive, balanced):
    first, second = sides(n)
    relevant = classes(n)
    expected = []
    for i in range(n):
        values = [naive(first[i], second[j], bool(relevant[i, j])) for j in range(n)]
        halves = [[v for v, r in zip(values, relevant[i], strict=True) if bool(r) is kind] for kind in (True, False)]
        expected.append(mean([mean(half) for half in halves]) if balanced else mean(values))
    torch.testing.assert_close(loss(first, second, relevant, balanced), doubles(expected))


def test_inner_products_take_more_items_than_the_batch_has():
    first, second = relaxed_codes(3, seed=1), relaxed_codes(5, seed=2)
    relevant = torch.zeros(3, 5, dtype=torch.bool)
    for loss, naive in ((inner_product, squared), (pairwise_likelihood, likelihood)):
        expected = [mean([naive(u, v, False) for v in second]) for u in first]
        torch.testing.assert_close(loss(first, second, relevant), doubles(expected))


@pytest.mark.parametrize("loss", [inner_product, pairwise_likelihood])
def test_opposite_codes_beat_true_ones_unless_pairs_are_balanced(loss):
    own = torch.eye(64, dtype=torch.bool)
    corner = relaxed_codes(1, 32).sign().expand(64, 32)
    collapsed, true = (corner, -corner), (relaxed_codes(64, 32).sign(), relaxed_codes(64, 32).sign())
    assert loss(*collapsed, own).sum() < loss(*true, own).sum()
    assert loss(*collapsed, own, balanced=True).sum() > loss(*true, own, balanced=True).sum()


def test_likelihood_stays_finite_for_wide_codes():
    wide = torch.ones(2, 4096, requires_grad=True)
    loss = pairwise_likelihood(wide, -wide, torch.ones(2, 2, dtype=torch.bool)).sum()
    loss.backward()
    assert loss.item() == pytest.approx(2 * 2048)
    assert torch.isfinite(wide.grad).all()


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("n", SIZES)
def test_info_nce_is_the_loop_over_pairs(n, temperature):
    first, second = sides(n)
    expected = []
    for i in range(n):
        to_second = [math.exp(cosine(first[i], second[j]) / temperature) for j in range(n)]
        to_first = [math.exp(cosine(first[j], second[i]) / temperature) for j in range(n)]
        expected.append(-mean([math.log(to_second[i] / sum(to_second)), math.log(to_first[i] / sum(to_first))]))
    torch.testing.assert_close(info_nce(first, second, temperature), doubles(expected))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("n", SIZES)
def test_bank_contrast_is_the_loop_over_entries(n, temperature):
    codes, positives = sides(n)
    bank = relaxed_codes(6, seed=3)
    left_out = torch.rand(n, 6, generator=torch.Generator().manual_seed(4)) < 0.5
    expected = []
    for i in range(n):
        own = dot(codes[i], positives[i]) / temperature
        others = [dot(codes[i], bank[j]) / temperature for j in range(6) if not left_out[i, j]]
        expected.append(math.log(sum(math.exp(value) for value in [own, *others])) - own)
    torch.testing.assert_close(bank_contrast(codes, bank, positives, left_out, temperature), doubles(expected))


def test_bank_contrast_without_negatives_is_zero():
    codes, positives = sides(2)
    loss = bank_contrast(codes, relaxed_codes(3), positives, torch.ones(2, 3, dtype=torch.bool), 0.5)
    torch.testing.assert_close(loss, torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("negatives", ["hardest", "all"])
@pytest.mark.parametrize("n", SIZES)
def test_triplet_is_the_loop_over_negatives(n, negatives, by_class):
    first, second = sides(n)
    spared = classes(n) if by_class else torch.eye(n, dtype=torch.bool)
    fold = max if negatives == "hardest" else sum
    expected = []
    for i in range(n):
        own = cosine(first[i], second[i])
        others = [j for j in range(n) if not spared[i, j]]
        to_second = [max(0.0, 0.2 + cosine(first[i], second[j]) - own) for j in others]
        to_first = [max(0.0, 0.2 + cosine(first[j], second[i]) - own) for j in others]
        expected.append(fold([0.0, *to_second]) + fold([0.0, *to_first]))
    found = triplet(first, second, 0.2, negatives, classes(n) if by_class else None)
    torch.testing.assert_close(found, doubles(expected))


@pytest.mark.parametrize("n", SIZES)
def test_cross_modal_ranking_is_the_loop_over_negatives(n):
    first, second = sides(n)
    margin, shift = 0.2, 0.7
    expected = []
    for i in range(n):
        own = cosine(first[i], second[i])
        total = 0.0
        for others in ([cosine(first[i], v) for v in second], [cosine(u, second[i]) for u in first]):
            moved = [value - shift if value < own - margin else value for value in others]
            total += margin - own + math.log(sum(math.exp(value) for value in moved))
        expected.append(total)
    torch.testing.assert_close(cross_modal_ranking(first, second, margin, shift), doubles(expected))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("n_bits", [1, 2, 5])
def test_decorrelation_is_the_loop_over_bits(n, n_bits):
    bits = relaxed_codes(n, n_bits).T
    expected = [mean([cosine(bits[a], bits[b]) ** 2 for b in range(n_bits) if b != a]) for a in range(n_bits)]
    torch.testing.assert_close(decorrelation(bits.T), doubles(expected))


@pytest.mark.parametrize("loss", [
    lambda a, b: similarity_error(a, b, torch.eye(3).double()), lambda a, b: inner_product(a, b, classes(3)),
    lambda a, b: pairwise_likelihood(a, b, classes(3), balanced=True), lambda a, b: info_nce(a, b, 0.5),
    lambda a, b: bank_contrast(a, b.detach(), b, torch.eye(3, dtype=torch.bool), 0.5), lambda a, b: triplet(a, b, 0.5),
    lambda a, b: triplet(a, b, 0.5, "all"), lambda a, b: cross_modal_ranking(a, b, 0.2, 1.0),
    lambda a, b: decorrelation(a),
])  # fmt: skip
def test_gradients_are_those_of_finite_differences(loss):
    first, second = relaxed_codes(3, 4, seed=1).requires_grad_(), relaxed_codes(3, 4, seed=2)
    assert torch.autograd.gradcheck(lambda codes: loss(codes, second), first)


@pytest.mark.parametrize("loss", [
    lambda a, b: info_nce(a, b, 0.1), lambda a, b: triplet(a, b, 0.2), lambda a, b: cross_modal_ranking(a, b, 0.2, 1.0),
    lambda a, b: similarity_error(a, b, torch.eye(3)), lambda a, b: decorrelation(a),
])  # fmt: skip
def test_gradients_of_zero_codes_are_finite(loss):
    codes = torch.zeros(3, 4, requires_grad=True)
    loss(codes, relaxed_codes(3, 4).float()).sum().backward()
    assert torch.isfinite(codes.grad).all()
