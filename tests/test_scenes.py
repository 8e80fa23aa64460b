"""Generated scenes are the same at every time, balanced, truthfully captioned, and survive a trip through files."""

import dataclasses
import subprocess
import sys
from random import Random

import numpy as np
import pytest

from rshash.data.captions import read_captions
from rshash.data.dataset import CaptionDataset
from rshash.data.scenes import KINDS, generate_scenes, transport, water, write_scenes
from rshash.data.scenes.canvas import Canvas
from rshash.data.scenes.facts import Facts
from rshash.data.scenes.grammar import N_CAPTIONS, NUMBERS, write_captions
from rshash.data.scenes.kinds import draw_facts
from rshash.data.scenes.parts import PAINT

pytest.importorskip("PIL", reason="scenes are drawn with Pillow")
N_KINDS = len(KINDS)


def paint(facts: Facts, seed: int = 0, size: int = 128) -> np.ndarray:
    canvas = Canvas(size, Random(seed))
    KINDS[facts.kind].paint(canvas, facts)
    return canvas.finish()


def test_the_same_seed_draws_the_same_bytes():
    first, again, other = (
        generate_scenes(N_KINDS, seed=3),
        generate_scenes(N_KINDS, seed=3),
        generate_scenes(N_KINDS, seed=4),
    )

    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    for row in range(N_KINDS):
        assert first.image(row).tobytes() == again.image(row).tobytes() == first.image(row).tobytes()
        assert first.image_key(row) == again.image_key(row) != other.image_key(row)
        assert not np.array_equal(first.image(row), other.image(row))


