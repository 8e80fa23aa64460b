"""Records of comparisons, made by hand."""

from rshash.protocol.perform import Settings


def record(run, **scores):
    """A record made by hand."""
    return {
        "format": "rshash comparison",
        "format_version": 1,
        "run": vars(run) | {"options": {}},
        "settings": {"image_encoder": Settings.image_encoder, "caption_encoder": "b"},
        "scores": {"hamming": {"i2t": scores, "t2i": scores}},
        "seconds": {"train": 30.0, "evaluate": 10.0},
    }
