"""Constraints over decisions: `require=[lambda depth, width: depth * width <= 512]`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from archsearch.errors import SpaceError


class Require:
    """A constraint over decisions by name: `Require(fn, "g0", "g1")`.

    Args:
        function: gets the answers in the order of `names`; true where they are allowed. Must be pure.
        names: names of decisions, or keys of the space's dict. One whose names are not all reached is not checked.
    """

    __slots__ = ("function", "names")

    def __init__(self, function: Callable[..., Any], *names: str) -> None:
        if not callable(function):
            raise SpaceError(f"Require takes a function first, but got {function!r}")
        if not names:
            raise SpaceError("Require needs the names that its function reads: Require(fn, 'depth', 'width')")
        for name in names:
            if not isinstance(name, str):
                raise SpaceError(f"Require takes names as strings, but got {name!r}")
        self.function = function
        self.names = names

    def __repr__(self) -> str:
        function = getattr(self.function, "__name__", repr(self.function))
        return f"Require({', '.join([function, *[repr(name) for name in self.names]])})"


class Constraint:
    """A Require at its place: over the decisions at `paths`."""

    __slots__ = ("paths", "require")

    def __init__(self, require: Require, paths: tuple[str, ...]) -> None:
        self.require = require
        self.paths = paths

    def allows(self, answers: Mapping[str, Any]) -> bool:
        """Whether the answers are allowed; a constraint whose paths are not all answered is not checked."""
        values = []
        for path in self.paths:
            if path not in answers:
                return True
            values.append(answers[path])
        return bool(self.require.function(*values))

    def text(self) -> str:
        function = getattr(self.require.function, "__name__", repr(self.require.function))
        return f"{'require' if function == '<lambda>' else function}({', '.join(self.paths)})"


def as_requirements(require: Any) -> tuple[Require, ...]:
    """Functions (whose parameters are the names) and Requires, as Requires."""
    if isinstance(require, Require) or (callable(require) and not isinstance(require, Iterable)):
        require = (require,)
    return tuple([r if isinstance(r, Require) else from_function(r) for r in require])


def from_function(function: Any) -> Require:
    if not callable(function):
        raise SpaceError(f"require= takes functions and Requires, but got {function!r}")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise SpaceError(f"require= cannot read the parameters of {function!r}; write Require(fn, 'a', 'b')") from None
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        raise SpaceError(f"require= cannot read names from {inspect.signature(function)}; write Require(fn, 'a', 'b')")
    return Require(function, *[p.name for p in parameters if p.default is p.empty])
