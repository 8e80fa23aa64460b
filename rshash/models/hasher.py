"""CrossModalHasher: images and captions → packed codes that are compared with each other; saved as one directory."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray

from rshash.codes import code_bytes, dither, expand, pack_codes
from rshash.data.views import FIXED_IMAGE_VIEWS, IMAGE_VIEWS
from rshash.files import write_atomically
from rshash.models.device import check_device
from rshash.models.encoders import CaptionEncoder, ImageEncoder, load_caption_encoder, load_image_encoder
from rshash.models.heads import HashHead
from rshash.models.tail import Tail
from rshash.names import unknown_name

FORMAT = "rshash hasher"
FORMAT_VERSION = 5
ORIGINAL = ("original",)
_SETTINGS = "hasher.json"
_WEIGHTS = "weights.safetensors"
_ANCHORS = "anchors"
_AT_ONCE = 1024  # rows of features in a head at once
_IMAGES_AT_ONCE = 256


class CrossModalHasher:
    """Two frozen encoders and two hash heads that send a picture and its description to codes that are near.

    The encoders are loaded at first use, so that a hasher of stored features needs none.

    Args:
        image_head: features of images → relaxed codes; with a `Tail`, features of a trunk.
        caption_head: features of captions → relaxed codes; as many bits.
        image_encoder: name in ``ENCODERS["image"]``.
        caption_encoder: name in ``ENCODERS["caption"]``.
        provenance: where the weights come from (method, options, seed, data, versions, metrics); kept, not interpreted.
        device: torch device of heads and encoders.
        image_views: views of an image whose relaxed codes are averaged, from `rshash.data.views.FIXED_IMAGE_VIEWS`;
            n of them cost n passes of the image encoder.
        dither: share by which relaxed codes of captions are dithered in a database, see `rshash.codes.dither`.
        expansion: share of the anchors in relaxed codes that ask, see `rshash.codes.expand`.
        anchors: (A, n_bits) float32 relaxed codes of training images, for the expansion.

    Raises:
        ValueError: if the heads give different numbers of bits, a view is unknown, repeated or random, a share is no
            share, anchors have another shape, are not finite or come without an expansion or it without them, or the
            device cannot be used.

    >>> hasher = CrossModalHasher(HashHead(372, 64, 8), HashHead(1024, 64, 8), "small-cnn", "bag-of-words")
    >>> hasher.encode_captions(["two planes on a runway", "a harbour"]).shape
    (2, 8)
    """

    def __init__(
        self,
        image_head: HashHead,
        caption_head: HashHead,
        image_encoder: str,
        caption_encoder: str,
        provenance: Mapping[str, Any] | None = None,
        device: str = "cpu",
        image_views: Sequence[str] = ORIGINAL,
        dither: float = 0.0,
        expansion: float = 0.0,
        anchors: NDArray[np.float32] | None = None,
    ) -> None:
        if image_head.n_bits != caption_head.n_bits:
            raise ValueError(
                f"the image head gives {image_head.n_bits} bits, the caption head {caption_head.n_bits}; "
                "they must be equal to be compared"
            )
        code_bytes(image_head.n_bits)
        check_device(device)
        check_views(image_views)
        for name, share in (("dither", dither), ("expansion", expansion)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}; expected a share, 0 <= {name} <= 1")
        self.dither = float(dither)
        self.n_bits = image_head.n_bits
        self.expansion = float(expansion)
        self.anchors = np.array(np.empty((0, self.n_bits)) if anchors is None else anchors, np.float32)  # its own
        if self.anchors.ndim != 2 or self.anchors.shape[1] != self.n_bits:
            raise ValueError(f"anchors have shape {self.anchors.shape}; expected (A, {self.n_bits})")
        if not np.isfinite(self.anchors).all():
            raise ValueError("anchors hold NaN or infinity; train again, or leave them out")
        if bool(self.expansion) != bool(len(self.anchors)):
            raise ValueError(
                f"expansion is {expansion}, with {len(self.anchors)} anchors; expected both, a share above 0 and at "
                "least one anchor, or neither"
            )
        self.image_views = tuple(image_views)
        self.image_encoder = image_encoder
        self.caption_encoder = caption_encoder
        self.provenance = dict(provenance or {})
        self.device = device
        self.image_head = image_head.eval().to(device)
        self.caption_head = caption_head.eval().to(device)
        self._image_encoder: ImageEncoder | None = None
        self._caption_encoder: CaptionEncoder | None = None

    def encode_images(self, images: Sequence[NDArray[np.uint8]], *, query: bool = False) -> NDArray[np.uint8]:
        """Encode images of any sizes, each (H, W, 3) uint8 RGB, to packed codes.

        Args:
            images: what to encode.
            query: whether they ask among captions, see `expand`. Those that ask among images are encoded as these are,
                so that an image finds itself at distance 0.

        Returns:
            (N, ceil(n_bits / 8)) uint8.

        Raises:
            ValueError: if an image has another shape or dtype.
            ImportError: if the encoder's package is missing.
        """
        relaxed = self.relax_images(images)
        return pack_codes(self.expand(relaxed) if query else relaxed)

    def encode_captions(self, captions: Sequence[str], *, database: bool = False) -> NDArray[np.uint8]:
        """Encode captions to packed codes, (N, ceil(n_bits / 8)) uint8.

        Args:
            captions: what to encode.
            database: whether they are to be searched, see `pack_captions`, instead of asking, see `expand`.

        Raises:
            ValueError: if a caption is empty or not a string.
            TypeError: if ``captions`` is one string.
            ImportError: if the encoder's package is missing.
        """
        relaxed = self.relax_captions(captions)
        return self.pack_captions(relaxed) if database else pack_codes(self.expand(relaxed))

    def pack_captions(self, relaxed: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Pack relaxed codes of captions that are to be searched: their signs after a dither, where the hasher has one.

        Images are packed plainly (`rshash.pack_codes`), so that one that asks among images finds itself at distance 0.
        Captions that were packed plainly rank worse, those of few bits by points.
        """
        return pack_codes(dither(relaxed, self.dither))

    def expand(self, relaxed: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw relaxed codes of captions that ask, or of images that ask among captions, towards the anchors.

        See `rshash.codes.expand`; the same codes come back from a hasher without anchors. The signs of what comes out
        are their codes (`rshash.pack_codes`).
        """
        return expand(relaxed, self.anchors, self.expansion)

    def relax_images(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return (N, n_bits) float32 relaxed codes of images, what `encode_images` makes codes of; errors alike."""

        def relax(batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
            encoder, rng = self.load_image_encoder(), np.random.default_rng(0)  # fixed views draw nothing
            return self.relaxed_images(
                *(encoder.encode([IMAGE_VIEWS[view](image, rng) for image in batch]) for view in self.image_views)
            )

        return self._relax(images, relax)

    def relax_captions(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """Return (N, n_bits) float32 relaxed codes of captions, what `encode_captions` makes codes of."""
        return self._relax(captions, lambda batch: self.relaxed_captions(self.load_caption_encoder().encode(batch)))

    def relaxed_images(self, *features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map features of images to (N, n_bits) float32 relaxed codes in (-1, 1), the mean over their views.

        Args:
            features: (N, dim) for each of ``image_views``, in that order.

        Raises:
            ValueError: if there are more or fewer views, or features have another width or are not finite.
        """
        if len(features) != len(self.image_views):
            raise ValueError(
                f"features of {len(features)} image views were given; expected one array for each of "
                f"{', '.join(self.image_views)}"
            )
        relaxed = [self._relaxed(self.image_head, view, "images", self.image_encoder) for view in features]
        mean: NDArray[np.float32] = np.mean(relaxed, axis=0)
        return mean

    def relaxed_captions(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (N, dim) features of captions to relaxed codes, as `relaxed_images`."""
        return self._relaxed(self.caption_head, features, "captions", self.caption_encoder)

    def load_image_encoder(self) -> ImageEncoder:
        """Return the image encoder itself, loaded at the first call; errors as `encoders.load_image_encoder`."""
        if self._image_encoder is None:
            self._image_encoder = load_image_encoder(self.image_encoder, self.device)
        return self._image_encoder

    def load_caption_encoder(self) -> CaptionEncoder:
        """Return the caption encoder itself, loaded at the first call."""
        if self._caption_encoder is None:
            self._caption_encoder = load_caption_encoder(self.caption_encoder, self.device)
        return self._caption_encoder

    def _relax(self, items: Sequence[Any], relax: Callable[[Any], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Relax a batch at a time."""
        relaxed = np.empty((len(items), self.n_bits), np.float32)
        for start in range(0, len(items), _IMAGES_AT_ONCE):
            batch = slice(start, start + _IMAGES_AT_ONCE)
            relaxed[batch] = relax(items[batch])
        return relaxed

    @torch.inference_mode()
    def _relaxed(self, head: HashHead, features: NDArray[np.float32], what: str, encoder: str) -> NDArray[np.float32]:
        shape = np.shape(features)
        if len(shape) != 2 or shape[1] != head.dim:
            raise ValueError(f"features of {what} have shape {shape}; expected (N, {head.dim}) as {encoder!r} gives")
        relaxed = np.empty((shape[0], self.n_bits), dtype=np.float32)
        for start in range(0, shape[0], _AT_ONCE):
            batch = np.array(features[start : start + _AT_ONCE], dtype=np.float32)  # a copy: torch wants it writable
            if not np.isfinite(batch).all():
                raise ValueError(f"features of {what} hold NaN or infinity; encode those items again")
            relaxed[start : start + len(batch)] = head(torch.from_numpy(batch).to(self.device)).cpu().numpy()
        return relaxed

    @property
    def fingerprint(self) -> str:
        """Sha256 (hex) of settings and weights: two hashers that give equal codes by construction have the same."""
        digest = sha256(json.dumps(self._settings(), sort_keys=True).encode())
        for name, tensor in sorted(self._weights().items()):
            digest.update(name.encode() + str(tuple(tensor.shape)).encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the hasher as a directory, by custom ``NAME.hasher``; an old one is replaced, never half.

        Raises:
            OSError: if it cannot be written, or another kind of directory has that name.
        """
        weights = safetensors.torch.save(self._weights())
        settings = {
            "format": FORMAT,
            "format_version": self._format_version(),
            **self._settings(),
            "weights_sha256": sha256(weights).hexdigest(),
            "provenance": self.provenance,
        }
        text = json.dumps(settings, indent=2) + "\n"
        with write_atomically(path, replaces=_SETTINGS) as draft:
            draft.mkdir()
            (draft / _WEIGHTS).write_bytes(weights)
            (draft / _SETTINGS).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "cpu") -> "CrossModalHasher":
        """Read a hasher that `save` wrote.

        Raises:
            OSError: if a file is missing or cannot be read.
            ValueError: if a file is not what `save` writes, was damaged, or comes from a newer version.
        """
        folder = Path(path)
        settings = _read_settings(folder)
        try:
            content = (folder / _WEIGHTS).read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(f"{folder} has no {_WEIGHTS}; copy the whole directory that was saved") from None
        if sha256(content).hexdigest() != settings["weights_sha256"]:
            raise ValueError(f"{folder / _WEIGHTS} is damaged: it is not the file that was saved; copy it again")
        n_components = settings.get("image_components", 0)
        with torch.device("meta"):  # takes no memory, so that wrong sizes are found before they are allocated
            heads = {
                modality: HashHead(dim, settings["n_bits"], settings[f"{modality}_hidden"])
                for modality, dim in (
                    ("image", n_components or settings["image_dim"]),
                    ("caption", settings["caption_dim"]),
                )
            }
            if n_components:
                heads["image"].attach(Tail(n_components))
        try:
            weights = safetensors.torch.load(content)
            anchors = weights.pop(_ANCHORS).float().numpy() if _ANCHORS in weights else None
            for modality, head in heads.items():
                prefix = f"{modality}."
                if f"{prefix}rotation" in weights:
                    head.rotate(torch.empty(head.n_bits, head.n_bits, device="meta"))
                head.load_state_dict(
                    {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)},
                    assign=True,
                )
        except (RuntimeError, safetensors.SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{folder / _WEIGHTS} does not fit {_SETTINGS}: {reason}") from error
        return cls(
            heads["image"],
            heads["caption"],
            settings["image_encoder"],
            settings["caption_encoder"],
            settings["provenance"],
            device,
            settings.get("image_views", ORIGINAL),
            settings.get("dither", 0.0),
            settings.get("expansion", 0.0),
            anchors,
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "n_bits": self.n_bits,
            "image_encoder": self.image_encoder,
            "image_dim": self.image_head.dim,
            "image_hidden": self.image_head.hidden,
            "caption_encoder": self.caption_encoder,
            "caption_dim": self.caption_head.dim,
            "caption_hidden": self.caption_head.hidden,
            **({} if self._format_version() == 1 else {"image_views": list(self.image_views)}),
            **({"dither": self.dither} if self.dither else {}),
            **({"expansion": self.expansion} if self.expansion else {}),
            **({"image_components": self.image_head.tail.n_components} if self.image_head.tail else {}),
        }

    def _format_version(self) -> int:
        """Oldest version of the format that holds the hasher, so that an older rshash reads what it can.

        1 has neither image views nor turned heads; 2 has both, 3 also a dither, 4 also a tail, 5 also an expansion.
        """
        if self.expansion:
            return 5
        if self.image_head.tail is not None:
            return 4
        if self.dither:
            return 3
        is_turned = self.image_head.rotation is not None or self.caption_head.rotation is not None
        return 2 if is_turned or self.image_views != ORIGINAL else 1

    def _weights(self) -> dict[str, torch.Tensor]:
        heads = (("image", self.image_head), ("caption", self.caption_head))
        weights = {f"{name}.{key}": value for name, head in heads for key, value in head.state_dict().items()}
        if self.expansion:
            weights[_ANCHORS] = torch.from_numpy(self.anchors)
        return {name: tensor.contiguous() for name, tensor in weights.items()}


_TYPES: dict[str, type] = {
    "n_bits": int,
    "image_encoder": str,
    "image_dim": int,
    "image_hidden": int,
    "caption_encoder": str,
    "caption_dim": int,
    "caption_hidden": int,
    "weights_sha256": str,
    "provenance": dict,
}


def _read_settings(folder: Path) -> dict[str, Any]:
    """Return hasher.json after checking that it holds what `save` writes."""
    path = folder / _SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{folder} is not a hasher: it has no {_SETTINGS}") from None
    except ValueError as error:  # not UTF-8, or not JSON
        raise ValueError(f"{path} is damaged: {error}") from None
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise ValueError(f"{path} does not describe a hasher: its format is not {FORMAT!r}")
    version = settings.get("format_version")
    if version not in range(1, FORMAT_VERSION + 1):
        raise ValueError(
            f"{path} has format version {version!r}, this rshash reads 1 to {FORMAT_VERSION}; install a newer rshash"
        )
    expected = {**_TYPES, **({} if version == 1 else {"image_views": list})}
    if "image_components" in settings:
        expected["image_components"] = int
    for name, kind in expected.items():
        value = settings.get(name)
        least = 0 if name.endswith("hidden") else 1  # a linear head has no hidden layer
        if type(value) is not kind or (isinstance(value, int) and not least <= value <= 1 << 20):
            raise ValueError(f"{path} is damaged: {name} is {value!r}, expected {_kind_in_words(kind)}")
    for name in ("dither", "expansion"):
        share = settings.get(name, 0.0)
        if not isinstance(share, float) or not 0 <= share <= 1:
            raise ValueError(f"{path} is damaged: {name} is {share!r}, expected a share, 0 <= {name} <= 1")
    return settings


def _kind_in_words(kind: type) -> str:
    return {int: "a positive whole number", str: "a string", dict: "an object", list: "a list"}[kind]


def check_views(views: Sequence[str]) -> None:
    """Refuse views that would give an image another code each time, or none."""
    for view in views:
        if view not in FIXED_IMAGE_VIEWS:
            raise unknown_name("image view of a hasher", str(view), FIXED_IMAGE_VIEWS)
    if not views or len(set(views)) < len(views):
        raise ValueError(f"the image views of a hasher are {list(views)!r}; expected one or more, each once")
