"""Where the nodes of a directed acyclic graph stand: layers from top to bottom (Sugiyama, Tagawa & Toda 1981).

Nodes get layers by their longest way from a source, the order in each layer comes from barycentres (sweeps down
and up, the order with the fewest crossings is kept), and positions from weighted means of neighbours under the
distances that must be kept, which pooling adjacent violators solves exactly for each layer. An edge over several
layers passes each between the nodes there, so no edge runs through a node.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Link: TypeAlias = tuple[int, int]

GAP = 26.0
"""Pixels between two nodes of a layer, and at least between layers."""

LANE = 12.0
"""Pixels between an edge that passes a layer and its neighbours there."""

SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Size:
    """A node's size in pixels, and where edges enter and leave it, from its left side.

    Attributes:
        entries: where each of several edges enters, in their order, where they must not be mixed up.
    """

    width: float
    height: float
    entry: float
    exit: float
    entries: tuple[float, ...] = ()


@dataclass
class Layout:
    """Where everything stands.

    Attributes:
        corners: the nodes' upper left corners.
        routes: the points of each edge; none of a hidden one.
        layers: the nodes' layers.
        tops: where each layer begins.
    """

    width: float
    height: float
    corners: list[Point]
    routes: list[list[Point]]
    layers: list[int]
    tops: list[float]


@dataclass
class Spot:
    """A node, or where an edge passes a layer; `near` are the other ends of hidden edges."""

    size: Size
    node: int
    layer: int
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    near: list[int] = field(default_factory=list)
    x: float = 0.0

    @property
    def passing(self) -> bool:
        return self.node < 0


def layered(
    sizes: Sequence[Size],
    edges: Sequence[Link],
    hidden: Sequence[bool],
    widest: float,
    pinned: frozenset[int] = frozenset(),
) -> Layout:
    """Place the nodes of a graph.

    Args:
        sizes: of the nodes; the order is kept where nothing else says better.
        edges: from and to, as indices.
        hidden: the edges that only keep their ends in order, and are not drawn.
        widest: pixels of a layer; what would go beyond is put into further layers.
        pinned: the nodes that stay as high as they can.
    """
    layers = layers_of(sizes, edges, widest, pinned)
    spots = [Spot(size, i, layers[i]) for i, size in enumerate(sizes)]
    ways: list[list[int]] = []
    for (a, b), unseen in zip(edges, hidden, strict=True):
        way = [a]
        if not unseen:
            for layer in range(layers[a] + 1, layers[b]):
                spots.append(Spot(Size(0, 0, 0, 0), -1, layer))
                way.append(len(spots) - 1)
        way.append(b)
        ways.append(way)
        for one, other in pairwise(way):
            if unseen:
                spots[one].near.append(other)
                spots[other].near.append(one)
            else:
                spots[one].after.append(other)
                spots[other].before.append(one)
    rows = ordered(spots, 1 + max(layers, default=-1))
    align(spots, rows)
    for _ in range(3):
        straighten(spots, rows, ways)
    heights = [max([spots[i].size.height for i in row], default=0.0) for row in rows]
    tops: list[float] = []
    y = 0.0
    for row, height in zip(rows, heights, strict=True):
        tops.append(y)
        y += height + gap_below(spots, row)
    left = min([spot.x - spot.size.width / 2 for spot in spots], default=0.0)
    right = max([spot.x + spot.size.width / 2 for spot in spots], default=0.0)
    for spot in spots:
        spot.x -= left
    corners = [
        (spot.x - spot.size.width / 2, tops[spot.layer] + (heights[spot.layer] - spot.size.height) / 2)
        for spot in spots[: len(sizes)]
    ]
    bands = [(top, top + height) for top, height in zip(tops, heights, strict=True)]
    routes = [] if not spots else routed(spots, ways, hidden, corners, bands)
    height = tops[-1] + heights[-1] if tops else 0.0
    return Layout(right - left, height, corners, routes, layers, tops)


def layers_of(
    sizes: Sequence[Size], edges: Sequence[Link], widest: float, pinned: frozenset[int] = frozenset()
) -> list[int]:
    """A layer for each node: below all that it reads, as high as the width allows, near what reads it."""
    before: list[list[int]] = [[] for _ in sizes]
    after: list[list[int]] = [[] for _ in sizes]
    for a, b in edges:
        before[b].append(a)
        after[a].append(b)
    order = topological(before, after)
    layers = [0] * len(sizes)
    used: dict[int, float] = {}
    for i in order:
        layer = max([layers[j] + 1 for j in before[i]], default=0)
        while used.get(layer, 0.0) and used[layer] + sizes[i].width > widest:
            layer += 1
        layers[i] = layer
        used[layer] = used.get(layer, 0.0) + sizes[i].width + GAP
    for i in reversed(order):
        if len(after[i]) > len(before[i]) and i not in pinned:
            nearest = min([layers[j] for j in after[i]]) - 1
            if nearest > layers[i] and used.get(nearest, 0.0) + sizes[i].width <= widest:
                used[layers[i]] -= sizes[i].width + GAP
                used[nearest] = used.get(nearest, 0.0) + sizes[i].width + GAP
                layers[i] = nearest
    kept = {layer: i for i, layer in enumerate(sorted(set(layers)))}
    return [kept[layer] for layer in layers]


def topological(before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> list[int]:
    """The nodes, each after those before it; among those that are free the first as declared."""
    missing = [len(nodes) for nodes in before]
    free = [i for i, count in enumerate(missing) if not count]
    order = []
    while free:
        i = free.pop(0)
        order.append(i)
        for j in after[i]:
            missing[j] -= 1
            if not missing[j]:
                insort(free, j)
    assert len(order) == len(before), "a drawing has no cycles"
    return order


def ordered(spots: list[Spot], num_layers: int) -> list[list[int]]:
    """The spots of each layer from left to right."""
    rows: list[list[int]] = [[] for _ in range(num_layers)]
    for i, spot in enumerate(spots):
        rows[spot.layer].append(i)
    best, fewest = [list(row) for row in rows], crossings(spots, rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows[1:] if down else reversed(rows[:-1]):
            sort_by_barycentre(spots, rows, row, down)
        count = crossings(spots, rows)
        if count < fewest:
            best, fewest = [list(row) for row in rows], count
        if not fewest:
            break
    return best


def sort_by_barycentre(spots: list[Spot], rows: list[list[int]], row: list[int], down: bool) -> None:
    """Sort a layer by the mean position of neighbours above, or below; those without stay where they are."""
    if not row:
        return
    layer = spots[row[0]].layer
    other = rows[layer - 1] if down else rows[layer + 1]
    position = {i: n / max(1, len(other) - 1) for n, i in enumerate(other)}
    own = {i: n / max(1, len(row) - 1) for n, i in enumerate(row)}

    def mean(i: int) -> float:
        near = [position[j] for j in (spots[i].before if down else spots[i].after) if j in position]
        return sum(near) / len(near) if near else own[i]

    row.sort(key=lambda i: (mean(i), own[i]))


def crossings(spots: list[Spot], rows: list[list[int]]) -> int:
    """How many pairs of edges cross."""
    total = 0
    for row in rows[:-1]:
        if not row:
            continue
        position = {i: n for n, i in enumerate(rows[spots[row[0]].layer + 1])}
        seen: list[int] = []
        for i in row:
            ends = sorted([position[j] for j in spots[i].after if j in position])
            for end in ends:
                total += len(seen) - bisect_right(seen, end)
            for end in ends:
                insort(seen, end)
    return total


def distance(a: Spot, b: Spot) -> float:
    """How far the middles of two neighbours of a layer must be from each other."""
    gap = LANE if a.passing or b.passing else GAP
    return (a.size.width + b.size.width) / 2 + gap


def align(spots: list[Spot], rows: list[list[int]]) -> None:
    """Positions from left to right: edges as straight as can be, those over several layers above all."""
    for row in rows:
        x = 0.0
        for n, i in enumerate(row):
            x += distance(spots[row[n - 1]], spots[i]) if n else 0.0
            spots[i].x = x
        middle = x / 2
        for i in row:
            spots[i].x -= middle
    for sweep in range(5 * SWEEPS):
        down = sweep % 2 == 0
        for row in rows[1:] if down else list(reversed(rows[:-1])):
            place_row(spots, row, down, both=sweep >= SWEEPS)


def straighten(spots: list[Spot], rows: list[list[int]], ways: list[list[int]]) -> None:
    """Let edges that pass several layers run straight down where there is room."""
    position = {i: n for row in rows for n, i in enumerate(row)}
    for way in [way[1:-1] for way in ways if len(way) > 3]:
        low, high = -math.inf, math.inf
        for i in way:
            row, n = rows[spots[i].layer], position[i]
            if n:
                low = max(low, spots[row[n - 1]].x + distance(spots[row[n - 1]], spots[i]))
            if n + 1 < len(row):
                high = min(high, spots[row[n + 1]].x - distance(spots[i], spots[row[n + 1]]))
        if low <= high:
            x = min(max(sum([spots[i].x for i in way]) / len(way), low), high)
            for i in way:
                spots[i].x = x


def place_row(spots: list[Spot], row: list[int], down: bool, both: bool) -> None:
    wanted: list[float] = []
    weights: list[float] = []
    offset = 0.0
    for n, i in enumerate(row):
        spot = spots[i]
        offset += distance(spots[row[n - 1]], spot) if n else 0.0
        pulls: list[tuple[float, float]] = []
        if down or both:
            pulls.extend([(exit_of(spots[j]) - entry_offset(spot), pull(spots[j], spot)) for j in spot.before])
        if not down or both:
            pulls.extend([(entry_of(spots[j]) - exit_offset(spot), pull(spots[j], spot)) for j in spot.after])
        pulls.extend([(spots[j].x, 0.05) for j in spot.near])
        pulls = pulls or [(spot.x, 0.1)]
        weight = sum([w for _, w in pulls])
        wanted.append(sum([x * w for x, w in pulls]) / weight - offset)
        weights.append(weight)
    offset = 0.0
    for n, (i, x) in enumerate(zip(row, nondecreasing(wanted, weights), strict=True)):
        offset += distance(spots[row[n - 1]], spots[i]) if n else 0.0
        spots[i].x = x + offset


def entry_offset(spot: Spot) -> float:
    return spot.size.entry - spot.size.width / 2


def exit_offset(spot: Spot) -> float:
    return spot.size.exit - spot.size.width / 2


def entry_of(spot: Spot) -> float:
    return spot.x + entry_offset(spot)


def exit_of(spot: Spot) -> float:
    return spot.x + exit_offset(spot)


def pull(a: Spot, b: Spot) -> float:
    """How much an edge wants to be straight (Gansner et al. 1993)."""
    if a.passing and b.passing:
        return 40.0
    return 4.0 if len(a.after) == len(b.before) == 1 else 2.0 if a.passing or b.passing else 1.0


def nondecreasing(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nondecreasing numbers nearest to those wanted in weighted least squares, by pooling adjacent violators.

    >>> nondecreasing([1.0, 3.0, 2.0], [1.0, 1.0, 1.0])
    [1.0, 2.5, 2.5]
    """
    pools: list[tuple[float, float, int]] = []
    for x, weight in zip(wanted, weights, strict=True):
        count = 1
        while pools and pools[-1][0] > x:
            before, heavy, many = pools.pop()
            x = (before * heavy + x * weight) / (heavy + weight)
            weight += heavy
            count += many
        pools.append((x, weight, count))
    return [x for x, _, count in pools for _ in range(count)]


