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

SOURCES = ["bindings", "hamming", "limits", "multi_index", "parallel", "popcount_portable", "scan", "simd"]
SOURCES += ["sliced_portable"]
X86_SOURCES = ["popcount_avx2", "popcount_avx512", "sliced_avx2", "sliced_avx512"]
AVX512_FLAGS = [f"-mavx512{part}" for part in ("f", "bw", "dq", "vl", "vbmi", "vpopcntdq")] + ["-mgfni"]
# GCC 12 takes the undefined vectors of its own intrinsics for uninitialized ones (GCC bug 105593).
AVX512_FLAGS += ["-Wno-maybe-uninitialized", "-Wno-uninitialized"]
UNIT_FLAGS = {
    "limits.cpp": AVX512_FLAGS[-2:],
    "popcount_avx2.cpp": ["-mavx2", "-mpopcnt"],
    "popcount_avx512.cpp": AVX512_FLAGS,
    "sliced_avx2.cpp": ["-mavx2"],
    "sliced_avx512.cpp": AVX512_FLAGS,
}


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

    class BuildNative(build_ext):
        """Compiles each unit with its own flags, and may fail when RSHASH_BUILD=try."""

        def build_extension(self, ext: Extension) -> None:
            compile_unit = self.compiler._compile

            def compile_with_unit_flags(obj, src, ext, cc_args, extra_postargs, pp_opts):
                flags = [*extra_postargs, *UNIT_FLAGS.get(Path(src).name, [])]
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

    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    extension = Pybind11Extension(
        "rshash.kernels._native",
        [f"csrc/{name}.cpp" for name in SOURCES + (X86_SOURCES if is_x86 else [])],
        depends=sorted(map(str, Path("csrc").glob("*.h"))),
        define_macros=[("RSHASH_X86", None)] if is_x86 else [],
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
