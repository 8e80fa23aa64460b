import numpy as np
import pytest
import torch

from rshash.losses.contrastive import info_nce, soft_info_nce
from rshash.methods import mixture
from rshash.methods.consensus import Consensus, ConsensusOptions
from rshash.methods.mixture import clean_probabilities, matching_losses
from rshash.methods.pairs import TrainingPairs
from rshash.methods.schedule import cosine

N = 12


def make_pairs(n=N, chosen=False, n_image_views=3, n_caption_views=2, n_wrong=0, n_kinds=12):
    """Images and captions of some kinds, cyclic; the captions of the last images may be of other kinds."""
    generator = torch.Generator().manual_seed(0)
    counts = np.arange(n) % 3 + 1
    first = np.concatenate([[0], np.cumsum(counts)])
    kinds = torch.arange(n) % n_kinds
    said = kinds.clone()
    said[n - n_wrong :] += torch.randint(1, n_kinds, (n_wrong,), generator=generator)
    said %= n_kinds
    owners = torch.from_numpy(np.repeat(np.arange(n), counts))

    def look(numbers):
        return 4 * torch.eye(n_kinds)[numbers] + torch.randn(len(numbers), n_kinds, generator=generator)

    return TrainingPairs(
        images=tuple(look(kinds) for _ in range(n_image_views)),
        captions=tuple(look(said[owners]) for _ in range(n_caption_views)),
        first_caption=first,
        chosen=first[:-1] if chosen else None,
        labels=None,
    )


def make_consensus(pairs=None, n_bits=16, **options):
    torch.manual_seed(0)
    fixed = {"hidden": 16, "epochs": 10, "temperature": 2.0, "short_temperature": 0.5}
    return Consensus(pairs or make_pairs(), n_bits, ConsensusOptions(**{**fixed, **options}))


def run_epochs(objective, first, last):
    optimizer = objective.optimizers["heads"]
    for epoch in range(first, last):
        for group in optimizer.param_groups:
            group["lr"] = objective.learning_rate(epoch)
        objective.start_epoch(epoch)
        for batch in objective.pairs.batches(24, np.random.default_rng(epoch)):
            terms = objective.losses(batch)
            optimizer.zero_grad()
            sum(terms.values()).backward()
            optimizer.step()
    return terms


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("n", [1, 5])
def test_soft_info_nce_is_the_cross_entropy_with_its_targets(n, temperature):
    generator = torch.Generator().manual_seed(n)
    first, second, targets, backward = (torch.rand(n, k, generator=generator).double() for k in (4, 4, n, n))
    found = soft_info_nce(first, second, targets, backward, temperature)
    unit = [[row / row.norm() for row in side] for side in (first, second)]
    for i in range(n):
        forward = torch.stack([unit[0][i] @ unit[1][j] for j in range(n)]) / temperature
        back = torch.stack([unit[1][i] @ unit[0][j] for j in range(n)]) / temperature
        loss = 0.0
        for j in range(n):
            loss -= targets[i, j] * (forward[j] - forward.exp().sum().log()) / 2
            loss -= backward[i, j] * (back[j] - back.exp().sum().log()) / 2
        torch.testing.assert_close(found[i], loss)


def test_targets_of_partners_alone_give_info_nce():
    first, second = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        soft_info_nce(first, second, torch.eye(6), torch.eye(6), 0.5), info_nce(first, second, 0.5)
    )


def test_before_neighbours_are_heard_the_captions_meet_in_info_nce():
    objective = make_consensus(make_pairs(chosen=True)).eval()
    batch = next(objective.pairs.batches(64, np.random.default_rng(0)))
    objective.start_epoch(0)
    caption, caption_view = (objective.caption_head(view) for view in batch.captions)
    terms = objective.losses(batch)
    torch.testing.assert_close(terms["caption"], info_nce(caption, caption_view, 0.5).sum())
    assert terms.keys() == {"inter", "image", "caption"}


