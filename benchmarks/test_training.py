"""Seconds of one epoch of each method on random features of the size of UCM's training half."""

import numpy as np
import pytest
import torch

from rshash.methods import METHODS
from rshash.methods.options import parse_options
from rshash.methods.pairs import TrainingPairs

N = 1050


@pytest.mark.parametrize("hidden", [1024, 4096])
@pytest.mark.parametrize("name", METHODS)
def test_one_epoch(benchmark, name, hidden):
    generator = torch.Generator().manual_seed(0)
    options = parse_options(METHODS[name].options, {"hidden": hidden})
    pairs = TrainingPairs(
        images=tuple(torch.randn(N, 1280, generator=generator) for _ in options.image_views),
        captions=tuple(torch.randn(N, 384, generator=generator) for _ in options.caption_views),
        first_caption=np.arange(N + 1),
        chosen=np.arange(N),
        labels=None,
    )
    objective = METHODS[name].objective(pairs, 64, options).train()

    def epoch():
        objective.start_epoch(0)
        for batch in pairs.batches(options.batch_size, np.random.default_rng(0)):
            total = torch.stack(list(objective.losses(batch).values())).sum()
            objective.optimizers["heads"].zero_grad()
            total.backward()
            objective.optimizers["heads"].step()
        objective.end_epoch(0)
        return total.item()

    last = benchmark.pedantic(epoch, rounds=5, warmup_rounds=1)
    assert np.isfinite(last)
    benchmark.extra_info.update(pairs_per_second=N / benchmark.stats["min"], torch_threads=torch.get_num_threads())
