"""Builds the native search kernels; everything else about the package is in pyproject.toml.

RSHASH_BUILD=require fails when they cannot be built, try (the default) goes on without them and says so, skip does
not try. One binary serves every processor of an architecture: the units of an instruction set get its flags, and the
kernel is chosen at run time.

RSHASH_CUDA says the same of the CUDA kernels, an extension of their own that changes nothing for the CPU. Unset, they
are tried where nvcc is found (on the PATH, or named by NVCC) and skipped elsewhere.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup


def read_units(architecture: str) -> dict[str, list[str]]:
    """Return the compiler flags of each unit that an architecture compiles; see csrc/units.txt."""
    lines = Path("csrc/units.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {unit: flags for where, unit, *flags in rows if where in ("any", architecture)}


def read_wish(variable: str, unset: str) -> str:
    """Return require, try or skip, as an environment variable has it."""
    wish = os.environ.get(variable, unset)
    if wish not in ("require", "try", "skip"):
        sys.exit(f"{variable} must be require, try or skip, got {wish!r}")
    return wish


def find_nvcc() -> str | None:
    """Return the path of the CUDA compiler."""
    return shutil.which(os.environ.get("NVCC", "nvcc"))


def build_with_nvcc(extension, target: str, folder: str) -> None:
    """Compile and link the sources of an extension; raises RuntimeError or CalledProcessError."""
    nvcc = find_nvcc()
    if nvcc is None:
        raise RuntimeError("nvcc was not found: put it on the PATH or name it by NVCC")
    command = [nvcc, "--options-file", "csrc/cuda/nvcc.flags"]
    headers = [f"-I{path}" for path in (*extension.include_dirs, sysconfig.get_path("include"))]
    objects = []
    Path(folder, "cuda").mkdir(parents=True, exist_ok=True)
    for source in extension.sources:
        objects.append(str(Path(folder, "cuda", Path(source).name + ".o")))
        subprocess.run([*command, *headers, "-c", source, "-o", objects[-1]], check=True)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, "-shared", *objects, "-o", target], check=True)


def native_build():
    """Return setup()'s arguments for the extensions."""
    wish = read_wish("RSHASH_BUILD", "try")
    cuda_wish = read_wish("RSHASH_CUDA", "try" if find_nvcc() else "skip")
    if wish == cuda_wish == "skip":
        return {}
    try:
        from pybind11.setup_helpers import Pybind11Extension, build_ext
    except ImportError:
        if "require" in (wish, cuda_wish):
            raise
        if wish == "try":
            say_it_is_missing("pybind11 is not installed")
        return {}

    machine = platform.machine().lower()
    units = read_units({"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine))

    class BuildNative(build_ext):
        """Compiles each unit with its own flags, and may fail when RSHASH_BUILD=try."""

        def build_extension(self, ext: Extension) -> None:
            if ext.name == "rshash.kernels._cuda":
                return self.build_cuda(ext)
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
            return None

        def build_cuda(self, ext: Extension) -> None:
            try:
                build_with_nvcc(ext, self.get_ext_fullpath(ext.name), self.build_temp)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                if cuda_wish == "require":
                    raise
                print(
                    f"\n*** rshash: the CUDA kernels were not built ({error}); search on the CPU is not affected. "
                    "RSHASH_CUDA=skip does not try, require fails. ***\n",
                    file=sys.stderr,
                )

    extension = Pybind11Extension(
        "rshash.kernels._native",
        [f"csrc/{unit}" for unit in units],
        depends=["csrc/units.txt", *sorted(map(str, Path("csrc").glob("*.h")))],
        cxx_std=17,
        extra_compile_args=["-O3", "-Wall", "-Wextra"],
        optional=wish == "try",
    )
    cuda_extension = Pybind11Extension(
        "rshash.kernels._cuda",
        ["csrc/cuda/bindings.cpp", *sorted(map(str, Path("csrc/cuda").glob("*.cu")))],
        depends=["csrc/hamming.h", *sorted(map(str, Path("csrc/cuda").iterdir()))],
        optional=cuda_wish == "try",
    )
    wanted = [(wish, extension), (cuda_wish, cuda_extension)]
    return {
        "ext_modules": [found for how, found in wanted if how != "skip"],
        "cmdclass": {"build_ext": BuildNative},
    }


def say_it_is_missing(reason) -> None:
    """Make sure nobody misses that the package will search many times slower."""
    print(f"\n*** rshash: THE NATIVE KERNELS WERE NOT BUILT ({reason}); searching will be slow. ***", file=sys.stderr)
    print("*** Install a C++17 compiler, or set RSHASH_BUILD=require to see why. ***\n", file=sys.stderr)


setup(**native_build())
