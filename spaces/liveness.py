"""What is certain of a Graph under all answers: which vertices are reached and live, and that nothing is refused."""

from __future__ import annotations

from collections.abc import Iterator

from archsearch.spaces.edges import Edge, Group, Reader, may_be_none
from archsearch.spaces.graph import Graph
from archsearch.spaces.nodes import Choice, Optional


def certain_items(reader: Reader) -> Iterator[tuple[str, ...]]:
    """The edges that are there under all answers: the names that each may come from."""
    for item in reader.items:
        if isinstance(item, Edge):
            if not item.optional:
                yield item.sources
        elif not any([edge.optional for edge in item.edges]):
            if item.subset.minimum == len(item.edges):
                yield from [edge.sources for edge in item.edges]
            elif item.subset.minimum > 0:
                yield tuple([name for edge in item.edges for name in edge.sources])


def most_edges(graph: Graph) -> int:
    return sum([i.subset.maximum if isinstance(i, Group) else 1 for reader in graph.readers for i in reader.items])


def certainly_reached(graph: Graph) -> set[str]:
    """The names that are reached from an input under all answers."""
    reached = set(graph.inputs)
    for reader in graph.readers[: len(graph.vertices)]:
        if reader.is_source or any([reached.issuperset(sources) for sources in certain_items(reader)]):
            reached.add(reader.name)
    return reached


def certainly_live(graph: Graph) -> bool:
    """Whether every vertex is live under all answers, and nothing can be refused."""
    reached = certainly_reached(graph)
    if not reached.issuperset(graph.vertices) or not within_max_edges(graph) or not outputs_reached(graph, reached):
        return False
    if graph.unused is not None:
        return True
    needed: set[str] = set()
    for reader in reversed(graph.readers):
        if reader.name in needed or reader.at[0] == ".outputs":
            for sources in certain_items(reader):
                if len(set(sources)) == 1:
                    needed.add(sources[0])
    return needed.issuperset(graph.vertices)


def outputs_reached(graph: Graph, reached: set[str]) -> bool:
    if graph.unused is not None and reached.issuperset(graph.vertices) and graph.vertices:
        return True
    outputs = graph.readers[len(graph.vertices) :]
    return all([any([reached.issuperset(sources) for sources in certain_items(reader)]) for reader in outputs])


def within_max_edges(graph: Graph) -> bool:
    return graph.max_edges is None or most_edges(graph) <= graph.max_edges


def certainly_valid(graph: Graph) -> bool:
    """Whether pruning leaves a graph under all answers."""
    return graph.dead == "prune" and within_max_edges(graph) and outputs_reached(graph, certainly_reached(graph))


def infallible(graph: Graph) -> bool:
    """Whether no answers are refused."""
    return certainly_live(graph) or certainly_valid(graph)


def entangled(graph: Graph) -> bool:
    """Whether something outside may decide on its edges too, or what settles them is only known when expanded."""
    for reader in graph.readers:
        for item in reader.items:
            if isinstance(item, Group) and item.subset.name is not None:
                return True
        for edge in reader.edges:
            if isinstance(edge.source, Choice) and edge.source.name is not None:
                return True
            if not edge.bare and not settles_itself(edge.node):
                return True
    return False


def settles_itself(node: object) -> bool:
    """Whether unnamed decisions of an edge's operation alone say whether it is None."""
    if not may_be_none(node) or node is None:
        return True
    if isinstance(node, Optional):
        return node.name is None and settles_itself(node.node)
    if isinstance(node, Choice) and node.branches is not None:
        return node.name is None and all([settles_itself(branch) for branch in node.branches.values()])
    return False