def test_the_same_seed_draws_the_same_bytes_in_another_process():
    code = (
        "import hashlib; from rshash.data.scenes import generate_scenes; scenes = generate_scenes(6, seed=5);"
        "print(hashlib.sha256(b''.join(scenes.image(i).tobytes() for i in range(6))).hexdigest(), scenes.fingerprint())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_a_scene_does_not_depend_on_how_many_there_are():
    few, many = generate_scenes(7, seed=1, size=64), generate_scenes(333, seed=1, size=64)

    assert few.fingerprint() == many.subset(range(7)).fingerprint()
    assert all(np.array_equal(few.image(row), many.image(row)) for row in range(7))
    assert all(few.image_key(row) == many.image_key(row) for row in range(7))


def test_what_is_shown_does_not_depend_on_the_size():
    small, large = generate_scenes(30, size=32), generate_scenes(30, size=256)

    assert small.fingerprint() == large.fingerprint()
    assert {small.image_key(row) for row in range(30)}.isdisjoint(large.image_key(row) for row in range(30))


def test_every_kind_and_split_has_its_share():
    scenes = generate_scenes(10 * N_KINDS)

    assert N_KINDS >= 16
    assert scenes.classes == tuple(sorted(KINDS))
    assert np.bincount(scenes.labels).tolist() == [10] * N_KINDS
    shares = [scenes.splits.count(split) / len(scenes) for split in ("train", "val", "test")]
    assert shares == [0.8, 0.1, 0.1]


@pytest.mark.parametrize("size", [32, 47, 128, 256])
def test_images_are_square_rgb_with_texture(size):
    scenes = generate_scenes(N_KINDS, size=size)
    for row in range(N_KINDS if size <= 128 else 3):
        image = scenes.image(row)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert image.reshape(-1, 3).std(axis=0).min() > 5


def test_captions_are_five_and_distinct_and_name_the_place():
    scenes = generate_scenes(500)
    for row, captions in enumerate(scenes.captions):
        kind = KINDS[scenes.classes[scenes.labels[row]]]
        assert len(set(captions)) == N_CAPTIONS
        assert all(any(name in caption for name in kind.names) for caption in captions)
        assert all(caption == caption.strip() and "  " not in caption and "{" not in caption for caption in captions)


def test_captions_tell_count_and_colour_as_the_facts_have_them():
    scenes = generate_scenes(500, seed=9)
    for row, (first, second, third, *_) in enumerate(scenes.captions):
        facts = scenes.facts(row)
        for caption in (first, second):
            told = [word for word in caption.replace(",", "").split() if word in NUMBERS]
            assert told == ([NUMBERS[facts.n]] if facts.n < len(NUMBERS) else [])
        colour = "different colours" if facts.colour == "mixed" else facts.colour
        assert colour in first
        assert colour in third


def test_counts_up_to_twelve_are_always_told():
    for n in range(1, 13):
        facts = Facts("freeway", "cars", n, "red", "grass", "")
        assert all(NUMBERS[n] in caption.split() for caption in write_captions(facts, Random(n))[:2])


@pytest.mark.parametrize(
    ("kind", "module", "thing"),
    [
        ("runway", transport, "plane"),
        ("freeway", transport, "car"),
        ("intersection", transport, "car"),
        ("parking lot", transport, "car"),
        ("harbour", water, "boat"),
    ],
)
def test_as_many_are_drawn_inside_the_picture_as_captions_say(kind, module, thing, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, thing, lambda canvas, x, y, *_: drawn.append((x, y)))
    for seed in range(30):
        drawn.clear()
        facts = draw_facts(kind, Random(seed))
        paint(facts, seed)
        assert len(drawn) == facts.n
        assert max(np.hypot(x, y) for x, y in drawn) < 64


@pytest.mark.parametrize(
    "kind", ["runway", "harbour", "freeway", "intersection", "parking lot", "railway station", "storage tanks"]
)
def test_the_colour_told_is_the_colour_drawn(kind):
    colours = [colour for colour in KINDS[kind].colours if colour != "mixed"]
    facts = dataclasses.replace(draw_facts(kind, Random(1)), n=4, beside="")
    images = {colour: paint(dataclasses.replace(facts, colour=colour), size=256).astype(float) for colour in colours}
    for colour in colours:
        others = [other for other in colours if other != colour]
        changed = np.logical_and.reduce([np.abs(images[colour] - images[other]).max(axis=2) > 40 for other in others])
        assert changed.sum() > 10
        seen = np.median(images[colour][changed], axis=0)
        assert min(colours, key=lambda word: np.abs(seen - PAINT[word]).sum()) == colour


def test_a_subset_draws_the_same_scenes():
    scenes = generate_scenes(50, seed=2)
    part = scenes.subset([41, 3]).subset([1, 0])

    assert part.ids == (scenes.ids[3], scenes.ids[41])
    for row, number in enumerate((3, 41)):
        assert np.array_equal(part.image(row), scenes.image(number))
        assert part.image_key(row) == scenes.image_key(number)


def test_scenes_have_no_files():
    with pytest.raises(ValueError, match="drawn, not read"):
        generate_scenes(1).path(0)


def test_written_scenes_are_read_back_as_they_were(tmp_path):
    scenes = generate_scenes(2 * N_KINDS, seed=6, size=48)
    write_scenes(scenes, tmp_path / "scenes", progress=False)
    read = read_captions(tmp_path / "scenes" / "captions.json", tmp_path / "scenes" / "images")

    assert read.fingerprint() == scenes.fingerprint()
    assert (read.ids, read.captions, read.classes, read.splits) == (
        scenes.ids, scenes.captions, scenes.classes, scenes.splits,
    )  # fmt: skip
    assert np.array_equal(read.labels, scenes.labels)
    assert all(np.array_equal(read.image(row), scenes.image(row)) for row in range(len(scenes)))


def test_writing_that_fails_leaves_nothing(tmp_path, monkeypatch):
    scenes = generate_scenes(3, size=32)
    draw = scenes.image
    monkeypatch.setattr(scenes, "image", lambda row: draw(row) if row < 2 else (_ for _ in ()).throw(OSError("full")))

    with pytest.raises(OSError, match="full"):
        write_scenes(scenes, tmp_path / "scenes", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n": 0}, ValueError, "n is 0, expected at least 1"),
        ({"n": 2.5}, TypeError, r"n is 2.5 \(float\), expected an integer"),
        ({"n": 1, "seed": -1}, ValueError, "seed is -1, expected 0 or more"),
        ({"n": 1, "seed": "a"}, TypeError, r"seed is 'a' \(str\)"),
        ({"n": 1, "size": 31}, ValueError, "size is 31, expected 32 to 1024 pixels"),
        ({"n": 1, "size": 1025}, ValueError, "size is 1025"),
        ({"n": 1, "size": 64.0}, TypeError, r"size is 64.0 \(float\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        generate_scenes(**arguments)


def test_captions_need_neither_pillow_nor_torch():
    code = (
        "import sys; from rshash.data.scenes import generate_scenes; generate_scenes(100);"
        "print([name for name in ('PIL', 'torch') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


def test_scenes_are_a_caption_dataset():
    assert isinstance(generate_scenes(1).subset([0]), CaptionDataset)
