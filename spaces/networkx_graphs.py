"""Graphs, spaces and architectures as networkx graphs, and a Graph of one.

A Graph as networkx: its inputs and vertices are nodes, in the order of declaration, with the attributes `node` (the
operation), `merge` and `dim`; its edges have `node` (the operation on the way) and `order` (among the edges of
their reader). What has no node of its own there (inputs, outputs, and the Graph's options) is in `graph.graph`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from archsearch.errors import SpaceError, did_you_mean
from archsearch.spaces.describe import describe_decision
from archsearch.spaces.draw_architecture import architecture_diagram
from archsearch.spaces.draw_flat import boxes_in, links
from archsearch.spaces.draw_space import space_diagram
from archsearch.spaces.edges import Edge, Group
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.picture import Flow
from archsearch.spaces.tensor import Tensor

if TYPE_CHECKING:
    import networkx

    from archsearch.spaces.architecture import Architecture
    from archsearch.spaces.space import Space

OPTIONS = ("merge", "unused", "dead", "max_edges", "dim")


def from_networkx(graph: networkx.DiGraph[Any], *, inputs: Any = None, outputs: Any = None, **options: Any) -> Graph:
    """A Graph of a networkx graph.

    >>> import networkx
    >>> Graph.from_networkx(networkx.DiGraph([("x", "a"), ("x", "b"), ("a", "b")]))
    Graph({'a': Vertex(inputs='x'), 'b': Vertex(inputs=['x', 'a'])}, inputs='x', outputs='b')

    Whole numbers as names become n0, n1, ...: networkx's generators number their nodes. A vertex reads its edges in
    the order of their attribute `order`, where they have it, else in that of `graph.in_edges`.

    Args:
        graph: a DiGraph, or a MultiDiGraph (a vertex may read another twice). Node attributes: `node`, the operation;
            `merge` and `dim`. Edge attribute: `node`, the operation on the edge. None is no operation. Others are
            left alone.
        inputs: the name of the input, or the names of several, which are no vertices; `graph.graph["inputs"]`, else
            the nodes that nothing reaches and that have no operation.
        outputs: as for `Graph`; `graph.graph["outputs"]`, else the nodes that nothing reads.
        options: those of `Graph`, else those in `graph.graph`.

    Raises:
        SpaceError: an undirected graph, a cycle, a name that is no identifier, or what `Graph` refuses.
    """
    import networkx

    if not isinstance(graph, networkx.Graph) or not graph.is_directed():
        raise SpaceError(
            f"Graph.from_networkx takes a networkx.DiGraph, but got {graph!r}; graph.to_directed() makes one"
        )
    try:
        cycle = networkx.find_cycle(graph)
    except networkx.NetworkXNoCycle:
        pass
    else:
        way = [str(edge[0]) for edge in [*cycle, cycle[0]]]
        raise SpaceError(f"the graph has a cycle: {' -> '.join(way)}")
    names = Names(graph)
    order = {node: i for i, node in enumerate(graph)}
    sources = inputs if inputs is not None else graph.graph.get("inputs")
    if sources is None:
        sources = tuple([node for node in graph if not graph.in_degree(node) and operation(graph, node) is None])
    listed = list(sources) if isinstance(sources, list | tuple) and sources not in graph else [sources]
    for node in listed:
        check_input(graph, node, names)
    taken = set(listed)
    vertices = {}
    for node in networkx.lexicographical_topological_sort(graph, key=order.__getitem__):
        if node not in taken:
            vertices[names[node]] = vertex_of(graph, node, names)
    given = {name: graph.graph[name] for name in OPTIONS if name in graph.graph} | options
    ends = outputs if outputs is not None else graph.graph.get("outputs")
    if ends is None:
        ends = [node for node in graph if not graph.out_degree(node)]
        ends = ends[0] if len(ends) == 1 else ends
    own = [names[node] for node in listed]
    return Graph(vertices, inputs=own[0] if len(own) == 1 else tuple(own), outputs=renamed(ends, names), **given)


class Names(dict[Hashable, str]):
    """What the nodes of a networkx graph are called in a Graph."""

    def __init__(self, graph: networkx.DiGraph[Any]) -> None:
        super().__init__()
        for node in graph:
            if isinstance(node, int) and not isinstance(node, bool) and node >= 0:
                self[node] = f"n{node}"
            elif isinstance(node, str):
                self[node] = node
            else:
                raise SpaceError(
                    f"a node of the graph is {node!r}, but vertices are called by strings (or whole numbers, which "
                    "become n0, n1, ...); networkx.relabel_nodes gives others"
                )
        seen: dict[str, Hashable] = {}
        for node, name in self.items():
            if name in seen:
                raise SpaceError(f"the nodes {seen[name]!r} and {node!r} of the graph would both be called {name!r}")
            seen[name] = node


def operation(graph: networkx.DiGraph[Any], node: Hashable) -> Any:
    return graph.nodes[node].get("node")


def check_input(graph: networkx.DiGraph[Any], node: Any, names: Names) -> None:
    if node not in graph:
        near = did_you_mean(str(node), names.values())
        raise SpaceError(f"the input {node!r} is no node of the graph{near}")
    if graph.in_degree(node):
        raise SpaceError(f"{node!r} is an input, but {next(iter(graph.predecessors(node)))!r} has an edge to it")
    if operation(graph, node) is not None:
        raise SpaceError(f"{node!r} is an input, so it cannot have the operation {operation(graph, node)!r}")


def vertex_of(graph: networkx.DiGraph[Any], node: Hashable, names: Names) -> Vertex:
    entering = list(graph.in_edges(node, data=True))
    entering.sort(key=lambda edge: edge[2].get("order", 0))
    read: list[Any] = []
    for source, _, data in entering:
        if data.get("decided"):
            raise SpaceError(
                f"the edge {source!r} -> {node!r} is one of several that a decision chooses from; a Graph of it has "
                "to be declared"
            )
        way = data.get("node")
        read.append(names[source] if way is None else (names[source], way))
    given = graph.nodes[node]
    form = given.get("form", "one" if len(read) == 1 else "list")
    inputs: Any = read
    if form == "one" and len(read) == 1:
        (inputs,) = read
    elif form == "dict" and all([isinstance(one, tuple) for one in read]) and len(dict(read)) == len(read):
        inputs = dict(read)
    return Vertex(given.get("node"), inputs=inputs, merge=given.get("merge", "add"), dim=given.get("dim"))


def renamed(source: Any, names: Names) -> Any:
    """A source, as for `Graph(outputs=...)`, with the names that the nodes have there."""
    if isinstance(source, Mapping):
        return {key: renamed(inside, names) for key, inside in source.items()}
    if isinstance(source, list):
        return [renamed(inside, names) for inside in source]
    if isinstance(source, tuple) and len(source) == 2 and source not in names:
        return (renamed(source[0], names), source[1])
    return names.get(source, source) if isinstance(source, Hashable) else source


def graph_to_networkx(graph: Graph) -> networkx.DiGraph[str]:
    """A Graph as networkx; `from_networkx` of it is the same Graph where no source is decided.

    Edges that a decision chooses from are all there, with `decided=True`. It is a DiGraph, or a MultiDiGraph where a
    vertex reads another twice.
    """
    import networkx

    rows: list[tuple[str, str, dict[str, Any]]] = []
    for reader in graph.readers[: len(graph.vertices)]:
        order = 0
        for item in reader.items:
            for edge in item.edges if isinstance(item, Group) else (item,):
                decided = isinstance(item, Group) or not isinstance(edge.source, str)
                for source in edge.sources:
                    rows.append((source, reader.name, edge_attributes(edge, order, decided)))
                order += 1
    twice = len({(a, b) for a, b, _ in rows}) < len(rows)
    made: Any = networkx.MultiDiGraph() if twice else networkx.DiGraph()
    made.graph.update(inputs=graph.inputs, outputs=graph.outputs)
    made.graph.update({name: getattr(graph, name) for name in OPTIONS})
    made.add_nodes_from(graph.inputs)
    for name, vertex in graph.vertices.items():
        made.add_node(name, node=vertex.node, merge=vertex.merge, dim=vertex.dim, form=form_of(vertex.inputs))
    made.add_edges_from(rows)
    return made


def edge_attributes(edge: Edge, order: int, decided: bool) -> dict[str, Any]:
    return {"node": edge.node, "order": order, **({"decided": True} if decided else {})}


def form_of(inputs: Any) -> str:
    """How sources were written: the places of what is decided about them depend on it."""
    return "dict" if isinstance(inputs, Mapping) else "list" if isinstance(inputs, list) else "one"


def to_networkx(space: Space, arch: Architecture | None = None) -> networkx.DiGraph[str]:
    """A space, or an architecture, as networkx: nodes are places, edges the flow of data.

    In a space the copies of a Repeat, and members of a chain that are alike, stand once, at `[i]` and `[0…4]`.
    Node attributes: `kind`, `label` (its text), `place`, `inside` (the places of the blocks around it, outermost
    first), `decisions` (path -> options), and what is known of a module: `module`, `inputs`, `output` (shapes),
    `parameters`, `flops`. Edge attribute: `decided`, whether a decision settles that it is there.
    `graph.graph["blocks"]` are the blocks by their ids, with kind, label, place and decisions.
    """
    import networkx

    diagram = space_diagram(space) if arch is None else architecture_diagram(arch)
    made: Any = networkx.DiGraph(title="\n".join([line.text for line in diagram.title]), blocks={})
    for box, around in boxes_in(Flow((*diagram.flow.nodes, *diagram.beside))):
        facts = {name: plain(value) for name, value in box.facts.items() if value is not None}
        made.add_node(box.id, **{"place": box.id} | facts | attributes_of(box), inside=tuple([b.id for b in around]))
        for block in around:
            made.graph["blocks"].setdefault(block.id, {"place": block.facts.get("place")} | attributes_of(block))
    made.add_edges_from([(a, b, {"decided": decided}) for (a, b), decided in links(diagram).items()])
    return made


def attributes_of(node: Any) -> dict[str, Any]:
    decisions = {made.path: {"kind": made.decision.kind, **describe_decision(made.decision)} for made in node.decided}
    return {"kind": node.kind, "label": "\n".join([line.text for line in node.lines]), "decisions": decisions}


def plain(value: Any) -> Any:
    """Shapes as tuples."""
    if isinstance(value, Tensor):
        return value.shape
    if isinstance(value, Mapping):
        return {name: plain(inside) for name, inside in value.items()}
    if isinstance(value, tuple):
        return tuple([plain(inside) for inside in value])
    return value
