"""Which answers about a Graph's edges leave a completion that is not refused.

Drawing edges freely and refusing afterwards gives 64 cells of NAS-Bench-101 a second. So an answer is only
offered where the edges still to come can make a graph of it: what matters of those answered is which vertices
that may still be read are reached, and which wait for a reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from archsearch.spaces.decisions import Decision, Options, narrowed
from archsearch.spaces.edges import may_be_none
from archsearch.spaces.graph import Graph
from archsearch.spaces.nodes import Choice, Optional
from archsearch.spaces.resolve import own_path
from archsearch.spaces.sites import Site
from archsearch.spaces.wiring import Plan, Slot


class State(NamedTuple):
    """What of the edges so far matters for those to come.

    Attributes:
        reached, waiting: bits of the vertices that may still be read: whether an input reaches each, and
            whether nothing has read it yet.
        edges: how many there are, where their number is bounded.
        linked: whether something reached leads to the reader at hand.
        chosen: of the members of a Subset, so far.
        joined: whether a vertex that nothing reads goes to the output.
    """

    reached: int = 0
    waiting: int = 0
    edges: int = 0
    linked: bool = False
    chosen: int = 0
    joined: bool = False


class GraphGuide:
    """The guide of one graph whose edges nothing else decides on."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        node = plan.node
        self.bits = {name: 1 << i for i, name in enumerate(node.vertices)}
        # In the order of the walk: an edge, or (the index of) a reader to which nothing more leads.
        self.events: list[Slot | int] = []
        self.paths: list[tuple[str, ...]] = []
        self.at: dict[str, int] = {}
        last = {name: i for i, name in enumerate(node.vertices)}
        for i, row in enumerate(plan.slots):
            for slot in row:
                paths = tuple(decided_paths(slot))
                self.at.update(dict.fromkeys(paths, len(self.events)))
                self.paths.append(paths)
                self.events.append(slot)
                last.update(dict.fromkeys([name for name in slot.edge.sources if name in last], i))
            self.paths.append(())
            self.events.append(i)
        self.retired: dict[int, int] = {}
        for name, i in last.items():
            self.retired[i] = self.retired.get(i, 0) | self.bits[name]
        self.known: dict[tuple[int, State], bool] = {}
        self.moves: dict[Any, State | None] = {}
        self.narrowed: dict[Any, Decision] = {}

    def has_completion(self) -> bool:
        """Whether any answers make a graph; decisions that share a name count as independent."""
        return self.completes(0, State())

    def narrow(self, decision: Decision, path: str, answers: dict[str, Any]) -> Decision:
        """The decision with only the answers that leave a completion."""
        position = self.at[path]
        slot = self.events[position]
        assert isinstance(slot, Slot)
        state = self.state_at(position, answers)
        if state is None:
            return Options((), decision.kind)
        given = tuple([answers.get(p) for p in self.paths[position]])
        key = (path, state, given)
        known = self.narrowed.get(key)
        if known is None:
            assert decision.options is not None
            kept = []
            for answer in decision.options:
                answers[path] = answer
                following = [self.after(state, slot, *way) for way in ways(slot, answers, state.chosen)]
                if any(after is not None and self.completes(position + 1, after) for after in following):
                    kept.append(answer)
                del answers[path]
            known = self.narrowed[key] = decision if len(kept) == decision.size else narrowed(decision, kept)
        return known

    def state_at(self, position: int, answers: dict[str, Any]) -> State | None:
        """The state before an event, under the answers so far; None where nothing can be made of them."""
        state: State | None = State()
        for i in range(position):
            if state is None:
                return None
            move = (i, state, *[answers.get(path) for path in self.paths[i]])
            if move not in self.moves:
                self.moves[move] = self.move(i, state, answers)
            state = self.moves[move]
        return state

    def move(self, position: int, state: State, answers: dict[str, Any]) -> State | None:
        event = self.events[position]
        if isinstance(event, Slot):
            (way,) = ways(event, answers, state.chosen)
            return self.after(state, event, *way)
        return self.end(state, event)

    def completes(self, position: int, state: State) -> bool:
        """Whether the events from `position` on can make a graph."""
        if position == len(self.events):
            return True
        known = self.known.get((position, state))
        if known is None:
            # One completion is enough: an edge that is there is more likely to lead to one.
            known = any(self.completes(position + 1, after) for after in self.options(position, state))
            self.known[position, state] = known
        return known

    def options(self, position: int, state: State) -> Iterator[State]:
        event = self.events[position]
        if isinstance(event, Slot):
            for way in reversed(ways(event, {}, state.chosen)):
                after = self.after(state, event, *way)
                if after is not None:
                    yield after
        else:
            after = self.end(state, event)
            if after is not None:
                yield after

    def after(self, state: State, slot: Slot, member: bool, source: str | None) -> State | None:
        """The state with a slot settled; None where that is refused."""
        node = self.plan.node
        if slot.group is not None:
            state = state._replace(chosen=state.chosen + member if slot.index else int(member))
        if source is None:
            return state
        if node.max_edges is not None:
            if state.edges == node.max_edges:
                return None
            state = state._replace(edges=state.edges + 1)
        bit = self.bits.get(source, 0)
        if bit and not state.reached & bit:
            return None if node.dead == "reject" else state
        return state._replace(linked=True, waiting=state.waiting & ~bit)

    def end(self, state: State, reader: int) -> State | None:
        """The state after a reader; None where that is refused."""
        node = self.plan.node
        linked = state.linked
        state = state._replace(linked=False, chosen=0)
        if reader < self.plan.num_vertices:
            own = self.plan.readers[reader][0]
            if linked or own.is_source:
                bit = self.bits[own.name]
                # A vertex that declares no inputs may stay unread: it is absent then.
                waits = not own.is_source or node.unused is not None
                state = state._replace(
                    reached=state.reached | bit, waiting=state.waiting | bit if waits else state.waiting
                )
        gone = self.retired.get(reader, 0)
        if state.waiting & gone:
            if node.unused is not None:
                state = state._replace(joined=True)
            elif node.dead == "reject":
                return None
        if reader >= self.plan.num_vertices and not (linked or state.joined):
            return None
        return state._replace(reached=state.reached & ~gone, waiting=state.waiting & ~gone)


