import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_metrics as naive
from rshash import metrics

FUNCTIONS = [
    "average_precision",
    "duch_average_precision",
    "djsrh_average_precision",
    "precision_at_k",
    "recall_at_k",
    "hit_at_k",
]


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 40), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_metrics_equal_plain_loops_over_a_whole_ranking(name, seed, n_ranked, k, share):
    relevant = np.random.default_rng(seed).random((4, n_ranked)) < share
    n_relevant = relevant.sum(axis=1)
    expected = [getattr(naive, name)(list(row), int(total), k) for row, total in zip(relevant, n_relevant, strict=True)]
    np.testing.assert_allclose(getattr(metrics, name)(relevant, n_relevant, k), expected, rtol=1e-12)


def test_the_three_definitions_differ_on_one_ranking_worked_by_hand():
    ranking, n_relevant = [[True, False, False, True, False, True]], [3]
    assert metrics.average_precision(ranking, n_relevant, k=3) == pytest.approx([1 / 3])
    assert metrics.duch_average_precision(ranking, n_relevant, k=3) == pytest.approx([(1 + 2 / 4 + 3 / 6) / 3])
    assert metrics.djsrh_average_precision(ranking, n_relevant, k=3) == pytest.approx([1.0])


def test_duch_counts_a_relevant_item_beyond_k_and_ours_does_not():
    ranking = [[False, False, True]]
    assert metrics.duch_average_precision(ranking, [1], k=1) == pytest.approx([1 / 3])
    assert metrics.average_precision(ranking, [1], k=1) == pytest.approx([0.0])


def test_untied_full_rankings_agree_with_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    relevant = rng.random((20, 50)) < 0.3
    scores = np.arange(50, 0, -1)
    expected = [sklearn_metrics.average_precision_score(row, scores) for row in relevant]
    np.testing.assert_allclose(metrics.average_precision(relevant, relevant.sum(axis=1), k=50), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_query_without_relevant_items_scores_zero(name):
    assert getattr(metrics, name)([[False, False]], [0], k=2).tolist() == [0.0]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("relevant", "n_relevant", "k", "message"),
    [
        ([True, False], [1], 1, r"shape \(Q, n_ranked\)"),
        (np.zeros((2, 0), bool), [0, 0], 1, "n_ranked >= 1"),
        ([[True, False]], [1, 1], 1, "one number per query, 1"),
        ([[True, False]], [1], 0, "k must be an integer of at least 1, got 0"),
        ([[True, False]], [1], 2.0, "got 2.0"),
        ([[True, True]], [1], 1, "query 0 has 2 relevant hits but n_relevant says 1"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(name, relevant, n_relevant, k, message):
    with pytest.raises(ValueError, match=message):
        getattr(metrics, name)(relevant, n_relevant, k)


def test_duch_refuses_a_ranking_that_is_cut_short():
    with pytest.raises(ValueError, match="needs the whole ranking"):
        metrics.duch_average_precision([[True, False]], [5], k=3)