def gap_below(spots: list[Spot], row: list[int]) -> float:
    """More room where edges go far to the side, so that they stay apart."""
    spans = [abs(exit_of(spots[i]) - entry_of(spots[j])) for i in row for j in spots[i].after]
    return GAP + min(50.0, max(spans, default=0.0) / 14)


def routed(
    spots: list[Spot], ways: list[list[int]], hidden: Sequence[bool], corners: list[Point], bands: list[Point]
) -> list[list[Point]]:
    """The points of each edge: down from its source, straight through the layers it passes, down to its target."""
    starts, ends = ports(spots, ways, hidden)
    routes: list[list[Point]] = []
    for n, way in enumerate(ways):
        if hidden[n]:
            routes.append([])
            continue
        a, b = way[0], way[-1]
        bottom, layer_end = corners[a][1] + spots[a].size.height, bands[spots[a].layer][1]
        points = [(starts[n], bottom)] + ([(starts[n], layer_end)] if layer_end > bottom + 0.01 else [])
        for i in way[1:-1]:
            top, end = bands[spots[i].layer]
            points.extend([(spots[i].x, top), (spots[i].x, end)])
        top, layer_start = corners[b][1], bands[spots[b].layer][0]
        points.extend([(ends[n], layer_start)] if layer_start < top - 0.01 else [])
        routes.append([*points, (ends[n], top)])
    return routes


