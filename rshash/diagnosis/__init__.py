"""What is wrong with codes, in numbers: bits, distances, collisions, the gap between modalities; and what to try."""

from rshash.diagnosis.advice import RULES, advise
from rshash.diagnosis.numbers import Bits, Diagnosis, Pairs, diagnose

__all__ = ["RULES", "Bits", "Diagnosis", "Pairs", "advise", "diagnose"]
