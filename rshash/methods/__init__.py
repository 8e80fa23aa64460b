"""Methods: what is trained and how, by name.

A new method is an options dataclass, an `Objective`, and an entry that says where it comes from; the training loop
knows no method by name.
"""

from rshash.methods.duch import DUCH
from rshash.methods.method import Method

__all__ = ["METHODS", "Method"]

METHODS = {method.name: method for method in (DUCH,)}
