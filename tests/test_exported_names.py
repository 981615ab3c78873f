"""What `import archsearch` shows is what it promises, to people, to Python and to type checkers."""

from __future__ import annotations

import ast
import importlib
import inspect
import types
from pathlib import Path

import pytest

import archsearch
from archsearch import errors
from archsearch.errors import ArchsearchError

SOURCE = ast.parse(Path(archsearch.__file__).read_text(encoding="utf-8"))

LANGUAGE = (
    "Choice Integer Real Boolean Sequential Optional Repeat Residual Parallel Permute Subset Lazy Derived Scope Shared "
    "Graph Vertex Require input module nn Tensor Space Pool Architecture"
)
STUDY = "Study Trial spaces searchers elastic testing"
ERRORS = (
    "ArchsearchError SpaceError AssignmentError SingleArchitecture Infeasible EndlessSpace SizeTooHard ShapeError "
    "BuildError ElasticError StudyError StudyLocked SpaceChanged StoreError UsageError"
)
PUBLIC = {*LANGUAGE.split(), *STUDY.split(), *ERRORS.split()}


def seen_by_type_checkers(source: ast.Module = SOURCE) -> dict[str, str]:
    """Names imported under `if TYPE_CHECKING` and the modules that they come from."""
    (block,) = (node for node in source.body if isinstance(node, ast.If) and "not" not in ast.unparse(node.test))
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.module
        for alias in node.names:
            assert alias.asname is None, "a second name for one thing"
            found[alias.name] = node.module
    return found


def test_the_public_names_are_these() -> None:
    assert set(archsearch.__all__) == PUBLIC


def test_visible_is_public_sorted_and_single() -> None:
    assert dir(archsearch) == sorted(set(archsearch.__all__)) == archsearch.__all__


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_name_is_what_type_checkers_see(name: str) -> None:
    origin = seen_by_type_checkers()[name]
    value = getattr(archsearch, name)
    if origin == "archsearch":
        assert isinstance(value, types.ModuleType)
        assert value.__name__ == f"archsearch.{name}"
    else:
        assert value is getattr(__import__(origin, fromlist=[name]), name)
        assert getattr(archsearch, name) is value
    assert inspect.getdoc(value), f"archsearch.{name} has no docstring"


def test_type_checkers_see_no_more() -> None:
    assert set(seen_by_type_checkers()) == PUBLIC


def test_every_error_is_public() -> None:
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }
    assert raised == set(ERRORS.split())
    assert all(issubclass(getattr(archsearch, name), ArchsearchError) for name in raised)


def test_a_near_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'archsearch' has no attribute 'Chioce'") as raised:
        _ = archsearch.Chioce  # type: ignore[attr-defined]
    assert raised.value.name == "Chioce"
    assert raised.value.obj is archsearch  # from which Python suggests 'Choice'


ELASTIC = ast.parse(Path(archsearch.elastic.__file__).read_text(encoding="utf-8"))


def test_elastic_shows_what_it_promises() -> None:
    elastic = archsearch.elastic
    assert dir(elastic) == sorted(set(elastic.__all__)) == elastic.__all__
    assert set(seen_by_type_checkers(ELASTIC)) == set(elastic.__all__)


@pytest.mark.parametrize("name", archsearch.elastic.__all__)
def test_each_name_of_elastic_is_what_type_checkers_see(name: str) -> None:
    value = getattr(archsearch.elastic, name)
    origin = seen_by_type_checkers(ELASTIC)[name]
    assert value is getattr(importlib.import_module(origin), name)
    assert inspect.getdoc(value), f"archsearch.elastic.{name} has no docstring"
    modules = {path.stem for path in Path(archsearch.elastic.__file__).parent.glob("*.py")}
    assert name not in modules, "the import of a module of this name would hide it"
