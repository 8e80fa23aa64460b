"""Imports point down: the rooms and layers that the README draws, held against the code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rshash"

LAYERS = [
    {"codes", "extras", "files", "names"},
    {"data", "kernels", "losses", "metrics"},
    {"index", "models", "picture", "raster"},
    {"encoding", "join", "methods", "search"},
    {"archive", "diagnosis", "evaluation", "training"},
    {"bench", "demo", "export", "ingest", "noise", "protocol"},
    {"cli"},
]
LAYER_OF = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
TORCH_FREE = [
    "codes",
    "kernels",
    "index",
    "join",
    "search",
    "archive",
    "export",
    "metrics",
    "evaluation",
    "diagnosis",
    "picture",
    "noise",
    "data",
    "cli",
]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST) -> set[str]:
    rooms = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            modules = [node.module] if node.module != "rshash" else [f"rshash.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        else:
            continue
        rooms |= {module.split(".")[1] for module in modules if module.startswith("rshash.")}
    return rooms


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    assert room in LAYER_OF, f"{room} is no room of any layer: give it one in LAYERS and in CONTRIBUTING.md"
    for other in imported_rooms(ast.parse(path.read_text(encoding="utf-8"))) - {room}:
        assert LAYER_OF[other] < LAYER_OF[room], f"{room} imports {other}, which is not below it"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} opens without a docstring"


@pytest.mark.parametrize("module", ["rshash", *(f"rshash.{room}" for room in TORCH_FREE)])
def test_search_side_leaves_heavy_packages_out(module):
    program = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'PIL', 'sklearn', 'numba', 'safetensors', 'matplotlib', 'duckdb'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_searching_leaves_torch_out():
    program = (
        "import sys, numpy as np, rshash\n"
        "rshash.search(np.zeros((9, 8), np.uint8), np.zeros((2, 8), np.uint8), k=3)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
