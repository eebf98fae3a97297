"""Selects the tests of `pytest -m quick`: all in files that load no framework, but those that are marked as slow."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FOLDERS = (TESTS.parent, TESTS, *sorted(TESTS.glob("*/")), TESTS.parent / "benchmarks")
OURS = {path.stem: folder for folder in FOLDERS for path in folder.iterdir()}  # where a module or package lies
FRAMEWORKS = {"tensorflow", "keras", "pyspark", "playwright"}
NOT_QUICK = {"slow", "spark", "cluster", "slurm", "browser"}


@cache
def loads_a_framework(path: Path) -> bool:
    """Whether importing a file loads TensorFlow, Spark or a browser driver, directly or indirectly."""
    names = set(imported(ast.parse(path.read_bytes())))
    if any(name.partition(".")[0] in FRAMEWORKS for name in names):
        return True
    return any(loads_a_framework(file) for name in sorted(names) for file in files_of(name) if file != path)


def imported(node: ast.AST) -> Iterator[str]:
    """The modules imported with a file, including each imported name, which may be a module too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    elif not isinstance(node, ast.FunctionDef | ast.expr) and not _only_for_types(node):
        for child in ast.iter_child_nodes(node):
            yield from imported(child)


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def files_of(name: str) -> list[Path]:
    """The file of a module of this project, and those of the packages that it is in; none of another's."""
    found = []
    if place := OURS.get(name.partition(".")[0]):
        for part in name.split("."):
            place /= part
            found += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    return found


def is_quick(item: pytest.Item) -> bool:
    """Whether a test is not marked as slow, and its file loads no framework."""
    return not any(item.get_closest_marker(name) for name in NOT_QUICK) and not loads_a_framework(item.path)
