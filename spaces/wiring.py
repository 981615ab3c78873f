"""Which edges of a Graph there are under some answers, and which vertices are live.

A vertex without any edge is absent. One with edges, but on no way from an input to an output, is dead:
refused, or dropped where the graph prunes. So an operation is decided only where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from archsearch.errors import SpaceError
from archsearch.spaces.edges import Edge, Group, Reader, may_be_none
from archsearch.spaces.graph import Graph
from archsearch.spaces.liveness import certainly_live, certainly_valid, entangled
from archsearch.spaces.nodes import Choice, Lazy, Optional, Subset
from archsearch.spaces.resolve import expand_lazy, lazy_suffix, own_answer, own_path, resolve
from archsearch.spaces.sites import Site, join


class Refused(Exception):
    """These answers make no graph: a vertex is dead, an output is not reached, or there are too many edges."""


class Slot:
    """An edge that there may be, at its place.

    Attributes:
        edge: what was declared.
        reader: the index of its reader.
        source: the site of the Choice that decides on the source; None where it is fixed.
        node: the site of its operation; None for a bare edge.
        group: the Subset that it is a member of, with its site, and its index there; None without.
        member: the path of the boolean that says whether it is a member.
    """

    __slots__ = ("edge", "group", "index", "member", "node", "optional", "reader", "source")

    def __init__(self, edge: Edge, reader: int, index: int, group: Group | None, member: str) -> None:
        self.edge = edge
        self.reader = reader
        self.index = index
        self.group = group
        self.member = member
        self.source: Site | None = None
        self.node: Site | None = None
        self.optional = not edge.bare and may_be_none(edge.node)

    def comes_from(self, answers: Mapping[str, Any]) -> str | None:
        """The source, where the edge is there; None where it is not."""
        source = self.edge.source
        if self.source is not None:
            source = own_answer(self.source, source, answers)
            if source is None:
                return None
        if self.optional and not is_present(self.node, answers):
            return None
        return source  # type: ignore[return-value]


def is_present(site: Site | None, answers: Mapping[str, Any]) -> bool:
    """Whether the operation of an edge is one, and not None. Needs only the answers that settle it."""
    while True:
        node = None if site is None else site.node
        if node is None:
            return False
        assert site is not None
        if not may_be_none(node):
            return True
        if isinstance(node, Optional):
            if not answers[own_path(site, node.name)]:
                return False
            site = site.child(".present", node.node)
        elif isinstance(node, Choice):
            answer = own_answer(site, node, answers)
            assert node.branches is not None
            site = site.child(f".{answer}", node.branches[answer])
        elif isinstance(node, Lazy):
            site = expand_lazy(site, node, *lazy_suffix(site, node, answers))
        else:
            return resolve(site, answers) is not None


class Wiring(NamedTuple):
    """links: for each reader, the slots of its edges with the source of each. live: indices of live vertices."""

    links: tuple[tuple[tuple[Slot, str], ...], ...]
    live: frozenset[int]


class Plan:
    """A Graph at its place: the sites of all that its readers hold.

    Attributes:
        readers: the graph's readers with their sites.
        slots: the edges of each reader.
        fixed: whether nothing is decided about edges.
        all_live: whether every vertex is live under all answers, and nothing can be refused.
        infallible: whether no answers are refused.
        entangled: whether more than its own decisions says which edges there are.
    """

    def __init__(self, site: Site, node: Graph) -> None:
        self.site = site
        self.node = node
        self.readers: list[tuple[Reader, Site]] = []
        self.slots: list[list[Slot]] = []
        self.groups: dict[int, Site] = {}
        for i, reader in enumerate(node.readers):
            here = descend(site, reader.at, None)
            self.readers.append((reader, here))
            self.slots.append(list(self.slots_of(reader, here, i)))
        self.order = {name: i for i, name in enumerate((*node.inputs, *node.vertices))}
        self.num_vertices = len(node.vertices)
        self.fixed = all([not s.optional and s.source is None and s.group is None for row in self.slots for s in row])
        self.all_live = certainly_live(node)
        self.infallible = self.all_live or certainly_valid(node)
        self.entangled = entangled(node)
        if self.fixed and not self.all_live:
            try:
                self.wiring({})
            except Refused as error:
                raise SpaceError(f"{site.place or 'root'}: {error}") from None

    def slots_of(self, reader: Reader, here: Site, index: int) -> Iterator[Slot]:
        for item in reader.items:
            if isinstance(item, Edge):
                yield self.place(Slot(item, index, 0, None, ""), here)
                continue
            outer = descend(here, item.at, item.subset)
            self.groups[id(item)] = outer
            name = item.subset.name
            base = outer.path if name is None else outer.frame.path(name, outer.place)
            for i, (edge, step) in enumerate(zip(item.edges, item.subset.members, strict=True)):
                yield self.place(Slot(edge, index, i, item, join(base, step)), here)

    def place(self, slot: Slot, here: Site) -> Slot:
        edge = slot.edge
        if isinstance(edge.source, Choice):
            slot.source = descend(here, edge.source_at, edge.source)
        if not edge.bare:
            slot.node = descend(here, edge.at, edge.node)
        return slot

    def links(self, answers: Mapping[str, Any]) -> list[list[tuple[Slot, str]]]:
        """The edges as answered, for each reader."""
        found = []
        for row in self.slots:
            links: list[tuple[Slot, str]] = []
            chosen = 0
            for slot in row:
                if slot.group is not None:
                    chosen = 0 if slot.index == 0 else chosen
                    if not is_member(slot.group.subset, slot.index, chosen, answers.get(slot.member)):
                        continue
                    chosen += 1
                source = slot.comes_from(answers)
                if source is not None:
                    links.append((slot, source))
            found.append(links)
        return found

    def wiring(self, answers: Mapping[str, Any]) -> Wiring:
        """The edges that count, those of unused vertices to the output left out.

        Raises:
            Refused: the answers make no graph.
        """
        node = self.node
        links = self.links(answers)
        if self.all_live:
            return Wiring(tuple([tuple(row) for row in links]), frozenset(range(self.num_vertices)))
        number = sum([len(row) for row in links])
        if node.max_edges is not None and number > node.max_edges:
            raise Refused(f"{number} edges are more than max_edges={node.max_edges}")
        reached = set(node.inputs)
        read = {source for row in links for _, source in row}
        for (reader, _), row in zip(self.readers[: self.num_vertices], links, strict=False):
            if reader.is_source or any([source in reached for _, source in row]):
                reached.add(reader.name)
        needed: set[str] = set()
        for (reader, _), row in zip(self.readers[self.num_vertices :], links[self.num_vertices :], strict=True):
            mine = {source for _, source in row}
            if node.unused is not None:
                mine |= {name for name, row in zip(node.vertices, links, strict=False) if name not in read}
            if mine.isdisjoint(reached):
                raise Refused(f"nothing reaches the output{' ' + reader.name if reader.name else ''}")
            needed |= mine
        for name, row in reversed(list(zip(node.vertices, links, strict=False))):
            if name in needed and name in reached:
                needed.update([source for _, source in row])
        live = needed & reached
        if node.dead == "reject":
            for (reader, _), row in zip(self.readers[: self.num_vertices], links, strict=False):
                if reader.name not in live and (row or reader.name in read):
                    way = "from it to an output" if reader.name in reached else "from an input to it"
                    raise Refused(f"the vertex {reader.name!r} is dead: it has edges, but there is no way {way}")
        kept = [
            tuple([(slot, source) for slot, source in row if source in live or source in node.inputs])
            if i >= self.num_vertices or self.readers[i][0].name in live
            else ()
            for i, row in enumerate(links)
        ]
        return Wiring(tuple(kept), frozenset([i for i, name in enumerate(node.vertices) if name in live]))

    def unread(self, wiring: Wiring) -> list[str]:
        """The live vertices that nothing reads, as declared: `unused` joins them to the output."""
        if self.node.unused is None:
            return []
        read = {source for row in wiring.links for _, source in row}
        return [name for i, name in enumerate(self.node.vertices) if i in wiring.live and name not in read]


def descend(site: Site, steps: tuple[str, ...], node: Any) -> Site:
    """The site some steps further in; what stands between is a mere place."""
    for step in steps[:-1]:
        site = site.child(step, None)
    if not steps:
        return site.inside(node, site.frame)
    inside = site.child(steps[-1], node)
    inside.node = inside.node if node is None else node
    return inside


def is_member(subset: Subset, index: int, chosen: int, answer: bool | None) -> bool:
    """Whether a member of a Subset is in; one that was not asked is forced."""
    if answer is not None:
        return answer
    return chosen < subset.maximum and chosen + len(subset.members) - index - 1 < subset.minimum


def plan_of(site: Site) -> Plan:
    """The plan of the Graph at a site, made once."""
    if site.plan is None:
        site.plan = Plan(site, site.node)
    return site.plan  # type: ignore[no-any-return]
