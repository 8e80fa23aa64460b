"""Facts in, five captions out: each true of the scene, each says another part of it in other words."""

from __future__ import annotations

from random import Random

from rshash.data.scenes.facts import Facts
from rshash.data.scenes.kinds import KINDS

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
MANY = ("many", "lots of", "a lot of")  # above twelve nobody counts at a glance
BESIDE_WORDS = {
    "trees": ("trees", "many green trees"),
    "houses": ("houses", "some residential houses"),
    "a road": ("a road", "a straight road"),
    "a lake": ("a lake", "a pond"),
    "bare soil": ("bare soil", "bare land"),
    "warehouses": ("warehouses", "some large buildings"),
    "tall buildings": ("tall buildings", "some big buildings"),
}
GROUND_WORDS = {
    "grass": ("on green grass", "amid green grass"),
    "dry grass": ("on dry grass", "amid dry yellow grass"),
    "bare soil": ("on bare soil", "amid bare brown ground"),
    "sand": ("on sand", "amid pale sand"),
    "concrete": ("on concrete", "amid grey concrete"),
    "blue water": ("with blue water", "in blue water"),
    "green water": ("with green water", "in green water"),
}
NEXT_TO = ("next to", "beside", "near", "close to")
N_CAPTIONS = 5


def write_captions(facts: Facts, rng: Random) -> tuple[str, ...]:
    """Say five different things of a scene.

    Returns:
        `N_CAPTIONS` distinct lower-case sentences; each names the place, the first two also the count, the first and
        the third also the colour.

    >>> for caption in write_captions(Facts("runway", "planes", 3, "white", "grass", "trees"), Random(0)):
    ...     print(caption)
    three white planes at an airfield with a runway near many green trees
    three planes can be seen at an airport with a runway
    the planes at an airfield with a runway are white
    an airport with a runway is located near many green trees
    planes at an airfield with a runway seen from above
    """
    kind = KINDS[facts.kind]
    place, other = (with_article(name) for name in rng.sample(kind.names, 2))
    noun = rng.choice(kind.objects)[facts.n != 1]
    objects, count = noun.format(""), number_word(facts.n, rng)
    seen = with_article(objects) if facts.n == 1 else objects
    beside = f" {rng.choice(NEXT_TO)} {rng.choice(BESIDE_WORDS[facts.beside])}" if facts.beside else ""
    around = f" {rng.choice(GROUND_WORDS[facts.ground])}" if facts.ground else ""
    be = "is" if facts.n == 1 else "are"
    if kind.coloured:
        coloured = kind.coloured.format(facts.colour)
        first = f"{place} with {count} {objects} and {coloured}{beside}"
        third = f"{place} with {coloured}{around}"
    elif facts.colour == "mixed":
        first = f"{count} {objects} of different colours {kind.at} {place}{beside}"
        third = f"the {objects} {kind.at} {place} have different colours"
    else:
        first = f"{count} {noun.format(facts.colour + ' ')} {kind.at} {place}{beside}"
        third = f"the {objects} {kind.at} {place} {be} {facts.colour}"
    second = rng.choice(
        (
            f"there {be} {count} {objects} {kind.at} {other}",
            f"{count} {objects} can be seen {kind.at} {other}",
            f"{other}, where there {be} {count} {objects}",
        )
    )
    where = beside or around
    fourth = f"{other} {rng.choice(('lies', 'is located'))}{where}" if where else f"this is {other}"
    fifth = rng.choice((f"an aerial view of {place}{around}", f"{seen} {kind.at} {place} seen from above"))
    return first, second, third, fourth, fifth


def number_word(count: int, rng: Random) -> str:
    """Return a count as a word, exact up to twelve.

    >>> number_word(7, Random(0))
    'seven'
    """
    return NUMBERS[count] if count < len(NUMBERS) else rng.choice(MANY)


def with_article(noun: str) -> str:
    """Put the indefinite article before a noun that takes one.

    >>> with_article("airfield with a runway"), with_article("farmland")
    ('an airfield with a runway', 'farmland')
    """
    if noun.endswith("land"):
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
