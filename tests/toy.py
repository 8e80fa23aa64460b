"""A tiny data set without files: coloured stripes and what is said of them."""

import numpy as np

from rshash.data.dataset import CaptionDataset

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
DIRECTIONS = ("north", "east")


class ToyDataset(CaptionDataset):
    """Images of stripes, drawn when asked for; `opened` counts how often that was."""

    opened = 0

    def image(self, row):
        type(self).opened += 1
        number, colour, direction = self.ids[row].split("-")
        rng = np.random.default_rng(int(number))
        stripes = (np.arange(32) // int(rng.integers(2, 5))) % 2
        picture = stripes[:, None, None] * np.array(COLOURS[colour]) + rng.integers(0, 40, (32, 32, 3))
        return np.ascontiguousarray(np.rot90(picture.astype(np.uint8), DIRECTIONS.index(direction)))

    def image_key(self, row):
        return self.ids[row].encode()


def toy_dataset(n=48, labels=True):
    rng = np.random.default_rng(7)
    ids, captions, classes = [], [], []
    for number in range(n):
        colour, direction = list(COLOURS)[number % 3], DIRECTIONS[int(rng.integers(2))]
        ids.append(f"{number}-{colour}-{direction}")
        captions.append(tuple(f"{word} stripes of {colour} run {direction}" for word in ("many", "some", "long")))
        classes.append(number % 3)
    return ToyDataset("toy", ids, captions, labels=np.array(classes) if labels else None, classes=list(COLOURS))
