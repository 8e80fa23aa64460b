"""Learning rates by epoch."""


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
