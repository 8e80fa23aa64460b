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
    "ndcg_at_k",
]
EXPECTED = ["average_precision", "precision_at_k", "recall_at_k", "hit_at_k", "ndcg_at_k"]
COUNTS = [f"expected_{name}" for name in EXPECTED] + ["precision_within", "recall_within", "empty_within"]


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


def test_untied_ndcg_agrees_with_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    relevant = np.random.default_rng(4).random((20, 50)) < 0.3
    scores = np.arange(50, 0, -1)
    expected = [sklearn_metrics.ndcg_score([row], [scores], k=10) for row in relevant]
    np.testing.assert_allclose(metrics.ndcg_at_k(relevant, relevant.sum(axis=1), k=10), expected)


def test_tied_ndcg_agrees_with_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(5)
    relevant, distances = rng.random((20, 40)) < 0.3, rng.integers(0, 6, (20, 40))
    expected = [sklearn_metrics.ndcg_score([row], [-near], k=7) for row, near in zip(relevant, distances, strict=True)]
    items_at = np.stack([np.bincount(near, minlength=6) for near in distances])
    relevant_at = np.stack([np.bincount(near[row], minlength=6) for row, near in zip(relevant, distances, strict=True)])
    np.testing.assert_allclose(metrics.expected_ndcg_at_k(relevant_at, items_at, k=7), expected)


TIES = st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=3).filter(any)


@pytest.mark.parametrize("name", EXPECTED)
@given(TIES, st.integers(1, 14))
def test_expectations_are_means_over_all_orders_within_ties(name, ties, k):
    counts = [[sum(tie) for tie in ties]], [[len(tie) for tie in ties]]
    found = getattr(metrics, f"expected_{name}")(*counts, k)
    np.testing.assert_allclose(found, [naive.expected(getattr(naive, name), ties, k)], rtol=1e-12)


@pytest.mark.parametrize("name", EXPECTED)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 25))
def test_expectations_without_ties_are_the_metrics_themselves(name, seed, n_ranked, k):
    relevant = np.random.default_rng(seed).random((3, n_ranked)) < 0.4
    found = getattr(metrics, f"expected_{name}")(relevant, np.ones_like(relevant, int), k)
    np.testing.assert_allclose(found, getattr(metrics, name)(relevant, relevant.sum(axis=1), k), rtol=1e-12)


def test_a_hundred_thousand_items_at_one_distance_are_as_likely_as_their_share():
    counts = [[20_000]], [[100_000]]
    assert metrics.expected_precision_at_k(*counts, 10) == pytest.approx(0.2)
    assert metrics.expected_hit_at_k(*counts, 10) == pytest.approx(1 - 0.8**10, abs=1e-4)
    assert metrics.expected_average_precision(*counts, 100_000) == pytest.approx(0.2, abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.integers(0, 7))
def test_balls_equal_plain_loops(seed, radius):
    rng = np.random.default_rng(seed)
    distances, relevant = rng.integers(0, 6, 12), rng.random(12) < 0.4
    counts = [np.bincount(distances[relevant], minlength=6)], [np.bincount(distances, minlength=6)]
    ball = [told for near, told in zip(distances, relevant, strict=True) if near <= radius]
    assert metrics.precision_within(*counts, radius)[0] == pytest.approx(sum(ball) / len(ball) if ball else 0.0)
    assert metrics.recall_within(*counts, radius)[0] == pytest.approx(sum(ball) / max(1, relevant.sum()))
    assert metrics.empty_within(*counts, radius)[0] == (not ball)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    ("relevant_at", "items_at", "message"),
    [
        ([1, 2], [1, 2], r"shape \(Q, n_distances\), got \(2,\)"),
        ([[1, 2]], [[1, 2, 3]], r"got \(1, 2\) and \(1, 3\)"),
        ([[3, 2]], [[1, 2]], "between 0 and items_at"),
        ([[-1, 2]], [[1, 2]], "between 0 and items_at"),
    ],
)
def test_counts_that_do_not_fit_are_refused(name, relevant_at, items_at, message):
    with pytest.raises(ValueError, match=message):
        getattr(metrics, name)(relevant_at, items_at, 1)


@pytest.mark.parametrize("name", COUNTS)
def test_cuts_and_radii_that_mean_nothing_are_refused(name):
    with pytest.raises(ValueError, match="must be an integer of at least"):
        getattr(metrics, name)([[1]], [[1]], -1)


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
