"""Options of a method: a frozen dataclass whose fields are the names, types and defaults that a user may set."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from rshash.names import unknown_name


def number(default: Any, *, above: float | None = None, least: float | None = None) -> Any:
    """Declare a number with a lower bound, exclusive (``above``) or inclusive (``least``)."""
    return field(default=default, metadata={"above": above, "least": least})


@dataclass(frozen=True)
class DataOptions:
    """What every method has: the data that it sees.

    Attributes:
        image_views: the views that a batch carries, from `rshash.data.views.IMAGE_VIEWS`.
        caption_views: likewise of captions, from `rshash.data.views.CAPTION_VIEWS`.
        encoded_views: views of an image that the hasher averages, from `rshash.data.views.FIXED_IMAGE_VIEWS`; n of them
            cost n passes of the image encoder whenever images are encoded.
        view_seed: of the random views; apart from the training seed, so that cached features serve every training.
        captions: "one" trains on one caption of each image, drawn once; "any" draws one of its captions at each step.
        components: how many principal directions of the training images' features a method sees, where they have more;
            0 for the features themselves. Fewer make a step cheaper; the hasher that comes out reads whole features.
    """

    image_views: tuple[str, ...] = ("original",)
    caption_views: tuple[str, ...] = ("original",)
    encoded_views: tuple[str, ...] = ("original",)
    view_seed: int = number(0, least=0)
    captions: Literal["one", "any"] = "one"
    components: int = number(0, least=0)


@dataclass(frozen=True)
class Options(DataOptions):
    """What every method has that is trained in steps.

    Attributes:
        epochs: passes over the training images.
        batch_size: image-caption pairs of a step; a smaller data set is one batch.
        hidden: width of the hidden layer of both hash heads; 0 leaves it out, and the heads are linear.
        learning_rate: of the hash heads, at the start.
        weight_decay: L2 decay of the hash heads (Adam's, not AdamW's).
        keep: which weights are returned: those of the "last" epoch, or of the "best" on validation.
    """

    epochs: int = number(100, least=1)
    batch_size: int = number(256, least=2)
    hidden: int = number(4096, least=0)
    learning_rate: float = number(1e-4, above=0)
    weight_decay: float = number(5e-4, least=0)
    keep: Literal["last", "best"] = "last"


@dataclass(frozen=True)
class TunableOptions(Options):
    """What a method has that may go on with the last blocks of the image encoder.

    Attributes:
        tuned_epochs: epochs after the others in which these blocks are trained with the heads; 0 leaves them as they
            are. An epoch takes minutes where one of the heads alone takes a second. ``keep="best"`` keeps the best of
            these.
        tuning_rate: highest learning rate of blocks and heads in these epochs; it rises in the first and falls to 0.
    """

    tuned_epochs: int = number(0, least=0)
    tuning_rate: float = number(1e-3, above=0)


Kind = TypeVar("Kind", bound=DataOptions)


def parse_options(kind: type[Kind], given: Mapping[str, Any]) -> Kind:
    """Check what a user gave and fill in the rest.

    Args:
        kind: options class of the method.
        given: name → value; a whole number is taken for a float, a list for a tuple.

    Raises:
        ValueError: unknown name (the message holds the nearest), wrong type, a number out of its bounds, or phases of a
            method that leave no epoch to the last.

    >>> parse_options(Options, {"batch_size": 128}).batch_size
    128
    """
    known: dict[str, Field[Any]] = {entry.name: entry for entry in fields(kind)}
    hints = get_type_hints(kind)
    values = {}
    for name, value in given.items():
        if name not in known:
            raise unknown_name("option", name, known)
        values[name] = _checked(name, value, hints[name], known[name])
    return kind(**values)


def _checked(name: str, value: Any, hint: Any, entry: Field[Any]) -> Any:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            expected = " or ".join(map(repr, get_args(hint)))
            raise ValueError(f"option {name!r} is {value!r}; expected {expected}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)) or not value or not all(isinstance(item, str) for item in value):
            raise ValueError(f"option {name!r} is {value!r}; expected a list of names")
        return tuple(value)
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        raise ValueError(f"option {name!r} is {value!r}; expected {_IN_WORDS[hint]}")
    above, least = entry.metadata.get("above"), entry.metadata.get("least")
    if above is not None and not (value > above and abs(value) != float("inf")):
        raise ValueError(f"option {name!r} is {value!r}; expected a finite number above {above}")
    if least is not None and not (value >= least and abs(value) != float("inf")):
        raise ValueError(f"option {name!r} is {value!r}; expected a finite number of at least {least}")
    return value


_IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
