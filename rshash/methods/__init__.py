"""Methods: what is trained and how, by name.

A new method is an options dataclass, an `Objective`, and an entry that says where it comes from; the training loop
knows no method by name.
"""

from rshash.methods.closed_form import CCA_ITQ, RANDOM_ROTATION
from rshash.methods.dgcpn import DGCPN
from rshash.methods.duch import DUCH
from rshash.methods.floating import CONTRASTIVE, VSE
from rshash.methods.inner_product import INNER_PRODUCT, INNER_PRODUCT_LABELS
from rshash.methods.method import Method
from rshash.methods.similarity import DJSRH, JDSH
from rshash.methods.ucch import UCCH

__all__ = ["METHODS", "Method"]

METHODS = {
    method.name: method
    for method in (
        RANDOM_ROTATION,
        CCA_ITQ,
        DJSRH,
        JDSH,
        DGCPN,
        UCCH,
        INNER_PRODUCT,
        DUCH,
        INNER_PRODUCT_LABELS,
        VSE,
        CONTRASTIVE,
    )
}
