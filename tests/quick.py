"""Selects the tests of `pytest -m quick` from the source of a test and its fixtures.

A quick test loads neither TensorFlow nor Spark, opens no browser, starts no process and draws no videos of people.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FunctionType

import pytest

TESTS = Path(__file__).parent
FOLDERS = (TESTS.parent, TESTS, *sorted(TESTS.glob("*/")), TESTS.parent / "benchmarks")
FRAMEWORKS = {"tensorflow", "keras", "pyspark", "playwright"}
NOT_QUICK = {"slow", "spark", "cluster", "slurm", "browser"}
SLOW_WORDS = re.compile(
    r"\b(run_step|subprocess|Popen|sleep|tensorflow|keras|pyspark|training|saved_model|evaluation|verdicts"
    r"|draw_dataset|Scene|gather|Mtcnn|convert_videos|crop_all_\w+|real_clips|real_faces|open_queue|workers=[1-9])\b"
)


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
    elif not isinstance(node, ast.FunctionDef) and "TYPE_CHECKING" not in ast.unparse(getattr(node, "test", node))[:20]:
        for child in ast.iter_child_nodes(node):
            yield from imported(child)


def files_of(name: str) -> list[Path]:
    """The file of a module of this project, and those of the packages that it is in; none of another's."""
    found = []
    for folder in FOLDERS:
        place = folder
        for part in name.split("."):
            place /= part
            found += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    return found


def is_quick(item: pytest.Item) -> bool:
    """Whether a test and its fixtures do nothing that takes long."""
    if any(item.get_closest_marker(name) for name in NOT_QUICK):
        return False
    fixtures = [each for defined in item._fixtureinfo.name2fixturedefs.values() for each in defined]
    functions = [item.function, *(each.func for each in fixtures if "conftest" not in each.func.__module__)]
    return not any(takes_long(inspect.unwrap(function)) for function in functions)


@cache
def takes_long(thing: FunctionType | type) -> bool:
    """Whether a function or class of the tests has one of the slow words in it, or a function that it calls has."""
    if SLOW_WORDS.search(inspect.getsource(thing)):
        return True
    if isinstance(thing, type):
        return False
    used = (inspect.unwrap(thing.__globals__.get(name)) for name in thing.__code__.co_names if name != thing.__name__)
    return any(takes_long(each) for each in used if isinstance(each, FunctionType | type) and is_of_tests(each))


def is_of_tests(thing: FunctionType | type) -> bool:
    """Whether it is defined in a file of the tests."""
    module = sys.modules.get(thing.__module__)
    return TESTS in Path(getattr(module, "__file__", None) or "/").parents
