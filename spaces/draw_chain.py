"""Laying out chains, in columns where they are long, and x + f(x)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.spaces.draw_deep import num_columns
from archsearch.spaces.draw_layers import GAP, Point, Size
from archsearch.spaces.picture import IN, OUT, Arrow, Flow, Line, Shown

PADDING = (10.0, 7.0)
"""Pixels inside a box, to the sides and above and below."""


@dataclass(frozen=True)
class Measured:
    """A node with its size, and with what is inside it laid out.

    Attributes:
        lines: its text, broken.
        head: pixels from its top to what is inside.
        side: pixels from its left side to its text.
    """

    node: Shown
    size: Size
    lines: tuple[Line, ...]
    head: float = 0.0
    inside: Arranged | None = None
    side: float = PADDING[0]


@dataclass(frozen=True)
class Arranged:
    """The nodes of a flow at their places, and the routes of its arrows, from the flow's upper left corner.

    Attributes:
        entry, exit: where arrows enter at the top and leave at the bottom, from the left.
        entries: where each of several inputs enters.
    """

    width: float
    height: float
    nodes: tuple[tuple[Measured, Point], ...]
    routes: tuple[tuple[Arrow, tuple[Point, ...], bool], ...]
    entry: float
    exit: float
    entries: tuple[float, ...] = ()


def in_turn(flow: Flow) -> list[int] | None:
    """The order of the nodes of a chain; None where the flow is none."""
    index = {node.id: i for i, node in enumerate(flow.nodes)}
    after: dict[str, str] = {}
    targets = set()
    for arrow in flow.arrows:
        if arrow.source in after or arrow.target in targets or arrow.hidden:
            return None
        after[arrow.source] = arrow.target
        targets.add(arrow.target)
    starts = [IN] if IN in after else [node.id for node in flow.nodes if node.id not in targets]
    if len(starts) != 1 or (OUT in targets) != (IN in after):
        return None
    order = []
    step: str | None = starts[0]
    while step is not None:
        order.extend([index[step]] if step in index else [])
        step = after.get(step)
    return order if len(order) == len(flow.nodes) else None


def columns(nodes: list[Measured], flow: Flow, tallest: float = math.inf) -> Arranged:
    """A chain from top to bottom, in several columns where it is long."""
    arrows = {arrow.source: arrow for arrow in flow.arrows}
    split = in_columns(nodes, tallest)
    starts, broken_up = IN in arrows, len(split) > 1
    placed: list[tuple[Measured, Point]] = []
    routes: list[tuple[Arrow, tuple[Point, ...], bool]] = []
    x, bottom, entry, last = 0.0, 0.0, 0.0, (0.0, 0.0)
    entries: tuple[float, ...] = ()
    before = IN if starts else ""
    for number, column in enumerate(split):
        left = max([node.size.entry for node in column], default=0.0)
        right = max([node.size.width - node.size.entry for node in column], default=0.0)
        axis = x + left
        y = GAP if starts or broken_up else 0.0
        for row, node in enumerate(column):
            top = (axis, y)
            if before == IN and node.size.entries and before in arrows:
                entries = tuple([axis - node.size.entry + x for x in node.size.entries])
                routes.extend([(arrows[IN], ((x, 0.0), (x, y)), True) for x in entries])
            elif before not in arrows:
                pass
            elif row or not number:
                routes.append((arrows[before], down(last if row else (axis, 0.0), top), False))
            else:
                gutter, low = x - GAP, last[1] + GAP / 2
                turn = (last, (last[0], low), (gutter, low), (gutter, GAP / 2), (axis, GAP / 2), top)
                routes.append((arrows[before], turn, False))
            placed.append((node, (axis - node.size.entry, y)))
            entry = axis if not number and not row else entry
            last = (axis - node.size.entry + node.size.exit, y + node.size.height)
            before = node.node.id
            y += node.size.height + GAP
        bottom = max(bottom, y - GAP + (GAP / 2 if broken_up else 0.0))
        x = axis + right + 2 * GAP
    if before in arrows:
        bottom += GAP if nodes else 2 * GAP
        routes.append((arrows[before], (last, (last[0], bottom)), True))
    return Arranged(max(x - 2 * GAP, 0.0), bottom, tuple(placed), tuple(routes), entry, last[0], entries)


def down(start: Point, end: Point) -> tuple[Point, ...]:
    """The way to what stands below, around a corner where it is not straight below."""
    if abs(start[0] - end[0]) < 0.5:
        return (start, end)
    middle = (start[1] + end[1]) / 2
    return (start, (start[0], middle), (end[0], middle), end)


def in_columns(nodes: list[Measured], tallest: float) -> list[list[Measured]]:
    """A chain cut into columns that are about as tall as one another, and make a page that is wider than tall."""
    heights = [node.size.height + GAP for node in nodes]
    width = max([node.size.width for node in nodes], default=0.0) + 2 * GAP
    count = num_columns(sum(heights), width, tallest)
    best = lowest(heights, count)
    for fewer in range(1, count):
        if lowest(heights, fewer) < 1.25 * best:
            best = lowest(heights, fewer)
            break
    ends = filled(heights, best)
    return [nodes[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def lowest(heights: Sequence[float], count: int) -> float:
    """The least height at which so many columns hold everything, to a pixel."""
    low, high = max(heights, default=0.0), sum(heights)
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if len(filled(heights, middle)) <= count else (middle, high)
    return high


def filled(heights: Sequence[float], room: float) -> list[int]:
    """Where columns of a height end, when each takes what fits."""
    ends = []
    used = 0.0
    for i, height in enumerate(heights):
        if used and used + height > room:
            ends.append(i)
            used = 0.0
        used += height
    return [*ends, len(heights)]


def around(flow: Flow) -> tuple[list[int], list[int]] | None:
    """The way through and the way past of a flow that is x + f(x), as indices of nodes, the sum left out.

    None where the flow is something else.
    """
    index = {node.id: i for i, node in enumerate(flow.nodes)}
    after: dict[str, list[str]] = {}
    for arrow in flow.arrows:
        after.setdefault(arrow.source, []).append(arrow.target)
    if len(flow.arrows) != len(flow.nodes) + 2 or len(after.get(IN, [])) != 2:
        return None
    ways: list[list[int]] = []
    for start in after[IN]:
        way = []
        step = start
        while step in index and step != flow.nodes[-1].id and len(after.get(step, [])) == 1:
            way.append(index[step])
            (step,) = after[step]
        if step != flow.nodes[-1].id:
            return None
        ways.append(way)
    through, past_it = ways
    if after.get(flow.nodes[-1].id) != [OUT] or len(through) + len(past_it) + 1 != len(flow.nodes):
        return None
    return (through, past_it) if through else None


def past(nodes: list[Measured], flow: Flow, through: list[int], aside: list[int]) -> Arranged:
    """x + f(x): f from top to bottom, x past it on the right; the longer way is the straight one."""
    plus = nodes[-1]
    if sum([nodes[i].size.height + GAP for i in aside]) > sum([nodes[i].size.height + GAP for i in through]):
        through, aside = aside, through
    body = columns([nodes[i] for i in [*through, len(nodes) - 1]], Flow())
    arrows = {(arrow.source, arrow.target): arrow for arrow in flow.arrows}
    shift = GAP
    placed = [(node, (x, y + shift)) for node, (x, y) in body.nodes]
    stops = [*[nodes[i].node.id for i in through], plus.node.id]
    routes: list[tuple[Arrow, tuple[Point, ...], bool]] = []
    axis = body.entry
    last = (axis, 0.0)
    for (node, (x, y)), source, target in zip(placed, [IN, *stops], stops, strict=False):
        routes.append((arrows[source, target], (last, (x + node.size.entry, y)), True))
        last = (x + node.size.exit, y + node.size.height)
    height = last[1] + GAP
    routes.append((arrows[plus.node.id, OUT], (last, (last[0], height)), True))
    plus_x, plus_y = placed[-1][1]
    middle = plus_y + plus.size.height / 2
    edge = max([x + node.size.width for node, (x, _) in placed])
    others = columns([nodes[i] for i in aside], Flow())
    lane = edge + GAP / 2 + (others.entry if aside else 4.0)
    top = GAP + max(0.0, (middle - GAP / 2 - GAP - others.height) / 2) if aside else 0.0
    moved = [(node, (x - others.entry + lane, y + top)) for node, (x, y) in others.nodes]
    aside_ids = [nodes[i].node.id for i in aside]
    bend = GAP / 3
    path: list[Point] = [(axis, bend), (lane, bend)]
    for (node, (x, y)), source, target in zip(moved, [IN, *aside_ids], aside_ids, strict=False):
        routes.append((arrows[source, target], (*path, (x + node.size.entry, y)), False))
        path = [(x + node.size.exit, y + node.size.height)]
    end = [(path[-1][0], middle), (plus_x + plus.size.width, middle)]
    routes.append((arrows[aside_ids[-1] if aside else IN, plus.node.id], (*path, *end), False))
    width = max([edge, lane, *[x + node.size.width for node, (x, _) in moved]])
    return Arranged(width, height, (*placed, *moved), tuple(routes), axis, last[0])
