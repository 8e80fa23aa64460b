"""Slow references for the metrics: one query at a time, plain loops, nothing of the package."""


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
