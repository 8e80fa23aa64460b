"""Records of comparisons, made by hand."""

from rshash.protocol.perform import Settings
from rshash.protocol.record import main_ranking


def record(run, **scores):
    """A record made by hand, ranked as its method is meant to be."""
    return {
        "format": "rshash comparison",
        "format_version": 1,
        "run": vars(run) | {"options": {}},
        "settings": {"image_encoder": Settings.image_encoder, "caption_encoder": "b"},
        "scores": {main_ranking(run): {"i2t": scores, "t2i": scores}},
        "seconds": {"train": 30.0, "evaluate": 10.0},
    }
