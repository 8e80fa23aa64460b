"""Slow references for search: one bit and one row at a time, plain loops, nothing of the package."""


def distance(a, b):
    return sum(bin(int(x) ^ int(y)).count("1") for x, y in zip(a, b, strict=True))


def all_distances(codes, queries):
    """distances[i][row], by way of big integers: one XOR and one count a pair."""
    numbers = [int.from_bytes(bytes(code), "big") for code in codes.tolist()]
    wanted = [int.from_bytes(bytes(query), "big") for query in queries.tolist()]
    return [[(query ^ number).bit_count() for number in numbers] for query in wanted]


def rank(distances):
    """(distance, row) of every row, in the order of hits."""
    return sorted((distance, row) for row, distance in enumerate(distances))


def top_k(distances, k):
    return rank(distances)[:k]


def within_radius(distances, radius):
    return [(distance, row) for distance, row in rank(distances) if distance <= radius]
