"""Laying out a diagram: blocks from the inside out, then everything at its place on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from archsearch.spaces.draw_chain import PADDING, Arranged, Measured, around, columns, in_turn, past
from archsearch.spaces.draw_deep import PORT
from archsearch.spaces.draw_deep import in_columns as deep
from archsearch.spaces.draw_layers import GAP, Point, Size
from archsearch.spaces.draw_words import HANGING, STYLES, broken, clean, text_width
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.picture import (
    IN,
    OUT,
    Area,
    Arrow,
    Box,
    Diagram,
    Flow,
    Line,
    Page,
    Route,
    Shown,
    Text,
    named_inputs,
)

MARGIN = 24.0
INSET = 14.0
"""Pixels between a block's frame and what is inside."""

TALLEST, WIDEST_LAYER = 2_000.0, 1_700.0
"""Pixels: a longer chain is broken into columns (sooner at the top), a wider layer into several."""

PAGE_SHAPE = 1.4
"""About how wide a page is, as a share of its height."""

ROUND = frozenset(["merge", "input", "output"])


def lay_out(diagram: Diagram) -> Page:
    """The page of a diagram."""
    with deep_recursion():
        flow = arranged(diagram.flow, TALLEST / 1.6)
        others = [measured(node) for node in (*diagram.beside, *diagram.definitions)]
        page = Writer()
        y = page.title([piece for line in diagram.title for piece in broken(tidy(line), 700.0)])
        page.flow(flow, MARGIN, y, -1)
        if others:
            where, shelf = best_shelf(others, flow)
            page.flow(shelf, MARGIN + where[0], y + where[1], -1)
        return page.page()


def best_shelf(nodes: Sequence[Measured], flow: Arranged) -> tuple[Point, Arranged]:
    """Where what stands apart from the network goes, and how: to the right or below, as the page is best filled."""
    if not flow.nodes:
        return (0.0, 0.0), shelves(nodes)
    right, below = (flow.width + 3 * GAP, 0.0), (0.0, flow.height + 2 * GAP)
    area = sum([(node.size.width + GAP) * (node.size.height + GAP) for node in nodes])
    heights = [flow.height, *[math.sqrt(area / PAGE_SHAPE) * share for share in (0.7, 1.0, 1.3, 1.7)]]
    widths = [flow.width, *[math.sqrt(area * PAGE_SHAPE) * share for share in (0.7, 1.0, 1.3, 1.7)]]
    tried = [(right, stacked(nodes, height)) for height in heights]
    tried.extend([(below, shelves(nodes, width)) for width in widths])

    def cost(option: tuple[Point, Arranged]) -> float:
        (x, y), shelf = option
        return max(max(flow.width, x + shelf.width) / PAGE_SHAPE, max(flow.height, y + shelf.height))

    return min(tried, key=cost)


def tidy(line: Line) -> Line:
    return replace(line, text=clean(line.text))


def measured(node: Shown) -> Measured:
    """A node with its size."""
    lines = tuple([piece for line in node.lines for piece in broken(tidy(line))])
    width = max([text_width(line.text, line.style) for line in lines], default=0.0)
    height = sum([STYLES[line.style].height for line in lines])
    if isinstance(node, Box):
        side, above = PADDING
        if node.kind in ROUND:
            side += 4
        if node.kind == "edge":
            side, above = 6.0, 3.0
        width, height = max(width + 2 * side, 28.0), height + 2 * above
        return Measured(node, Size(width, height, width / 2, width / 2), lines, side=side)
    inside = arranged(node.flow)
    head = height + 12.0 if lines else INSET
    width = max(width + 2 * PADDING[0], inside.width + 2 * INSET)
    left = (width - inside.width) / 2
    total = head + inside.height + INSET
    entries = tuple([left + x for x in inside.entries])
    return Measured(node, Size(width, total, left + inside.entry, left + inside.exit, entries), lines, head, inside)


def arranged(flow: Flow, tallest: float = TALLEST) -> Arranged:
    """A flow with everything at its place; `tallest` in pixels is where a chain is broken into columns."""
    nodes = [measured(node) for node in flow.nodes]
    if flow.beside:
        return shelves(nodes)
    order = in_turn(flow)
    if order is not None:
        return columns([nodes[i] for i in order], flow, tallest)
    ways = around(flow)
    if ways is not None and len(named_inputs(flow)) < 2:
        return past(nodes, flow, *ways)
    return in_layers(nodes, flow)


def in_layers(nodes: list[Measured], flow: Flow) -> Arranged:
    """A graph in layers; the ends of its block are nodes without a size, first and last."""
    index = {node.node.id: i + 1 for i, node in enumerate(nodes)} | {IN: 0, OUT: len(nodes) + 1}
    sizes = [PORT, *[node.size for node in nodes], PORT]
    edges = [(index[arrow.source], index[arrow.target]) for arrow in flow.arrows]
    inputs = named_inputs(flow)
    named = [index[id] for id in inputs] if len(inputs) > 1 else []
    hidden = [arrow.hidden or (a == 0 and b in named) for arrow, (a, b) in zip(flow.arrows, edges, strict=True)]
    # What reads nothing, or is read by nothing, still stands between the ends.
    extra = [(0, i) for i in range(1, len(nodes) + 1) if not any([b == i for _, b in edges])]
    extra.extend([(i, len(nodes) + 1) for i in range(1, len(nodes) + 1) if not any([a == i for a, _ in edges])])
    all_hidden = [*hidden, *[True] * len(extra)]
    layout = deep(sizes, [*edges, *extra], all_hidden, WIDEST_LAYER, TALLEST, frozenset(named))
    routes: list[tuple[Arrow, tuple[Point, ...], bool]] = []
    entries: dict[int, float] = {}
    for arrow, (_, b), points in zip(flow.arrows, edges, layout.routes, strict=False):
        if b in named and arrow.source == IN:
            x, y = layout.corners[b]
            entries[b] = x + sizes[b].width / 2
            points = [(entries[b], 0.0), (entries[b], y)]
        elif arrow.target == OUT and points:
            points = [*points, (points[-1][0], layout.height)]
        if points:
            routes.append((arrow, tuple(points), True))
    placed = tuple(zip(nodes, layout.corners[1:-1], strict=True))
    ends = layout.corners[0][0], layout.corners[-1][0]
    return Arranged(layout.width, layout.height, placed, tuple(routes), *ends, tuple(entries.values()))


