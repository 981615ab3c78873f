"""Folding a diagram for a reader: what repeats is drawn once, and what says nothing is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace

from archsearch.spaces.draw_apart import apart
from archsearch.spaces.picture import (
    ARROW,
    ELLIPSIS,
    IN,
    OUT,
    TIMES,
    Arrow,
    Block,
    Box,
    Diagram,
    Flow,
    Line,
    Shown,
    chained,
    is_chain,
    likeness,
    named_inputs,
    neighbours,
    num_boxes,
)

# So many nodes in turn may repeat (convolution, normalisation, activation, ...).
LONGEST_PERIOD = 8

# Boxes of a chain on an edge that is written as a label.
LONGEST_LABEL = 8

# More branches than this between two nodes stand side by side without arrows.
MOST_BRANCHES = 8

# With more decided arrows than this in a graph, only the written list of candidates stays.
MOST_DECIDED = 24


def folded(diagram: Diagram) -> Diagram:
    """The diagram as it is drawn."""
    flow = opened(folded_flow(diagram.flow))
    beside = tuple([folded_node(node) for node in diagram.beside])
    return apart(Diagram(diagram.title, flow, beside))


def folded_flow(flow: Flow) -> Flow:
    flow = Flow(tuple([folded_node(node) for node in flow.nodes]), flow.arrows)
    flow = crowds(repeats_in_turn(repeats_beside(flow)))
    if flow.beside and len(flow.nodes) == 1 and untitled(flow.nodes[0]):
        (only,) = flow.nodes
        assert isinstance(only, Block)
        inner = only.flow.arrows
        return Flow(only.flow.nodes, tuple([a for a in inner if a.source != IN and a.target != OUT]))
    for node in flow.nodes:
        if isinstance(node, Block) and untitled(node) and flow.arrows:
            flow = replaced(flow, [node], with_index(node)) if node.facts.get("item") else dissolved(flow, node)
    return without_crowd(flow)


def untitled(node: Shown) -> bool:
    return isinstance(node, Block) and node.kind == "part" and not node.lines


def with_index(block: Block) -> Block:
    """One of several items, with its place as its heading."""
    return replace(block, lines=(Line(place(block), "place"),))


def folded_node(node: Shown) -> Shown:
    if isinstance(node, Box):
        return node
    node = replace(node, flow=folded_flow(node.flow))
    return one_label(node) if node.kind == "edge" else node


def one_label(block: Block) -> Shown:
    """An operation on an edge that is a short chain, as one label."""
    inside = block.flow.nodes
    texts = [summary(node) for node in inside]
    if num_boxes(block) > LONGEST_LABEL or None in texts or not is_chain(block.flow):
        return block
    lines = [*block.lines, *[Line(text) for text in texts if text]]
    return Box(block.id, "edge", tuple(lines), block.decided, {**block.facts, "folded": block})


def summary(node: Shown) -> str | None:
    """A module, or a repeated chain of such, in one line; None for what is more."""
    if isinstance(node, Box):
        if node.kind != "module":
            return None
        title = "".join([line.text for line in node.lines if line.style == "title"])
        arguments = ", ".join([line.text for line in node.lines if line.style == "text"])
        return f"{title}({arguments})" if arguments else title
    texts = [summary(inside) for inside in node.flow.nodes]
    if node.kind != "repeat" or None in texts or not is_chain(node.flow):
        return None
    return f"{node.facts['times']} {TIMES} ({f' {ARROW} '.join([text for text in texts if text])})"


def repeats_in_turn(flow: Flow) -> Flow:
    """Nodes, or several in turn, that follow one another and look alike, once."""
    for chain in chains(flow):
        keys = [likeness(node) for node in chain]
        start = 0
        while start < len(chain):
            period, times = best_run(keys, start)
            if times > 1:
                run = chain[start : start + period * times]
                flow = replaced(flow, run, repeated(run, period, times))
            start += period * times
    return flow


def chains(flow: Flow) -> list[list[Shown]]:
    """The longest ways on which every node has one before and one after."""
    before, after = neighbours(flow)
    nodes = {node.id: node for node in flow.nodes}

    def linked(a: str, b: str) -> bool:
        return a in nodes and b in nodes and after[a] == [b] and before[b] == [a]

    found = []
    for node in flow.nodes:
        source = before[node.id]
        if len(source) == 1 and linked(source[0], node.id):
            continue
        way = [node]
        while after[way[-1].id] and linked(way[-1].id, after[way[-1].id][0]):
            way.append(nodes[after[way[-1].id][0]])
        found.append(way)
    return found


def best_run(keys: list[Hashable], start: int) -> tuple[int, int]:
    """The period and times of the run from `start` that folds most; (1, 1) for none."""
    best = (1, 1)
    for period in range(1, min(LONGEST_PERIOD, (len(keys) - start) // 2) + 1):
        unit = keys[start : start + period]
        times = 1
        while keys[start + period * times : start + period * (times + 1)] == unit:
            times += 1
        if (times - 1) * period > (best[1] - 1) * best[0]:
            best = (period, times)
    return best


def repeated(run: list[Shown], period: int, times: int) -> Block:
    """A run as one block."""
    unit = run[:period]
    where = Line(f"{place(unit[0])} {ELLIPSIS} {place(run[-1])}", "place")
    first = unit[0]
    if period == 1 and isinstance(first, Block) and first.kind == "part":
        name = "".join([line.text for line in first.lines[:1]])
        heading = (Line(f"{name} {TIMES} {times}".strip(), "title"), *first.lines[1:], where)
        return replace(first, kind="repeat", lines=heading, facts={**first.facts, "times": times})
    heading = (Line(f"{TIMES} {times}", "title"), where)
    return Block(f"repeat:{first.id}", "repeat", heading, chained(unit), facts={**first.facts, "times": times})


def place(node: Shown) -> str:
    return str(node.facts.get("place") or node.id)


def repeats_beside(flow: Flow) -> Flow:
    """Branches that look alike, three or more between the same two nodes, once."""
    before, after = neighbours(flow)
    groups: dict[Hashable, list[Shown]] = {}
    for node in flow.nodes:
        if len(before[node.id]) == 1 and len(after[node.id]) == 1:
            groups.setdefault((before[node.id][0], after[node.id][0], likeness(node)), []).append(node)
    for alike in groups.values():
        if len(alike) > 2:
            where = Line(f"{place(alike[0])} {ELLIPSIS} {place(alike[-1])}", "place")
            heading = (Line(f"{TIMES} {len(alike)} side by side", "title"), where)
            inside = chained(alike[:1])
            first = alike[0]
            block = Block(f"repeat:{first.id}", "repeat", heading, inside, facts={**first.facts, "times": len(alike)})
            flow = replaced(flow, alike, block)
    return flow


def crowds(flow: Flow) -> Flow:
    """Many branches between the same two nodes, as one block in which they stand side by side."""
    before, after = neighbours(flow)
    groups: dict[tuple[str, str], list[Shown]] = {}
    for node in flow.nodes:
        if len(before[node.id]) == 1 and len(after[node.id]) == 1:
            groups.setdefault((before[node.id][0], after[node.id][0]), []).append(node)
    for crowd in groups.values():
        if len(crowd) > MOST_BRANCHES:
            heading = (Line(f"{len(crowd)} side by side, each on the same input", "note"),)
            first = crowd[0]
            block = Block(f"crowd:{first.id}", "branches", heading, Flow(tuple(crowd)), facts={"place": place(first)})
            flow = replaced(flow, crowd, block)
    return flow


def replaced(flow: Flow, old: list[Shown], new: Shown) -> Flow:
    """A flow with one node in the place of some; arrows among them go, those from and to them stay once."""
    gone = {node.id for node in old}
    nodes = [new if node.id == old[0].id else node for node in flow.nodes if node.id not in gone or node is old[0]]
    arrows: list[Arrow] = []
    for arrow in flow.arrows:
        if arrow.source not in gone and arrow.target not in gone:
            arrows.append(arrow)
        elif arrow.source not in gone or arrow.target not in gone:
            source = new.id if arrow.source in gone else arrow.source
            target = new.id if arrow.target in gone else arrow.target
            moved = replace(arrow, source=source, target=target)
            arrows.extend([] if moved in arrows else [moved])
    return Flow(tuple(nodes), tuple(arrows))


def dissolved(flow: Flow, block: Block) -> Flow:
    """A flow with what is inside a block in the block's place."""
    i = flow.nodes.index(block)
    inside = block.flow
    arrows: list[Arrow] = []
    entering = [a for a in flow.arrows if a.target == block.id]
    leaving = [a for a in flow.arrows if a.source == block.id]
    within = False
    for arrow in flow.arrows:
        if arrow.target != block.id and arrow.source != block.id:
            arrows.append(arrow)
        elif not within:
            within = True
            named = named_inputs(block.flow)
            for inner in inside.arrows:
                starts = [a.source for a in entering] if inner.source == IN else [inner.source]
                if inner.source == IN and inner.target in named and len(named) == len(entering):
                    starts = [entering[named.index(inner.target)].source]
                ends = [a.target for a in leaving] if inner.target == OUT else [inner.target]
                arrows.extend([replace(inner, source=start, target=end) for start in starts for end in ends])
    return Flow((*flow.nodes[:i], *inside.nodes, *flow.nodes[i + 1 :]), tuple(arrows))


def opened(flow: Flow) -> Flow:
    """The only block between the inputs and the output, where it has no heading, without its frame."""
    blocks = [node for node in flow.nodes if isinstance(node, Block)]
    others = [node for node in flow.nodes if isinstance(node, Box) and node.kind not in ("input", "output")]
    if len(blocks) == 1 and not others and not blocks[0].lines and flow.arrows and blocks[0].flow.arrows:
        return opened(dissolved(flow, blocks[0]))
    return flow


def without_crowd(flow: Flow) -> Flow:
    """A flow in which decided sources that are too many to follow are left to the written list."""
    written = {node.id for node in flow.nodes if node.kind == "edge"}
    candidates = Counter([arrow.target for arrow in flow.arrows if arrow.decided and arrow.target in written])
    if sum(candidates.values()) <= MOST_DECIDED:
        return flow
    arrows = [replace(a, hidden=True) if a.decided and candidates[a.target] > 1 else a for a in flow.arrows]
    return Flow(flow.nodes, tuple(arrows))
