"""Training: a data set and the name of a method in, a `CrossModalHasher` out.

run          `train`: features, split, loop, hasher
checks       what must hold of the data before that
loop         epochs and steps; the same for every method
validation   what a hasher in training is worth on images held out of the training data
checkpoint   the state on disk from which a killed run goes on
log          one JSON line for each epoch
"""

from rshash.training.loop import TrainingDiverged
from rshash.training.run import train

__all__ = ["TrainingDiverged", "train"]
