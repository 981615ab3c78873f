"""The data of a drawing: what it shows (boxes in blocks, joined by arrows), and where that stands on the page."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

from archsearch.spaces.decisions import Decision

IN, OUT = "<in>", "<out>"
"""The ends of a block, as ends of arrows in its flow."""

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
ARROW = "\N{RIGHTWARDS ARROW}"
TIMES = "\N{MULTIPLICATION SIGN}"
MERGES = {"add": "+", "mul": TIMES, "concat": "concat"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text.

    Attributes:
        style: "title", "text", "note" (small, grey), "place" (where it stands), "shape" (what leaves the box),
            "decision", "path" (of the decision above it), or "use" (of a decision that is shown elsewhere).
    """

    text: str
    style: str = "text"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that is made at a node."""

    path: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Box:
    """A node that holds text.

    Attributes:
        id: its place; unique in the diagram.
        kind: "module", "choice", "optional", "value", "input", "output", "vertex", "merge", "edge" (an operation
            on an edge), "reference" (to what is drawn elsewhere) or "note".
        facts: what more is known, for networkx and tooltips.
    """

    id: str
    kind: str
    lines: tuple[Line, ...]
    decided: tuple[Decided, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """A node with others inside.

    Attributes:
        id: the kind and the place; unique in the diagram.
        kind: "part" (named), "module", "residual", "branches", "graph", "edge", "repeat", "choice", "option",
            "optional", "permute", "subset", "lazy", "derived", "shared" or "definition".
        lines: its heading.
    """

    id: str
    kind: str
    lines: tuple[Line, ...]
    flow: Flow
    decided: tuple[Decided, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


Shown: TypeAlias = Box | Block

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Arrow:
    """Data that flows between two nodes of one flow, or from or to the ends of its block.

    Attributes:
        decided: whether it is there is decided.
        hidden: one of so many decided ones that it is only written, not drawn.
    """

    source: str
    target: str
    decided: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """Nodes and the arrows between them; without arrows they are alternatives, or stand side by side."""

    nodes: tuple[Shown, ...] = ()
    arrows: tuple[Arrow, ...] = ()

    @property
    def beside(self) -> bool:
        """Whether its nodes stand side by side, without arrows."""
        return not self.arrows


@dataclass(frozen=True, slots=True)
class Diagram:
    """A whole drawing.

    Attributes:
        title: its heading.
        flow: the network.
        beside: what else there is, such as values.
        definitions: blocks that are referred to.
    """

    title: tuple[Line, ...]
    flow: Flow
    beside: tuple[Shown, ...] = ()
    definitions: tuple[Block, ...] = ()


def chained(nodes: list[Shown], start: str | None = IN, end: str | None = OUT) -> Flow:
    """Nodes one after the other, between the ends of a block where there are ends."""
    stops = [*([start] if start else []), *[node.id for node in nodes], *([end] if end else [])]
    return Flow(tuple(nodes), tuple([Arrow(a, b) for a, b in pairwise(stops)]))


def named_inputs(flow: Flow) -> list[str]:
    """The nodes that stand for one input each of a graph, in order."""
    kinds = {node.id: node.kind for node in flow.nodes}
    return [arrow.target for arrow in flow.arrows if arrow.source == IN and kinds.get(arrow.target) == "input"]


def neighbours(flow: Flow) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What comes before and after each node."""
    before: dict[str, list[str]] = {node.id: [] for node in flow.nodes}
    after: dict[str, list[str]] = {node.id: [] for node in flow.nodes}
    for arrow in flow.arrows:
        after.setdefault(arrow.source, []).append(arrow.target)
        before.setdefault(arrow.target, []).append(arrow.source)
    return before, after


def is_chain(flow: Flow) -> bool:
    """Whether no node has several before or after it."""
    before, after = neighbours(flow)
    return all([len(before[node.id]) < 2 and len(after[node.id]) < 2 for node in flow.nodes])


def nodes_in(flow: Flow) -> Iterator[Shown]:
    """All nodes of a flow, those inside blocks too, each block before what is inside."""
    for node in flow.nodes:
        yield node
        if isinstance(node, Block):
            yield from nodes_in(node.flow)


def shown_in(diagram: Diagram) -> Iterator[Shown]:
    """All nodes of a diagram, the definitions' too."""
    yield from nodes_in(diagram.flow)
    yield from nodes_in(Flow((*diagram.beside, *diagram.definitions)))


def likeness(node: Shown, shapes: bool = True) -> Hashable:
    """A key that is equal for nodes that look alike, wherever they stand.

    Args:
        shapes: whether what leaves a box counts.
    """
    unread = ("place",) if shapes else ("place", "shape")
    lines = tuple([(line.text, line.style) for line in node.lines if line.style not in unread])
    if isinstance(node, Box):
        return (node.kind, lines)
    number = {inside.id: i for i, inside in enumerate(node.flow.nodes)}
    arrows = [(number.get(a.source, a.source), number.get(a.target, a.target), a.decided) for a in node.flow.arrows]
    return (node.kind, lines, tuple([likeness(inside, shapes) for inside in node.flow.nodes]), tuple(arrows))


def num_boxes(node: Shown) -> int:
    return 1 if isinstance(node, Box) else sum([num_boxes(inside) for inside in node.flow.nodes])


@dataclass(frozen=True, slots=True)
class Area:
    """A node on the page: its rectangle, in pixels from the page's upper left corner.

    Attributes:
        inside: the number of the area around it; -1 for none.
    """

    node: Shown
    x: float
    y: float
    width: float
    height: float
    inside: int


@dataclass(frozen=True, slots=True)
class Text:
    """A line on the page: where its left end stands, and its baseline."""

    line: Line
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow on the page.

    Attributes:
        points: where it goes.
        smooth: bends between points that are not one below the other; otherwise straight lines.
        inside: the number of the area whose flow it belongs to; -1 for none.
        pointed: whether it ends in an arrow's head.
    """

    arrow: Arrow
    points: tuple[tuple[float, float], ...]
    smooth: bool
    inside: int
    pointed: bool = True

    def bends(self, a: Point, b: Point) -> bool:
        """Whether the way from one of its points to the next is a curve, down at both ends."""
        return self.smooth and abs(a[0] - b[0]) >= 0.5 and abs(a[1] - b[1]) >= 0.5


@dataclass(frozen=True, slots=True)
class Page:
    """A diagram with a place for everything; sizes in pixels."""

    width: float
    height: float
    areas: tuple[Area, ...]
    texts: tuple[Text, ...]
    routes: tuple[Route, ...]
