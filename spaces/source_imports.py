"""What a source file imports, and what it calls things by."""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterable
from typing import Any

from archsearch.spaces.source_text import WIDTH

Import = tuple[str, str, str]
"""Module, name in it ("" for the module itself), and what it is called here."""


class Imports:
    """The imports of one file, and every name that is taken in it.

    Attributes:
        taken: what each name of the file stands for.
        found: the imports, by what they are called; several plain ones may give one name (`a.b` and `a.c`).
    """

    def __init__(self) -> None:
        self.taken: dict[str, Any] = {}
        self.found: dict[tuple[str, str], Import] = {}

    def add(self, module: str, name: str, what: Any, called: str = "") -> str:
        """Import a name of a module, or the module where `name` is "", and say what it is called in the file.

        Args:
            what: the object, to tell whether a name means it already.
            called: what it is to be called; where that is taken, another name is found.
        """
        wanted = called or name
        if self.taken.get(wanted, what) is not what:
            wanted = free(camel(module.rpartition(".")[2]) + camel(wanted), self.taken)
        self.taken[wanted] = what
        several = not name and "." in module and wanted == module.partition(".")[0]
        self.found.setdefault((wanted, module if several else ""), (module, name, wanted))
        return wanted

    def lines(self, future: bool) -> list[str]:
        """The import statements, sorted as isort sorts them.

        Args:
            future: whether annotations are not evaluated.
        """
        sections: list[list[str]] = [["from __future__ import annotations"]] if future else []
        for standard in (True, False):
            some = [found for found in self.found.values() if is_standard(found[0]) is standard]
            if some:
                sections.append([*plain(some), *from_modules(some)])
        return [line for section in sections for line in ["", *section]][1:]


def free(wanted: str, taken: Container[str]) -> str:
    """The name, or one with a number behind, that means nothing yet.

    >>> free("Block", {"Block", "Block2"})
    'Block3'
    """
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    return name


def is_standard(module: str) -> bool:
    """Whether Python itself has it."""
    return module.partition(".")[0] in sys.stdlib_module_names


def camel(name: str) -> str:
    """A name in the form of a class's.

    >>> camel("my_blocks"), camel("relu")
    ('MyBlocks', 'Relu')
    """
    return "".join([word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", name)])


def plain(found: Iterable[Import]) -> list[str]:
    modules = sorted([(module, called) for module, name, called in found if not name])
    return [f"import {m}" + (f" as {called}" if called != m.partition(".")[0] else "") for m, called in modules]


def from_modules(found: Iterable[Import]) -> list[str]:
    lines = []
    entries = [entry for entry in found if entry[1]]
    for module in sorted({module for module, _, _ in entries}, key=lambda m: (m.lower(), m)):
        names = [name for m, name, called in entries if m == module and name == called]
        if names:
            lines.extend(from_module(module, sorted(names, key=order)))
        renamed = sorted([(order(name), called) for m, name, called in entries if m == module and name != called])
        lines.extend([f"from {module} import {name} as {called}" for (_, name), called in renamed])
    return lines


def order(name: str) -> tuple[int, str]:
    """isort's: constants, then classes, then the rest."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name


def from_module(module: str, names: list[str]) -> list[str]:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"from {module} import (", *[f"    {name}," for name in names], ")"]
