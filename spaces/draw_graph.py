"""What a drawing shows of a Graph in a space: its vertices, and the edges with what is decided about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from archsearch.spaces.decisions import BOOLEAN
from archsearch.spaces.draw_architecture import named
from archsearch.spaces.draw_values import Lines, Values, some_of, subset_members, subset_text
from archsearch.spaces.edges import Group, Reader
from archsearch.spaces.graph import Graph
from archsearch.spaces.node import Node
from archsearch.spaces.picture import IN, MERGES, OUT, Arrow, Block, Box, Decided, Flow, Line, Shown
from archsearch.spaces.sites import Site, join
from archsearch.spaces.wiring import Slot, plan_of


class Maker(Protocol):
    """What makes the nodes of the modules inside (`archsearch.spaces.draw_space.Parts`)."""

    values: Values

    def fresh(self, id: str) -> str: ...

    def node(self, site: Site, parent: str) -> Shown | None: ...


class GraphFlow:
    """Makes the flow of the Graph at a site."""

    def __init__(self, parts: Maker, site: Site) -> None:
        self.parts = parts
        self.site = site
        self.node: Graph = site.node
        self.plan = plan_of(site)
        self.nodes: list[Shown] = []
        self.arrows: list[Arrow] = []
        self.ends: dict[str, str] = {}
        self.maybe: set[str] = set()

    def flow(self) -> Flow:
        """The vertices and outputs, each after its edges, in the order of declaration."""
        for name in self.node.inputs:
            self.ends[name] = IN
            if len(self.node.inputs) > 1:
                pill = Box(self.parts.fresh(join(self.site.place, f".{name}")), "input", (Line(name, "title"),))
                self.add(pill, [IN])
                self.ends[name] = pill.id
        for (reader, site), row in zip(self.plan.readers, self.plan.slots, strict=True):
            sources: list[str] = []
            for _, slots in groupby(row, key=lambda slot: id(slot.group)):
                sources.extend(self.edges(list(slots), site))
            if reader.name in self.node.vertices and reader.at == (f".{reader.name}",):
                self.ends[reader.name] = self.reader(reader, site, sources, len(row))
            else:
                self.arrows.append(Arrow(self.output(reader, site, sources, len(row)), OUT))
        return Flow(tuple(self.nodes), tuple(self.arrows))

    def add(self, node: Shown, sources: Iterable[str], decided: bool = False) -> str:
        self.nodes.append(node)
        self.arrows.extend([Arrow(source, node.id, decided or source in self.maybe) for source in sources])
        if decided:
            self.maybe.add(node.id)
        return node.id

    def edges(self, slots: Sequence[Slot], reader: Site) -> list[str]:
        """Add what is decided, or done, on edges that belong together; the ids of what reaches the reader."""
        group = slots[0].group
        if group is None:
            return [self.edge(slot, reader, Lines()) for slot in slots]
        asked = {path: asks for _, _, path, asks in subset_members(self.plan.groups[id(group)], group.subset)}
        if any([slot.node is not None or slot.source is not None for slot in slots]):
            found = []
            for slot in slots:
                out = Lines()
                if asked[slot.member]:
                    self.parts.values.decision(out, "", BOOLEAN, slot.member, "present: ")
                found.append(self.edge(slot, reader, out))
            return found
        out = Lines()
        out.add(f"{subset_text(group.subset)}: {some_of([str(slot.edge.source) for slot in slots])}", "decision")
        for slot in slots:
            if asked[slot.member] and slot.member not in self.parts.values.shown:
                self.parts.values.shown.add(slot.member)
                out.decided.append(Decided(slot.member, BOOLEAN))
                out.add(f"{slot.member}: {slot.edge.source}", "path")
        at = self.plan.groups[id(group)].place
        facts = {"place": at}
        box = Box(self.parts.fresh(f"{at}.sources"), "edge", tuple(out.lines), tuple(out.decided), facts)
        return [self.add(box, [self.ends[str(slot.edge.source)] for slot in slots], decided=True)]

    def edge(self, slot: Slot, reader: Site, out: Lines) -> str:
        """Add what is decided, or done, on an edge; the id of what reaches the reader."""
        place = reader.place
        if slot.source is not None:
            choice = slot.source.node
            place = slot.source.place
            if choice.decision.size > 1:
                path = self.parts.values.path_of(slot.source, choice.name)
                self.parts.values.decision(out, "", choice.decision, path, "from ")
        way = None if slot.node is None else self.parts.node(slot.node, reader.place)
        sources = [self.ends[name] for name in slot.edge.sources]
        decided = len(sources) > 1 or slot.edge.optional or slot.group is not None
        if way is None:
            if not out.lines:
                return sources[0]
            own = Box(self.parts.fresh(f"{place}.edge"), "edge", tuple(out.lines), tuple(out.decided), {"place": place})
            return self.add(own, sources, decided)
        kind = "edge" if isinstance(way, Box) or way.kind == "part" else way.kind
        unsaid = [Line(name, "title") for name in (*slot.edge.sources, *(["Identity"] if way.decided else []))]
        own_lines = [line for line in way.lines if line not in unsaid]
        lines, made = (*out.lines, *own_lines), (*out.decided, *way.decided)
        return self.add(replace(way, kind=kind, lines=lines, decided=made), sources, decided)

    def reader(self, reader: Reader, site: Site, sources: list[str], num_edges: int) -> str:
        """Add a vertex; the id of the node that its value leaves."""
        merge = None
        if isinstance(reader.merge, Node):
            merge = self.parts.node(site.child(".merge", reader.merge), site.place)
        word = reader.merge if isinstance(reader.merge, str) and self.many(num_edges, reader) else None
        op = self.parts.node(site.child(".op", reader.node), site.place)
        facts = {"place": site.place, "vertex": reader.name, "merge": word}
        if merge is not None:
            own: list[Shown] = [named(merge, reader.name, None), *([op] if op else [])]
        elif op is not None and not (word and isinstance(op, Block)):
            own = [named(op, reader.name, word)]
        else:
            lines = [Line(reader.name, "title"), *([Line(MERGES[word])] if word else [])]
            own = [Box(self.parts.fresh(site.place), "vertex", tuple(lines), facts=facts), *([op] if op else [])]
        self.add(own[0], sources)
        for node in own[1:]:
            self.add(node, [self.nodes[-1].id])
        return own[-1].id

    def surely_read(self, name: str) -> bool:
        """Whether some edge reads a vertex under all answers."""
        return any(
            [
                slot.edge.source == name and slot.source is None and not slot.edge.optional and slot.group is None
                for row in self.plan.slots
                for slot in row
            ]
        )

    def many(self, num_edges: int, reader: Reader) -> bool:
        """Whether several values may reach a reader."""
        maxima = [item.subset.maximum - len(item.edges) for item in reader.items if isinstance(item, Group)]
        return num_edges + sum(maxima) > 1

    def output(self, reader: Reader, site: Site, sources: list[str], num_edges: int) -> str:
        """Add an output; the id of the node that its value leaves."""
        many = self.many(num_edges, reader) or self.node.unused is not None
        if not reader.name and not many and len(sources) == 1 and not isinstance(reader.merge, Node):
            return sources[0]
        if isinstance(reader.merge, Node):
            merge = self.parts.node(site.child(".merge", reader.merge), site.place)
            if merge is not None:
                return self.add(named(merge, reader.name or "output", None), sources)
        lines = [Line(reader.name, "title")] if reader.name else []
        if self.node.unused is not None:
            unread = [name for name in self.node.vertices if not self.surely_read(name)]
            sources = [*sources, *[self.ends[name] for name in unread]]
            self.maybe.update([self.ends[name] for name in unread])
        if many:
            lines.append(Line(MERGES[str(reader.merge)], "text" if lines else "title"))
        if self.node.unused is not None:
            lines.append(Line("and every vertex that nothing reads" if num_edges else "of what nothing reads", "note"))
        kind = "output" if reader.name else "merge"
        facts = {"place": site.place, "merge": reader.merge if many else None}
        return self.add(Box(self.parts.fresh(site.place), kind, tuple(lines), facts=facts), sources)
