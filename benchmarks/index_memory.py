"""Peak memory and rate of ``rshash index``: memory should not grow with the number of images or chips.

Each case runs in a process of its own, which reads files, encodes, packs and commits as ``rshash index`` does, with an
untrained head. "in encoder" is the share of the time that the encoder was at work; "encoder alone" is the same encoder
on the same pictures when they are in memory already; "CPU" counts the whole process, and says more on a busy machine;
"again" is the second run, which finds nothing new.

    python benchmarks/index_memory.py 1000 5000
    python benchmarks/index_memory.py 1000 --chips --size 256 --image-encoder efficientnet-lite0
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rshash.data.images import IMAGE_SUFFIXES
from rshash.ingest.entry import Source
from rshash.ingest.listing import FolderListing
from rshash.ingest.pictures import PictureSource
from rshash.ingest.run import ingest
from rshash.models.encoders import load_caption_encoder, load_image_encoder
from rshash.models.hasher import CrossModalHasher
from rshash.models.heads import HashHead

SAMPLE = 256
"""Pictures that the encoder alone is timed on."""


def draw_images(folder: Path, n_images: int, size: int) -> None:
    """Write JPEG images of smooth noise."""
    from PIL import Image

    for number in range(n_images):
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size)).save(folder / f"{number:07}.jpg")


def draw_scene(folder: Path, n_chips: int, size: int) -> None:
    """Write one tiled 16-bit GeoTIFF that is cut into at least so many chips."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    across = int(np.ceil(np.sqrt(n_chips)))
    down = -(-n_chips // across)
    profile = {"count": 3, "dtype": "uint16", "tiled": True, "compress": "deflate", "crs": "EPSG:32632"}
    profile |= {"width": across * size, "height": down * size, "transform": from_origin(5e5, 5.6e6, 10, 10)}
    with rasterio.open(folder / "scene.tif", "w", driver="GTiff", **profile) as scene:
        for number in range(across * down):
            rng = np.random.default_rng(number)
            values = np.repeat(np.repeat(rng.integers(1, 4000, (3, size // 8, size // 8)), 8, 1), 8, 2)
            place = Window(number % across * size, number // across * size, size, size)
            scene.write(values.astype(np.uint16), window=place)


def source_of(folder: Path, chips: bool, size: int) -> Source:
    """Return the source to index."""
    if not chips:
        return PictureSource(FolderListing(folder, IMAGE_SUFFIXES))
    from rshash.ingest.scenes import Cutting, SceneSource
    from rshash.raster.scene import SCENE_SUFFIXES

    return SceneSource(FolderListing(folder, SCENE_SUFFIXES), Cutting(size=size))


def index_once(n_rows: int, chips: bool, size: int, encoder: str) -> dict[str, float]:
    """Index so many images or chips, and again, and return rates and peak memory in MiB."""
    dims = load_image_encoder(encoder).dim, load_caption_encoder("bag-of-words").dim
    hasher = CrossModalHasher(*(HashHead(dim, 64, 1024) for dim in dims), encoder, "bag-of-words")
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs"
        inputs.mkdir()
        draw_scene(inputs, n_rows, size) if chips else draw_images(inputs, n_rows, size)
        source = source_of(inputs, chips, size)
        hasher.encode_images([np.zeros((size, size, 3), np.uint8)])  # loads the encoder
        cpu = time.process_time()
        first = ingest(Path(folder) / "a.rshash", source, hasher)
        cpu = (time.process_time() - cpu) / first.rows
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
        again = ingest(Path(folder) / "a.rshash", source, hasher)
        disk = sum(file.stat().st_size for file in (Path(folder) / "a.rshash").iterdir() if file.is_file())
        pictures = [entry.read() for entry, _ in zip(source, range(SAMPLE), strict=False)]
        started, cpu_alone = time.perf_counter(), time.process_time()
        hasher.encode_images(pictures)
        alone = len(pictures) / (time.perf_counter() - started)
        cpu_alone = (time.process_time() - cpu_alone) / len(pictures)
    return {
        "rows": first.rows,
        "rate": first.added / first.seconds,
        "share": first.encode_seconds / first.seconds,
        "alone": alone,
        "cpu": 1000 * cpu,
        "cpu alone": 1000 * cpu_alone,
        "again": again.unchanged / again.seconds,
        "peak": peak,
        "disk": disk / first.rows,
    }


def main() -> None:
    """Parse, run each case in its own process, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_rows", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--chips", action="store_true", help="chips of one GeoTIFF instead of JPEG images")
    parser.add_argument("--size", type=int, default=64, help="edge of an image or chip in pixels")
    parser.add_argument("--image-encoder", default="small-cnn")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(index_once(arguments.n_rows[0], arguments.chips, arguments.size, arguments.image_encoder)))
        return
    what = f"{'chips' if arguments.chips else 'images'} of {arguments.size} pixels, {arguments.image_encoder}"
    print(f"{platform.platform()}, Python {platform.python_version()}, {what}")
    print(f"{'':>9} {'rows/s':^30} {'CPU ms/row':^21} {'again':>9} {'peak':>6} {'archive':>10}")
    heads = f"{'rows':>9} {'all':>6} {'in encoder':>11} {'alone':>11} {'all':>9} {'alone':>11}"
    print(f"{heads} {'rows/s':>9} {'MiB':>6} {'bytes/row':>10}")
    for n_rows in arguments.n_rows:
        words = ["--size", str(arguments.size), "--image-encoder", arguments.image_encoder]
        words += ["--chips"] * arguments.chips
        command = [sys.executable, __file__, str(n_rows), *words, "--one"]
        row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        print(
            f"{row['rows']:>9,} {row['rate']:>6.0f} {row['share']:>11.0%} {row['alone']:>11.0f} {row['cpu']:>9.2f} "
            f"{row['cpu alone']:>11.2f} {row['again']:>9.0f} {row['peak']:>6.0f} {row['disk']:>10.0f}"
        )


if __name__ == "__main__":
    main()
