"""Methods: what is trained and how, by name.

A new method is an options dataclass, an `Objective`, and an entry that says where it comes from; the training loop
knows no method by name.
"""

from rshash.methods.category import CATEGORY
from rshash.methods.chnr import CHNR, CHNR_LABEL_FREE
from rshash.methods.closed_form import CCA_ITQ, RANDOM_ROTATION
from rshash.methods.cmdvh import CMDVH
from rshash.methods.consensus import CONSENSUS
from rshash.methods.cpah import CPAH
from rshash.methods.dcmh import DCMH
from rshash.methods.dgcpn import DGCPN
from rshash.methods.dmfh import DMFH
from rshash.methods.duch import DUCH, DUCH_AS_RELEASED
from rshash.methods.floating import CONTRASTIVE, VSE
from rshash.methods.inner_product import INNER_PRODUCT, INNER_PRODUCT_LABELS
from rshash.methods.method import Method
from rshash.methods.mlcah import MLCAH
from rshash.methods.similarity import DJSRH, JDSH
from rshash.methods.ssah import SSAH
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
        CATEGORY,
        INNER_PRODUCT,
        DUCH,
        DUCH_AS_RELEASED,
        CHNR,
        CHNR_LABEL_FREE,
        CONSENSUS,
        DCMH,
        SSAH,
        MLCAH,
        CMDVH,
        CPAH,
        DMFH,
        INNER_PRODUCT_LABELS,
        VSE,
        CONTRASTIVE,
    )
}
