"""Facts in, five captions out: each true of the scene, each says another part of it in other words."""

from __future__ import annotations

from random import Random

from rshash.data.scenes.facts import Facts
from rshash.data.scenes.kinds import KINDS

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
MANY = ("many", "lots of", "dozens of")
BESIDE_WORDS = {
    "trees": ("trees", "many green trees"),
    "houses": ("houses", "some residential houses"),
    "a road": ("a road", "a straight road"),
    "a lake": ("a lake", "a pond"),
    "bare soil": ("bare soil", "bare land"),
    "warehouses": ("warehouses", "some large buildings"),
    "tall buildings": ("tall buildings", "big buildings"),
}
GROUND_WORDS = {
    "grass": ("on green grass", "surrounded by grass"),
    "dry grass": ("on dry grass", "surrounded by dry grass"),
    "bare soil": ("on bare soil", "surrounded by bare ground"),
    "sand": ("on sand", "surrounded by sand"),
    "concrete": ("on concrete", "surrounded by concrete"),
    "blue": ("in blue water", "on blue water"),
    "green": ("in green water", "on green water"),
}
NEXT_TO = ("next to", "beside", "near", "close to")
N_CAPTIONS = 5


def write_captions(facts: Facts, rng: Random) -> tuple[str, ...]:
    """Say five different things of a scene.

    Returns:
        `N_CAPTIONS` distinct lower-case sentences. Every one names the place or what stands in it; the first two give
        the count, counts above twelve as a word for many; the first and third give the colour.

    >>> facts = Facts("runway", "planes", 3, "white", "grass", "trees")
    >>> write_captions(facts, Random(1))[0]
    'three white airplanes at an airport next to many green trees'
    """
    kind = KINDS[facts.kind]
    names = rng.sample(kind.names, 2)
    place, other = with_article(names[0]), with_article(names[1])
    one, many = rng.choice(kind.objects)
    objects = one if facts.n == 1 else many
    count = number_word(facts.n, rng)
    said = "" if facts.colour == "mixed" else f"{facts.colour} "
    if facts.colour == "mixed":
        coloured, plain_colour = f"{objects} of different colours", f"the {objects} have different colours"
    elif kind.coloured:
        coloured = f"{objects} and {'' if kind.coloured.endswith('s') else 'a '}{said}{kind.coloured}"
        plain_colour = f"the {kind.coloured} of {place} {'are' if kind.coloured.endswith('s') else 'is'} {facts.colour}"
    else:
        coloured, plain_colour = f"{said}{objects}", f"the {objects} {'is' if facts.n == 1 else 'are'} {facts.colour}"
    near = rng.choice(BESIDE_WORDS[facts.beside]) if facts.beside else ""
    beside = f" {rng.choice(NEXT_TO)} {near}" if near else ""
    around = rng.choice(GROUND_WORDS[facts.ground])
    be = "is" if facts.n == 1 else "are"
    at = "in" if kind.names[0].endswith(("area", "land", "forest", "station", "harbour", "orchard", "lot")) else "at"
    first = f"{count} {coloured} {at} {place}{beside}"
    second = rng.choice((f"there {be} {count} {objects} {at} {other}", f"{other} with {count} {objects}"))
    third = f"{plain_colour}" if place in plain_colour else f"{plain_colour} {at} {place}"
    fourth = f"{other} {around}" if not near else f"{other} lies{beside}"
    fifth = rng.choice(
        (
            f"an aerial view of {place} with {said if not kind.coloured else ''}{objects}{' in it' if not near else ' and ' + near}",
            f"{place} seen from above with {objects} {around}",
        )
    )
    return first, second, third, fourth, fifth


def number_word(count: int, rng: Random) -> str:
    """Return a count as a word, exact up to twelve.

    >>> number_word(7, Random(0))
    'seven'
    """
    return NUMBERS[count] if count < len(NUMBERS) else rng.choice(MANY)


def with_article(noun: str) -> str:
    """Put the indefinite article before a noun that takes one.

    >>> with_article("airport"), with_article("farmland")
    ('an airport', 'farmland')
    """
    if noun.endswith(("land", "links")):
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
