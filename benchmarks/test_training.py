"""Seconds of one epoch of each method on random features of the size of UCM's training half.

RSHASH_BENCH_DEVICE=cuda measures a GPU.
"""

import numpy as np
import pytest
import torch

from rshash.methods import METHODS
from rshash.methods.options import parse_options
from rshash.methods.pairs import TrainingPairs

N = 1050
N_CLASSES = 21
TRAINED = [name for name, method in METHODS.items() if hasattr(method.options, "epochs")]


@pytest.mark.parametrize("hidden", [1024, 4096])
@pytest.mark.parametrize("name", TRAINED)
def test_one_epoch(benchmark, device, finished, name, hidden):
    generator = torch.Generator().manual_seed(0)
    options = parse_options(METHODS[name].options, {"hidden": hidden})
    pairs = TrainingPairs(
        images=tuple(torch.randn(N, 1280, generator=generator).to(device) for _ in options.image_views),
        captions=tuple(torch.randn(N, 384, generator=generator).to(device) for _ in options.caption_views),
        first_caption=np.arange(N + 1),
        chosen=np.arange(N),
        labels=(torch.arange(N) % N_CLASSES).to(device),
        clean=(torch.arange(N) % 3 == 0).to(device),
    )
    objective = METHODS[name].objective(pairs, 64, options).to(device).train()

    def epoch():
        objective.start_epoch(0)
        for batch in objective.batches(0, min(options.batch_size, N), np.random.default_rng(0)):
            total = torch.stack(list(objective.losses(batch).values())).sum()
            objective.optimizers["heads"].zero_grad()
            total.backward()
            objective.optimizers["heads"].step()
        objective.end_epoch(0)
        return total.item()

    last = benchmark.pedantic(finished(epoch), rounds=5, warmup_rounds=1)
    assert np.isfinite(last)
    if benchmark.stats is None:  # --benchmark-disable: a glance whether it runs
        return
    benchmark.extra_info.update(
        pairs_per_second=N / benchmark.stats["min"],
        epochs_per_second=1 / benchmark.stats["min"],
        torch_threads=torch.get_num_threads(),
        device=device,
    )
