"""Graph and Vertex: any directed acyclic graph of modules; sources and edges can be decisions.

A vertex reads only the graph's inputs and vertices declared above it, so there are no cycles, and the order
of declaration is the order of computing (LANGUAGE.md section 5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archsearch.errors import SpaceError, did_you_mean
from archsearch.spaces.node import Node, check_label
from archsearch.spaces.nodes import Choice, Lazy, Optional, Scope, Shared, Subset, check_merge, check_part
from archsearch.spaces.values import Derived, Integer

if TYPE_CHECKING:
    import networkx

RESERVED_NAMES = ("op", "inputs", "merge", "outputs")


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


def may_be_none(node: Any) -> bool:
    """Whether the operation of an edge may be None, which is no edge."""
    if node is None or isinstance(node, Optional | Lazy | Derived):
        return True
    if isinstance(node, Choice):
        return node.branches is None or any([may_be_none(branch) for branch in node.branches.values()])
    return False


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
