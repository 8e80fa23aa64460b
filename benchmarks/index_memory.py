"""Peak memory of indexing N generated scenes: it should not grow with N.

Each N runs in a process of its own, which does what ``rshash index`` does (render, encode, pack, append) with the
encoders that need no weights and an untrained head.

    python benchmarks/index_memory.py 1000 10000 100000
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

from rshash.archive.reader import create_archive
from rshash.archive.writer import append_blocks
from rshash.data.scenes import generate_scenes
from rshash.encoding import encode_rows
from rshash.models.cache import FeatureCache
from rshash.models.encoders import load_caption_encoder, load_image_encoder
from rshash.models.hasher import CrossModalHasher
from rshash.models.heads import HashHead


def index_scenes(n_scenes: int, size: int) -> dict[str, float]:
    """Index generated scenes once and return seconds, peak memory in MiB and the size of the codes in bytes."""
    dims = load_image_encoder("small-cnn").dim, load_caption_encoder("bag-of-words").dim
    hasher = CrossModalHasher(*(HashHead(dim, 64, 1024) for dim in dims), "small-cnn", "bag-of-words")
    scenes = generate_scenes(n_scenes, size=size)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        archive = create_archive(Path(folder) / "scenes.rshash", n_bits=64)
        append_blocks(archive, encode_rows(hasher, scenes, "images", cache=FeatureCache(Path(folder) / "features")))
        seconds = time.perf_counter() - start
        n_bytes = archive.info()["code bytes"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return {"scenes": n_scenes, "seconds": seconds, "peak MiB": peak, "code bytes": n_bytes}


def main() -> None:
    """Parse, run each size in its own process, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_scenes", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--size", type=int, default=64, help="edge of a scene in pixels")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(index_scenes(arguments.n_scenes[0], arguments.size)))
        return
    print(f"{platform.platform()}, Python {platform.python_version()}, scenes of {arguments.size} pixels")
    print(f"{'scenes':>9} {'seconds':>9} {'scenes/s':>9} {'peak MiB':>9} {'code bytes':>11}")
    for n_scenes in arguments.n_scenes:
        command = [sys.executable, __file__, str(n_scenes), "--size", str(arguments.size), "--one"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        row = json.loads(done.stdout)
        rate = row["scenes"] / row["seconds"]
        print(
            f"{row['scenes']:>9,} {row['seconds']:>9.1f} {rate:>9.0f} {row['peak MiB']:>9.0f} {row['code bytes']:>11,}"
        )


if __name__ == "__main__":
    main()
