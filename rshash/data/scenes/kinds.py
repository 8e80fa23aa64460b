"""`KINDS`: every kind of scene with what may vary in it, the words captions call it by, and its painter."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from rshash.data.scenes.built import paint_baseball, paint_dense, paint_solar, paint_sparse, paint_tanks, paint_tennis
from rshash.data.scenes.canvas import Canvas
from rshash.data.scenes.facts import Facts
from rshash.data.scenes.green import paint_farmland, paint_forest, paint_golf, paint_orchard
from rshash.data.scenes.parts import BESIDE
from rshash.data.scenes.transport import (
    paint_freeway,
    paint_intersection,
    paint_parking,
    paint_railway,
    paint_roundabout,
    paint_runway,
)
from rshash.data.scenes.water import paint_beach, paint_bridge, paint_harbour, paint_pools


class Kind(NamedTuple):
    """One kind of scene.

    Attributes:
        paint: draws a scene of given facts.
        names: what captions call the place.
        at: the preposition that goes with the names.
        objects: what is counted, as (singular, plural) names that mean the same; "{}" stands where a colour may.
        counts: fewest and most of them.
        colours: colour words to choose from.
        coloured: what has the colour where it is not the objects, "{}" standing for the colour; "" for the objects.
        grounds: ground words to choose from; "" where nothing of the ground is seen.
        besides: what may lie along one side; "" for nothing.
    """

    paint: Callable[[Canvas, Facts], None]
    names: tuple[str, ...]
    at: str
    objects: tuple[tuple[str, str], ...]
    counts: tuple[int, int]
    colours: tuple[str, ...]
    coloured: str = ""
    grounds: tuple[str, ...] = ("grass", "dry grass", "bare soil")
    besides: tuple[str, ...] = ("", *BESIDE)


CARS = (("{}car", "{}cars"), ("{}vehicle", "{}vehicles"))
CAR_COLOURS = ("white", "black", "red", "blue", "yellow")
ROOFS = ("red", "grey", "brown", "white")

KINDS: dict[str, Kind] = {
    "baseball diamond": Kind(
        paint_baseball,
        ("ballpark", "baseball park"), "in",
        (("baseball diamond", "baseball diamonds"), ("baseball field", "baseball fields")), (1, 3),
        ("brown", "red"), "{} soil in the infield",
        ("grass", "dry grass"),
    ),
    "beach": Kind(
        paint_beach,
        ("beach", "sandy shore"), "on",
        (("line of waves", "lines of waves"), ("breaking wave", "breaking waves")), (1, 4),
        ("yellow", "white", "grey"), "{} sand",
        ("grass", "dry grass"), ("", "trees", "houses", "a road"),
    ),
    "bridge": Kind(
        paint_bridge,
        ("river", "winding river"), "over",
        (("bridge", "bridges"), ("road bridge", "road bridges")), (1, 3),
        ("blue", "green", "brown"), "{} water",
        besides=("", "trees", "houses"),
    ),
    "dense residential": Kind(
        paint_dense,
        ("dense residential area", "crowded neighbourhood"), "in",
        (("street", "parallel streets"), ("road", "parallel roads")), (2, 5),
        ROOFS, "packed houses with {} roofs",
        ("grass", "bare soil", "concrete"), ("",),
    ),
    "farmland": Kind(
        paint_farmland,
        ("farmland", "cropland"), "in",
        (("{}field", "{}fields"), ("{}crop field", "{}crop fields")), (2, 9),
        ("green", "yellow", "brown", "mixed"),
        grounds=("",),
    ),
    "forest": Kind(
        paint_forest,
        ("dense forest", "woodland"), "in",
        (("clearing", "clearings"), ("glade", "glades")), (1, 4),
        ("dark green", "light green", "orange"), "{} trees",
        ("",), ("",),
    ),
    "freeway": Kind(
        paint_freeway,
        ("freeway", "motorway", "highway"), "on",
        CARS, (2, 14), CAR_COLOURS,
    ),
    "golf course": Kind(
        paint_golf,
        ("golf course", "golf club"), "on",
        (("{}bunker", "{}bunkers"), ("{}sand trap", "{}sand traps")), (2, 6),
        ("white", "yellow"),
        grounds=("grass",), besides=("", "trees", "a lake", "a road"),
    ),
    "harbour": Kind(
        paint_harbour,
        ("harbour", "marina", "port"), "in",
        (("{}boat", "{}boats"), ("{}vessel", "{}vessels")), (2, 14),
        ("white", "red", "yellow", "black"),
        grounds=("blue water", "green water"), besides=("", "trees", "a road", "warehouses"),
    ),
    "intersection": Kind(
        paint_intersection,
        ("intersection", "crossroads"), "at",
        CARS, (1, 9), CAR_COLOURS,
        grounds=("grass", "bare soil"), besides=("", "trees", "houses", "tall buildings"),
    ),
    "orchard": Kind(
        paint_orchard,
        ("orchard", "fruit plantation"), "in",
        (("row of {}trees", "rows of {}trees"), ("line of {}trees", "lines of {}trees")), (4, 9),
        ("dark green", "light green"),
    ),
    "parking lot": Kind(
        paint_parking,
        ("parking lot", "car park"), "in",
        CARS, (3, 36), ("white", "black", "red", "blue", "mixed"),
        grounds=("grass", "dry grass", "concrete"),
    ),
    "railway station": Kind(
        paint_railway,
        ("railway station", "train station"), "in",
        (("{}train", "{}trains"), ("{}railway train", "{}railway trains")), (1, 4),
        ("red", "blue", "white", "green", "yellow"),
    ),
    "roundabout": Kind(
        paint_roundabout,
        ("roundabout", "traffic circle"), "at",
        (("road", "roads"), ("exit", "exits")), (3, 6),
        ("green", "brown", "grey"), "a {} island in the middle",
        besides=("", "trees", "houses"),
    ),
    "runway": Kind(
        paint_runway,
        ("airport with a runway", "airfield with a runway"), "at",
        (("{}plane", "{}planes"), ("{}airplane", "{}airplanes")), (1, 6),
        ("white", "red", "blue", "yellow"),
    ),
    "solar farm": Kind(
        paint_solar,
        ("solar farm", "solar power plant"), "in",
        (("row of {}panels", "rows of {}panels"), ("line of {}panels", "lines of {}panels")), (3, 9),
        ("blue", "black"),
        grounds=("grass", "dry grass", "bare soil", "sand"),
    ),
    "sparse residential": Kind(
        paint_sparse,
        ("sparse residential area", "scattered settlement"), "in",
        (("house", "houses"), ("home", "homes")), (1, 6),
        ROOFS, "{} roofs",
        besides=("", "trees"),
    ),
    "storage tanks": Kind(
        paint_tanks,
        ("tank farm", "oil depot"), "in",
        (("{}storage tank", "{}storage tanks"), ("{}oil tank", "{}oil tanks")), (1, 9),
        ("white", "grey", "brown", "green"),
        grounds=("concrete", "bare soil", "grass", "sand"),
    ),
    "swimming pools": Kind(
        paint_pools,
        ("garden of houses", "residential garden area"), "in",
        (("{}swimming pool", "{}swimming pools"), ("{}pool", "{}pools")), (1, 6),
        ("blue", "turquoise"),
        grounds=("grass", "dry grass"), besides=("", "trees", "a road"),
    ),
    "tennis courts": Kind(
        paint_tennis,
        ("tennis club", "tennis centre"), "in",
        (("{}tennis court", "{}tennis courts"), ("{}court", "{}courts")), (1, 6),
        ("green", "blue", "red"),
    ),
}  # fmt: skip
"""Name → kind, in the order of the names, which is the order of the classes."""


def draw_facts(name: str, rng: Random) -> Facts:
    """Choose what a scene of a kind shows.

    >>> draw_facts("forest", Random(0)).objects
    'clearings'
    """
    kind = KINDS[name]
    n = rng.randint(*kind.counts)
    colour, ground, beside = rng.choice(kind.colours), rng.choice(kind.grounds), rng.choice(kind.besides)
    return Facts(name, kind.objects[0][1].format(""), n, colour, ground, beside)
