"""Losses: pure functions of relaxed codes, by family.

Each returns one value per row of the batch (or per bit), not reduced: a method sums or averages them, with or without
weights per pair. DUCH and its relatives sum; with Adam's weight decay the scale matters, so a method says which it is.

contrastive    nt_xent, info_nce, soft_info_nce, bank_contrast
adversarial    discriminator_loss, generator_loss, gradient_penalty
quantization   quantization
balance        bit_balance, code_balance, decorrelation
similarity     similarity_error, inner_product, pairwise_likelihood
ranking        triplet, cross_modal_ranking
"""

from rshash.extras import require

require("torch", "train")
