"""How an evaluator reaches the workers: as one blob, and what to say when it cannot."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archsearch.errors import StudyError
from archsearch.evaluation import Evaluator, one_line


def packed(evaluator: Evaluator) -> bytes:
    """The evaluator as bytes.

    Raises:
        StudyError: something in it cannot travel; the message names it.
    """
    from ray import cloudpickle

    try:
        blob: bytes = cloudpickle.dumps(evaluator)
    except Exception as error:
        raise StudyError(
            f"{culprit(evaluator) or 'evaluate'} cannot travel to a worker ({one_line(error)}): make it inside "
            "evaluate instead of outside, or run in this process with executor='inline'"
        ) from error
    return blob


def culprit(evaluator: Evaluator) -> str:
    """What of an evaluator cannot be pickled, in words; empty where no part by itself is at fault."""
    if not travels(evaluator.space):
        return "the space"
    for name, value in reached(evaluator.evaluate):
        if not travels(value):
            return f"{name!r}, a {type(value).__module__}.{type(value).__qualname__} that evaluate uses,"
    return ""


def reached(function: Any, seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """The values that a function and the functions of its module use from outside, the innermost first."""
    seen = set() if seen is None else seen
    if not inspect.isfunction(function) or id(function) in seen:
        return
    seen.add(id(function))
    outside = inspect.getclosurevars(function)
    for name, value in {**outside.globals, **outside.nonlocals}.items():
        if inspect.isfunction(value) and value.__module__ == function.__module__:
            yield from reached(value, seen)
        else:
            yield name, value


def travels(value: Any) -> bool:
    from ray import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True


def folders_of(evaluator: Evaluator) -> list[str]:
    """The folders of the files that define `evaluate` and, where it is an object, the functions that it holds: what
    those files import lies beside them."""
    evaluate = evaluator.evaluate
    held = [value for value in getattr(evaluate, "__dict__", {}).values() if inspect.isfunction(value)]
    names = [getattr(item, "__module__", None) or "" for item in (evaluate, *held)]
    files = [
        getattr(sys.modules.get(name), "__file__", None) for name in names if name.partition(".")[0] != "archsearch"
    ]
    return list(dict.fromkeys(str(Path(file).absolute().parent) for file in files if file))
