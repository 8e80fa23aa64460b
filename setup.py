"""Builds the native search kernels; everything else about the package is in pyproject.toml.

RSHASH_BUILD=require fails when they cannot be built, try (the default) goes on without them and says so, skip does
not try. One binary serves every processor of an architecture: the units of an instruction set get its flags, and the
kernel is chosen at run time.
"""

import os
import platform
import sys
from pathlib import Path

from setuptools import Extension, setup


def read_units(architecture: str) -> dict[str, list[str]]:
    """Return the compiler flags of each unit that an architecture compiles; see csrc/units.txt."""
    lines = Path("csrc/units.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {unit: flags for where, unit, *flags in rows if where in ("any", architecture)}


def native_build():
    """Return setup()'s arguments for the extension."""
    wish = os.environ.get("RSHASH_BUILD", "try")
    if wish not in ("require", "try", "skip"):
        sys.exit(f"RSHASH_BUILD must be require, try or skip, got {wish!r}")
    if wish == "skip":
        return {}
    try:
        from pybind11.setup_helpers import Pybind11Extension, build_ext
    except ImportError:
        if wish == "require":
            raise
        say_it_is_missing("pybind11 is not installed")
        return {}

    machine = platform.machine().lower()
    units = read_units({"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine))

    class BuildNative(build_ext):
        """Compiles each unit with its own flags, and may fail when RSHASH_BUILD=try."""

        def build_extension(self, ext: Extension) -> None:
            compile_unit = self.compiler._compile

            def compile_with_unit_flags(obj, src, ext, cc_args, extra_postargs, pp_opts):
                flags = [*extra_postargs, *units[Path(src).name]]
                compile_unit(obj, src, ext, cc_args, flags, pp_opts)

            self.compiler._compile = compile_with_unit_flags
            try:
                super().build_extension(ext)
            except Exception as error:
                if wish == "require":
                    raise
                say_it_is_missing(error)
            finally:
                self.compiler._compile = compile_unit

    extension = Pybind11Extension(
        "rshash.kernels._native",
        [f"csrc/{unit}" for unit in units],
        depends=["csrc/units.txt", *sorted(map(str, Path("csrc").glob("*.h")))],
        cxx_std=17,
        extra_compile_args=["-O3", "-Wall", "-Wextra"],
        optional=wish == "try",
    )
    return {"ext_modules": [extension], "cmdclass": {"build_ext": BuildNative}}


def say_it_is_missing(reason) -> None:
    """Make sure nobody misses that the package will search many times slower."""
    print(f"\n*** rshash: THE NATIVE KERNELS WERE NOT BUILT ({reason}); searching will be slow. ***", file=sys.stderr)
    print("*** Install a C++17 compiler, or set RSHASH_BUILD=require to see why. ***\n", file=sys.stderr)


setup(**native_build())
