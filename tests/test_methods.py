import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from rshash.losses.contrastive import nt_xent
from rshash.methods import METHODS
from rshash.methods.duch import Duch, DuchOptions
from rshash.methods.options import parse_options
from rshash.methods.pairs import TrainingPairs


def make_pairs(n=12, chosen=True, n_views=2):
    generator = torch.Generator().manual_seed(0)
    counts = np.arange(n) % 3 + 1
    first = np.concatenate([[0], np.cumsum(counts)])
    return TrainingPairs(
        images=tuple(torch.randn(n, 5, generator=generator) for _ in range(n_views)),
        captions=tuple(torch.randn(int(first[-1]), 4, generator=generator) for _ in range(n_views)),
        first_caption=first,
        chosen=first[:-1] if chosen else None,
        labels=torch.arange(n) % 2,
    )


def make_duch(seed=0, **options):
    torch.manual_seed(seed)
    return Duch(make_pairs(), 8, DuchOptions(hidden=16, **options)).double()


def first_batch(objective, size=12):
    batch = next(objective.pairs.batches(size, np.random.default_rng(0)))
    doubled = {"images": tuple(v.double() for v in batch.images), "captions": tuple(v.double() for v in batch.captions)}
    return type(batch)(batch.rows, doubled["images"], doubled["captions"], batch.labels)


def outputs(objective, batch):
    image, image_view = (objective.image_head(view) for view in batch.images)
    caption, caption_view = (objective.caption_head(view) for view in batch.captions)
    return image, image_view, caption, caption_view


def test_defaults_are_the_constants_of_the_paper():
    options = DuchOptions()
    assert (options.hidden, options.learning_rate, options.weight_decay) == (4096, 1e-4, 5e-4)
    assert (options.batch_size, options.epochs, options.temperature) == (256, 100, 1.0)
    assert (options.adversarial_weight, options.quantization_weight, options.balance_weight) == (0.01, 0.001, 0.01)
    assert options.gradient_penalty_weight == 10
    assert METHODS["duch"].options is DuchOptions


def test_no_fault_of_the_released_code_is_on_by_default():
    options = DuchOptions()
    assert (options.adversarial, options.self_term, options.reduction) == ("intended", "masked", "sum")
    assert not options.reuse_text_view


def test_terms_are_the_weighted_sums_of_the_paper():
    objective = make_duch()
    batch = first_batch(objective)
    image, image_view, caption, caption_view = views = outputs(objective, batch)
    terms = objective.losses(batch)
    targets = objective.targets[batch.rows]
    expected = {
        "inter": nt_xent(image, caption).sum(),
        "image": nt_xent(image, image_view).sum(),
        "caption": nt_xent(caption, caption_view).sum(),
        "quantization": 0.001 * sum(((targets - view) ** 2).sum() for view in views),
        "balance": 0.01 * sum((view.sum(dim=1) ** 2).sum() for view in views),
    }
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    assert terms.keys() == {*expected, "adversarial"}


@pytest.mark.parametrize(("mode", "chosen"), [("intended", (0, 1)), ("released", (2, 3)), ("da4dte", (2, 0))])
def test_adversarial_modes_train_the_codes_they_name(mode, chosen):
    objective = make_duch(adversarial=mode)
    batch = first_batch(objective)
    term = objective.losses(batch)["adversarial"]  # after the step of the discriminator
    views = outputs(objective, batch)
    expected = 0.01 * sum(functional.softplus(-objective.discriminator(views[i])).sum() for i in chosen)
    torch.testing.assert_close(term, expected)
    term.backward()
    trained = {
        "image": objective.image_head.layers[0].weight.grad is not None,
        "caption": objective.caption_head.layers[0].weight.grad is not None,
    }
    assert trained == {"image": mode != "released", "caption": mode != "intended"}


def test_discriminator_learns_to_call_captions_real_and_only_in_its_own_step():
    objective = make_duch(discriminator_learning_rate=1e-2)
    batch = first_batch(objective)
    before = objective.image_head.layers[0].weight.clone()
    for _ in range(200):
        objective.losses(batch)
    image, _, caption, _ = outputs(objective, batch)
    assert objective.discriminator(caption).mean() > objective.discriminator(image).mean()
    assert torch.equal(objective.image_head.layers[0].weight, before)


def test_reused_text_view_contrasts_captions_with_themselves():
    objective = make_duch(reuse_text_view=True)
    batch = first_batch(objective)
    _, _, caption, _ = outputs(objective, batch)
    torch.testing.assert_close(objective.losses(batch)["caption"], nt_xent(caption, caption).sum())


def test_balance_of_each_bit_over_the_batch_is_an_option():
    objective = make_duch(balance="bit")
    batch = first_batch(objective)
    expected = 0.01 * sum((view.sum(dim=0) ** 2).sum() for view in outputs(objective, batch))
    torch.testing.assert_close(objective.losses(batch)["balance"], expected)


