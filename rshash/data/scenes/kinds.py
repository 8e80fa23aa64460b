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
        names: what captions call it; the first is the usual word.
        objects: what is counted, as (singular, plural) names that mean the same; the first is the fact.
        counts: fewest and most of them.
        colours: colour words to choose from.
        coloured: what the colour is said of: "" for the objects themselves, else a noun.
        grounds: ground words to choose from.
        besides: what may lie along one side; "" for nothing.
    """

    paint: Callable[[Canvas, Facts], None]
    names: tuple[str, ...]
    objects: tuple[tuple[str, str], ...]
    counts: tuple[int, int]
    colours: tuple[str, ...]
    coloured: str
    grounds: tuple[str, ...]
    besides: tuple[str, ...] = ("", *BESIDE)


CARS = (("car", "cars"), ("vehicle", "vehicles"))
HOUSES = (("house", "houses"), ("home", "homes"))
CAR_COLOURS = ("white", "black", "red", "blue", "yellow")
ROOFS = ("red", "grey", "brown", "white")
GREENS = ("grass", "dry grass")
NATURAL = ("grass", "dry grass", "bare soil")

KINDS: dict[str, Kind] = {
    "baseball diamond": Kind(
        paint_baseball, ("baseball diamond", "baseball field"),
        (("baseball diamond", "baseball diamonds"), ("baseball field", "baseball fields")),
        (1, 3), ("brown", "red"), "infield", GREENS),
    "beach": Kind(
        paint_beach, ("beach", "sandy shore"), (("line of waves", "lines of waves"), ("wave", "waves")),
        (1, 4), ("yellow", "white", "grey"), "sand", ("grass", "dry grass"), ("", "trees", "houses", "a road")),
    "bridge": Kind(
        paint_bridge, ("bridge", "river crossing"), (("bridge", "bridges"), ("crossing", "crossings")),
        (1, 3), ("blue", "green", "brown"), "river", NATURAL, ("", "trees", "houses")),
    "dense residential": Kind(
        paint_dense, ("dense residential area", "dense neighbourhood"),
        (("street", "streets"), ("road", "roads")), (2, 5), ROOFS, "roofs", ("grass", "bare soil", "concrete"), ("",)),
    "farmland": Kind(
        paint_farmland, ("farmland", "agricultural land"), (("field", "fields"), ("piece of cropland", "pieces of cropland")),
        (2, 9), ("green", "yellow", "brown", "mixed"), "", ("dry grass",)),
    "forest": Kind(
        paint_forest, ("forest", "woodland"), (("clearing", "clearings"), ("glade", "glades")),
        (1, 4), ("dark green", "light green", "orange"), "trees", ("grass",), ("",)),
    "freeway": Kind(
        paint_freeway, ("freeway", "motorway", "highway"), CARS, (2, 14), CAR_COLOURS, "", NATURAL),
    "golf course": Kind(
        paint_golf, ("golf course", "golf links"), (("bunker", "bunkers"), ("sand trap", "sand traps")),
        (2, 6), ("white", "yellow"), "", ("grass",), ("", "trees", "a lake", "a road")),
    "harbour": Kind(
        paint_harbour, ("harbour", "marina", "port"), (("boat", "boats"), ("vessel", "vessels")),
        (2, 14), ("white", "red", "blue", "yellow"), "", ("blue", "green"), ("", "trees", "a road", "warehouses")),
    "intersection": Kind(
        paint_intersection, ("intersection", "crossroads"), CARS, (1, 9), CAR_COLOURS, "",
        ("grass", "bare soil"), ("", "trees", "houses", "tall buildings")),
    "orchard": Kind(
        paint_orchard, ("orchard", "fruit plantation"), (("row of trees", "rows of trees"), ("line of trees", "lines of trees")),
        (4, 9), ("dark green", "light green"), "crowns", NATURAL),
    "parking lot": Kind(
        paint_parking, ("parking lot", "car park"), CARS, (4, 36), ("white", "black", "red", "blue", "mixed"), "",
        ("grass", "dry grass", "concrete")),
    "railway station": Kind(
        paint_railway, ("railway station", "train station"), (("train", "trains"), ("railway train", "railway trains")),
        (1, 4), ("red", "blue", "white", "green", "yellow"), "", NATURAL),
    "roundabout": Kind(
        paint_roundabout, ("roundabout", "traffic circle"), (("road", "roads"), ("street", "streets")),
        (3, 6), ("green", "brown", "grey"), "island", ("grass", "dry grass", "bare soil"), ("", "trees", "houses")),
    "runway": Kind(
        paint_runway, ("runway", "airport"), (("plane", "planes"), ("airplane", "airplanes"), ("aircraft", "aircraft")),
        (1, 6), ("white", "red", "blue", "yellow"), "", NATURAL),
    "solar farm": Kind(
        paint_solar, ("solar farm", "solar power plant"),
        (("row of panels", "rows of panels"), ("line of panels", "lines of panels")),
        (3, 9), ("blue", "black"), "", ("grass", "dry grass", "bare soil", "sand")),
    "sparse residential": Kind(
        paint_sparse, ("sparse residential area", "scattered settlement"), HOUSES,
        (1, 6), ROOFS, "roofs", NATURAL, ("", "trees")),
    "storage tanks": Kind(
        paint_tanks, ("tank farm", "oil depot"), (("storage tank", "storage tanks"), ("oil tank", "oil tanks")),
        (1, 9), ("white", "grey", "brown", "green"), "", ("concrete", "bare soil", "grass", "sand")),
    "swimming pools": Kind(
        paint_pools, ("garden area", "residential garden area"), (("swimming pool", "swimming pools"), ("pool", "pools")),
        (1, 6), ("blue", "turquoise"), "", GREENS, ("", "trees", "a road")),
    "tennis courts": Kind(
        paint_tennis, ("sports ground", "tennis club"), (("tennis court", "tennis courts"), ("tennis field", "tennis fields")),
        (1, 6), ("green", "blue", "red"), "", NATURAL),
}  # fmt: skip
"""Name → kind, in the order of the names, which is the order of the classes."""


def draw_facts(name: str, rng: Random) -> Facts:
    """Choose what a scene of a kind shows."""
    kind = KINDS[name]
    n = rng.randint(*kind.counts)
    colour, ground, beside = rng.choice(kind.colours), rng.choice(kind.grounds), rng.choice(kind.besides)
    return Facts(name, kind.objects[0][1], n, colour, ground, beside)
