"""Learning rates by epoch."""

import math


def stepwise(start: float, epoch: int, *, factor: float, every: int, least: float) -> float:
    """Decay as the released codes of DUCH, CHNR and CPAH do: after epoch 0, then after every ``every`` epochs.

    Args:
        start: learning rate of epoch 0.
        epoch: counted from 0.
        factor: of one decay.
        every: epochs between decays.
        least: the decay stops here.

    >>> [stepwise(1.0, epoch, factor=0.5, every=10, least=0.2) for epoch in (0, 1, 10, 11, 31)]
    [1.0, 0.5, 0.5, 0.25, 0.2]
    """
    n_decays = 0 if epoch == 0 else 1 + (epoch - 1) // every
    return max(start * factor**n_decays, min(least, start))


def cosine(highest: float, epoch: int, *, epochs: int, warm_up: float) -> float:
    """Rise in a straight line, then fall to nearly 0 as half a cosine (Loshchilov & Hutter, ICLR 2017).

    Args:
        highest: learning rate at the end of the rise.
        epoch: counted from 0; the rate is that of its middle.
        epochs: of the training.
        warm_up: share of the epochs that rise.

    >>> [round(cosine(1.0, epoch, epochs=4, warm_up=0.25), 2) for epoch in range(4)]
    [0.5, 0.93, 0.5, 0.07]
    """
    done = (epoch + 0.5) / epochs
    if done < warm_up:
        return highest * done / warm_up
    return highest * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2