def ports(spots: list[Spot], ways: list[list[int]], hidden: Sequence[bool]) -> tuple[list[float], list[float]]:
    """Where each edge leaves its source and enters its target: side by side, in the order of their other ends."""
    starts, ends = [0.0] * len(ways), [0.0] * len(ways)
    leaving: dict[int, list[int]] = {}
    entering: dict[int, list[int]] = {}
    for n, way in enumerate(ways):
        if not hidden[n]:
            leaving.setdefault(way[0], []).append(n)
            entering.setdefault(way[-1], []).append(n)
    for i, edges in leaving.items():
        edges.sort(key=lambda n: entry_of(spots[ways[n][1]]))
        spread(starts, edges, exit_of(spots[i]), spots[i])
    for i, edges in entering.items():
        entries = spots[i].size.entries
        if len(entries) == len(edges) > 1:
            for n, entry in zip(edges, entries, strict=True):
                ends[n] = spots[i].x - spots[i].size.width / 2 + entry
            continue
        edges.sort(key=lambda n: exit_of(spots[ways[n][-2]]))
        spread(ends, edges, entry_of(spots[i]), spots[i])
    return starts, ends


def spread(ports: list[float], edges: list[int], middle: float, spot: Spot) -> None:
    room = 2 * min(middle - (spot.x - spot.size.width / 2), spot.x + spot.size.width / 2 - middle) * 0.7
    step = min(14.0, room / (len(edges) - 1)) if len(edges) > 1 else 0.0
    for k, n in enumerate(edges):
        ports[n] = middle + (k - (len(edges) - 1) / 2) * step
