"""Items a second from pixels and text to packed codes, for the encoders that are installed.

RSHASH_BENCH_DEVICE=cuda measures a GPU.
"""

import numpy as np
import pytest
import torch

from rshash.models.encoders import ENCODERS, load_caption_encoder, load_image_encoder
from rshash.models.hasher import CrossModalHasher
from rshash.models.heads import HashHead

IMAGES = list(np.random.default_rng(0).integers(0, 256, (64, 128, 128, 3), dtype=np.uint8))
CAPTIONS = [f"{number} planes are parked near terminal {number}" for number in range(256)]


def _report(benchmark, n_items, codes, device):
    assert len(np.unique(codes, axis=0)) > 1  # a speed without a result is none
    if benchmark.stats is None:  # --benchmark-disable: a glance whether it runs
        return
    benchmark.extra_info.update(
        items_per_second=n_items / benchmark.stats["min"], torch_threads=torch.get_num_threads(), device=device
    )


@pytest.mark.parametrize("name", ENCODERS["image"])
def test_encode_images(benchmark, device, finished, name):
    try:
        dim = load_image_encoder(name).dim
    except ImportError as error:
        pytest.skip(str(error))
    hasher = CrossModalHasher(HashHead(dim, 64), HashHead(1024, 64), name, "bag-of-words", device=device)
    codes = benchmark.pedantic(finished(hasher.encode_images), args=(IMAGES,), rounds=7, warmup_rounds=1)
    _report(benchmark, len(IMAGES), codes, device)


@pytest.mark.parametrize("name", ENCODERS["caption"])
def test_encode_captions(benchmark, device, finished, name):
    try:
        dim = load_caption_encoder(name).dim
    except ImportError as error:
        pytest.skip(str(error))
    hasher = CrossModalHasher(HashHead(512, 64), HashHead(dim, 64), "small-cnn", name, device=device)
    codes = benchmark.pedantic(finished(hasher.encode_captions), args=(CAPTIONS,), rounds=7, warmup_rounds=1)
    _report(benchmark, len(CAPTIONS), codes, device)


@pytest.mark.parametrize("hidden", [1024, 4096])
def test_hash_features(benchmark, device, finished, hidden):
    heads = HashHead(1280, 64, hidden), HashHead(384, 64, hidden)
    hasher = CrossModalHasher(*heads, "small-cnn", "bag-of-words", device=device)
    features = np.random.default_rng(0).standard_normal((1000, 1280)).astype(np.float32)
    relaxed = benchmark.pedantic(finished(hasher.relaxed_images), args=(features,), rounds=7, warmup_rounds=1)
    _report(benchmark, len(features), relaxed >= 0, device)