def ways(slot: Slot, answers: dict[str, Any], chosen: int) -> list[tuple[bool, str | None]]:
    """How a slot may be settled under what is answered: whether it is a member, and its source (None: no edge)."""
    if slot.group is not None:
        subset = slot.group.subset
        chosen = chosen if slot.index else 0
        left = len(subset.members) - slot.index - 1
        answer = answers.get(slot.member)
        can_be_in = chosen < subset.maximum and answer is not False
        can_be_out = chosen + left >= subset.minimum and answer is not True
    else:
        can_be_in, can_be_out = True, False
    found: list[tuple[bool, str | None]] = [(False, None)] if can_be_out else []
    if not can_be_in:
        return found
    present, absent = can_be_present(slot.node, answers) if slot.optional else (True, False)
    sources: tuple[str | None, ...] = (slot.edge.source,) if isinstance(slot.edge.source, str) else ()
    if slot.source is not None:
        node = slot.source.node
        path = own_path(slot.source, node.name)
        sources = (answers[path],) if path in answers else node.decision.options
    if present:
        found.extend([(True, source) for source in sources])
    if absent and (True, None) not in found:
        found.append((True, None))
    return found


def can_be_present(site: Site | None, answers: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the operation of an edge can still be one, and whether it can still be None."""
    node = None if site is None else site.node
    if site is None or node is None:
        return False, True
    if not may_be_none(node):
        return True, False
    if not isinstance(node, Optional | Choice):
        return True, True
    path = own_path(site, node.name)
    if isinstance(node, Optional):
        inside = site.child(".present", node.node)
        if path in answers:
            return can_be_present(inside, answers) if answers[path] else (False, True)
        return can_be_present(inside, answers)[0], True
    branches = node.branches or {}
    labels = (answers[path],) if path in answers else node.decision.options
    found = [can_be_present(site.child(f".{label}", branches[label]), answers) for label in labels]
    return any([present for present, _ in found]), any([absent for _, absent in found])


def decided_paths(slot: Slot) -> list[str]:
    """The paths of the decisions that settle a slot."""
    found = [slot.member] if slot.group is not None else []
    if slot.source is not None:
        found.append(own_path(slot.source, slot.source.node.name))
    if slot.optional:
        found.extend(presence_paths(slot.node))
    return found


def presence_paths(site: Site | None) -> Iterator[str]:
    node = None if site is None else site.node
    if site is None or not may_be_none(node) or node is None:
        return
    if isinstance(node, Optional | Choice):
        yield own_path(site, node.name)
    if isinstance(node, Optional):
        yield from presence_paths(site.child(".present", node.node))
    elif isinstance(node, Choice):
        assert node.branches is not None
        for label, branch in node.branches.items():
            yield from presence_paths(site.child(f".{label}", branch))


def impossible(node: Graph) -> str:
    """What to say of a graph that no answers make."""
    limit = f" or has more than max_edges={node.max_edges}" if node.max_edges is not None else ""
    return (
        f"whatever is answered, a vertex of {node!r} is dead, or nothing reaches an output{limit}; let its vertices "
        "be read, or give dead='prune' or unused='concat'"
    )
