"""`train`: from a data set and the name of a method to a `CrossModalHasher`."""

import copy
import dataclasses
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import rshash
from rshash.codes import code_bytes
from rshash.data.dataset import CaptionDataset
from rshash.data.splits import duch_caption_choice
from rshash.methods import METHODS
from rshash.methods.objective import Objective
from rshash.methods.options import DataOptions, TunableOptions, parse_options
from rshash.methods.pairs import TrainingPairs
from rshash.models.cache import FeatureCache
from rshash.models.device import check_device
from rshash.models.encoders import (
    CaptionEncoder,
    ImageEncoder,
    load_caption_encoder,
    load_image_encoder,
    load_trunk,
)
from rshash.models.features import caption_features, image_features
from rshash.models.hasher import CrossModalHasher, check_views
from rshash.models.heads import HashHead
from rshash.models.projection import Projection
from rshash.names import unknown_name
from rshash.training.checkpoint import BEST, LAST, State
from rshash.training.checks import check_supervision, split_rows
from rshash.training.loop import Loop
from rshash.training.validation import Validation

ANCHORS = 2048
"""Most training images whose codes a hasher keeps for its expansion; a quarter of them ranks almost as well."""

_RELAXED_AT_ONCE = 256


def train(
    dataset: CaptionDataset,
    *,
    method: str = "consensus",
    n_bits: int = 64,
    image_encoder: str = "efficientnet-lite0-levels",
    caption_encoder: str = "minilm",
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: float = 0.1,
    cache: FeatureCache | str | os.PathLike[str] | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    seconds_between_checkpoints: float = 30.0,
    resume: bool = False,
    log: str | os.PathLike[str] | None = None,
    progress: bool = True,
    device: str = "cpu",
    clean: Sequence[int] | NDArray[np.int64] | None = None,
    options: Mapping[str, Any] | None = None,
    inspect: Callable[[Objective], None] | None = None,
    stop_after: int | None = None,
) -> CrossModalHasher:
    """Train a hasher.

    The same arguments give the same weights, byte for byte, on the same machine at the same number of torch threads,
    whether the run was interrupted and resumed or not; with ``tuned_epochs`` on a CPU only.

    Args:
        dataset: training images, each with a caption; no other data is looked at.
        method: key of `rshash.methods.METHODS`.
        n_bits: width of the codes, 1..4096.
        image_encoder: key of ``rshash.models.encoders.ENCODERS["image"]``.
        caption_encoder: key of ``ENCODERS["caption"]``.
        seed: from 0; of weights, order of batches, and the split of the validation part.
        epochs: None takes the method's.
        batch_size: pairs of a step, at most as many as there are to train on; None takes the method's, or all pairs
            where there are fewer.
        validation: share of the images that is held out and measured after every epoch, 0 for none.
        cache: folder that keeps features between runs, or None.
        checkpoints: folder for the state to resume from and for the best hasher.
        seconds_between_checkpoints: least time between two; 0 saves after every epoch.
        resume: go on from the checkpoint, if there is one; otherwise start.
        log: JSONL file, one line an epoch: losses (mean over the pairs), learning rate, validation, seconds.
        progress: show bars on stderr where that is a terminal.
        device: torch device.
        clean: rows of the data set whose captions are known to be right, for methods that ask for such a subset.
        options: of the method, by the names of its options class.
        inspect: called once with the objective after its last epoch, for what a method knows beside its heads.
        stop_after: end when so many epochs are done, as if interrupted there: the learning rates stay those of all
            epochs, and ``resume`` goes on from the checkpoint. None trains to the end.

    Returns:
        The hasher of the last epoch, or of the best with the option ``keep="best"``.

    Raises:
        ValueError: a name is unknown, an option ill-typed or out of range, the data too small or without captions, or
            the method asks for labels or a clean subset that the data lacks.
        TrainingDiverged: a loss is not finite (a ValueError).
        ImportError: the package of an encoder is missing.
        OSError: a folder or file cannot be written.
    """
    code_bytes(n_bits)
    check_device(device)
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or more")
    if stop_after is not None and stop_after < 1:
        raise ValueError(f"stop_after is {stop_after}; expected 1 or more epochs, or None")
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    explicit = {"epochs": epochs, "batch_size": batch_size}
    given = {**(options or {}), **{name: value for name, value in explicit.items() if value is not None}}
    chosen = parse_options(METHODS[method].options, given)
    if resume and checkpoints is None:
        raise ValueError("resume needs the folder of checkpoints of the run to go on with")
    check_views(chosen.encoded_views)
    recorded = json.loads(json.dumps(dataclasses.asdict(chosen)))  # with lists for tuples, as files give them back
    keep_best = recorded.get("keep") == "best"
    if keep_best and validation == 0:
        raise ValueError('keep="best" needs a validation part; give validation above 0')
    train_rows, validation_rows = split_rows(dataset, validation, seed)
    if given.get("batch_size", 0) > len(train_rows):
        raise ValueError(
            f"batch_size is {given['batch_size']}, more than the {len(train_rows)} images to train on; "
            "give fewer, or leave it out for one batch of all"
        )
    trusted = check_supervision(METHODS[method].supervision, dataset, train_rows, clean)
    tuning = {name: recorded[name] for name in ("tuned_epochs", "tuning_rate") if name in recorded}
    settings = {
        "method": method,
        "n_bits": n_bits,
        "image_encoder": image_encoder,
        "caption_encoder": caption_encoder,
        "seed": seed,
        "validation": validation,
        "data": dataset.fingerprint(),
        "clean": None if trusted is None else np.flatnonzero(trusted).tolist(),
        **{name: value for name, value in recorded.items() if name not in tuning},
    }

    images_by, captions_by = load_image_encoder(image_encoder, device), load_caption_encoder(caption_encoder, device)
    if hasattr(images_by, "load_tail"):
        raise ValueError(
            f"{image_encoder!r} is read by hashers that hold the last blocks; take 'efficientnet-lite0-levels', and "
            "tuned_epochs to train these"
        )
    n_tuned = chosen.tuned_epochs if isinstance(chosen, TunableOptions) else 0
    trunk = load_trunk(images_by, device) if n_tuned else None
    kept = cache if isinstance(cache, FeatureCache | None) else FeatureCache(cache)
    features = _encode_views(dataset, images_by, captions_by, chosen, kept, progress)
    projection = None
    if 0 < chosen.components < features.images[0].shape[1]:
        projection = Projection.fit(features.images[0][train_rows], chosen.components)
        features = features.projected(projection)
    pairs = features.rows(train_rows, trusted, device)
    with torch.random.fork_rng(devices=[torch.device(device)] if torch.device(device).type == "cuda" else []):
        torch.manual_seed(int(np.random.default_rng([seed, 0]).integers(2**63)))
        objective = METHODS[method].objective(pairs, n_bits, chosen).to(device)
    provenance = {
        "method": method,
        "paper": METHODS[method].paper,
        "options": recorded,
        "seed": seed,
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint()},
        "images": {"training": len(train_rows), "validation": len(validation_rows)},
        "versions": {
            "rshash": rshash.__version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "torch_threads": torch.get_num_threads(),
    }

    rows = train_rows[np.linspace(0, len(train_rows) - 1, min(ANCHORS, len(train_rows))).astype(np.int64)]
    anchored = features.encoded_of(rows) if objective.expansion else []

    def hasher(best: bool, state: State) -> CrossModalHasher:
        heads = copy.deepcopy(objective.image_head), copy.deepcopy(objective.caption_head)
        if best:
            for head, weights in zip(heads, state.best_weights, strict=True):
                head.load_state_dict(weights)
        epoch, metrics = (state.best_epoch, state.best_validation) if best else (state.epoch, state.validation)
        record = {
            **provenance,
            "encoders": {encoder.name: encoder.version for encoder in (images_by, captions_by)},
            "epoch": epoch,
            "metrics": {held_out.metric: metrics} if held_out else {},
        }
        anchors = _relax(heads[0], anchored, device) if objective.expansion else None
        return CrossModalHasher(
            heads[0] if projection is None or heads[0].tail else projection.unfold(heads[0]),  # a tail projects itself
            heads[1],
            images_by.name,
            caption_encoder,
            record,
            device,
            chosen.encoded_views,
            objective.dither,
            objective.expansion,
            anchors,
        )

    held_out = features.validation(validation_rows) if len(validation_rows) else None
    folder = None if checkpoints is None else Path(checkpoints)
    common: Any = {
        "seconds_between_checkpoints": seconds_between_checkpoints,
        "resume": resume,
        "log": log,
        "on_best": lambda state: hasher(True, state).save(folder / BEST) if folder else None,
    }
    loop = Loop(objective, settings, validation=held_out, checkpoints=folder, **common)
    tuned_folder = None if folder is None else folder / "tuned"
    if tuned_folder is not None and not loop.state.epoch:
        (tuned_folder / LAST).unlink(missing_ok=True)  # of another run
    last = loop.run(progress, stop_after)
    if trunk is not None and (stop_after is None or stop_after > last.epoch):
        images_by = trunk
        features = features.of_images(*_encode_images(dataset, trunk, chosen, kept, progress))
        objective.tune(features.rows(train_rows, trusted, device), trunk.load_tail(projection))
        tuned_held_out = features.validation(validation_rows) if held_out else None
        anchored = features.encoded_of(rows) if objective.expansion else []
        del features  # wide, and copied by now
        last = Loop(
            objective,
            {**settings, **tuning, "epochs": last.epoch + n_tuned},
            validation=tuned_held_out,
            checkpoints=tuned_folder,
            first=last.epoch,
            **common,
        ).run(progress, stop_after)
    if inspect is not None:
        inspect(objective)
    return hasher(keep_best, last)


