"""Graphs of many layers in several columns, so that a page is no strip of paper.

The layers are cut where few edges pass; an edge over a cut leaves its column at the bottom, goes up between the
columns, and enters the next one at the top. Edges from one node go that way together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from archsearch.spaces.draw_layers import GAP, Layout, Link, Point, Size, layered

PORT = Size(0, 0, 0, 0)

LANE = 7.0
"""Pixels between two edges that go from column to column."""

MOST_PASSING = 4
"""A place that more edges pass is no place for a cut."""

SHAPE = 0.6
"""About how tall a page of several columns is, as a share of its width."""


def in_columns(
    sizes: Sequence[Size],
    edges: Sequence[Link],
    hidden: Sequence[bool],
    widest: float,
    tallest: float,
    pinned: frozenset[int] = frozenset(),
) -> Layout:
    """Like `layered`, in several columns where the graph is taller than `tallest` pixels."""
    whole = layered(sizes, edges, hidden, widest, pinned)
    count = num_columns(whole.height, whole.width + 2 * GAP, tallest)
    cuts = best_cuts(whole, [edge for edge, unseen in zip(edges, hidden, strict=True) if not unseen], count)
    if not cuts:
        return whole
    column = [sum([layer >= cut for cut in cuts]) for layer in whole.layers]
    columns = [Column(i, sizes, edges, hidden, column, pinned) for i in range(len(cuts) + 1)]
    return Joined(columns, sizes, edges, hidden, column, widest).layout()


def num_columns(height: float, width: float, tallest: float) -> int:
    """The fewest columns of a page that is no taller than that, or than it is wide."""
    count = 1
    while height / count > max(tallest, SHAPE * count * width):
        count += 1
    return count


def best_cuts(whole: Layout, edges: Sequence[Link], count: int) -> list[int]:
    """The layers before which to cut: about equally far from one another, where few edges pass."""
    passing = [0] * (len(whole.tops) + 1)
    for a, b in edges:
        for layer in range(whole.layers[a] + 1, whole.layers[b] + 1):
            passing[layer] += 1
    cuts: list[int] = []
    for k in range(1, count):
        wanted = whole.height * k / count
        near = [
            layer
            for layer in range(2, len(whole.tops) - 1)
            if abs(whole.tops[layer] - wanted) < 0.2 * whole.height / count
            and layer > max(cuts, default=0)
            and passing[layer] <= MOST_PASSING
        ]
        if near:
            cuts.append(min(near, key=lambda layer: (passing[layer], abs(whole.tops[layer] - wanted))))
    return cuts


class Column:
    """The nodes of one column as a graph of its own, with ports for the nodes that are read across its ends."""

    def __init__(
        self,
        number: int,
        sizes: Sequence[Size],
        edges: Sequence[Link],
        hidden: Sequence[bool],
        column: Sequence[int],
        pinned: frozenset[int],
    ) -> None:
        self.nodes = [i for i, c in enumerate(column) if c == number]
        seen = [edge for edge, unseen in zip(edges, hidden, strict=True) if not unseen]
        self.entering = sorted({a for a, b in seen if column[a] < number <= column[b]})
        self.leaving = sorted({a for a, b in seen if column[a] <= number < column[b]})
        index = {("node", i): n for n, i in enumerate(self.nodes)}
        for kind, sources in (("in", self.entering), ("out", self.leaving)):
            for a in sources:
                index[kind, a] = len(index)
        self.index = index
        self.sizes = [*[sizes[i] for i in self.nodes], *[PORT] * (len(index) - len(self.nodes))]
        local: dict[Link, bool] = {}
        for (a, b), unseen in zip(edges, hidden, strict=True):
            start = ("node", a) if column[a] == number else ("in", a)
            if column[b] == number and start in index:
                link = index[start], index["node", b]
                local[link] = local.get(link, True) and unseen
        for a in self.leaving:
            local[index["node" if column[a] == number else "in", a], index["out", a]] = False
        self.local = local
        self.add_order()
        self.pinned = frozenset(
            [*[index["in", a] for a in self.entering], *[index["node", i] for i in self.nodes if i in pinned]]
        )

    def add_order(self) -> None:
        """Ports stand above and below everything else."""
        ins = [self.index["in", a] for a in self.entering]
        outs = [self.index["out", a] for a in self.leaving]
        starts = set(range(len(self.sizes))) - {b for _, b in self.local} - set(ins)
        inner = [i for i in range(len(self.sizes)) if i not in outs]
        ends = set(inner) - {a for a, b in self.local if b not in outs}
        for i in ins:
            for j in starts - set(outs):
                self.local.setdefault((i, j), True)
        for j in outs:
            for i in ends:
                self.local.setdefault((i, j), True)

    def arrange(self, widest: float) -> None:
        """Place its nodes."""
        self.layout = layered(self.sizes, list(self.local), list(self.local.values()), widest, self.pinned)
        self.route = dict(zip(self.local, self.layout.routes, strict=True))

    def way(self, start: tuple[str, int], end: tuple[str, int]) -> list[Point]:
        """The points of an edge inside the column."""
        return self.route[self.index[start], self.index[end]]

    def port(self, kind: str, source: int) -> Point:
        return self.layout.corners[self.index[kind, source]]


class Joined:
    """The columns side by side, and the edges over the cuts."""

    def __init__(
        self,
        columns: list[Column],
        sizes: Sequence[Size],
        edges: Sequence[Link],
        hidden: Sequence[bool],
        column: Sequence[int],
        widest: float,
    ) -> None:
        self.columns, self.sizes, self.edges, self.hidden, self.column = columns, sizes, edges, hidden, column
        for one in columns:
            one.arrange(widest)
        self.head = 2 * LANE + LANE * max([len(one.leaving) for one in columns])
        self.left: list[float] = []
        x = 0.0
        for one in columns:
            self.left.append(x)
            x += one.layout.width + 2 * GAP + LANE * len(one.leaving)
        self.width = x - 2 * GAP

    def layout(self) -> Layout:
        corners: list[Point] = [(0.0, 0.0)] * len(self.sizes)
        for left, one in zip(self.left, self.columns, strict=True):
            for n, i in enumerate(one.nodes):
                x, y = one.layout.corners[n]
                corners[i] = (x + left, y + self.head)
        routes = [[] if unseen else self.path(edge) for edge, unseen in zip(self.edges, self.hidden, strict=True)]
        height = self.head + max([one.layout.height + LANE * (len(one.leaving) + 1) for one in self.columns])
        return Layout(self.width, height, corners, routes, list(self.column), [])

    def path(self, edge: Link) -> list[Point]:
        a, b = edge
        first, last = self.column[a], self.column[b]
        if first == last:
            return self.moved(first, self.columns[first].way(("node", a), ("node", b)))
        points = self.moved(first, self.columns[first].way(("node", a), ("out", a)))
        for number, following in pairwise(range(first, last + 1)):
            points += self.over(number, a)
            end = ("node", b) if following == last else ("out", a)
            points += self.moved(following, self.columns[following].way(("in", a), end))
        return points

    def moved(self, number: int, points: Sequence[Point]) -> list[Point]:
        return [(x + self.left[number], y + self.head) for x, y in points]

    def over(self, number: int, source: int) -> list[Point]:
        """From the bottom of a column to the top of the next; the rightmost edge turns first."""
        one, following = self.columns[number], self.columns[number + 1]
        turn = sorted(one.leaving, key=lambda a: -one.port("out", a)[0])
        lane = turn.index(source)
        ((x, y),) = self.moved(number, [one.port("out", source)])
        ((end, top),) = self.moved(number + 1, [following.port("in", source)])
        gutter = self.left[number] + one.layout.width + GAP + LANE * lane
        low, high = y + LANE * (lane + 1), self.head - LANE * (len(turn) - lane)
        return [(x, low), (gutter, low), (gutter, high), (end, high), (end, top)]
