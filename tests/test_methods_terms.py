"""The parts of single methods that are their own: targets, phases, weights, memories, against loops or by hand."""

import math

import numpy as np
import pytest
import torch

from rshash.methods import METHODS
from rshash.methods.category import hadamard_rows
from rshash.methods.labels import count_classes, labels_of, same_class
from rshash.methods.pairs import TrainingPairs

N = 12


def made_pairs(n_views=1, labels=True, clean=6, n=N):
    generator = torch.Generator().manual_seed(0)
    draw = lambda dim: tuple(torch.rand(n, dim, generator=generator) for _ in range(n_views))  # noqa: E731
    classes = torch.arange(n) % 3 if labels else None
    return TrainingPairs(draw(6), draw(5), np.arange(n + 1), np.arange(n), classes, torch.arange(n) < clean)


def made(name, pairs=None, **options):
    method = METHODS[name]
    torch.manual_seed(0)
    if pairs is None:
        pairs = made_pairs(len(method.options().image_views))
    objective = method.objective(pairs, 8, method.options(hidden=16, **options))
    objective.train()
    return objective


def batch_of(objective, size=N):
    return next(objective.pairs.batches(size, np.random.default_rng(0)))


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def test_constants_are_those_of_the_released_codes():
    djsrh, jdsh, dgcpn, ucch, chnr, cpah, vse = (
        METHODS[name].options() for name in ("djsrh", "jdsh", "dgcpn", "ucch", "chnr", "cpah", "vse++")
    )
    assert (djsrh.image_share, djsrh.second_order_share, djsrh.scale, djsrh.intra_weight) == (0.6, 0.4, 1.5, 0.1)
    assert (djsrh.learning_rate, djsrh.momentum, djsrh.batch_size, djsrh.epochs) == (0.01, 0.9, 32, 300)
    assert (jdsh.image_share, jdsh.caption_share, jdsh.cross_share, jdsh.scale) == (0.2, 0.4, 0.4, 1.5)
    assert (dgcpn.caption_share, dgcpn.graph_share, dgcpn.pair_cosine, dgcpn.learning_rate) == (0.01, 0.3, 1.5, 0.005)
    assert (ucch.contrast_weight, ucch.temperature, ucch.momentum, ucch.negatives) == (0.7, 0.9, 0.4, 4096)
    assert (chnr.epochs, chnr.clean_epochs, chnr.quantization_weight, chnr.temperature) == (150, 75, 0.001, 1.0)
    assert (cpah.hidden, cpah.batch_size, cpah.epochs) == (512, 64, 80)
    assert (cpah.class_weight, cpah.consistency_weight, cpah.quantization_weight) == (0.1, 0.1, 1.0)
    assert (cpah.pairwise_weight, cpah.adversarial_weight) == (1.0, 100.0)
    assert (vse.margin, vse.epochs, vse.learning_rate, vse.lower_after) == (0.2, 30, 2e-4, 15)


