import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="the source tree is not at hand")


def build(tmp_path, **environment):
    pytest.importorskip("setuptools")
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "-b", str(tmp_path / "lib"), "-t", str(tmp_path / "temp")],
        cwd=ROOT,
        env={**os.environ, **environment},
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


def test_every_unit_is_built():
    named = (ROOT / "csrc" / "units.txt").read_text().split()
    for unit in (ROOT / "csrc").glob("*.cpp"):
        assert unit.name in named, f"{unit.name} is not in csrc/units.txt"