def test_neighbours_share_a_target():
    objective = make_consensus()
    codes = torch.randn(N, 16, generator=torch.Generator().manual_seed(1))
    sides = torch.nn.functional.normalize(codes, dim=1)
    objective.start_epoch(9)
    found = objective._contrast(codes, codes, sides, sides, torch.ones(N, 1))
    agreed = (sides @ sides.T / 0.1).softmax(dim=1)
    targets = 0.5 * torch.eye(N) + 0.5 * agreed
    torch.testing.assert_close(found, soft_info_nce(codes, codes, targets, targets, 0.5).sum())


def test_a_pair_that_is_not_believed_is_no_positive():
    objective = make_consensus()
    codes = torch.randn(N, 16, generator=torch.Generator().manual_seed(1))
    belief = torch.ones(N, 1)
    belief[3] = 0
    objective.start_epoch(1)
    found = objective._contrast(codes, codes.roll(1, 0), codes, codes, belief)
    torch.testing.assert_close(found, (info_nce(codes, codes.roll(1, 0), 0.5) * belief[:, 0]).sum())


def test_a_right_and_a_wrong_caption_are_no_positives():
    objective = make_consensus(make_pairs(n=N), caption_weight=1.0).eval()
    batch = objective.pairs.batch(np.arange(N), np.random.default_rng(0))
    several = objective.n_captions > 1
    terms = {}
    for name, beliefs in (("sure", (1.0, 1.0)), ("none", (0.0, 0.0)), ("mixed", (1.0, 0.0))):
        objective.start_epoch(0)
        objective.belief.fill_(beliefs[0])
        objective.belief[objective.first_caption[several]] = beliefs[1]
        torch.manual_seed(0)
        terms[name] = objective.losses(batch)["caption"]
    assert torch.equal(terms["sure"], terms["none"])  # both wrong: perhaps of the same other image
    torch.manual_seed(0)
    objective._draw_views(batch)
    drawn, features = objective._draw_captions(batch.rows)
    first, second = objective.caption_head(features).chunk(2)
    belief, other = objective.belief[drawn].chunk(2)
    each = info_nce(first, second, objective.temperature)
    assert 0 < (belief != other).sum() < N
    torch.testing.assert_close(terms["mixed"], each[belief == other].sum())


def test_two_views_and_two_captions_are_drawn_of_the_own_image():
    objective = make_consensus()
    rows = torch.arange(N)
    batch = objective.pairs.batch(rows.numpy(), np.random.default_rng(0))
    for _ in range(20):
        first, second = objective._draw_views(batch).chunk(2)
        for i in range(N):
            views = [next(v for v in range(3) if torch.equal(batch.images[v][i], half[i])) for half in (first, second)]
            assert views[0] != views[1]
        which, features = objective._draw_captions(rows)
        first, second = features.chunk(2)
        for i, drawn in enumerate(zip(*which.view(2, N).tolist(), strict=True)):
            own = range(objective.pairs.first_caption[i], objective.pairs.first_caption[i + 1])
            assert torch.equal(objective.pairs.captions[0][drawn[0]], first[i])
            assert {*drawn} <= {*own}
            if len(own) > 1:
                assert torch.equal(objective.pairs.captions[0][drawn[1]], second[i])
                assert drawn[0] != drawn[1]
            else:
                assert torch.equal(objective.pairs.captions[1][drawn[0]], second[i])


def test_chosen_captions_are_the_only_ones_and_come_in_both_views():
    objective = make_consensus(make_pairs(chosen=True))
    which, features = objective._draw_captions(torch.arange(N))
    assert which.tolist() == [*range(N), *range(N)]
    first, second = features.chunk(2)
    assert torch.equal(first, objective.pairs.captions[0][objective.pairs.chosen])
    assert torch.equal(second, objective.pairs.captions[1][objective.pairs.chosen])


