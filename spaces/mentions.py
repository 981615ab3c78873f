"""Which names a node mentions: what has to be remembered while a space is counted.

A name is remembered from its first reach to its last mention; its answer only where something branches on it
later, otherwise one bit (LANGUAGE.md section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from archsearch.spaces.edges import Reader
from archsearch.spaces.facts import FactTable, children
from archsearch.spaces.graph import Graph
from archsearch.spaces.node import Node, has_node
from archsearch.spaces.nodes import Lazy, Optional, Repeat, Scope, Shared, Subset
from archsearch.spaces.require import Require

Names = frozenset[Any]


class Keep(NamedTuple):
    """What is still to come: the keys that come up, and of which the answer matters."""

    names: Names
    values: Names

    def plus(self, other: Keep) -> Keep:
        if not self.names or not other.names:
            return self if self.names else other
        return Keep(self.names | other.names, self.values | other.values)


NOTHING = Keep(frozenset(), frozenset())


class Context(NamedTuple):
    """What names mean at a node (`scopes`), and the constraints that hold there."""

    scopes: Mapping[str, Any]
    level: int
    constraints: tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...]

    def key(self, name: str) -> Any:
        return self.scopes.get(name, name)


class Restart(Exception):
    """An expansion mentions a name that was not known to come up."""


class Mentions:
    """What the nodes of one space mention, remembered by node and by what names mean there.

    Args:
        require: the constraints of the whole space.
        facts: of its nodes.
    """

    def __init__(self, require: tuple[Require, ...], facts: FactTable) -> None:
        self.facts = facts
        # What expansions have been seen to mention: any Lazy still to come may mention it.
        self.hidden = NOTHING
        self.memo: dict[Any, Keep] = {}
        self.contexts: dict[Any, Context] = {}
        constraints = tuple([(r.function, tuple(r.names)) for r in require])
        self.top = self.intern(("top",), lambda: Context({}, 0, constraints))

    def intern(self, key: Any, make: Callable[[], Context]) -> Context:
        if key not in self.contexts:
            self.contexts[key] = make()
        return self.contexts[key]

    def of(self, node: Any, context: Context) -> Keep:
        """The keys that a node mentions, and of which it needs the answer."""
        if not has_node(node):
            return NOTHING
        key = (id(node), id(context))
        known = self.memo.get(key)
        if known is None:
            known = self.memo[key] = self.find(node, context)
        return known

    def find(self, node: Any, context: Context) -> Keep:
        result = NOTHING
        if isinstance(node, Scope):
            inner = self.scope_context(node, context)
            inside = self.of(node.node, inner)
            own = {inner.key(name) for name in node.names}
            return Keep(inside.names - own, inside.values - own)
        if isinstance(node, Shared):
            inside = self.of(node.node, self.shared_context(context))
            return Keep(inside.names | {("shared", context.key(node.name))}, inside.values)
        for child in children(node):
            result = result.plus(self.of(child, context))
        if isinstance(node, Lazy) or (isinstance(node, Repeat) and is_indexed(node)):
            result = result.plus(self.hidden)
        if isinstance(node, Lazy):
            result = Keep(result.names, result.names)
        if isinstance(node, Graph):
            for reader in node.readers:
                result = result.plus(self.of_edges(reader, context))
        if (
            isinstance(node, Repeat)
            and isinstance(node.times, Node)
            and (is_indexed(node) or self.facts.of(node.node).open)
        ):
            times = self.of(node.times, context)
            result = result.plus(Keep(times.names, times.names))
        name = getattr(node, "name", None)
        if name is not None:
            base = context.key(name)
            if isinstance(node, Subset):
                members = frozenset([(base, step) for step in node.members])
                result = result.plus(Keep(members, members))
            else:
                asked = frozenset([base])
                opens = any([self.facts.of(branch).open for branch in opened_by(node)])
                result = result.plus(Keep(asked, asked if opens else frozenset()))
        return result

    def of_edges(self, reader: Reader, context: Context) -> Keep:
        """The keys that settle which edges lead to a reader: their answers say later what is live."""
        result = NOTHING
        for edge in reader.edges:
            if not isinstance(edge.source, str) or edge.optional:
                settles = self.of(edge.source, context).plus(self.of(edge.node, context))
                result = result.plus(Keep(settles.names, settles.names))
        return result

    def partners(self, names: Names, context: Context) -> Names:
        """The keys that constraints tie to `names`, and `names`."""
        result = set(names)
        for _, keys in context.constraints:
            if not names.isdisjoint(keys):
                result.update(keys)
        return frozenset(result)

    def scope_context(self, node: Scope, context: Context) -> Context:
        level = context.level + 1
        scopes = {**context.scopes, **{name: (name, level) for name in node.names}}

        def make() -> Context:
            own = tuple([(r.function, tuple([scopes.get(n, n) for n in r.names])) for r in node.require])
            return Context(scopes, level, context.constraints + own)

        return self.intern((id(context), node.names, tuple([id(r) for r in node.require])), make)

    def shared_context(self, context: Context) -> Context:
        top = self.top.constraints
        return self.intern(("shared", context.level), lambda: Context({}, context.level, top))

    def of_all(self, nodes: list[Any], context: Context) -> Keep:
        result = NOTHING
        for node in nodes:
            result = result.plus(self.of(node, context))
        return result

    def reveal(self, node: Any, context: Context) -> Any:
        """Note the names of an expansion; names that were not known to come up make the count start again."""
        mentioned = self.of(node, context)
        if not mentioned.names <= self.hidden.names or not mentioned.values <= self.hidden.values:
            self.hidden = self.hidden.plus(mentioned)
            self.memo.clear()
            raise Restart
        return node


def opened_by(node: Any) -> list[Any]:
    """What the answers of a decision open."""
    return [node.node] if isinstance(node, Optional) else list((getattr(node, "branches", None) or {}).values())


def is_indexed(node: Repeat) -> bool:
    """A Repeat over a function of the index."""
    return callable(node.node) and not isinstance(node.node, Node)
