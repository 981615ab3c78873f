"""Classes and functions in a source file: by what name, from where, or written out.

What torch and Python have, and what stands in a module that can be imported, is imported. What stands in
archsearch, in `__main__` or in a study file is copied with all that it needs, since the file runs without these.
"""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from collections import OrderedDict
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from archsearch.errors import BuildError
from archsearch.spaces import source_layers
from archsearch.spaces.source_copied import Constant, Source, free_names, is_copied
from archsearch.spaces.source_imports import Imports, free, is_standard
from archsearch.spaces.source_text import Expression, lay_out
from archsearch.spaces.targets import label, load

# By the names that people write; where a thing stands in several, the first.
TORCH = (("nn", nn), ("nn.functional", nn.functional), ("torch", torch))

OWN: dict[str, tuple[str, str, Any]] = {
    "torch": ("torch", "", torch),
    "nn": ("torch", "nn", nn),
    "Tensor": ("torch", "Tensor", torch.Tensor),
    "OrderedDict": ("collections", "OrderedDict", OrderedDict),
    "Any": ("typing", "Any", Any),
    "partial": ("functools", "partial", functools.partial),
}
"""What the text of a file may need: module, name, object."""


class Names:
    """The names of one file.

    Args:
        value_of: the expression of a plain value (of constants that are copied), with its name for errors.

    Attributes:
        imports: what it imports.
        constants: those that are copied, by name.
        copied: the classes and functions that are copied, each after what it needs; by name.
        unevaluated: whether one of them needs annotations that stay text.
        outside: the modules that it imports beside torch and Python's own.
    """

    def __init__(self, value_of: Callable[[Any, str], Expression]) -> None:
        self.value_of = value_of
        self.imports = Imports()
        self.constants: dict[str, str] = {}
        self.copied: dict[str, str] = {}
        self.unevaluated = False
        self.outside: set[str] = set()
        self.helpers: dict[str, str] = {}
        self.sources: dict[str, Source] = {}
        self.imports.taken["Model"] = self
        for name, (_, _, what) in OWN.items():
            self.imports.taken[name] = what

    def use(self, name: str) -> str:
        """Import one of `OWN`."""
        module, attribute, what = OWN[name]
        return self.imports.add(module, attribute, what, name)

    def of(self, target: Callable[..., Any] | str, place: str) -> str:
        """The text that stands for a class or function.

        Args:
            target: the object, or "package.mod:Class".
            place: where in the space it is used.

        Raises:
            BuildError: no other file could import it, and its source cannot be copied.
        """
        what = load(target, place)
        for prefix, module in TORCH:
            name = getattr(what, "__name__", "")
            if name and getattr(module, name, None) is what:
                self.use(prefix.partition(".")[0])
                return f"{prefix}.{name}"
        module_name, qualified = where(target, what)
        if module_name == "builtins":
            return qualified
        try:
            check_found(module_name, qualified, what)
            first, _, rest = qualified.partition(".")
            if is_copied(module_name):
                self.copy(first, sys.modules[module_name])
                return qualified
        except (BuildError, OSError, TypeError) as error:
            raise BuildError(
                f"{place or 'root'}: {label(target)} cannot be written into a file of its own: {error}; put it at the "
                "top level of a module that can be imported"
            ) from error
        called = self.from_outside(module_name, first, getattr(sys.modules[module_name], first), first)
        return f"{called}.{rest}" if rest else called

    def from_outside(self, module: str, name: str, what: Any, called: str) -> str:
        """Import something, and note where that needs more than torch."""
        if not is_standard(module) and module.partition(".")[0] != "torch":
            self.outside.add(module)
        return self.imports.add(module, name, what, called)

    def copy(self, name: str, module: ModuleType) -> None:
        """Copy a class, function or constant from a module, after all that it needs from there."""
        what = getattr(module, name)
        if self.imports.taken.setdefault(name, what) is not what:
            raise BuildError(f"the file would have two different things called {name!r}; rename one")
        if name in self.copied or name in self.constants:
            return
        source = self.source(module)
        statement = source.definition(name)
        if isinstance(statement, Constant):
            # As it is now: a setting of a study file may have been given another value than is written there.
            self.constants[name] = "\n".join(lay_out(self.value_of(what, name), 0, f"{name} = "))
            return
        self.copied[name] = text = source.text(statement)
        self.unevaluated = self.unevaluated or source.unevaluated
        for needed in free_names(text):
            self.need(needed, source)
        # Anew, so that it stands behind what it needs.
        del self.copied[name]
        self.copied[name] = text

    def helper(self, name: str) -> str:
        """One of `source_layers`, by its name or another that is free."""
        if name not in self.helpers:
            source = self.source(source_layers)
            statement = source.definition(name)
            assert not isinstance(statement, Constant)
            text = source.text(statement)
            for needed in free_names(text):
                self.need(needed, source)
            called = self.helpers[name] = free(name, self.imports.taken)
            self.imports.taken[called] = getattr(source_layers, name)
            self.copied[called] = text.replace(f"class {name}(", f"class {called}(", 1)
        return self.helpers[name]

    def source(self, module: ModuleType) -> Source:
        found = self.sources.get(module.__name__)
        if found is None:
            found = self.sources[module.__name__] = Source(module)
        return found

    def need(self, name: str, source: Source) -> None:
        """Make a name mean in the file what it means in a module."""
        if name not in source.bound:
            return  # one of Python's own
        statement, alias = source.bound[name][0]
        if alias is None:
            self.copy(name, source.module)
            return
        if isinstance(statement, ast.Import) and is_copied(alias.name):
            raise BuildError(f"it needs {alias.name}, which the file does without")
        if isinstance(statement, ast.ImportFrom):
            module = importlib.import_module(source.imported_from(statement))
            if is_copied(module.__name__):
                if isinstance(getattr(module, alias.name), ModuleType):
                    raise BuildError(f"it needs {module.__name__}.{alias.name}, which the file does without")
                self.copy(alias.name, module)
                called = alias.name
            else:
                called = self.from_outside(module.__name__, alias.name, attribute(module, alias.name), name)
        else:
            module = importlib.import_module(alias.name)
            what = module if alias.asname else sys.modules[name]
            called = self.from_outside(alias.name, "", what, name)
        if called != name:
            raise BuildError(f"the file would have two different things called {name!r}; rename one")


def where(target: Callable[..., Any] | str, what: Any) -> tuple[str, str]:
    """The module of a class or function, and its name there."""
    own = str(getattr(what, "__module__", "") or ""), str(getattr(what, "__qualname__", ""))
    if isinstance(target, str) and not is_copied(own[0]):
        module, _, name = target.partition(":")
        return module, name
    return own


def check_found(module: str, qualified: str, what: Any) -> None:
    """Refuse what a module does not give by its name."""
    if "<lambda>" in qualified:
        raise BuildError("it is a lambda")
    if "<locals>" in qualified:
        raise BuildError("it is defined inside a function")
    found: Any = sys.modules.get(module)
    for step in qualified.split("."):
        found = getattr(found, step, None)
    if found is not what:
        raise BuildError(f"{module or 'no module'} has no {qualified or type(what).__name__} that is it")


def attribute(module: ModuleType, name: str) -> Any:
    """A name of a module, which may be a module below it that nothing has imported yet."""
    if not hasattr(module, name):
        importlib.import_module(f"{module.__name__}.{name}")
    return getattr(module, name)
