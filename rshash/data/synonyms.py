"""A small lexicon of words of near meaning in captions of aerial scenes; `SYNONYMS` maps a word to its neighbours."""

_GROUPS = """
aircraft plane airplane
aircrafts planes airplanes
airport airfield
arranged aligned placed
area region zone
areas regions zones
avenue boulevard
bare barren naked
beach shore
beaches shores
beside alongside
boat vessel ship
boats vessels ships
bridge overpass viaduct
bridges overpasses viaducts
building house structure
buildings houses structures
bushes shrubs
car vehicle automobile
cars vehicles automobiles
center centre middle
chaparral scrubland
church chapel
court pitch
courts pitches
crops plants
crossing junction intersection
crossroads junction
cropland farmland
dense thick
desert wasteland
divided separated split
factory plant
field meadow
fields meadows
forest wood woodland
freeway highway motorway expressway
freeways highways motorways
grass lawn
grassland meadow
ground land soil
harbor harbour port
harbors harbours ports
harbour port marina
houses homes dwellings
industrial manufacturing
lake pond
lakes ponds
lawn grass
lawns grassland
lots plenty
lying situated located
located situated placed
many numerous several
mansion villa
meadow grassland
mountain hill
mountains hills
neat tidy orderly
neatly tidily orderly
ocean sea
orchard plantation
palm tree
parked standing stationed
parking carpark
path track trail
paths tracks trails
piece patch
pieces patches
plants vegetation
playground sportsground
pond pool lake
ponds pools lakes
pool basin
pools basins
railway railroad
red crimson
residential housing
river stream
rivers streams
road street
roads streets
roof rooftop
roofs rooftops
roundabout rotary circle
runs goes passes
run go pass
runway airstrip
runways airstrips
sand beach
scattered spread
school college
sea ocean
ships boats vessels
shore coast
small little tiny
some several
sparse thin
square plaza
stadium arena
station terminal
storage stock
street road
streets roads
surrounded encircled enclosed
tank container
tanks containers
tennis sports
terminal building
trees plants
truck lorry
trucks lorries
various different
vegetation plants
vehicles cars
villa house
villas houses
waves breakers
waters seas
white pale
yard courtyard
"""


def _neighbours() -> dict[str, tuple[str, ...]]:
    """Each word of a line to the other words of all its lines, in their order."""
    found: dict[str, dict[str, None]] = {}
    for line in _GROUPS.split("\n"):
        words = line.split()
        for word in words:
            found.setdefault(word, {}).update(dict.fromkeys(other for other in words if other != word))
    return {word: tuple(others) for word, others in found.items()}


SYNONYMS = _neighbours()
