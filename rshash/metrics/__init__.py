"""Retrieval metrics: one value per query; the reader of a table averages them.

Three different numbers are called mAP@k in the literature of cross-modal hashing, and a fourth plain mAP. They are
never comparable:

========================== ===================================== =================================================
function                   hits that count                       divided by
========================== ===================================== =================================================
average_precision          relevant ones inside rank k           min(k, relevant items in the database)
duch_average_precision     the first k relevant, at any rank     min(k, relevant items in the database)
djsrh_average_precision    relevant ones inside rank k           relevant hits inside rank k
average_precision, k = N   all relevant items                    relevant items in the database ("full mAP")
========================== ===================================== =================================================

Codes of few bits tie often, and the order within a tie is part of a number:

- `rshash.metrics.ranked` takes a ranking as it is; `rshash.search` orders equal distances by row.
- `rshash.metrics.expected` takes counts by distance and gives the mean over all orders within ties.
- `rshash.metrics.within` takes the same counts; a radius splits no tie.

A query without any relevant item scores 0 and counts; UCCH's code leaves such queries out of its mAP.
"""

from rshash.metrics.expected import (
    expected_average_precision,
    expected_hit_at_k,
    expected_ndcg_at_k,
    expected_precision_at_k,
    expected_recall_at_k,
)
from rshash.metrics.ranked import (
    PerQuery,
    average_precision,
    djsrh_average_precision,
    duch_average_precision,
    hit_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from rshash.metrics.within import empty_within, precision_within, recall_within

__all__ = [
    "PerQuery",
    "average_precision",
    "djsrh_average_precision",
    "duch_average_precision",
    "empty_within",
    "expected_average_precision",
    "expected_hit_at_k",
    "expected_ndcg_at_k",
    "expected_precision_at_k",
    "expected_recall_at_k",
    "hit_at_k",
    "ndcg_at_k",
    "precision_at_k",
    "precision_within",
    "recall_at_k",
    "recall_within",
]
