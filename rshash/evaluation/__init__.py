"""The protocol of the field: queries × database × direction → a report of metrics."""

from rshash.evaluation.halves import DIRECTIONS, RELEVANCES, evaluate, one_caption_each
from rshash.evaluation.rankings import EXPECTED, METRICS, WITHIN, Side, measure
from rshash.evaluation.report import Report

__all__ = [
    "DIRECTIONS",
    "EXPECTED",
    "METRICS",
    "RELEVANCES",
    "WITHIN",
    "Report",
    "Side",
    "evaluate",
    "measure",
    "one_caption_each",
]
