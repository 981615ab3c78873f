"""Reading what was given as sources of a vertex or an output: names, pairs, lists, dicts, decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from archsearch.errors import SpaceError, did_you_mean
from archsearch.spaces.edges import Edge, Group, may_be_none
from archsearch.spaces.nodes import Choice, Optional, Scope, Shared, Subset, check_part


class Sources:
    """Reads what was given as sources of one reader.

    Args:
        known: the names that it may read.
        reader: its name, for errors.
        vertices: all vertices of the graph, to tell a cycle from a misspelling.
    """

    def __init__(self, known: list[str], reader: str, vertices: Mapping[str, Any]) -> None:
        self.known = list(known)
        self.reader = reader
        self.vertices = vertices

    def items(self, given: Any, at: tuple[str, ...]) -> list[Edge | Group]:
        """The edges of a source; `at` are the steps from the reader's place to where its decisions stand."""
        listed = isinstance(given, list)
        if isinstance(given, Mapping):
            members = [((*at, f".{name}"), (name, node)) for name, node in given.items()]
        elif listed:
            members = [((*at, f"[{i}]"), member) for i, member in enumerate(given)]
        else:
            members = [(at, given)]
        flat = [(where, *self.split(member)) for where, member in members]
        # Two operations on edges from one source would stand at one place: those stand where they were declared.
        times = Counter(self.sources_with_operation(flat))
        return [self.item(where, source, node, bare, times) for where, source, node, bare in flat]

    def sources_with_operation(self, flat: list[tuple[tuple[str, ...], Any, Any, bool]]) -> Iterator[str]:
        for _, source, _, bare in flat:
            if isinstance(source, Subset):
                for step, member in source.members.items():
                    own, _, own_bare = self.member(step, member)
                    if isinstance(own, str) and not (bare and own_bare):
                        yield own
            elif isinstance(source, str) and not bare:
                yield source

    def member(self, step: str, member: Any) -> tuple[Any, Any, bool]:
        """A member of a Subset; a named one is an edge from the source of that name."""
        return self.split((step[1:], member) if step[0] == "." else member)

    def split(self, given: Any) -> tuple[Any, Any, bool]:
        """A source, the operation on the way, and whether there is none."""
        if not isinstance(given, tuple):
            return given, None, True
        if len(given) != 2 or isinstance(given[0], tuple | list):
            raise SpaceError(
                f"{self.reader} of a Graph: a source through an operation is a pair (name, node), but got {given!r}; "
                "several sources are a list"
            )
        check_part(given[1], "an edge of a Graph")
        check_settling(given[1], self.reader)
        return given[0], given[1], False

    def item(self, at: tuple[str, ...], source: Any, node: Any, bare: bool, times: Counter[str]) -> Edge | Group:
        if isinstance(source, Subset):
            return self.group(at, source, node, bare, times)
        if isinstance(source, str | Choice):
            return self.edge(at, source, node, bare, times)
        hint = ""
        if isinstance(source, Optional):
            hint = "; write ('a', Optional(nn.Identity())) for an edge that may be absent"
        raise SpaceError(
            f"{self.reader} of a Graph: a source is a name, a pair (name, node), a list, a dict, a Choice of names "
            f"or a Subset, but got {source!r}{hint}"
        )

    def edge(self, at: tuple[str, ...], source: str | Choice, node: Any, bare: bool, times: Counter[str]) -> Edge:
        if isinstance(source, str):
            self.check(source)
            return Edge(source, node, bare, at, (f".{source}",) if times[source] < 2 else (*at, ".op"))
        for option in source.decision.options:
            if source.branches is not None or not isinstance(option, str | None):
                raise SpaceError(
                    f"{self.reader} of a Graph: a Choice of sources holds names (or None), but got {source!r}; the "
                    "operation goes into a pair (Choice([...]), node)"
                )
            if option is not None:
                self.check(option)
        return Edge(source, node, bare, at, (*at, ".op"))

    def group(self, at: tuple[str, ...], subset: Subset, node: Any, bare: bool, times: Counter[str]) -> Group:
        edges = []
        for step, given in subset.members.items():
            source, own, own_bare = self.member(step, given)
            if not isinstance(source, str | Choice):
                raise SpaceError(
                    f"{self.reader} of a Graph: the members of a Subset of sources are names or pairs (name, node), "
                    f"but got {given!r}"
                )
            if not bare and not own_bare:
                raise SpaceError(
                    f"{self.reader} of a Graph: {given!r} has an operation and the Subset around it another; keep one"
                )
            edges.append(
                self.edge((*at, step, ".present"), source, node if own_bare else own, own_bare and bare, times)
            )
        return Group(subset, at, tuple(edges))

    def check(self, name: str) -> None:
        """Refuses what the reader may not read."""
        if name in self.known:
            return
        if name == self.reader:
            raise SpaceError(f"{name} of a Graph reads itself; a Graph has no cycles")
        if name in self.vertices:
            way = way_between(self.vertices, name, self.reader)
            if way:
                raise SpaceError(f"the Graph has a cycle: {' reads '.join([self.reader, *reversed(way)])}")
            raise SpaceError(
                f"{self.reader} of a Graph reads {name!r}, which is declared below it; a vertex reads inputs and "
                f"vertices declared above it, so declare {name!r} first"
            )
        raise SpaceError(
            f"{self.reader} of a Graph reads {name!r}, but there is no such input or vertex"
            f"{did_you_mean(name, self.known)}; it may read {', '.join(self.known)}"
        )


def way_between(vertices: Mapping[str, Any], reader: str, source: str) -> list[str]:
    """The vertices on a way from `source` to `reader`, both included; empty where there is none."""
    for name in names_in(getattr(vertices.get(reader), "inputs", ())):
        if name == source:
            return [source, reader]
        if name in vertices and name != reader and list(vertices).index(name) < list(vertices).index(reader):
            way = way_between(vertices, name, source)
            if way:
                return [*way, reader]
    return []


def names_in(given: Any) -> list[str]:
    """The names in a source, decided ones too."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, Mapping):
        return list(given)
    if isinstance(given, tuple):
        return names_in(given[0]) if given else []
    if isinstance(given, list):
        return [name for member in given for name in names_in(member)]
    if isinstance(given, Choice):
        return [name for name in given.decision.options if isinstance(name, str)]
    if isinstance(given, Subset):
        members = given.members.items()
        return [name for step, m in members for name in ([step[1:]] if step[0] == "." else names_in(m))]
    return []


def check_settling(node: Any, reader: str) -> None:
    """Refuses an operation of an edge of which it cannot be said on its own whether it is None."""
    if isinstance(node, Scope | Shared) and may_be_none(node.node):
        name = type(node).__name__
        raise SpaceError(
            f"{reader} of a Graph: whether an edge is there cannot be decided inside a {name}; write "
            f"Optional({name}(...)) instead of {node!r}"
        )
    if isinstance(node, Optional | Scope | Shared):
        check_settling(node.node, reader)
    elif isinstance(node, Choice) and node.branches is not None:
        for branch in node.branches.values():
            check_settling(branch, reader)
