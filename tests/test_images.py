import contextlib
import struct
import zlib

import numpy as np
import pytest

from rshash.data.images import BadImage, check_header, digest_file, read_image

pytest.importorskip("PIL")
from PIL import Image

NOISE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def saved(tmp_path, image, name="x.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_rgb_is_read_as_it_is(tmp_path):
    assert np.array_equal(read_image(saved(tmp_path, Image.fromarray(NOISE))), NOISE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    source = Image.fromarray(NOISE)
    if mode == "I;16":
        image = Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 200)
    else:
        image = source.convert("RGBA").convert(mode) if mode in ("LA", "PA") else source.convert(mode)
    pixels = read_image(saved(tmp_path, image, "x.png" if mode in ("1", "L", "LA", "P", "RGBA", "I;16") else "x.tif"))
    assert pixels.shape == (40, 30, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.std() > 0


def test_transparent_pixels_are_black(tmp_path):
    rgba = np.dstack([np.full((4, 4, 3), 200, np.uint8), np.zeros((4, 4), np.uint8)])
    rgba[0, 0, 3] = 255
    pixels = read_image(saved(tmp_path, Image.fromarray(rgba)))
    assert pixels[0, 0].tolist() == [200, 200, 200]
    assert pixels[1:].max() == 0


def test_a_transparent_palette_is_black_where_it_is_transparent(tmp_path):
    image = Image.fromarray(NOISE).quantize(8)
    pixels = read_image(saved(tmp_path, image, transparency=0))
    assert (pixels[np.asarray(image) == 0] == 0).all()


def test_16_bit_grey_is_stretched_and_keeps_its_order(tmp_path):
    ramp = np.linspace(500, 3000, 100, dtype=np.uint16).reshape(10, 10)
    pixels = read_image(saved(tmp_path, Image.fromarray(ramp), "x.tif"))
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert (np.diff(pixels[:, :, 0].ravel().astype(int)) >= 0).all()


def test_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(saved(tmp_path, Image.fromarray(NOISE), "x.jpg", exif=exif)).shape == (30, 40, 3)


def test_the_first_of_several_frames_is_read(tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(NOISE).save(path, save_all=True, append_images=[Image.new("RGB", (5, 5))])
    assert np.array_equal(read_image(path), NOISE)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_file_cut_short_anywhere_is_a_bad_image_or_whole(tmp_path, suffix):
    whole = saved(tmp_path, Image.fromarray(NOISE), f"x.{suffix}").read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    for length in range(0, len(whole) * 9 // 10, max(1, len(whole) // 40)):
        cut.write_bytes(whole[:length])
        with pytest.raises(BadImage) as bad:
            read_image(cut)
        assert bad.value.path == cut
        assert bad.value.reason


def test_random_damage_is_a_bad_image_or_pixels(tmp_path):
    rng = np.random.default_rng(1)
    for suffix in ("png", "jpg", "tif", "gif"):
        whole = bytearray(saved(tmp_path, Image.fromarray(NOISE), f"x.{suffix}").read_bytes())
        for _ in range(30):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), 5):
                damaged[place] = rng.integers(0, 256)
            (tmp_path / "damaged").write_bytes(damaged)
            with contextlib.suppress(BadImage):
                assert read_image(tmp_path / "damaged").dtype == np.uint8


def huge_png(path, side):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    huge_png(tmp_path / "huge.png", 100_000)
    for check in (read_image, check_header):
        with pytest.raises(BadImage, match="100000 x 100000 pixels are more than max_pixels"):
            check(tmp_path / "huge.png")
    with pytest.raises(BadImage, match="more than max_pixels=1000; cut it into tiles"):
        read_image(saved(tmp_path, Image.fromarray(NOISE)), max_pixels=1000)


def test_pillows_own_limit_is_left_alone(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    read_image(saved(tmp_path, Image.fromarray(NOISE)))
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_is_named(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    for check in (read_image, check_header):
        with pytest.raises(BadImage, match=r"cannot use image .*x\.png: "):
            check(tmp_path / "x.png")


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(BadImage, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(BadImage, match="not a regular file"):
        read_image(tmp_path)
    with pytest.raises(BadImage, match=r"none\.png"):
        digest_file(tmp_path / "none.png")
