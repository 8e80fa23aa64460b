"""What the figures were measured on: processor or GPU, caches, versions, load."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import rshash
from rshash.bench.cases import Device
from rshash.kernels import cuda_backend, describe

PACKAGES: dict[Device, tuple[str, ...]] = {
    "cpu": ("numpy", "faiss-cpu", "usearch", "scikit-learn"),
    "cuda": ("numpy", "torch"),
}
"""Device → packages whose versions belong to a figure."""


def describe_machine(device: Device = "cpu") -> dict[str, Any]:
    """Return the header of a report.

    Args:
        device: where it is searched.

    Returns:
        date, processor, architecture, cores, caches (level → bytes), memory_bytes, platform, python, versions
        (package → version or None), search (as `rshash.kernels.describe`) and load (1, 5 and 15 minutes, or None); on
        a GPU also gpu (name, capability, multiprocessors, memory_bytes, cache_bytes, and driver or None).

    Raises:
        ImportError, OSError: if the CUDA kernels were not built, or there is no GPU.
    """
    gpu = {} if device == "cpu" else {"gpu": {**cuda_backend().describe()[0], "driver": driver()}}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "caches": caches(),
        "memory_bytes": _memory_bytes(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {"rshash": rshash.__version__, **{package: _version(package) for package in PACKAGES[device]}},
        "search": describe(),
        "load": load(),
        **gpu,
    }


def name_of_searcher(machine: dict[str, Any]) -> str:
    """Return the processor, or the GPU, of a report and how it is searched there.

    >>> name_of_searcher({"processor": "a CPU", "search": {"backend": "numpy", "simd": None}})
    'a CPU, numpy'
    """
    if "gpu" not in machine:
        return f"{machine['processor']}, {machine['search']['backend']} {machine['search']['simd'] or ''}".rstrip()
    gpu = machine["gpu"]
    return f"{gpu['name']}, {gpu['memory_bytes'] / (1 << 30):.0f} GiB, driver {gpu['driver'] or 'unknown'}"


def driver(file: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Return the version of the NVIDIA driver as the system tells it, or None.

    >>> driver(Path("/nowhere")) is None
    True
    """
    if not file.is_file():
        return None
    found = re.search(r"Kernel Module\D*?(?:x86_64|aarch64)?\s+(\d+(?:\.\d+)+)", file.read_text(encoding="utf-8"))
    return found[1] if found else None


def processor() -> str:
    """Return the processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def caches(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> dict[str, int]:
    """Return the data caches of the first core in bytes; empty where the system does not tell.

    >>> list(caches(Path("/nowhere")))
    []
    """
    found = {}
    for index in sorted(folder.glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}{'d' if kind == 'Data' else ''}"] = _bytes_of(size)
    return found


def last_cache_bytes() -> int:
    """Return the size of the largest cache, 0 where the system does not tell."""
    return max(caches().values(), default=0)


def load() -> tuple[float, float, float] | None:
    """Return the load average; figures taken while it exceeds the threads in use are noisy."""
    return os.getloadavg() if hasattr(os, "getloadavg") else None


def _bytes_of(size: str) -> int:
    """Read "48K" or "32M"."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(size[:-1]) * units[size[-1]] if size[-1] in units else int(size)


def _memory_bytes() -> int | None:
    """Return the machine's memory."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _version(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
