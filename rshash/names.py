"""Names a user may mistype: the error for an unknown one lists the nearest that exist."""

from collections.abc import Iterable
from difflib import get_close_matches


def unknown_name(what: str, name: object, known: Iterable[str]) -> ValueError:
    """The error to raise for a name that is not known.

    Args:
        what: kind of thing that was named, for example ``"image encoder"``.
        name: what the user wrote.
        known: every name that would have been right.

    Returns:
        ValueError to raise; its message holds the nearest names, or all of them when none is near.

    >>> str(unknown_name("method", "duhc", ["duch", "chnr"]))
    "unknown method 'duhc'; did you mean 'duch'?"
    >>> str(unknown_name("method", "xyz", ["duch", "chnr"]))
    "unknown method 'xyz'; known are 'chnr', 'duch'"
    """
    names = sorted(known)
    near = get_close_matches(str(name), names, n=3, cutoff=0.5)
    if near:
        return ValueError(f"unknown {what} {name!r}; did you mean {' or '.join(map(repr, near))}?")
    return ValueError(f"unknown {what} {name!r}; known are {', '.join(map(repr, names))}")
