"""Graph and Vertex: any directed acyclic graph of modules; sources and edges can be decisions.

A vertex reads only the graph's inputs and vertices declared above it, so there are no cycles, and the order
of declaration is the order of computing (LANGUAGE.md section 5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archsearch.errors import SpaceError
from archsearch.spaces.edges import Reader
from archsearch.spaces.node import Node, check_label
from archsearch.spaces.nodes import Choice, check_merge, check_part
from archsearch.spaces.sources import Sources
from archsearch.spaces.values import Integer

if TYPE_CHECKING:
    import networkx

RESERVED_NAMES = ("op", "inputs", "merge", "outputs")


class Vertex(Node):
    """A vertex of a Graph.

    Args:
        node: its operation, on what its edges bring, merged; None is identity. A value (a Choice of labels) makes
            the Graph a value, a wiring, which a Derived turns into modules.
        inputs: where its values come from: ``"a"``, ``("a", node)`` through an operation, a list of such, a
            ``Choice(["a", "b"])`` that decides on the source (also in a pair), a ``Subset([...], 2, 2)``, or a
            dict ``{"a": node}`` of named edges. An operation that may be None (an Optional, a Choice with
            None) may be no edge. ``[]`` makes it a source of its own.
        merge: of several edges: "add", "mul", "concat" (along channels), or a module of many inputs.
        dim: the dimension that concat joins, as torch counts it (0 is the batch), where it is not clear.
    """

    __slots__ = ("dim", "inputs", "merge", "node")
    node: Any
    inputs: Any
    merge: Any
    dim: int | None

    def __init__(self, node: Any = None, *, inputs: Any, merge: Any = "add", dim: int | None = None) -> None:
        if not is_label(node):
            check_part(node, "Vertex")
        check_merge(merge, dim, "Vertex")
        self._set(node=node, inputs=inputs, merge=merge, dim=dim)

    def __repr__(self) -> str:
        inside = [] if self.node is None else [repr(self.node)]
        how = [] if self.merge == "add" else [f"merge={self.merge!r}"]
        how += [] if self.dim is None else [f"dim={self.dim}"]
        return f"Vertex({', '.join([*inside, f'inputs={self.inputs!r}', *how])})"


class Graph(Node):
    """A directed acyclic graph of modules.

    `Graph({"a": Vertex(conv, inputs="x"), "b": Vertex(inputs={"x": op, "a": op})}, inputs="x", outputs="b")`

    A vertex without any edge is absent. One with edges that is not on a way from an input to an output is dead.
    An operation is decided only where its vertex is live. An output that nothing reaches is refused.

    Where what is built follows from the whole wiring (NAS-Bench-101's channels), vertices hold labels, and a
    Derived makes modules of them: `Derived(build, wiring=Graph({"a": Vertex(Choice(["conv", "pool"]), ...)}))` gets
    the wiring as an `archsearch.spaces.resolved.Dag` and returns a Graph with nothing open.

    Args:
        vertices: by name, in the order of computing.
        inputs: the name of the input, or the names of several.
        outputs: sources, as for a Vertex; a dict gives several outputs by name.
        merge: of several edges to an output: "add", "mul", "concat" or a module of many inputs.
        unused: "concat" joins the vertices that nothing reads to the output, as declared (NASNet, DARTS).
        dead: "reject" refuses architectures with dead vertices, "prune" drops the vertices.
        max_edges: the most edges, as answered.
        dim: the dimension that concat joins at the output, where it is not clear.
    """

    __slots__ = ("dead", "dim", "inputs", "max_edges", "merge", "outputs", "readers", "unused", "vertices")
    vertices: dict[str, Vertex]
    inputs: tuple[str, ...]
    outputs: Any
    merge: Any
    unused: str | None
    dead: str
    max_edges: int | None
    dim: int | None
    readers: tuple[Reader, ...]

    def __init__(
        self,
        vertices: Mapping[str, Vertex],
        *,
        inputs: str | tuple[str, ...] | list[str],
        outputs: Any,
        merge: Any = "concat",
        unused: str | None = None,
        dead: str = "reject",
        max_edges: int | None = None,
        dim: int | None = None,
    ) -> None:
        if not isinstance(vertices, Mapping):
            raise SpaceError(f"Graph takes a dict of vertices by name, but got {vertices!r}")
        if not isinstance(inputs, str | tuple | list):
            raise SpaceError(f"Graph(inputs=...) is a name or a tuple of names, but got {inputs!r}")
        names = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        check_names(names, vertices)
        check_merge(merge, dim, "Graph")
        if unused not in (None, "concat"):
            raise SpaceError(f"Graph(unused=...) is None or 'concat', but got {unused!r}")
        if dead not in ("reject", "prune"):
            raise SpaceError(f"Graph(dead=...) is 'reject' or 'prune', but got {dead!r}")
        if max_edges is not None and (type(max_edges) is not int or max_edges < 1):
            raise SpaceError(f"Graph(max_edges=...) is a positive integer or None, but got {max_edges!r}")
        if unused is not None and isinstance(outputs, Mapping):
            raise SpaceError("Graph(unused='concat') joins vertices to the output, but there are several outputs")
        readers = []
        known = list(names)
        for name, vertex in vertices.items():
            readers.append(vertex_reader(name, vertex, Sources(known, name, vertices)))
            known.append(name)
        readers.extend(output_readers(outputs, merge, dim, Sources(known, "outputs", vertices)))
        check_wiring(readers)
        self._set(
            vertices=dict(vertices),
            inputs=names,
            outputs=outputs,
            merge=merge,
            unused=unused,
            dead=dead,
            max_edges=max_edges,
            dim=dim,
            readers=tuple(readers),
        )

    @staticmethod
    def from_networkx(graph: networkx.DiGraph[str], **options: Any) -> Graph:
        """A Graph of a networkx graph; see `archsearch.spaces.networkx_graphs.from_networkx`."""
        from archsearch.spaces.networkx_graphs import from_networkx

        return from_networkx(graph, **options)

    def to_networkx(self) -> networkx.DiGraph[str]:
        """The graph as networkx, which `from_networkx` reads; see `archsearch.spaces.networkx_graphs`."""
        from archsearch.spaces.networkx_graphs import graph_to_networkx

        return graph_to_networkx(self)

    @property
    def is_value(self) -> bool:
        """Whether its vertices hold labels instead of modules."""
        return any([is_label(vertex.node) for vertex in self.vertices.values()])

    @property
    def parts(self) -> list[Any]:
        """Everything that its vertices and outputs hold."""
        return [part for reader in self.readers for part in reader.parts]

    def __repr__(self) -> str:
        options = [("merge", self.merge, "concat"), ("unused", self.unused, None), ("dead", self.dead, "reject")]
        options += [("max_edges", self.max_edges, None), ("dim", self.dim, None)]
        shown = [f"{name}={value!r}" for name, value, default in options if value != default]
        inputs = self.inputs[0] if len(self.inputs) == 1 else self.inputs
        return f"Graph({', '.join([repr(self.vertices), f'{inputs=}', f'outputs={self.outputs!r}', *shown])})"


def check_names(inputs: tuple[str, ...], vertices: Mapping[str, Any]) -> None:
    if not inputs:
        raise SpaceError("Graph needs an input: inputs='x', or names of several")
    for name in (*inputs, *vertices):
        check_label(name, "Graph")
        if name in RESERVED_NAMES:
            raise SpaceError(
                f"a vertex or input of a Graph cannot be called {name!r}: {', '.join(RESERVED_NAMES)} are steps of "
                f"paths; {name + '_'!r} can"
            )
    for name, times in Counter([*inputs, *vertices]).items():
        if times > 1:
            raise SpaceError(f"Graph has two inputs or vertices called {name!r}")


def is_label(node: Any) -> bool:
    """Whether a vertex's operation is a value."""
    return isinstance(node, Integer) or (isinstance(node, Choice) and node.branches is None)


def check_wiring(readers: list[Reader]) -> None:
    """A Graph of labels holds no modules."""
    if not any([is_label(reader.node) for reader in readers]):
        return
    for reader in readers:
        operations = [edge.node for edge in reader.edges if not edge.bare]
        operations += [] if reader.node is None or is_label(reader.node) else [reader.node]
        operations += [] if isinstance(reader.merge, str) else [reader.merge]
        if operations:
            raise SpaceError(
                f"{reader.name or 'the output'} of a Graph has the module {operations[0]!r}, but other vertices have "
                "labels (values); a Graph of labels is a wiring that a Derived turns into modules"
            )


def vertex_reader(name: str, vertex: Any, sources: Sources) -> Reader:
    if not isinstance(vertex, Vertex):
        raise SpaceError(f"{name} of a Graph must be a Vertex, but got {vertex!r}; write Vertex(node, inputs=...)")
    items = tuple(sources.items(vertex.inputs, (".inputs",)))
    is_source = isinstance(vertex.inputs, list | tuple | Mapping) and not vertex.inputs
    return Reader(name, (f".{name}",), items, vertex.merge, vertex.dim, vertex.node, is_source)


def output_readers(outputs: Any, merge: Any, dim: int | None, sources: Sources) -> Iterator[Reader]:
    if not isinstance(outputs, Mapping):
        yield Reader("", (".outputs",), tuple(sources.items(outputs, ())), merge, dim)
        return
    if not outputs:
        raise SpaceError("Graph needs an output: outputs='v', or a dict of named ones")
    for name, source in outputs.items():
        check_label(name, "Graph's outputs")
        yield Reader(name, (".outputs", f".{name}"), tuple(sources.items(source, ())), merge, dim)