def test_wrong_pairs_are_doubted_without_being_told_how_many():
    pairs = make_pairs(n=240, n_wrong=72)
    objective = make_consensus(pairs, epochs=40, hidden=64)
    run_epochs(objective, 0, 7)
    n_wrong = objective.n_captions[-72:].sum()
    assert objective.belief[-n_wrong:].mean() < 0.4
    assert objective.belief[:-n_wrong].mean() > 0.9


def test_a_wrong_caption_among_right_ones_is_doubted_alone():
    pairs = make_pairs(n=240)
    captions, last = pairs.captions[0], pairs.first_caption[1:] - 1
    wrong = last[np.arange(240) % 3 == 2]  # the third of three
    shifts = np.random.default_rng(0).integers(1, 12, len(wrong))  # to any other kind
    for view in pairs.captions:
        for row, shift in zip(wrong, shifts, strict=True):
            view[row] = view[row].roll(int(shift))
    objective = make_consensus(pairs, epochs=40, hidden=64)
    run_epochs(objective, 0, 7)
    right = np.setdiff1d(np.arange(len(captions)), wrong)
    assert objective.belief[wrong].mean() < 0.3
    assert objective.belief[right].mean() > 0.9
    both = torch.from_numpy(np.stack([wrong - 1, wrong]))
    assert (objective.belief[both[0]] - objective.belief[both[1]]).mean() > 0.5


def test_clean_pairs_are_not_doubted():
    objective = make_consensus(make_pairs(n=240), epochs=40, hidden=64)
    run_epochs(objective, 0, 7)
    assert torch.equal(objective.belief, torch.ones(480))
    assert objective.pair_losses.min() > 0


def test_belief_can_be_left_out():
    objective = make_consensus(make_pairs(n=60, n_wrong=30), belief=False, first_look=1)
    run_epochs(objective, 0, 4)
    assert torch.equal(objective.belief, torch.ones(120))


def test_learning_brings_pairs_of_one_kind_together():
    objective = make_consensus(make_pairs(n=120), epochs=20, hidden=64)
    run_epochs(objective, 0, 20)
    images, captions = objective._encode_all()
    nearest = (captions @ images.T).argmax(dim=1)
    kinds = (torch.arange(120) % 12).repeat_interleave(objective.n_captions)
    assert (nearest % 12 == kinds).float().mean() > 0.95


@pytest.mark.parametrize("references", [3, 2048])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 2), (9, 9), (9, 20), (50, 50)])
def test_matching_losses_are_cross_entropies_among_evenly_spaced_ones_and_the_partner(n, m, references, monkeypatch):
    monkeypatch.setattr(mixture, "REFERENCES", references)
    generator = torch.Generator().manual_seed(n)
    images, captions = torch.nn.functional.normalize(torch.randn(2, m, 4, generator=generator), dim=2)
    images = images[:n]
    owners = torch.randint(n, (m,), generator=generator)
    logits, partners = images @ captions.T / 0.2, torch.randint(n, (m,), generator=generator)
    found = matching_losses(images, captions, 0.2, owners, partners)
    spaced = [{int(row) for row in np.linspace(0, size - 1, min(references, size))} for size in (n, m)]
    for losses, rows in zip(found, (owners.tolist(), partners.tolist()), strict=True):
        for caption, image in enumerate(rows):
            among_captions, among_images = logits[image, sorted(spaced[1] | {caption})], logits[:, caption]
            both = among_captions, among_images[sorted(spaced[0] | {image})]
            expected = sum(torch.logsumexp(values, 0) - logits[image, caption] for values in both) / 2
            torch.testing.assert_close(losses[caption], expected)


