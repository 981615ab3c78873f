"""Plain values as they are written in a source file."""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from archsearch.errors import BuildError
from archsearch.spaces.source_names import Names
from archsearch.spaces.source_text import Atom, Expression, Group, call, flat, quoted

LONGEST = 60
"""Characters of a list or tuple that is kept on one line, and may be the argument of a class."""


class Values:
    """Writes values.

    Args:
        names: of the file.
        module_of: the expression of a module among the values, or None where it is none.
    """

    def __init__(self, names: Names, module_of: Callable[[Any], Expression | None]) -> None:
        self.names = names
        self.module_of = module_of

    def of(self, value: Any, name: str, place: str) -> Expression:
        """The expression of a value.

        Args:
            value: what it is.
            name: of the argument.
            place: of the module that it is given to.

        Raises:
            BuildError: it cannot be written.
        """
        made = self.module_of(value)
        if made is not None:
            return made
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self.collection(value, name, place)
        text = self.scalar(value, place)
        if text is not None:
            return Atom(text, kind_of(value), name)
        if isinstance(value, functools.partial):
            keywords = {key: self.of(item, key, place) for key, item in value.keywords.items()}
            items = [self.of(item, name, place) for item in (value.func, *value.args)]
            return call(self.names.use("partial"), *items, **keywords)
        if isinstance(value, enum.Enum):
            return Atom(f"{self.names.of(type(value), place)}.{value.name}", "Any", name)
        if callable(value) and hasattr(value, "__qualname__"):
            return Atom(self.names.of(value, place), "Any", name)
        raise BuildError(
            f"{place or 'root'}: {name}={value!r} cannot be written into a file: a {type(value).__qualname__} has no "
            "literal; give numbers, strings, lists, dicts, modules, or a class or function by name"
        )

    def scalar(self, value: Any, place: str) -> str | None:
        """The text of a value without parts; None where it is something else."""
        if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
            self.names.use("torch")
            return str(value)
        if isinstance(value, torch.device):
            self.names.use("torch")
            return f"torch.device({quoted(str(value))})"
        if type(value).__module__ == "numpy" and isinstance(value, float):
            value = float(value)
        kind = type(value)
        if kind is str or kind is bytes:
            return quoted(value)
        if kind is float and not math.isfinite(value):
            return f"float({quoted(str(value))})"
        if kind is range:
            bounds = (value.start, value.stop, value.step) if value.step != 1 else (value.start, value.stop)
            return f"range({', '.join(map(str, bounds if value.start or value.step != 1 else bounds[1:]))})"
        if value is None or value is ... or kind in (bool, int, float):
            return "..." if value is ... else repr(value)
        if kind is slice:
            inside = [self.scalar(part, place) for part in (value.start, value.stop, value.step)]
            return None if None in inside else f"slice({', '.join(map(str, inside))})"
        return None

    def collection(self, value: Any, name: str, place: str) -> Expression:
        if isinstance(value, Mapping):
            if type(value) is not dict:
                return self.unwritable(value, name, place)
            pairs = [(flat(self.of(k, name, place)) + ": ", self.of(v, name, place)) for k, v in value.items()]
            return Group("{", tuple(pairs), "}")
        if type(value) not in (list, tuple, set, frozenset, torch.Size):
            return self.unwritable(value, name, place)
        inside = [self.of(item, name, place) for item in value]
        if isinstance(value, set | frozenset):
            inside = sorted(inside, key=flat)
        items = tuple([("", item) for item in inside])
        opening, closing = (
            ("(", ")") if isinstance(value, tuple) else ("{", "}") if isinstance(value, set) else ("[", "]")
        )
        if isinstance(value, set | frozenset) and not items:
            return Atom(f"{type(value).__name__}()", "Any", name)
        group = Group(opening, items, closing)
        if isinstance(value, torch.Size):
            self.names.use("torch")
            return call("torch.Size", Group("[", items, "]"))
        if isinstance(value, frozenset):
            return call("frozenset", group)
        text = f"({flat(inside[0])},)" if isinstance(value, tuple) and len(items) == 1 else flat(group)
        plain = all([isinstance(item, Atom) and item.kind != "nn.Module" for item in inside])
        if plain and (len(text) <= LONGEST or len(items) == 1):
            return Atom(text, kind_of(value), name)
        if isinstance(value, tuple) and len(items) == 1:
            return call("tuple", Group("[", items, "]"))
        return group

    def unwritable(self, value: Any, name: str, place: str) -> Expression:
        raise BuildError(
            f"{place or 'root'}: {name}={value!r} cannot be written into a file: a {type(value).__qualname__} has no "
            "literal; give numbers, strings, lists, dicts, modules, or a class or function by name"
        )


def kind_of(value: Any) -> str:
    """The annotation of a parameter that gets it.

    >>> kind_of(3), kind_of((1, 1)), kind_of([0.5, None]), kind_of(None)
    ('int', 'tuple[int, ...]', 'list[float | None]', 'None')
    """
    if value is None:
        return "None"
    if type(value) in (bool, int, float, str):
        return type(value).__name__
    if type(value) in (list, tuple) and value:
        inside = union([kind_of(item) for item in value])
        return f"tuple[{inside}, ...]" if isinstance(value, tuple) else f"list[{inside}]"
    return "Any"


def union(kinds: list[str]) -> str:
    """One annotation for values of several kinds."""
    different = set(kinds)
    if "Any" in different:
        return "Any"
    if "float" in different:
        different.discard("int")
    return " | ".join(sorted(different, key=lambda kind: (kind == "None", kind)))
