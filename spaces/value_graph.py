"""A network as the values that it computes: what is left of a graph when it says nothing twice.

An operation is a node; so is a sum, a product or a concatenation of several values. `simplified` holds the rules
that make two graphs the same, `segments` cuts the result where everything goes through one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from archsearch.spaces.isomorphism import COMMUTATIVE, Wiring

ZERO = "zero"
"""The operation that gives zeros of its input's shape."""

Entry: TypeAlias = Any
"""What is applied to a value: None for an operation with weights, its text for one without, or a whole graph
(its Wiring, and the Entries of each of its nodes)."""

Entries: TypeAlias = tuple[Entry, ...]


class Row(NamedTuple):
    """A vertex or output of a graph as it was declared.

    Attributes:
        links: for each edge, the values that it reads (one, but for the branches of a part of several inputs) and
            what is applied to them.
        merge: "add", "mul", "concat" with its dimension, or the Entries of a part of many inputs.
        op: what is applied then.
        name: of an output; None for a vertex.
    """

    links: tuple[tuple[tuple[int, ...], Entries], ...]
    merge: str | Entries
    op: Entries = ()
    name: str | None = None


class Node(NamedTuple):
    """A value.

    Attributes:
        kind: "in", "op", or how it is merged.
        slots: of an "op", the numbers of the operations that are applied one after the other.
        reads: the values that it is computed from.
        once: equal nodes with equal `once` are one value; None for an operation with weights.
    """

    kind: str
    slots: tuple[int, ...]
    reads: tuple[int, ...]
    once: str | None = ""


class Values:
    """Makes the values of a graph one after the other. Operations are numbered as they come.

    Attributes:
        nodes: the values so far.
        blind: whether a value sees no input: whether it is computed of zeros alone.
        num_slots: how many operations came.
    """

    def __init__(self, num_inputs: int) -> None:
        self.nodes = [Node("in", (), (), str(i)) for i in range(num_inputs)]
        self.blind = [False] * num_inputs
        self.known: dict[tuple[str, str, tuple[int, ...]], int] = {}
        self.num_slots = 0

    def add(self, node: Node, blind: bool) -> int:
        if node.once:
            key = (node.kind, node.once, node.reads)
            if self.known.setdefault(key, len(self.nodes)) < len(self.nodes):
                return self.known[key]
        self.nodes.append(node)
        self.blind.append(blind)
        return len(self.nodes) - 1

    def apply(self, entries: Entries, values: tuple[int, ...]) -> int:
        """The value of operations one after the other, of which the first reads `values`."""
        if not entries and len(values) != 1:
            return self.add(Node("op", (), values, None), False)
        for entry in entries:
            values = (
                self.inside(entry[0], entry[1], values) if isinstance(entry, tuple) else self.operation(entry, values),
            )
        return values[0]

    def operation(self, entry: str | None, values: tuple[int, ...]) -> int:
        slot = self.num_slots
        self.num_slots += 1
        if entry == ZERO and len(values) == 1 and self.nodes[values[0]].once == ZERO:
            return values[0]
        blind = entry == ZERO or (bool(values) and all([self.blind[value] for value in values]))
        return self.add(Node("op", (slot,), values, entry), blind)

    def inside(self, wiring: Wiring, labels: Sequence[Entries], values: tuple[int, ...]) -> int:
        """The value of a graph inside this one."""
        local = list(values)
        if len(values) != wiring.num_inputs:
            # The branches of a part that takes several values take all of them.
            local = [self.add(Node("several", (), values), False)] * wiring.num_inputs
        for (kind, reads), entries in zip(wiring.nodes, labels, strict=True):
            reading = tuple([local[value] for value in reads])
            local.append(self.apply(entries, reading) if kind == "op" else self.merged(kind, reading))
        return local[wiring.outputs[0][1]]

    def merged(self, kind: str, values: Sequence[int]) -> int:
        """The sum, product or concatenation of values, without what does nothing in it.

        A sum leaves out what sees no input, a product is zero where one factor is, a concatenation leaves nothing
        out (it is the wider for zeros).
        """
        if kind == "add":
            values = [value for value in values if not self.blind[value]] or self.simplest(values)
        elif kind == "mul":
            values = self.simplest([value for value in values if self.nodes[value].once == ZERO]) or values
        if len(values) == 1:
            return values[0]
        return self.add(Node(kind, (), tuple(values)), all([self.blind[value] for value in values]))

    def simplest(self, values: Sequence[int]) -> list[int]:
        """Of zeros of one shape, those that say so in the fewest steps, each once."""
        steps = {value: len(self.behind(value)) for value in values}
        return [value for value in steps if steps[value] == min(steps.values())]

    def behind(self, value: int) -> set[int]:
        found = {value}
        new = [value]
        while new:
            new = [source for one in new for source in self.nodes[one].reads if source not in found]
            found.update(new)
        return found

    def row(self, row: Row, named: Sequence[int]) -> int:
        """The value of a vertex or output; `named` are the values that its links count."""
        found = [self.apply(entries, tuple([named[i] for i in reads])) for reads, entries in row.links]
        if found and not isinstance(row.merge, str):
            found = [self.apply(row.merge, tuple(found))]
        elif len(found) > 1:
            found = [self.merged(str(row.merge), found)]
        return self.apply(row.op, tuple(found))


