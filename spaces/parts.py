"""What nodes that decide nothing themselves hold, with the step to each part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from archsearch.spaces.nodes import Derived, Module, Parallel, Residual, Sequential

Stands: TypeAlias = tuple[str, Any]
"""A node, after the steps from where its parent stands to it."""


def parts(node: Any) -> list[Stands]:
    """What a node holds, in the order of the walk."""
    match node:
        case Sequential():
            return list(node.members.items())
        case Parallel():
            return [*node.members.items(), (".merge", node.merge)]
        case Residual():
            return [("[0]", node.node), (".project", node.project)]
        case Module():
            return [(f".{name}", argument) for name, argument in node.arguments.items()]
        case Derived():
            return node.children()
        case Mapping():
            return [(f".{key}", child) for key, child in node.items()]
        case list() | tuple():
            return [(f"[{i}]", child) for i, child in enumerate(node)]
    return []
