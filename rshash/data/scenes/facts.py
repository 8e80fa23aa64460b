"""`Facts`: what one scene shows, fixed before a pixel is drawn; painters draw it and captions tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What one scene shows.

    Attributes:
        kind: kind of scene, one of `KINDS`.
        objects: what is counted, in the plural: "planes".
        n: how many of them are drawn, every one inside the picture.
        colour: word for the colour of the objects, or of the thing the kind is told by.
        ground: word for what lies around them.
        beside: word for what lies along one side; "" for nothing.
    """

    kind: str
    objects: str
    n: int
    colour: str
    ground: str
    beside: str
