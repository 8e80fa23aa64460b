"""Methods: what is trained and how, by name.

A new method is an options dataclass, an `Objective`, and an entry that says where it comes from; the training loop
knows no method by name.
"""

from rshash.methods.closed_form import CCA_ITQ, RANDOM_ROTATION
from rshash.methods.dgcpn import DGCPN
from rshash.methods.duch import DUCH
from rshash.methods.method import Method
from rshash.methods.similarity import DJSRH, JDSH

__all__ = ["METHODS", "Method"]

METHODS = {
    method.name: method
    for method in (
        RANDOM_ROTATION,
        CCA_ITQ,
        DJSRH,
        JDSH,
        DGCPN,
        DUCH,
    )
}
