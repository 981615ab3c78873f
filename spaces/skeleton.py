"""What a node decides, apart from what the decisions stand for: uses of one Shared must agree in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archsearch.spaces.decisions import Options
from archsearch.spaces.edges import Group, Reader
from archsearch.spaces.graph import Graph
from archsearch.spaces.node import Node, has_node
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
from archsearch.spaces.prior import rounded


def skeleton(node: Any) -> tuple[Any, ...]:
    """Relative paths and answers, nested as the node is; empty where nothing is decided."""
    if not has_node(node):
        return ()
    match node:
        case Choice():
            inside = children(list((node.branches or {}).items()))
            own = (node.name, node.decision.signature, *prior_of(node.decision)) if node.decision.size > 1 else ()
            return ("choice", *own, *inside) if own or inside else ()
        case Integer() | Real():
            return ("value", node.name, node.decision.signature) if node.decision.size > 1 else ()
        case Derived():
            return children(node.children())
        case Module():
            return children(list(node.arguments.items()))
        case Lazy():
            return ("lazy", code_of(node.function), *children(list(node.arguments.items())))
        case Sequential():
            return children(list(node.members.items()))
        case Parallel():
            return children([*node.members.items(), (".merge", node.merge)])
        case Residual():
            return children([("[0]", node.node), (".project", node.project)])
        case Optional():
            return ("optional", node.name, *prior_of(node.decision), *skeleton(node.node))
        case Repeat():
            if callable(node.node) and not isinstance(node.node, Node):
                body: tuple[Any, ...] = ("indexed", code_of(node.node))
            else:
                body = skeleton(node.node)
            times = skeleton(node.times) or node.times
            return ("repeat", times, node.tied, body) if body or isinstance(times, tuple) else ()
        case Permute():
            return ("permute", node.name, node.decision.signature, *children(list(node.members.items())))
        case Subset():
            steps = tuple(node.members)
            return ("subset", node.name, steps, node.minimum, node.maximum, *children(list(node.members.items())))
        case Graph():
            inside = tuple([of_reader(reader) for reader in node.readers])
            return ("graph", node.inputs, node.unused, node.dead, node.max_edges, *inside)
        case Scope():
            inside = skeleton(node.node)
            return ("scope", node.names, inside) if inside else ()
        case Shared():
            return ("shared", node.name, skeleton(node.node))
        case Mapping():
            return children(list(node.items()))
        case list() | tuple():
            return children([(str(i), child) for i, child in enumerate(node)])
    return ()


def prior_of(decision: Options) -> tuple[Any, ...]:
    return () if decision.prior is None else (("prior", *rounded(decision.prior)),)


def of_reader(reader: Reader) -> tuple[Any, ...]:
    """What decides on its edges, and what they and its operation decide."""
    items: list[Any] = []
    for item in reader.items:
        if isinstance(item, Group):
            items.append(skeleton(item.subset))
        else:
            source = item.source if isinstance(item.source, str) else skeleton(item.source)
            items.append((source, item.bare, skeleton(item.node)))
    return (reader.at, tuple(items), skeleton(reader.merge), skeleton(reader.node))


def children(items: list[tuple[str, Any]]) -> tuple[Any, ...]:
    inside = [(step, skeleton(child)) for step, child in items]
    return tuple([pair for pair in inside if pair[1]])


def code_of(function: Callable[..., Any]) -> Any:
    return getattr(function, "__code__", function)