@dataclasses.dataclass(frozen=True)
class _Features:
    """Features of all views of a data set, before it is split.

    Attributes:
        images: one (N, image dim) for each image view.
        encoded: one (N, image dim) for each view that the hasher averages.
        captions: one (M, caption dim) for each caption view.
        first_caption: (N + 1,) as in `TrainingPairs`.
        one_caption: (N,) row of the one caption drawn for each image.
        any_caption: whether training draws among all captions of an image instead.
        labels: (N,) or None.
    """

    images: list[NDArray[np.float32]]
    encoded: list[NDArray[np.float32]]
    captions: list[NDArray[np.float32]]
    first_caption: NDArray[np.int64]
    one_caption: NDArray[np.int64]
    any_caption: bool
    labels: NDArray[np.int64] | None

    def of_images(self, images: list[NDArray[np.float32]], encoded: list[NDArray[np.float32]]) -> "_Features":
        """Return the same with other features of the images."""
        return dataclasses.replace(self, images=images, encoded=encoded)

    def projected(self, projection: Projection) -> "_Features":
        """Return the same with the images' features projected."""
        views: dict[int, NDArray[np.float32]] = {}
        for view in (*self.images, *self.encoded):
            if id(view) not in views:  # a view that is both trained on and encoded
                views[id(view)] = projection(view)
        return self.of_images(*([views[id(view)] for view in part] for part in (self.images, self.encoded)))

    def rows(self, rows: NDArray[np.int64], trusted: NDArray[np.bool_] | None, device: str) -> TrainingPairs:
        """Gather the images of the given rows with all their captions."""
        counts = np.diff(self.first_caption)[rows]
        captions = np.concatenate([np.arange(*self.first_caption[row : row + 2]) for row in rows])
        first = np.concatenate([[0], np.cumsum(counts)])
        return TrainingPairs(
            images=tuple(torch.from_numpy(view[rows]).to(device) for view in self.images),
            captions=tuple(torch.from_numpy(view[captions]).to(device) for view in self.captions),
            first_caption=first,
            chosen=None if self.any_caption else first[:-1] + (self.one_caption - self.first_caption[:-1])[rows],
            labels=None if self.labels is None else torch.from_numpy(self.labels[rows]).to(device),
            clean=None if trusted is None else torch.from_numpy(trusted).to(device),
        )

    def encoded_of(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """Gather the encoded views of the images of the given rows."""
        return [view[rows] for view in self.encoded]

    def validation(self, rows: NDArray[np.int64]) -> Validation:
        """Gather the encoded views of the images of the given rows with one caption each."""
        labels = None if self.labels is None else self.labels[rows]
        return Validation(self.encoded_of(rows), self.captions[0][self.one_caption[rows]], labels)


@torch.inference_mode()
def _relax(head: HashHead, views: list[NDArray[np.float32]], device: str) -> NDArray[np.float32]:
    """Mean relaxed codes of images over the views that are encoded: (N, n_bits) float32."""
    head.eval()
    parts = range(0, len(views[0]), _RELAXED_AT_ONCE)
    sums = [
        sum(head(torch.from_numpy(view[start : start + _RELAXED_AT_ONCE]).to(device)) for view in views)
        for start in parts
    ]
    mean: NDArray[np.float32] = (torch.cat(sums) / len(views)).cpu().numpy()
    return mean


def _encode_views(
    dataset: CaptionDataset,
    image_encoder: ImageEncoder,
    caption_encoder: CaptionEncoder,
    options: DataOptions,
    cache: FeatureCache | None,
    progress: bool,
) -> _Features:
    """Encode every view that the options name."""
    common: Any = {"cache": cache, "seed": options.view_seed, "progress": progress}
    counts = np.array([len(captions) for captions in dataset.captions], dtype=np.int64)
    first_caption = np.concatenate([[0], np.cumsum(counts)])
    images, encoded = _encode_images(dataset, image_encoder, options, cache, progress)
    return _Features(
        images=images,
        encoded=encoded,
        captions=[caption_features(dataset, caption_encoder, view, **common) for view in options.caption_views],
        first_caption=first_caption,
        one_caption=first_caption[:-1] + duch_caption_choice(counts.tolist()),
        any_caption=options.captions == "any",
        labels=dataset.labels,
    )


def _encode_images(
    dataset: CaptionDataset, encoder: ImageEncoder, options: DataOptions, cache: FeatureCache | None, progress: bool
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Return the features of the views that are trained on, and of those that are encoded."""
    views = {
        name: image_features(dataset, encoder, name, cache=cache, seed=options.view_seed, progress=progress)
        for name in dict.fromkeys([*options.image_views, *options.encoded_views])
    }
    return [views[name] for name in options.image_views], [views[name] for name in options.encoded_views]
