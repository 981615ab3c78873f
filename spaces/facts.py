"""What can be said of a node without walking it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from archsearch.errors import SpaceError
from archsearch.spaces.decisions import typed
from archsearch.spaces.graph import Graph
from archsearch.spaces.liveness import entangled, infallible
from archsearch.spaces.node import Node, deep_recursion
from archsearch.spaces.nodes import (
    Choice,
    Derived,
    Integer,
    Lazy,
    Module,
    Optional,
    Parallel,
    Permute,
    Real,
    Repeat,
    Residual,
    Scope,
    Sequential,
    Shared,
    Subset,
)
from archsearch.spaces.prior import agree


class Facts(NamedTuple):
    """names: decided or shared inside; unknown: something is only known when it is expanded; open: decides;
    fallible: a Graph inside refuses some answers; entangled: one whose edges do not only depend on themselves;
    weighted: a decision inside has a prior; priors: by name, a node that states one for all uses of the name."""

    names: frozenset[str] = frozenset()
    unknown: bool = False
    open: bool = False
    fallible: bool = False
    entangled: bool = False
    weighted: bool = False
    priors: Mapping[str, Any] = MappingProxyType({})


def children(node: Any) -> list[Any]:
    """What a node holds, in the order of the walk. A Repeat's function of the index is not called."""
    match node:
        case Choice():
            return list(node.branches.values()) if node.branches else []
        case Sequential() | Permute() | Subset():
            return list(node.members.values())
        case Parallel():
            return [*node.members.values(), node.merge]
        case Residual():
            return [node.node, node.project]
        case Repeat():
            return [node.times] if callable(node.node) and not isinstance(node.node, Node) else [node.times, node.node]
        case Optional() | Scope() | Shared():
            return [node.node]
        case Graph():
            return node.parts
        case Lazy() | Module():
            return list(node.arguments.values())
        case Derived():
            return [child for _, child in node.children()]
        case Mapping():
            return list(node.values())
        case list() | tuple():
            return list(node)
    return []


class FactTable:
    """Facts of nodes, remembered by identity (the table keeps the nodes alive)."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Facts]] = {}

    def of(self, node: Any) -> Facts:
        """The facts of a node."""
        if not isinstance(node, Node | Mapping | list | tuple):
            return Facts()
        known = self._known.get(id(node))
        if known is None:
            with deep_recursion():
                return self._find(node)
        return known[1]

    def _find(self, node: Any) -> Facts:
        if not isinstance(node, Node | Mapping | list | tuple):
            return Facts()
        known = self._known.get(id(node))
        if known is None:
            names: set[str] = set()
            unknown = isinstance(node, Lazy) or (isinstance(node, Repeat) and not is_node_or_container(node.node))
            is_open = unknown or asks(node)
            fallible = isinstance(node, Graph) and not infallible(node)
            tied = isinstance(node, Graph) and fallible and entangled(node)
            name = getattr(node, "name", None)
            weighted = has_prior(node)
            priors = {name: node} if weighted and name is not None else {}
            for child in children(node):
                facts = self._find(child)
                names |= facts.names
                unknown = unknown or facts.unknown
                is_open = is_open or facts.open
                fallible = fallible or facts.fallible
                tied = tied or facts.entangled
                weighted = weighted or facts.weighted
                if facts.priors:
                    merge_priors(priors, facts.priors, node)
            if name is not None:
                names.add(name)
            found = Facts(frozenset(names), unknown, is_open, fallible, tied, weighted, priors or Facts().priors)
            known = self._known[id(node)] = (node, found)
        return known[1]


def has_prior(node: Any) -> bool:
    """Whether a node itself asks something of which the user gave a prior."""
    return isinstance(node, Choice | Optional) and node.decision.prior is not None and node.decision.size > 1


def merge_priors(priors: dict[str, Any], inside: Mapping[str, Any], node: Any) -> None:
    """Add the priors stated inside a node; those of names that it declares are no others'."""
    for name, stated in inside.items():
        if isinstance(node, Scope) and name in node.names:
            continue
        known = priors.setdefault(name, stated).decision
        # Uses that differ in their options are refused by name (`check`).
        if known.signature == stated.decision.signature and not agree(known.prior, stated.decision.prior):
            raise SpaceError(
                f"uses of the name {name!r} disagree in the prior: {priors[name]!r} and {stated!r}; give them "
                "the same, or give it once, or use another name"
            )


def is_node_or_container(node: Any) -> bool:
    return isinstance(node, Node | Mapping | list | tuple)


def asks(node: Any) -> bool:
    """Whether a node itself asks something."""
    if isinstance(node, Choice | Integer | Real | Permute):
        return node.decision.size > 1
    if isinstance(node, Optional):
        return True
    if isinstance(node, Subset):
        return not (node.minimum == node.maximum and node.minimum in (0, len(node.members)))
    return False


def function_key(function: Any) -> Any:
    """Functions are the same expansion rule when code and closure values are; built-in ones go by their name."""
    if isinstance(function, functools.partial):
        given = tuple(sorted(function.keywords.items()))
        return ("partial", function_key(function.func), content_key(function.args), content_key(given))
    code = getattr(function, "__code__", None)
    if code is None:
        name = getattr(function, "__qualname__", "<unnamed>")
        owner = getattr(function, "__self__", None)
        bound = owner is not None and not inspect.ismodule(owner)
        return id(function) if bound or "<" in name else (function.__module__, name)
    cells = []
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:
            content = None
        cells.append(content_key(content))
    return (code, tuple(cells), repr(function.__defaults__))


def content_key(content: Any) -> Any:
    """A key of what a function closes over: plain values by value, all else by identity."""
    if isinstance(content, tuple):
        return tuple([content_key(item) for item in content])
    return typed(content) if isinstance(content, bool | int | float | str | None) else id(content)