class Simple(NamedTuple):
    """A graph of values without what does nothing. The inputs come first, whether they are read or not."""

    num_inputs: int
    nodes: list[Node]
    outputs: list[tuple[str, int]]


def evaluated(num_inputs: int, rows: Sequence[Row]) -> Simple:
    """The values of a graph as it was declared."""
    values = Values(num_inputs)
    named = list(range(num_inputs))
    for row in rows:
        named.append(values.row(row, named))
    ends = [(row.name, value) for row, value in zip(rows, named[num_inputs:], strict=True) if row.name is not None]
    return Simple(num_inputs, values.nodes, sorted(ends))


def simplified(graph: Simple) -> Simple:
    """A graph without dead values, with merges of merges flat, and with equal values made one.

    A merge is flattened into another of its kind where nothing else reads it: x + (y + z) is x + y + z, by the
    arithmetic of real numbers. Equal are merges, and operations without weights, that read the same.
    """
    while True:
        simpler = merged_equals(flattened(graph))
        if simpler == graph:
            return graph
        graph = simpler


def flattened(graph: Simple) -> Simple:
    times = readers(graph)
    nodes: list[Node] = []
    for node in graph.nodes:
        reads = list(node.reads)
        if node.kind not in ("in", "op"):
            inner = [nodes[r].reads if times[r] == 1 and nodes[r].kind == node.kind else (r,) for r in reads]
            reads = [value for values in inner for value in values]
        nodes.append(node._replace(reads=tuple(reads)))
    return Simple(graph.num_inputs, nodes, graph.outputs)


def merged_equals(graph: Simple) -> Simple:
    times = readers(graph)
    nodes: list[Node] = []
    index: dict[int, int] = {}
    known: dict[tuple[str, str, tuple[int, ...]], int] = {}
    for value, (kind, slots, reads, once) in enumerate(graph.nodes):
        if times[value] or kind == "in":
            new = [index[source] for source in reads]
            if kind in COMMUTATIVE:
                new.sort()
            node = Node(kind, slots, tuple(new), once)
            index[value] = len(nodes) if once is None else known.setdefault((kind, once, node.reads), len(nodes))
            if index[value] == len(nodes):
                nodes.append(node)
    return Simple(graph.num_inputs, nodes, [(name, index[value]) for name, value in graph.outputs])


def readers(graph: Simple) -> list[int]:
    """How often each value is read by what is live; 0 where it is dead."""
    times = [0] * len(graph.nodes)
    for _, value in graph.outputs:
        times[value] += 1
    for value in range(len(graph.nodes) - 1, -1, -1):
        if times[value]:
            for source in graph.nodes[value].reads:
                times[source] += 1
    return times