def shelves(nodes: Sequence[Measured], width: float = 0.0) -> Arranged:
    """Nodes side by side, in rows of a width (about what makes a page, if not given); those of a size in a grid."""
    widths = [node.size.width for node in nodes]
    area = sum([(node.size.width + GAP) * (node.size.height + GAP) for node in nodes])
    width = max([width or min(1_400.0, 1.5 * math.sqrt(area)), *widths])
    cell = max(widths, default=0.0) if max(widths, default=0.0) <= 1.6 * min(widths, default=0.0) else 0.0
    placed: list[tuple[Measured, Point]] = []
    x = y = tallest = used = 0.0
    for node in nodes:
        if x and x + max(cell, node.size.width) > width + 1:
            x, y, tallest = 0.0, y + tallest + GAP, 0.0
        placed.append((node, (x + max(0.0, cell - node.size.width) / 2, y)))
        x += max(cell, node.size.width) + GAP
        tallest = max(tallest, node.size.height)
        used = max(used, x - GAP)
    return Arranged(used, y + tallest, tuple(placed), (), used / 2, used / 2)


def stacked(nodes: Sequence[Measured], height: float) -> Arranged:
    """Nodes below one another, in as many columns of a height as it takes."""
    height = max([height, *[node.size.height for node in nodes]])
    placed: list[tuple[Measured, Point]] = []
    x = y = width = tallest = 0.0
    for node in nodes:
        if y and y + node.size.height > height + 1:
            x, y, width = x + width + GAP, 0.0, 0.0
        placed.append((node, (x, y)))
        y += node.size.height + GAP
        width, tallest = max(width, node.size.width), max(tallest, y - GAP)
    return Arranged(x + width, tallest, tuple(placed), (), x / 2, x / 2)


class Writer:
    """Collects what stands on the page."""

    def __init__(self) -> None:
        self.areas: list[Area] = []
        self.texts: list[Text] = []
        self.routes: list[Route] = []
        self.right = self.bottom = 0.0

    def title(self, lines: Sequence[Line]) -> float:
        """Write the heading; where what follows may begin."""
        y = self.write(lines, MARGIN, MARGIN)
        return y + (GAP if lines else 0.0)

    def write(self, lines: Sequence[Line], x: float, y: float, centre: float | None = None) -> float:
        for line in lines:
            look = STYLES[line.style]
            width = text_width(line.text, line.style)
            left = x if centre is None else centre - width / 2
            self.right = max(self.right, left + width)
            if line.text.startswith(HANGING):
                left, line = left + text_width(HANGING, line.style), replace(line, text=line.text.lstrip())
                width = text_width(line.text, line.style)
            self.texts.append(Text(line, left, y + look.height / 2 + look.size * 0.36, width))
            y += look.height
        self.bottom = max(self.bottom, y)
        return y

    def flow(
        self, flow: Arranged, x: float, y: float, inside: int, top: float | None = None, end: float | None = None
    ) -> None:
        """Put a flow onto the page; what enters it begins at `top`, what leaves it ends at `end`."""
        unpointed = {OUT, *[node.node.id for node, _ in flow.nodes if node.node.kind == "edge"]}
        for node, (left, above) in flow.nodes:
            self.node(node, x + left, y + above, inside)
        for arrow, points, smooth in flow.routes:
            moved = [(x + a, y + b) for a, b in points]
            if arrow.source == IN and top is not None:
                moved.insert(0, (moved[0][0], top))
            if arrow.target == OUT and end is not None:
                moved.append((moved[-1][0], end))
            self.routes.append(Route(arrow, tuple(moved), smooth, inside, arrow.target not in unpointed))
            self.right = max(self.right, *[a for a, _ in moved])
            self.bottom = max(self.bottom, *[b for _, b in moved])

    def node(self, node: Measured, x: float, y: float, inside: int) -> None:
        number = len(self.areas)
        size = node.size
        self.areas.append(Area(node.node, x, y, size.width, size.height, inside))
        self.right, self.bottom = max(self.right, x + size.width), max(self.bottom, y + size.height)
        if node.inside is None:
            total = sum([STYLES[line.style].height for line in node.lines])
            centred = node.node.kind in ROUND or (node.node.kind in ("edge", "vertex") and len(node.lines) < 3)
            middle = x + size.width / 2 if centred else None
            self.write(node.lines, x + node.side, y + (size.height - total) / 2, middle)
            return
        self.write(node.lines, x + PADDING[0], y + 6.0)
        left = x + (size.width - node.inside.width) / 2
        covered = max([text_width(line.text, line.style) for line in node.lines], default=-INSET) + PADDING[0] + 6
        self.flow(
            node.inside,
            left,
            y + node.head,
            number,
            y if covered < min([size.entry, *size.entries]) else None,
            y + size.height,
        )

    def page(self) -> Page:
        width, height = self.right + MARGIN, self.bottom + MARGIN
        return Page(width, height, tuple(self.areas), tuple(self.texts), tuple(self.routes))
