"""What is wrong with a space can mostly be said where it is declared, before any walk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.errors import SpaceError, did_you_mean
from archsearch.spaces.facts import FactTable, asks, children
from archsearch.spaces.graph import Graph
from archsearch.spaces.graph_guide import GraphGuide, impossible
from archsearch.spaces.liveness import infallible
from archsearch.spaces.node import Node, deep_recursion
from archsearch.spaces.nodes import (
    Choice,
    Derived,
    Integer,
    Lazy,
    Optional,
    Permute,
    Real,
    Scope,
    Shared,
    Subset,
    is_decision,
)
from archsearch.spaces.program import say_signature
from archsearch.spaces.require import Require
from archsearch.spaces.sites import Frame, Site
from archsearch.spaces.wiring import Plan

# In place of the id of a Scope: it stands around a Shared, whose inside may not use its names.
BARRED = -1


def check_space(root: Any, require: tuple[Require, ...]) -> frozenset[str]:
    """Check names, keys and constraints as far as nothing needs expanding.

    Returns the names that constraints read, anywhere in the space.
    """
    with deep_recursion():
        checker = Checker()
        checker.visit(root, {})
    checker.check_derived()
    facts = FactTable().of(root)
    keys = set(root) if isinstance(root, Mapping) else set()
    for constraint in require:
        for name in constraint.names:
            if name not in facts.names and name not in keys and not facts.unknown:
                raise SpaceError(
                    f"{constraint!r}: {name!r} is neither the name of a decision nor a key of the space"
                    f"{did_you_mean(name, facts.names | keys)}"
                )
    read = {name for constraint in require for name in constraint.names}
    return frozenset(read | checker.scoped_requirements)


class Checker:
    """One visit of every node, once for each meaning that its names have."""

    def __init__(self) -> None:
        self.seen: set[tuple[int, frozenset[Any]]] = set()
        self.signatures: dict[Any, tuple[Any, Any]] = {}
        self.structural: dict[int, Any] = {}
        self.in_derived: dict[int, tuple[Any, Any]] = {}
        self.scoped_requirements: set[str] = set()
        self.facts = FactTable()
        self.keep: list[Any] = []

    def visit(self, node: Any, scopes: dict[str, int]) -> None:
        """`scopes` maps a scoped name to the id of the Scope that declares it."""
        key = (id(node), frozenset(scopes.items()))
        if not isinstance(node, Node | Mapping | list | tuple) or key in self.seen:
            return
        self.seen.add(key)
        self.keep.append(node)
        if isinstance(node, Mapping):
            for name in node:
                if not isinstance(name, str) or not name.isidentifier():
                    raise SpaceError(f"the keys of a space are identifiers, but got {name!r}")
        self.check_names(node, scopes)
        if isinstance(node, Choice | Integer | Real) and node.name is None:
            self.structural[id(node)] = node
        if isinstance(node, Derived | Lazy):
            for child in children(node):
                self.collect_derived(child, node)
                if not is_decision(child) or child.name is not None:
                    self.visit(child, scopes)
            return
        if isinstance(node, Scope):
            scopes = scopes | {name: id(node) for name in node.names}
            inside = self.facts.of(node.node)
            for name in node.names:
                if name not in inside.names and not inside.unknown:
                    raise SpaceError(
                        f"{node!r} declares {name!r}, but nothing inside has that name"
                        f"{did_you_mean(name, inside.names)}"
                    )
            for constraint in node.require:
                self.scoped_requirements.update(constraint.names)
                for name in constraint.names:
                    if name not in node.names and name not in inside.names and not inside.unknown:
                        raise SpaceError(
                            f"{constraint!r} of {node!r}: nothing inside is called {name!r}"
                            f"{did_you_mean(name, inside.names)}"
                        )
        if isinstance(node, Graph) and not infallible(node):
            plan = Plan(Site(node, "", "", Frame(), "", self.facts), node)
            if not GraphGuide(plan).has_completion():
                raise SpaceError(impossible(node))
        if isinstance(node, Shared):
            scopes = dict.fromkeys(scopes, BARRED)
        for child in children(node):
            self.visit(child, scopes)

    def check_names(self, node: Any, scopes: Mapping[str, int]) -> None:
        name = getattr(node, "name", None)
        if name is None or isinstance(node, Shared):
            return
        if scopes.get(name) == BARRED:
            raise SpaceError(
                f"{node!r} inside a Shared has a name that a Scope around the Shared declares; names inside a Shared "
                "are the whole space's, or those of a Scope inside it"
            )
        if isinstance(node, Subset):
            signature: Any = ("subset", tuple(node.members), node.minimum, node.maximum)
        elif is_decision(node) or isinstance(node, Optional | Permute):
            if not isinstance(node, Optional) and not asks(node):
                return
            signature = node.decision.signature
        else:
            return
        known = self.signatures.setdefault((scopes.get(name), name), (signature, node))
        if known[0] != signature:
            raise SpaceError(
                f"uses of the name {name!r} disagree: {known[1]!r} ({say(known[0])}) and {node!r} ({say(signature)}); "
                "give them the same options, or another name"
            )

    def collect_derived(self, node: Any, holder: Any) -> None:
        if isinstance(node, Choice | Integer | Real) and node.name is None:
            self.in_derived[id(node)] = (node, holder)
        elif isinstance(node, list | tuple):
            for item in node:
                self.collect_derived(item, holder)

    def check_derived(self) -> None:
        """An unnamed decision that is both in the structure and in a Derived would be decided twice."""
        for identity, (node, holder) in self.in_derived.items():
            if identity in self.structural:
                raise SpaceError(
                    f"{node!r} stands in the structure and in {holder!r}, where it would be decided a second time; "
                    "name it: name='...'"
                )


def say(signature: Any) -> str:
    return f"{signature[0]} {signature[1:]}" if signature[0] == "subset" else say_signature(signature)


def constraint_paths(root: Any, require: Require) -> tuple[str, ...]:
    """The paths that a constraint of the whole space reads: names, or keys of the space's dict."""
    names = FactTable().of(root).names
    paths = []
    for name in require.names:
        own = getattr(root[name], "name", None) if isinstance(root, Mapping) and name in root else None
        times = getattr(root[name], "times", None) if isinstance(root, Mapping) and name in root else None
        if own is None and isinstance(times, Node):
            own = getattr(times, "name", None)
        paths.append(own if own is not None and name not in names else name)
    return tuple(paths)
