import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

import rshash


def random_codes(n, n_bytes, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, n_bytes), dtype=np.uint8)


def run_python(code):
    """Run a fresh interpreter: reading behind the end of a mapped file kills the process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("view", ["codes", "codes[::3]", "np.asarray(codes)[5:]", "codes[:, ::2]"])
@pytest.mark.parametrize("name", ["codes", "queries"])
def test_a_file_that_shrank_under_its_map_is_an_error(tmp_path, view, name):
    path = tmp_path / "codes.npy"
    np.save(path, random_codes(20_000, 8, 1))
    told = run_python(
        "import os, numpy as np, rshash\n"
        f"codes = np.load({str(path)!r}, mmap_mode='r')\n"
        f"mapped = {view}\n"
        "other = np.zeros((9, mapped.shape[1]), np.uint8)\n"
        "rshash.search(mapped, other)\n"
        f"os.truncate({str(path)!r}, 5000)\n"
        "try:\n"
        f"    rshash.search({'mapped, other' if name == 'codes' else 'other, mapped'})\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    assert told.startswith(f"{name} are mapped from {path}, which has shrunk from 160128 bytes to 5000: restore")


def test_the_offset_of_a_map_counts(tmp_path):
    path = tmp_path / "codes.bin"
    path.write_bytes(bytes(20_000))
    mapped = np.memmap(path, np.uint8, "r", offset=9_000, shape=(1_000, 8))
    rshash.search(mapped, mapped[0])
    os.truncate(path, 17_000)
    rshash.search(mapped, mapped[0])
    os.truncate(path, 16_999)
    with pytest.raises(OSError, match="shrunk from 17000 bytes to 16999"):
        rshash.search(mapped, np.zeros(8, np.uint8))


@pytest.mark.parametrize("name", ["codes", "table_codes", "table_rows"])
def test_a_loaded_index_whose_file_shrank_is_an_error(tmp_path, name):
    path = tmp_path / "my.index"
    rshash.MultiIndex(random_codes(20_000, 8, 2)).save(path)
    told = run_python(
        "import os, numpy as np, rshash\n"
        f"index = rshash.MultiIndex.load({str(path)!r})\n"
        f"os.truncate({str(path / name)!r} + '.npy', 5000)\n"
        "try:\n"
        "    rshash.search(index, np.zeros(8, np.uint8))\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    assert f"{path / name}.npy, which has shrunk from" in told


def test_a_map_stays_whole_when_its_file_is_replaced(tmp_path):
    codes, path = random_codes(500, 8, 3), tmp_path / "codes.npy"
    np.save(path, codes)
    mapped = np.load(path, mmap_mode="r")
    np.save(tmp_path / "shorter.npy", codes[:10])
    os.replace(tmp_path / "shorter.npy", path)
    assert np.array_equal(rshash.search(mapped, codes[:3]).ids, rshash.search(codes, codes[:3]).ids)


def test_a_map_of_memory_has_no_file_that_could_shrink():
    codes = np.frombuffer(mmap.mmap(-1, 4096), np.uint8).reshape(-1, 8)
    assert rshash.search(codes, codes[0], k=2).ids.tolist() == [[0, 1]]
