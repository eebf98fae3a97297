"""The rooms of the package: each imports only from itself and from those before it, and no two modules each other."""

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT

import deepfake

PACKAGE = ROOT / "deepfake"
ROOMS = re.findall(r"^    (\w+) +\S", deepfake.__doc__.partition("The rooms")[2], re.MULTILINE)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys()


IMPORTS = {name: imports_of(path) for name, path in MODULES.items()}


def test_every_folder_is_a_room_of_the_map_and_no_module_lies_outside():
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()} == set(ROOMS)
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_those_before_it(room):
    allowed = {f"deepfake.{name}" for name in ROOMS[: ROOMS.index(room) + 1]} | {"deepfake"}
    for name, imported in IMPORTS.items():
        if name.startswith(f"deepfake.{room}."):
            assert {".".join(other.split(".")[:2]) for other in imported} <= allowed, name


def test_no_two_modules_import_each_other():
    assert [(a, b) for a, imported in IMPORTS.items() for b in imported if a < b and a in IMPORTS[b]] == []