def in_series(graph: Simple) -> Simple:
    """A graph with operations one after the other made one node, where nothing else reads what is between."""
    times = readers(graph)
    nodes: list[Node] = []
    index: dict[int, int] = {}
    for value, node in enumerate(graph.nodes):
        slots, reads = node.slots, tuple([index[source] for source in node.reads])
        if node.kind == "op" and len(reads) == 1 and times[node.reads[0]] == 1:
            before = nodes[reads[0]]
            if before.kind == "op":
                index[value] = reads[0]
                nodes[reads[0]] = Node("op", before.slots + slots, before.reads)
                continue
        index[value] = len(nodes)
        nodes.append(Node(node.kind, slots, reads))
    return Simple(graph.num_inputs, nodes, [(name, index[value]) for name, value in graph.outputs])


Segment: TypeAlias = "tuple[int, ...] | tuple[Wiring, tuple[tuple[int, ...], ...]]"
"""Operations one after the other, by slot; or a graph, and the slots of each of its nodes."""


def segments(num_inputs: int, rows: Sequence[Row]) -> list[Segment]:
    """A graph as a chain of the smallest graphs: cut at each value that everything goes through.

    >>> conv = ((0,), (None,))
    >>> (wiring, slots), last = segments(1, [Row((conv, conv), "add"), Row((((1,), ()),), "add", (None,), "")])
    >>> wiring.nodes, slots, last
    ((('op', (0,)), ('op', (0,)), ('add', (1, 2))), ((0,), (1,), ()), (2,))
    """
    graph = late_sources(in_series(simplified(evaluated(num_inputs, rows))))
    found: list[Segment] = []
    begin = list(range(num_inputs))
    for cut in cuts(graph):
        found.append(segment(graph, begin, cut, [("", cut)]))
        begin = [cut]
    if graph.outputs != [("", value) for value in begin]:
        found.append(segment(graph, begin, len(graph.nodes) - 1, graph.outputs))
    return found


def segment(graph: Simple, begin: list[int], last: int, outputs: Sequence[tuple[str, int]]) -> Segment:
    inside = range(begin[-1] + 1, last + 1)
    index = {value: i for i, value in enumerate([*begin, *inside])}
    nodes = [graph.nodes[value] for value in inside]
    if len(nodes) == 1 and nodes[0].slots and nodes[0].reads == tuple(begin) and not outputs[0][0]:
        return nodes[0].slots
    wired = tuple([(node.kind, tuple([index[source] for source in node.reads])) for node in nodes])
    ends = tuple([(name, index[value]) for name, value in outputs])
    return Wiring(len(begin), wired, ends), tuple([node.slots for node in nodes])


def sources(graph: Simple) -> set[int]:
    """The values that depend on no input."""
    found: set[int] = set()
    for value, node in enumerate(graph.nodes):
        if node.kind != "in" and found.issuperset(node.reads):
            found.add(value)
    return found


def late_sources(graph: Simple) -> Simple:
    """A graph whose values that depend on no input come where they are first read, wherever they were declared."""
    late = sources(graph)
    if not late:
        return graph
    order: dict[int, int] = {}

    def place(value: int) -> None:
        if value not in order:
            for source in graph.nodes[value].reads:
                if source in late:
                    place(source)
            order[value] = len(order)

    for value in range(len(graph.nodes)):
        if value not in late:
            place(value)
    for _, value in graph.outputs:
        place(value)
    nodes = [graph.nodes[v]._replace(reads=tuple([order[r] for r in graph.nodes[v].reads])) for v in order]
    return Simple(graph.num_inputs, nodes, [(name, order[value]) for name, value in graph.outputs])


def cuts(graph: Simple) -> list[int]:
    """The values that everything goes through on its way from the inputs to the outputs, in order."""
    found: list[int] = []
    free = sources(graph)
    reach = [0] * len(graph.nodes)
    for value, node in enumerate(graph.nodes):
        for source in node.reads:
            reach[source] = value
    for _, value in graph.outputs:
        reach[value] = len(graph.nodes)
    far = max(reach[: graph.num_inputs])
    for value in range(graph.num_inputs, len(graph.nodes)):
        if far <= value and value not in free:
            found.append(value)
        far = max(far, reach[value])
    return found
