"""Parts that stand in several places of a drawing: drawn once, apart, and referred to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import replace

from archsearch.spaces.picture import (
    ELLIPSIS,
    Block,
    Box,
    Diagram,
    Flow,
    Line,
    Shown,
    is_chain,
    likeness,
    nodes_in,
    num_boxes,
)

# A part is drawn apart where it has so many boxes, and the whole drawing so many.
APART, LARGE = 6, 24


def apart(diagram: Diagram) -> Diagram:
    """The diagram with every larger part that stands in several places drawn once, apart, and referred to."""
    everything = [*diagram.flow.nodes, *diagram.beside]
    inside = list(nodes_in(Flow(tuple(everything))))
    shared = {str(node.facts["shared"]) for node in inside if node.kind == "reference" and "shared" in node.facts}
    times: Counter[Hashable] = Counter()
    exact: dict[Hashable, set[Hashable]] = {}
    if sum([num_boxes(node) for node in everything]) >= LARGE:
        for node in inside:
            if isinstance(node, Block) and may_stand_apart(node):
                key = inner_key(node, shapes=False)
                times[key] += 1
                exact.setdefault(key, set()).add(inner_key(node))
    keys = {key for key, count in times.items() if count > 1}
    definitions = Definitions(keys, {key for key in keys if len(exact[key]) == 1}, shared)
    flow = definitions.flow(diagram.flow)
    beside = tuple([definitions.node(node) for node in diagram.beside])
    return replace(diagram, flow=flow, beside=beside, definitions=tuple(definitions.titled()))


def may_stand_apart(block: Block) -> bool:
    inside = list(nodes_in(block.flow))
    if any([node.decided for node in (block, *inside)]) or block.kind == "option":
        return False
    return num_boxes(block) >= APART and block.kind in ("part", "graph", "residual", "branches", "edge", "repeat")


def inner_key(block: Block, shapes: bool = True) -> Hashable:
    kind = "part" if block.kind == "edge" else block.kind
    heading = [line for line in block.lines if line.style not in ("title", "note", "place")]
    times = block.facts.get("times")
    return (times, likeness(replace(block, kind=kind, lines=tuple(heading)), shapes))


class Definitions:
    """Puts references in the place of parts that are drawn apart.

    Args:
        keys: of the parts.
        exact: of those whose shapes are the same everywhere.
        shared: the paths of the shared parts that are used several times.
    """

    def __init__(self, keys: set[Hashable], exact: set[Hashable], shared: set[str]) -> None:
        self.keys = keys
        self.exact = exact
        self.shared = shared
        self.letters: dict[Hashable, str] = {}
        self.blocks: dict[str, Block] = {}
        self.uses: dict[str, list[str]] = {}

    def flow(self, flow: Flow) -> Flow:
        repeating = [node for node in flow.nodes if isinstance(node, Block) and self.key(node) in self.keys]
        # Where most vertices are references, the others of their kind are drawn apart too.
        if len(repeating) > 3 and not is_chain(flow):
            for node in flow.nodes:
                if isinstance(node, Block) and node.kind == repeating[0].kind and may_stand_apart(node):
                    self.keys.add(self.key(node))
                    self.exact.add(self.key(node))
        return Flow(tuple([self.node(node) for node in flow.nodes]), flow.arrows)

    def key(self, block: Block) -> Hashable:
        return inner_key(block, shapes=False)

    def node(self, node: Shown) -> Shown:
        if isinstance(node, Box):
            return node
        if node.kind == "shared" and node.facts.get("shared") in self.shared:
            name = str(node.facts["shared"])
            notes = [line for line in node.lines if line.style != "title"]
            heading = (Line(name, "title"), *notes)
            self.blocks[name] = replace(node, id=f"definition:{name}", lines=heading, flow=self.flow(node.flow))
            around = [Line(line.text, "note") for line in node.lines if line.style == "title" and line.text != name]
            return Box(node.id, "reference", (*around, Line(name, "title")), facts=node.facts)
        key = self.key(node)
        if key not in self.keys or not may_stand_apart(node):
            return replace(node, flow=self.flow(node.flow))
        letter = self.letters.get(key)
        if letter is None:
            letter = self.letters[key] = name_of(len(self.letters))
            drawn = node if key in self.exact else without_shapes(node)
            self.blocks[letter] = replace(
                node, id=f"definition:{letter}", kind="definition", flow=self.flow(drawn.flow)
            )
        said = [line for line in node.lines if line.style != "shape"]
        self.uses.setdefault(letter, []).append("".join([line.text for line in said[:1]]))
        after = [Line(node.facts["shape"], "shape")] if node.facts.get("shape") else []
        lines = (*said, Line(f"block {letter}", "title"), *after)
        return Box(node.id, "reference", lines, facts={**node.facts, "definition": letter})

    def titled(self) -> Iterator[Block]:
        """The parts with their headings: the letter, and where they stand."""
        for name, block in self.blocks.items():
            uses = self.uses.get(name, [])
            if block.kind == "shared":
                yield block
                continue
            named = [use for use in uses if use]
            where = [Line(some(named), "note")] if named else [Line(f"{len(uses)} places", "note")]
            yield replace(block, lines=(Line(f"block {name}", "title"), *where))


def some(names: list[str]) -> str:
    """Names, those in the middle left out where they are many."""
    return ", ".join(names if len(names) < 6 else [*names[:3], ELLIPSIS, names[-1]])


def without_shapes(block: Block) -> Block:
    nodes = []
    for node in block.flow.nodes:
        lines = tuple([line for line in node.lines if line.style != "shape"])
        node = replace(node, lines=lines)
        nodes.append(without_shapes(node) if isinstance(node, Block) else node)
    return replace(block, flow=Flow(tuple(nodes), block.flow.arrows))


def name_of(number: int) -> str:
    """
    >>> name_of(0), name_of(25), name_of(26)
    ('A', 'Z', 'A1')
    """
    turn, letter = divmod(number, 26)
    return chr(ord("A") + letter) + (str(turn) if turn else "")
