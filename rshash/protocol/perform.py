"""One run, performed: features, training, measurement; out comes its record."""

import json
import platform
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import rshash
from rshash.data.dataset import CaptionDataset
from rshash.data.noise import corrupt_pairs
from rshash.evaluation import evaluate, one_caption_each
from rshash.evaluation.halves import duplicates
from rshash.methods import METHODS
from rshash.methods.options import TunableOptions, parse_options
from rshash.models.cache import FeatureCache
from rshash.models.encoders import load_caption_encoder, load_image_encoder, load_trunk
from rshash.models.features import caption_features, image_features
from rshash.protocol.plan import Run, halves
from rshash.protocol.record import CUTS, FORMAT, FORMAT_VERSION, Record
from rshash.training import train

DIRECTIONS = ("i2t", "t2i")
MOST_RADII = 32
"""Radii at which precision and recall are recorded, evenly over all distances."""

SMALL_RADII = range(6)
"""Radii that are recorded at any width: those of DUCH's "mAP HR 0" to 5, and the field's hash lookup within 2."""


@dataclass(frozen=True)
class Settings:
    """What all runs of a comparison share.

    Attributes:
        image_encoder: key of ``rshash.models.encoders.ENCODERS["image"]``.
        caption_encoder: key of ``ENCODERS["caption"]``.
        validation: share of the training images held out; 0 trains on all, as the papers do.
        device: torch device.
    """

    image_encoder: str = "efficientnet-lite0-levels"
    caption_encoder: str = "minilm"
    validation: float = 0.0
    device: str = "cpu"

    def recorded(self, run: Run, dataset: CaptionDataset) -> dict[str, Any]:
        """Return what decides the figures of a run beside the run itself: these, the data, the method's defaults."""
        options = json.loads(json.dumps(asdict(parse_options(METHODS[run.method].options, run.options))))
        return {**asdict(self), "fingerprint": dataset.fingerprint(), "all_options": options}


def cache_features(
    runs: list[Run], datasets: dict[str, CaptionDataset], settings: Settings, cache: FeatureCache, progress: bool
) -> None:
    """Compute the features of every view that the runs use and keep them, so that a run's seconds are training only.

    Raises:
        ValueError: if an image cannot be read.
        ImportError: if the package of an encoder is missing.
    """
    images = load_image_encoder(settings.image_encoder, settings.device)
    captions = load_caption_encoder(settings.caption_encoder, settings.device)
    encoders: dict[str, Any] = {encoder.name: encoder for encoder in (images, captions)}
    wanted = set()
    for run in runs:
        options = parse_options(METHODS[run.method].options, run.options)
        views_of = {images.name: (*options.image_views, *options.encoded_views), captions.name: options.caption_views}
        if isinstance(options, TunableOptions) and options.tuned_epochs:
            trunk = load_trunk(images, settings.device)
            encoders[trunk.name] = trunk
            views_of[trunk.name] = views_of[images.name]
        for encoder, views in views_of.items():
            wanted |= {(run.data, encoder, view, options.view_seed) for view in ("original", *views)}
    for name, encoder, view, seed in sorted(wanted):
        compute: Any = caption_features if encoder == captions.name else image_features
        compute(datasets[name], encoders[encoder], view, cache=cache, seed=seed, progress=progress)


def perform(run: Run, dataset: CaptionDataset, settings: Settings, cache: FeatureCache | None) -> Record:
    """Train and measure.

    Args:
        run: what to do.
        dataset: the whole data set; the query and database halves are never trained on, nor corrupted.
        settings: of the comparison.
        cache: where features are kept.

    Returns:
        The record: run, settings, scores (ranking → direction → column), sizes, overlap of queries and training data,
        seconds, provenance of the hasher and versions.

    Raises:
        ValueError: as `rshash.train` and `rshash.evaluate`.
    """
    split = halves(dataset, run)
    training, query, database = (dataset.subset(rows) for rows in (split.train, split.query, split.database))
    corruption = corrupt_pairs(training, run.noise, seed=run.seed)
    started, busy = time.perf_counter(), time.process_time()
    hasher = train(
        corruption.dataset,
        method=run.method,
        n_bits=run.n_bits,
        image_encoder=settings.image_encoder,
        caption_encoder=settings.caption_encoder,
        seed=run.seed,
        clean=corruption.clean if "clean subset" in METHODS[run.method].supervision else None,
        validation=settings.validation,
        cache=cache,
        progress=False,
        device=settings.device,
        options=run.options,
    )
    trained, busy = time.perf_counter(), time.process_time() - busy
    official = run.split == "official"
    reports = {
        ranking: evaluate(
            hasher,
            query,
            database,
            directions=DIRECTIONS,
            ks=[k for k in CUTS if k <= max(20, len(database))],
            radii=recorded_radii(run.n_bits),
            relevance="pair" if official else "class",
            captions="all" if official else "one",
            ranking=ranking,
            cache=cache,
            progress=False,
        )
        for ranking in (("hamming", "cosine") if METHODS[run.method].codes else ("cosine",))
    }
    report = next(iter(reports.values()))
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "run": asdict(run),
        "settings": settings.recorded(run, dataset),
        "scores": {ranking: found.scores for ranking, found in reports.items()},
        "wrong_pairs": int(corruption.wrong.sum()),
        "n_queries": report.n_queries,
        "n_database": report.n_database,
        "n_unanswerable": report.n_unanswerable,
        "images": {name: len(part) for name, part in (("train", training), ("query", query), ("database", database))},
        "duplicates": {"query, database": report.protocol["duplicates"], "query, train": duplicates(query, training)},
        "query_captions_in_training": _told_before(training, query, all_captions=official),
        "relevance": report.protocol["relevance"],
        "captions": report.protocol["captions"],
        "ties": report.protocol["ties"],
        "seconds": {"train": trained - started, "evaluate": time.perf_counter() - trained},
        "cpu_seconds": {"train": busy},
        "hasher": {"fingerprint": hasher.fingerprint, **hasher.provenance},
        "made": {
            "rshash": rshash.__version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "platform": platform.platform(),
        },
    }


def recorded_radii(n_bits: int) -> list[int]:
    """Return the radii at which precision and recall are recorded.

    >>> recorded_radii(4), recorded_radii(128)[:9]
    ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 8, 12, 16])
    """
    evenly = range(0, n_bits + 1, max(1, n_bits // MOST_RADII))
    return sorted({*evenly, *(radius for radius in SMALL_RADII if radius <= n_bits)})


def _told_before(training: CaptionDataset, query: CaptionDataset, all_captions: bool) -> float:
    """Return the share of the query captions that occur word for word among all captions of the training images."""
    known = {caption for own in training.captions for caption in own}
    asked = [caption for own in (query if all_captions else one_caption_each(query)).captions for caption in own]
    return sum(caption in known for caption in asked) / max(1, len(asked))