def test_target_of_djsrh_is_the_loop():
    objective = made("djsrh")
    batch = batch_of(objective)
    image, caption = batch.images[0], batch.captions[0]
    joint = [
        [0.6 * (2 * cosine(image[i], image[j]) - 1) + 0.4 * (2 * cosine(caption[i], caption[j]) - 1) for j in range(N)]
        for i in range(N)
    ]
    expected = [
        [1.5 * (0.6 * joint[i][j] + 0.4 * sum(joint[i][k] * joint[j][k] for k in range(N)) / N) for j in range(N)]
        for i in range(N)
    ]
    torch.testing.assert_close(objective.target(batch), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_target_of_jdsh_is_the_loop():
    objective = made("jdsh")
    batch = batch_of(objective)
    of_images, of_captions = (
        torch.tensor([[2 * cosine(side[i], side[j]) - 1 for j in range(N)] for i in range(N)])
        for side in (batch.images[0], batch.captions[0])
    )
    expected = torch.empty(N, N)
    for i in range(N):
        for j in range(N):
            agreement = (cosine(of_images[i], of_captions[j]) + cosine(of_images[j], of_captions[i])) / 2
            expected[i, j] = 1.5 * (0.2 * of_images[i, j] + 0.4 * of_captions[i, j] + 0.4 * agreement)
    torch.testing.assert_close(objective.target(batch), expected, rtol=1e-4, atol=1e-5)


def test_target_of_dgcpn_is_the_loop_over_neighbours():
    objective = made("dgcpn", neighbours=0.25)
    image, caption = objective.pairs.images[0], objective.pairs.captions[0]
    similar = torch.tensor(
        [
            [0.99 * cosine(image[i], image[j]) + 0.01 * cosine(caption[i], caption[j]) for j in range(N)]
            for i in range(N)
        ]
    )
    graph = []
    for i in range(N):
        nearest = sorted((j for j in range(N) if j != i), key=lambda j: -float(similar[i, j]))[:3]
        total = sum(float(similar[i, j]) for j in nearest)
        graph.append({j: float(similar[i, j]) / total for j in nearest})
    batch = batch_of(objective, 5)
    rows = batch.rows.tolist()
    expected = torch.empty(len(rows), len(rows))
    for a, i in enumerate(rows):
        for b, j in enumerate(rows):
            coherence = 2 * 3 * sum(share * graph[j].get(k, 0.0) for k, share in graph[i].items())
            expected[a, b] = 2 * (0.7 * similar[i, j] + 0.3 * coherence) - 1
    torch.testing.assert_close(objective.target(batch), expected, rtol=1e-4, atol=1e-5)


def test_adversary_of_cpah_counts_on_average_over_the_batch():
    twice = made_pairs(n=2 * N)
    twice.images[0][N:], twice.captions[0][N:] = twice.images[0][:N], twice.captions[0][:N]
    terms = []
    for n in (N, 2 * N):
        objective = made("cpah", twice)
        batch = objective.pairs.batch(np.arange(n), np.random.default_rng(0))
        terms.append({name: term.item() for name, term in objective.losses(batch).items()})
    assert terms[1]["adversarial"] == pytest.approx(terms[0]["adversarial"], rel=1e-3)
    assert terms[1]["quantization"] == pytest.approx(2 * terms[0]["quantization"], rel=1e-3)


def test_terms_of_dgcpn_are_the_loops():
    objective = made("dgcpn", intra_weight=0.5, coherence_weight=2.0, half_binary=False)
    generator = torch.Generator().manual_seed(1)
    image, caption, target = (torch.rand(4, n, generator=generator) - 0.5 for n in (8, 8, 4))
    sides = {"I": image, "T": caption}
    of = {
        a + b: torch.tensor([[cosine(sides[a][i], sides[b][j]) for j in range(4)] for i in range(4)])
        for a in "IT"
        for b in "IT"
    }

    def mean_error(name, wanted, counted=lambda i, j: True):
        errors = [float(of[name][i, j] - wanted[i, j]) ** 2 for i in range(4) for j in range(4) if counted(i, j)]
        return sum(errors) / 16

    from_target = {name: mean_error(name, target, lambda i, j: i != j) for name in of}
    agreements = [("IT", "II"), ("IT", "TT"), ("II", "TT"), ("IT", "TI")]
    expected = {
        "inter": from_target["IT"],
        "image": 0.5 * from_target["II"],
        "caption": 0.5 * from_target["TT"],
        "pair": sum(float(of["IT"][i, i] - 1.5) ** 2 for i in range(4)) / 4,
        "coherence": 2 * sum(mean_error(name, of[other]) for name, other in agreements),
    }
    terms = {name: float(value) for name, value in objective.compare(image, caption, target).items()}
    assert terms == pytest.approx(expected, rel=1e-5)


def test_codes_of_djsrh_sharpen_with_the_square_root_of_the_epoch():
    objective = made("djsrh")
    objective.start_epoch(8)
    assert objective.sharpness == 3


def test_memory_of_ucch_keeps_its_share_after_the_warm_up():
    objective = made("ucch", weight_decay=0.0)
    batch = batch_of(objective)
    before = objective.memory.clone()
    joints = []
    for epoch in (0, 1):
        objective.start_epoch(epoch)
        objective.losses(batch)
        with torch.no_grad():
            sides = (objective.image_head(batch.images[0]), objective.caption_head(batch.captions[0]))
        joints.append(torch.nn.functional.normalize(sum(torch.nn.functional.normalize(s, dim=1) for s in sides), dim=1))
        kept = 0.0 if epoch == 0 else 0.4
        expected = torch.nn.functional.normalize(kept * before[batch.rows] + (1 - kept) * joints[-1], dim=1)
        torch.testing.assert_close(objective.memory[batch.rows], expected, rtol=1e-4, atol=1e-5)
        before = objective.memory.clone()


def test_ucch_draws_negatives_from_a_memory_larger_than_asked_for():
    objective = made("ucch", negatives=4)
    objective.start_epoch(5)
    assert all(torch.isfinite(term) for term in objective.losses(batch_of(objective)).values())


def test_chnr_sees_clean_pairs_first_and_all_pairs_later():
    objective = made("chnr", clean_epochs=1)
    for epoch, expected in ((0, range(6)), (1, range(N))):
        objective.start_epoch(epoch)
        batches = list(objective.batches(epoch, 4, np.random.default_rng(0)))
        assert sorted(torch.cat([batch.rows for batch in batches]).tolist()) == list(expected)


@pytest.mark.parametrize("fake_pairs", ["class", "any"])
def test_made_up_pairs_of_chnr_are_of_another_class_or_at_least_another_caption(fake_pairs):
    objective = made("chnr", fake_pairs=fake_pairs)
    objective.pairs.captions[0][3] = objective.pairs.captions[0][4]
    batch = batch_of(objective)
    rows, seen = batch.rows.tolist(), set()
    for _ in range(200):
        for i, j in enumerate(objective._strangers(batch).tolist()):
            seen.add((rows[i], rows[j]))
    if fake_pairs == "class":
        assert all(a % 3 != b % 3 for a, b in seen)
    else:
        assert all(a != b and {a, b} != {3, 4} for a, b in seen)
        assert any(a % 3 == b % 3 for a, b in seen)


def test_chnr_makes_up_no_pairs_where_all_captions_are_alike():
    objective = made("chnr", fake_pairs="any")
    objective.pairs.captions[0][:] = objective.pairs.captions[0][0]
    batch = batch_of(objective)
    assert objective._strangers(batch).tolist() == [-1] * N
    objective.start_epoch(0)
    assert torch.isfinite(objective.losses(batch)["inter"])


def test_weights_of_chnr_are_powers_and_thresholds_of_the_probability():
    weights = {}
    for kind in ("normal", "exponential", "discrete", "ones"):
        objective = made("chnr", weights=kind, clean_epochs=1)
        objective.middle.fill_(0.5)
        objective.start_epoch(1)
        weights[kind] = objective._weights(batch_of(objective))
    torch.testing.assert_close(weights["exponential"], weights["normal"] ** 3)
    assert torch.equal(weights["discrete"], (weights["normal"] > 0.5).float())
    assert torch.equal(weights["ones"], torch.ones(N))


def test_chnr_by_class_needs_labels():
    with pytest.raises(ValueError, match='take fake_pairs="any"'):
        made("chnr", made_pairs(2, labels=False))


def test_codes_of_cmdvh_follow_the_fused_ones():
    objective = made("cmdvh", fusion_epochs=1)
    batch = batch_of(objective)
    objective.start_epoch(0)
    assert objective.losses(batch).keys() == {"classes", "quantization", "balance"}
    fused = objective.targets.clone()
    objective.start_epoch(1)
    assert objective.losses(batch).keys() == {"classes", "divergence"}
    assert torch.equal(objective.targets, fused)


def test_binary_codes_of_dcmh_are_the_signs_of_both_modalities():
    objective = made("dcmh")
    objective.losses(batch_of(objective))
    objective.end_epoch(0)
    assert torch.equal(objective.targets, torch.where(objective.images + objective.captions >= 0, 1.0, -1.0))


@pytest.mark.parametrize("n_bits", [8, 16, 64])
def test_centres_of_categories_are_half_the_bits_apart(n_bits):
    products = hadamard_rows(n_bits, n_bits) @ hadamard_rows(n_bits, n_bits).T
    assert torch.equal(products, n_bits * torch.eye(n_bits))


def test_centres_are_told_apart_at_any_width():
    assert len(hadamard_rows(30, 12).unique(dim=0)) == 30


def test_clusters_of_categories_are_those_of_the_features():
    pairs = made_pairs()
    for side in (*pairs.images, *pairs.captions):
        side[:] = torch.eye(side.shape[1])[torch.arange(N) % 4] + 0.01 * side
    categories = made("category-contrast", pairs, categories=4).categories
    assert all(len(set(categories[kind::4].tolist())) == 1 for kind in range(4))
    assert len(categories.unique()) == 4


def test_learning_rate_of_vse_falls_to_a_tenth():
    objective = made("vse++")
    assert math.isclose(objective.learning_rate(15), objective.learning_rate(14) / 10)


def test_labels_are_counted_and_compared():
    pairs = made_pairs()
    batch = pairs.batch(np.array([0, 1, 3]), np.random.default_rng(0))
    assert count_classes(pairs) == 3
    assert same_class(batch).tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    bare = made_pairs(labels=False)
    with pytest.raises(ValueError, match="no class labels"):
        count_classes(bare)
    with pytest.raises(ValueError, match="no class labels"):
        labels_of(bare.batch(np.array([0]), np.random.default_rng(0)))
