"""Slow references for the metrics: one query at a time, plain loops, nothing of the package."""

import itertools
import math


def average_precision(ranking, n_relevant, k):
    found, total = 0, 0.0
    for rank, relevant in enumerate(ranking[:k], start=1):
        if relevant:
            found += 1
            total += found / rank
    return total / min(k, n_relevant) if n_relevant else 0.0


def duch_average_precision(ranking, n_relevant, k):
    ranks = [rank for rank, relevant in enumerate(ranking, start=1) if relevant][:k]
    return sum(j / rank for j, rank in enumerate(ranks, start=1)) / len(ranks) if ranks else 0.0


def djsrh_average_precision(ranking, n_relevant, k):
    ranks = [rank for rank, relevant in enumerate(ranking, start=1) if relevant and rank <= k]
    return sum(j / rank for j, rank in enumerate(ranks, start=1)) / len(ranks) if ranks else 0.0


def precision_at_k(ranking, n_relevant, k):
    return sum(ranking[:k]) / len(ranking[:k])


def recall_at_k(ranking, n_relevant, k):
    return sum(ranking[:k]) / n_relevant if n_relevant else 0.0


def hit_at_k(ranking, n_relevant, k):
    return 1.0 if any(ranking[:k]) else 0.0


def ndcg_at_k(ranking, n_relevant, k):
    gain = sum(1 / math.log2(rank + 1) for rank, relevant in enumerate(ranking[:k], start=1) if relevant)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, n_relevant) + 1))
    return gain / ideal if n_relevant else 0.0


def all_rankings(ties):
    """Every ranking of ties, each a list of relevances at one distance: all orders within each of them."""
    orders = [set(itertools.permutations(tie)) for tie in ties]
    for parts in itertools.product(*orders):
        yield [relevant for part in parts for relevant in part]


def expected(metric, ties, k):
    """Mean of a metric over all orders within ties; distinct orders of equal relevances are equally likely."""
    values = [metric(ranking, sum(ranking), k) for ranking in all_rankings(ties)]
    return sum(values) / len(values)
