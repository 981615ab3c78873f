"""Constraints may call a decision by its key in the space's dict: it is counted as if that were its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archsearch.spaces.facts import FactTable
from archsearch.spaces.node import Node
from archsearch.spaces.nodes import Repeat, Shared
from archsearch.spaces.require import Require


def with_named_keys(root: Any, require: Iterable[Require]) -> Any:
    """The root with the decisions that constraints call by their key named so."""
    if not isinstance(root, Mapping):
        return root
    wanted = {name for constraint in require for name in constraint.names}
    names = FactTable().of(root).names
    return {key: renamed(node, key) if key in wanted - names else node for key, node in root.items()}


def renamed(node: Any, name: str) -> Any:
    if isinstance(node, Repeat) and isinstance(node.times, Node):
        return Repeat(node.node, renamed(node.times, name), node.tied)
    if isinstance(node, Node) and hasattr(node, "name") and node.name is None and not isinstance(node, Shared):
        copy = object.__new__(type(node))
        copy.__setstate__(node.__getstate__() | {"name": name})
        return copy
    return node