def test_belief_falls_with_the_loss_and_needs_losses_like_those_of_shuffled_pairs():
    rng = np.random.default_rng(0)
    losses = np.concatenate([rng.normal(1, 0.1, 300), rng.normal(4, 0.8, 100)])
    probabilities = clean_probabilities(losses, rng.normal(5, 0.8, 400))
    assert (np.diff(probabilities[np.argsort(losses)]) <= 0).all()
    assert probabilities[:300].mean() > 0.95
    assert probabilities[300:].mean() < 0.05
    assert (clean_probabilities(losses, rng.normal(12, 0.8, 400)) == 1).all()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_the_share_of_wrong_pairs_is_found_beside_a_long_tail_of_right_ones(share):
    rng = np.random.default_rng(1)
    n_wrong = round(share * 5000)
    right = 1 + rng.gamma(0.8, 1.2, 5000 - n_wrong)
    probabilities = clean_probabilities(np.concatenate([right, rng.normal(9, 1.2, n_wrong)]), rng.normal(10, 1, 5000))
    assert (probabilities < 0.5).mean() == pytest.approx(share, abs=0.03)
    assert (probabilities[-n_wrong:] < 0.5).mean() > 0.9
    assert (clean_probabilities(right, rng.normal(10, 1, 5000)) == 1).all()


def test_wrong_pairs_that_are_half_learnt_are_doubted(monkeypatch):
    rng = np.random.default_rng(1)
    right, half_learnt = 1 + rng.gamma(1, 0.5, 3000), rng.normal(6, 0.8, 400)
    losses = np.concatenate([right, half_learnt, rng.normal(9, 1, 1600)])
    doubted = clean_probabilities(losses, rng.normal(10, 1, 5000)) < 0.5
    assert doubted[3000:3400].mean() > 0.95
    assert doubted[:3000].mean() < 0.02
    monkeypatch.setattr(mixture, "_LEARNT", 1e-9)
    assert (clean_probabilities(losses, rng.normal(10, 1, 5000)) < 0.5)[3000:3400].mean() < 0.8


def test_a_handful_of_pairs_is_not_doubted():
    assert (clean_probabilities([0.0] * 20 + [9.0] * 9, [10.0] * 29) == 1).all()


@pytest.mark.parametrize("losses", [np.ones(9), np.ones(1)])
def test_losses_that_are_all_equal_doubt_nothing(losses):
    assert (clean_probabilities(losses, losses + 1) == 1).all()


def test_learning_rate_rises_then_falls_to_almost_nothing():
    rates = [cosine(1.0, epoch, epochs=40, warm_up=0.05) for epoch in range(40)]
    assert rates[0] < rates[1] < rates[2] == max(rates)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="consensus contrasts image views, got one"):
        make_consensus(make_pairs(n_image_views=1))
    with pytest.raises(ValueError, match=r"option 'agreement' is 1\.5; expected a share, 0 to 1"):
        make_consensus(agreement=1.5)
    with pytest.raises(ValueError, match=r"option 'expansion' is 2\.0; expected a share, 0 to 1"):
        make_consensus(expansion=2.0)


def test_long_codes_are_turned_and_short_ones_dithered_more():
    short, long = make_consensus(turn_from=17), make_consensus(turn_from=16)
    assert short.image_head.rotation is None
    assert torch.equal(long.image_head.rotation, long.caption_head.rotation)
    assert (short.dither, long.dither) == (short.options.short_dither, long.options.dither)


@pytest.mark.parametrize("n_bits", [1, 2, 15, 16, 17])
def test_turned_codes_keep_cosines_and_the_signs_of_saturated_bits(n_bits):
    turned = make_consensus(n_bits=n_bits, turn_from=1).image_head.rotation
    torch.testing.assert_close(turned @ turned.T / turned[0].square().sum(), torch.eye(n_bits))
    corners = torch.from_numpy(np.random.default_rng(0).choice([-1.0, 1.0], (50, n_bits))).float()
    assert ((corners @ turned).sign() == corners).all()
    assert (corners @ turned).abs().max() <= 1


def test_short_codes_have_a_temperature_of_their_own():
    assert make_consensus(turn_from=17).temperature == 0.5
    assert make_consensus(turn_from=16).temperature == 2.0
