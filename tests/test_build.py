import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="the source tree is not at hand")


def build(tmp_path, **environment):
    pytest.importorskip("setuptools")
    wanted = {**os.environ, "RSHASH_CUDA": "skip", **environment}
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "-b", str(tmp_path / "lib"), "-t", str(tmp_path / "temp")],
        cwd=ROOT,
        env={name: value for name, value in wanted.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_an_unknown_wish_is_refused(tmp_path):
    done = build(tmp_path, RSHASH_BUILD="maybe")
    assert done.returncode != 0
    assert "RSHASH_BUILD must be require, try or skip, got 'maybe'" in done.stderr


def test_skip_builds_nothing(tmp_path):
    done = build(tmp_path, RSHASH_BUILD="skip")
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.so"))


def test_try_goes_on_without_a_compiler_and_says_so(tmp_path):
    pytest.importorskip("pybind11")
    done = build(tmp_path, RSHASH_BUILD="try", CC="no-such-compiler", CXX="no-such-compiler")
    assert done.returncode == 0, done.stderr
    assert "THE NATIVE KERNELS WERE NOT BUILT" in done.stderr
    assert not list(tmp_path.rglob("*.so"))


def test_require_fails_without_a_compiler(tmp_path):
    pytest.importorskip("pybind11")
    done = build(tmp_path, RSHASH_BUILD="require", CC="no-such-compiler", CXX="no-such-compiler")
    assert done.returncode != 0


def test_an_unknown_wish_for_cuda_is_refused(tmp_path):
    done = build(tmp_path, RSHASH_BUILD="skip", RSHASH_CUDA="yes")
    assert done.returncode != 0
    assert "RSHASH_CUDA must be require, try or skip, got 'yes'" in done.stderr


@pytest.mark.parametrize("nvcc", ["no-such-compiler", "false"])
def test_cuda_that_cannot_be_built_stops_only_those_who_require_it(tmp_path, nvcc):
    pytest.importorskip("pybind11")
    tried = build(tmp_path, RSHASH_BUILD="skip", RSHASH_CUDA="try", NVCC=nvcc)
    assert tried.returncode == 0, tried.stderr
    assert "the CUDA kernels were not built" in tried.stderr
    assert "search on the CPU is not affected" in tried.stderr
    required = build(tmp_path, RSHASH_BUILD="skip", RSHASH_CUDA="require", NVCC=nvcc)
    assert required.returncode != 0


def test_cuda_is_skipped_in_silence_where_there_is_no_compiler(tmp_path):
    done = build(tmp_path, RSHASH_BUILD="skip", RSHASH_CUDA=None, NVCC="no-such-compiler")
    assert done.returncode == 0
    assert "CUDA" not in done.stderr


def test_every_unit_is_built():
    named = (ROOT / "csrc" / "units.txt").read_text().split()
    for unit in (ROOT / "csrc").glob("*.cpp"):
        assert unit.name in named, f"{unit.name} is not in csrc/units.txt"