def test_means_are_sums_over_the_number_of_pairs():
    sums = make_duch()
    means = make_duch(reduction="mean")
    batch = first_batch(sums)
    of_sums, of_means = sums.losses(batch), means.losses(batch)
    torch.testing.assert_close(of_means["inter"] * len(batch), of_sums["inter"])


def test_a_weight_of_zero_leaves_its_term_out():
    objective = make_duch(adversarial_weight=0.0, caption_weight=0.0)
    assert objective.losses(first_batch(objective)).keys() == {"inter", "image", "quantization", "balance"}


def test_targets_start_as_random_signs_and_become_the_signs_of_the_mean_output():
    objective = make_duch()
    assert set(objective.targets.unique().tolist()) == {-1.0, 1.0}
    batch = first_batch(objective)
    mean = sum(outputs(objective, batch)) / 4
    objective.losses(batch)
    objective.end_epoch(0)
    assert torch.equal(objective.targets[batch.rows], torch.where(mean >= 0, 1.0, -1.0).double())


def test_learning_rate_decays_after_epoch_0_50_and_100_down_to_its_floor():
    objective = make_duch()
    rates = [objective.learning_rate(epoch) for epoch in (0, 1, 50, 51, 100, 101)]
    assert rates == pytest.approx([1e-4, 0.8e-4, 0.8e-4, 0.64e-4, 0.64e-4, 0.512e-4])
    assert objective.learning_rate(10**5) == 1e-6


def test_duch_refuses_another_number_of_views():
    with pytest.raises(ValueError, match="duch contrasts two image views, got 1"):
        Duch(make_pairs(n_views=1), 8, DuchOptions(hidden=4))


@pytest.mark.parametrize(
    ("n", "size", "expected"), [(12, 5, [5, 5, 2]), (11, 5, [5, 6]), (3, 256, [3]), (10, 5, [5, 5])]
)
def test_batches_hold_every_pair_once_and_none_alone(n, size, expected):
    batches = list(make_pairs(n).batches(size, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == expected
    assert sorted(torch.cat([batch.rows for batch in batches]).tolist()) == list(range(n))


@pytest.mark.parametrize("chosen", [True, False])
def test_a_pair_is_an_image_and_one_of_its_own_captions(chosen):
    pairs = make_pairs(chosen=chosen)
    seen = set()
    for epoch in range(30):
        for batch in pairs.batches(5, np.random.default_rng(epoch)):
            for i, row in enumerate(batch.rows.tolist()):
                own = range(pairs.first_caption[row], pairs.first_caption[row + 1])
                (caption,) = [j for j in own if torch.equal(pairs.captions[0][j], batch.captions[0][i])]
                assert torch.equal(pairs.captions[1][caption], batch.captions[1][i])
                assert torch.equal(pairs.images[1][row], batch.images[1][i])
                seen.add(caption)
    assert len(seen) == (len(pairs) if chosen else pairs.first_caption[-1])


def test_options_take_whole_numbers_for_floats_and_lists_for_tuples():
    options = parse_options(DuchOptions, {"temperature": 2, "image_views": ["original", "flip"]})
    assert options.temperature == 2.0
    assert isinstance(options.temperature, float)
    assert options.image_views == ("original", "flip")


@pytest.mark.parametrize(("given", "message"), [
    ({"temprature": 1.0}, "unknown option 'temprature'; did you mean 'temperature'"),
    ({"temperature": "warm"}, "option 'temperature' is 'warm'; expected a number"),
    ({"temperature": 0}, "option 'temperature' is 0.0; expected a finite number above 0"),
    ({"temperature": math.inf}, "expected a finite number above 0"),
    ({"temperature": math.nan}, "expected a finite number above 0"),
    ({"epochs": 1.5}, "option 'epochs' is 1.5; expected a whole number"),
    ({"epochs": True}, "option 'epochs' is True; expected a whole number"),
    ({"epochs": 0}, "option 'epochs' is 0; expected a finite number of at least 1"),
    ({"reuse_text_view": 1}, "option 'reuse_text_view' is 1; expected true or false"),
    ({"adversarial": "both"}, "expected 'intended' or 'released' or 'da4dte'"),
    ({"adversarial": []}, "expected 'intended' or 'released' or 'da4dte'"),
    ({"image_views": "flip"}, "option 'image_views' is 'flip'; expected a list of names"),
    ({"image_views": []}, "expected a list of names"),
])  # fmt: skip
def test_wrong_options_are_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        parse_options(DuchOptions, given)


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_every_method_names_its_paper_and_documents_its_options(method):
    assert method.paper
    assert method.losses
    documented = "".join(kind.__doc__ or "" for kind in method.options.__mro__)
    for name in method.options.__dataclass_fields__:
        assert f"{name}:" in documented, f"{name} is not documented"
