"""The arrows of a diagram between its boxes, blocks left out: what DOT, Mermaid and networkx need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from archsearch.spaces.picture import IN, OUT, Block, Box, Diagram, Flow, named_inputs

Ends: TypeAlias = tuple[str, str]

# Of what stands inside these, one way or another is taken.
ALTERNATIVES = frozenset(["choice", "optional", "subset", "lazy", "permute"])


def links(diagram: Diagram) -> dict[Ends, bool]:
    """From box to box, in the order of the diagram, and whether a decision settles that it is there."""
    after: dict[str, dict[str, bool]] = {}
    ports: list[str] = []
    apart = [Flow((node,)) for node in (*diagram.beside, *diagram.definitions)]
    for flow in (diagram.flow, *apart):
        collect(flow, None, after, ports)
    before: dict[str, dict[str, bool]] = {}
    for a, ends in after.items():
        for b, decided in ends.items():
            before.setdefault(b, {})[a] = decided
    for port in ports:
        starts, ends = before.pop(port, {}), after.pop(port, {})
        for a in starts:
            del after[a][port]
        for b in ends:
            del before[b][port]
        for a, first in starts.items():
            for b, second in ends.items():
                sure = after[a].get(b, True) and (first or second)
                after.setdefault(a, {})[b] = before.setdefault(b, {})[a] = sure
    return {(a, b): decided for a, ends in after.items() for b, decided in ends.items()}


def collect(flow: Flow, around: Block | None, after: dict[str, dict[str, bool]], ports: list[str]) -> None:
    """Add the arrows of a flow; a block has a port before it and a port behind it."""
    blocks = {node.id: node for node in flow.nodes if isinstance(node, Block)}
    for node in flow.nodes:
        if isinstance(node, Block):
            ports.extend([entry(node.id), exit(node.id)])
            after.setdefault(entry(node.id), {})
            after.setdefault(exit(node.id), {})
            collect(node.flow, node, after, ports)
        else:
            after.setdefault(node.id, {})
    for (a, b), decided in ends_of(flow, around, blocks):
        known = after.setdefault(a, {})
        known[b] = known.get(b, True) and decided


def ends_of(flow: Flow, around: Block | None, blocks: dict[str, Block]) -> Iterator[tuple[Ends, bool]]:
    into: dict[str, int] = {}
    entering = [arrow.target for arrow in flow.arrows]
    mine = named_inputs(flow)
    for arrow in flow.arrows:
        if arrow.source == IN and len(mine) > 1:
            continue
        source = entry(around.id) if arrow.source == IN and around else arrow.source
        target = exit(around.id) if arrow.target == OUT and around else arrow.target
        inputs = named_inputs(blocks[target].flow) if target in blocks else []
        if len(inputs) > 1 and len(inputs) == entering.count(target):
            nth = into[target] = into.get(target, -1) + 1
            target = inputs[nth]
        elif target in blocks:
            target = entry(target)
        yield (exit(source) if source in blocks else source, target), arrow.decided
    if around is None:
        return
    maybe = around.kind in ALTERNATIVES
    if not any([arrow.source == IN for arrow in flow.arrows]):
        reached = {arrow.target for arrow in flow.arrows}
        for node in flow.nodes:
            if node.id not in reached:
                yield (entry(around.id), entry(node.id) if isinstance(node, Block) else node.id), maybe
    if not any([arrow.target == OUT for arrow in flow.arrows]):
        left = {arrow.source for arrow in flow.arrows}
        for node in flow.nodes:
            if node.id not in left:
                yield (exit(node.id) if isinstance(node, Block) else node.id, exit(around.id)), maybe


def entry(id: str) -> str:
    return f"{id}\N{DOWNWARDS ARROW}in"


def exit(id: str) -> str:
    return f"{id}\N{DOWNWARDS ARROW}out"


def boxes_in(flow: Flow, inside: tuple[Block, ...] = ()) -> Iterator[tuple[Box, tuple[Block, ...]]]:
    """Every box with the blocks around it, the outermost first."""
    for node in flow.nodes:
        if isinstance(node, Box):
            yield node, inside
        else:
            yield from boxes_in(node.flow, (*inside, node))
