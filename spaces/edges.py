"""The edges of a Graph as its vertices and outputs declare them, read into one form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archsearch.spaces.nodes import Choice, Lazy, Optional, Subset
from archsearch.spaces.values import Derived


@dataclass(frozen=True, slots=True)
class Edge:
    """One way for a value to reach a reader.

    Attributes:
        source: the name of an input or vertex, or the Choice that decides on it.
        node: the operation on the edge; None with `bare` for none.
        bare: declared as a plain source, so the value is passed on as it is.
        source_at: the steps from the reader's place to the decision on the source.
        at: the steps from the reader's place to the operation.
    """

    source: str | Choice
    node: Any
    bare: bool
    source_at: tuple[str, ...]
    at: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The names that it may come from."""
        if isinstance(self.source, str):
            return (self.source,)
        return tuple([name for name in self.source.decision.options if name is not None])

    @property
    def optional(self) -> bool:
        """Whether it may be absent."""
        undecided = isinstance(self.source, Choice) and None in self.source.decision.options
        return undecided or (not self.bare and may_be_none(self.node))


@dataclass(frozen=True, slots=True)
class Group:
    """The edges that a Subset chooses from.

    Attributes:
        subset: the node whose members they are.
        at: the steps from the reader's place to it.
        edges: one for each member.
    """

    subset: Subset
    at: tuple[str, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads: a vertex, or an output.

    Attributes:
        name: of the vertex, of the output, or "" for the only output.
        at: the steps from the graph's place to its place.
        items: its edges, those of a Subset together.
        merge: "add", "mul", "concat" or a module of many inputs, at ``.merge``.
        dim: the dimension that concat joins.
        node: the operation of a vertex, at ``.op``.
        is_source: declared with `inputs=[]`, so that it needs no edge.
    """

    name: str
    at: tuple[str, ...]
    items: tuple[Edge | Group, ...]
    merge: Any
    dim: int | None
    node: Any = None
    is_source: bool = False

    @property
    def edges(self) -> Iterator[Edge]:
        """All edges, in the order of declaration."""
        for item in self.items:
            yield from item.edges if isinstance(item, Group) else (item,)

    @property
    def parts(self) -> list[Any]:
        """Everything that it holds, in the order of the walk."""
        found: list[Any] = []
        for item in self.items:
            found.extend([item.subset] if isinstance(item, Group) else [item.source, item.node])
        for item in self.items:
            if isinstance(item, Group):
                found.extend([part for edge in item.edges for part in (edge.source, edge.node)])
        return [*found, self.merge, self.node]


def may_be_none(node: Any) -> bool:
    """Whether the operation of an edge may be None, which is no edge."""
    if node is None or isinstance(node, Optional | Lazy | Derived):
        return True
    if isinstance(node, Choice):
        return node.branches is None or any([may_be_none(branch) for branch in node.branches.values()])
    return False
