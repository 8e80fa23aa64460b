"""Images and captions → features → relaxed codes → packed codes.

encoders   the interface of frozen encoders and their registry; `pretrained` and `fixed` implement it
features   features of a whole data set, cached on disk
device     the device that a user names, tried before any work
heads      hash heads: features → relaxed codes
tail       last blocks of an image encoder, trained with its head; `folded` holds their form
hasher     CrossModalHasher: encoders and heads of both modalities, saved and loaded as one directory
"""

from rshash.extras import require

require("torch", "train")
require("safetensors", "train")
