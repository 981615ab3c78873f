"""Forms of graphs: their wiring in canonical order, and what stands at each node."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from archsearch.spaces.isomorphism import Wiring, arranged, closure, labelling
from archsearch.spaces.value_graph import ZERO, Entries, Entry, Row, segments

WEIGHTLESS = re.compile(
    r"torch\.nn:("
    r"((Adaptive)?(Avg|Max)|LP)Pool[123]d|(Circular|Constant|Reflection|Replication|Zero)Pad[123]d|"
    r"[CGS]?ELU|GLU|Hard(shrink|sigmoid|swish|tanh)|LeakyReLU|LogSigmoid|Mish|ReLU6?|SiLU|Sigmoid|Softplus|Softshrink|"
    r"Softsign|Tanh|Tanhshrink|Threshold|(Log)?Softmax|Softmax2d|Softmin|LocalResponseNorm|CosineSimilarity|"
    r"PairwiseDistance|Flatten|Unflatten|Fold|Unfold|ChannelShuffle|PixelShuffle|PixelUnshuffle|"
    r"Upsample|Upsampling(Bilinear|Nearest)2d"
    r")\("
)
"""Modules of torch without weights, states and chance: what they give is a function of what they read."""

MAX_NODES = 16
MAX_AUTOMORPHISMS = 120
"""Up to so many are listed, for a wiring of so many nodes: where it comes again with other labels, only these are
put in order. A larger wiring seldom comes again."""


class Graph(NamedTuple):
    """A graph that goes through no single value: a wiring in its canonical order, and what is applied at each node."""

    wiring: Wiring
    labels: tuple[tuple[str, ...], ...]


Form: TypeAlias = "tuple[str | Graph, ...]"
"""A network as a chain: of modules, each as a text, and of graphs. () is the identity."""


class Pattern(NamedTuple):
    """A form apart from what its modules with weights are.

    Attributes:
        entries: what it means in a graph (`value_graph.Entry`).
        runs: the modules of each slot, one after the other.
    """

    entries: Entries
    runs: tuple[tuple[str, ...], ...]


class Wired(NamedTuple):
    """A wiring, ready for its labels.

    Attributes:
        wiring: in canonical order; as it came where there are too many automorphisms to list.
        slots: of each node, as it came.
        orders: the orders of the nodes that give the wiring; None where there are too many.
    """

    wiring: Wiring
    slots: tuple[tuple[int, ...], ...]
    orders: tuple[tuple[int, ...], ...] | None


Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


def keep(table: dict[Key, Found], key: Key, value: Found, limit: int) -> Found:
    """Remember a value; a table that is full starts anew."""
    if len(table) >= limit:
        table.clear()
    table[key] = value
    return value


patterns: dict[Form, Pattern] = {}
wirings: dict[tuple[int, tuple[Row, ...]], list[tuple[int, ...] | Wired]] = {}
graphs: dict[tuple[Wiring, tuple[tuple[str, ...], ...]], Graph] = {}


def wired(num_inputs: int, rows: tuple[Row, ...], runs: Sequence[tuple[str, ...]]) -> Form:
    """The form of a graph.

    Args:
        num_inputs: how many values reach it.
        rows: its vertices and outputs, as declared.
        runs: the modules of each slot of the rows.
    """
    shapes = wirings.get((num_inputs, rows))
    if shapes is None:
        found = [s if isinstance(s[0], int) else ready(*s) for s in segments(num_inputs, rows)]
        shapes = keep(wirings, (num_inputs, rows), found, 20_000)
    form: list[str | Graph] = []
    for shape in shapes:
        if isinstance(shape, Wired):
            form.append(labelled(shape, runs))
        else:
            for slot in shape:
                form.extend(runs[slot])
    return tuple(form)


def ready(wiring: Wiring, slots: tuple[tuple[int, ...], ...]) -> Wired:
    if len(slots) > MAX_NODES:
        return Wired(wiring, slots, None)
    order, automorphisms = labelling(wiring, [()] * len(slots))
    group = None if automorphisms is None else closure(automorphisms, len(slots), MAX_AUTOMORPHISMS)
    if group is None:
        return Wired(wiring, slots, None)
    return Wired(arranged(wiring, order), slots, tuple([tuple([moved[node] for node in order]) for moved in group]))


def labelled(shape: Wired, runs: Sequence[tuple[str, ...]]) -> Graph:
    """A wiring with its labels: of all orders that give this wiring, the one with the smallest labels."""
    labels = [
        runs[slots[0]] if len(slots) == 1 else tuple([module for slot in slots for module in runs[slot]])
        for slots in shape.slots
    ]
    if shape.orders is not None:
        if len(shape.orders) == 1:
            return Graph(shape.wiring, tuple([labels[node] for node in shape.orders[0]]))
        return Graph(shape.wiring, min([tuple([labels[node] for node in order]) for order in shape.orders]))
    key = (shape.wiring, tuple(labels))
    graph = graphs.get(key)
    if graph is None:
        order = labelling(shape.wiring, labels).order
        graph = Graph(arranged(shape.wiring, order), tuple([labels[node] for node in order]))
        keep(graphs, key, graph, 10_000)
    return graph


def pattern(form: Form) -> Pattern:
    """A form apart from what its modules with weights are."""
    found = patterns.get(form)
    if found is not None:
        return found
    entries: list[Entry] = []
    runs: list[tuple[str, ...]] = []
    for segment in form:
        if isinstance(segment, Graph) and len(segment.wiring.outputs) == 1 and not segment.wiring.outputs[0][0]:
            inside = [pattern(label) for label in segment.labels]
            entries.append((segment.wiring, tuple([one.entries for one in inside])))
            runs.extend([run for one in inside for run in one.runs])
            continue
        text = segment if isinstance(segment, str) else shown((segment,))
        if text == ZERO or is_weightless(text):
            entries.append(text)
            runs.append((text,))
        elif entries and entries[-1] is None:
            runs[-1] += (text,)
        else:
            entries.append(None)
            runs.append((text,))
    return keep(patterns, form, Pattern(tuple(entries), tuple(runs)), 20_000)


def is_weightless(text: str) -> bool:
    """Whether a module always gives the same for the same, and leaves what it reads as it is."""
    return WEIGHTLESS.match(text) is not None and "inplace=" not in text


def shown(form: Form) -> str:
    """A form as a text."""
    return f"[{', '.join([segment if isinstance(segment, str) else graph_text(segment) for segment in form])}]"


def graph_text(graph: Graph) -> str:
    return f"graph({tuple(graph.wiring)}, {', '.join([shown(label) for label in graph.labels])})"
