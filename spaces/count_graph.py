"""Counting a Graph: a programme over its readers, in the order of computing.

Whether a vertex is live is known only when everything that may read it has been seen, so it is guessed where
the vertex begins, and the guess is checked when nothing more can read it. A state holds, for the vertices
that may still be read, whether each is reached, live, and read by something live: NAS-Bench-101's cell takes
milliseconds (LANGUAGE.md section 6). What a live vertex decides is counted where the vertex stands: the order in
which a walk asks makes no difference to the number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from archsearch.spaces.count_values import values_of
from archsearch.spaces.decisions import typed
from archsearch.spaces.edges import Edge, Group, Reader, may_be_none
from archsearch.spaces.graph import Graph
from archsearch.spaces.liveness import certainly_live
from archsearch.spaces.mentions import Context, Keep
from archsearch.spaces.nodes import Choice, Lazy, Optional
from archsearch.spaces.parts import Stands
from archsearch.spaces.program import num_subsets
from archsearch.spaces.ways import Env, Table, Ways, add, inside, multiply

if TYPE_CHECKING:
    from archsearch.spaces.count import Count


class State(NamedTuple):
    """Where the count of a graph is.

    Attributes:
        env: what was answered of names.
        reached, live, fed, read: bits of the vertices that may still be read: whether an input reaches each,
            whether it is (guessed to be) live, whether something live reads it, whether anything does.
        edges: how many there are, where their number is bounded.
        here: whether the reader at hand is live.
        linked: whether something reached leads to it.
        chosen: of a Subset's members, so far.
        joined: whether a vertex that nothing reads goes to the output.
    """

    env: Env
    reached: int = 0
    live: int = 0
    fed: int = 0
    read: int = 0
    edges: int = 0
    here: bool = True
    linked: bool = False
    chosen: int = 0
    joined: bool = False


States = dict[State, Ways]


class Edged(NamedTuple):
    """One way to settle an edge: its source (None: no edge), and what is left open in its operation."""

    env: Env
    source: str | None
    left: tuple[Stands, ...]
    ways: Ways


def ways_of_graph(count: Count, node: Graph, context: Context, env: Env, keep: Keep) -> Table:
    """The table of a Graph, as `Count.ways` gives it."""
    key = (id(node), id(context), env)
    if key in count.expanding:
        return {env: count.endless(f"{node!r} comes back to itself, a grammar without an end")}
    count.expanding.add(key)
    try:
        return GraphCount(count, node, context, keep).table(env)
    finally:
        count.expanding.discard(key)


class GraphCount:
    """The programme over one graph."""

    def __init__(self, count: Count, node: Graph, context: Context, keep: Keep) -> None:
        self.count = count
        self.node = node
        self.context = context
        self.keep = keep
        # What is still to come at the reader at hand, and where.
        self.during = keep
        self.laters = [keep]
        for reader in reversed(node.readers):
            self.laters.append(self.laters[-1].plus(self.mentioned_by(reader)))
        # Where everything is live under all answers there is nothing to guess and to remember.
        self.tracked = not certainly_live(node)
        self.bits = {name: 1 << i for i, name in enumerate(node.vertices)}
        self.retired: dict[int, list[str]] = {}
        last = {name: i for i, name in enumerate(node.vertices)}
        for i, reader in enumerate(node.readers):
            for edge in reader.edges:
                last.update(dict.fromkeys([name for name in edge.sources if name in last], i))
        for name, i in last.items():
            self.retired.setdefault(i, []).append(name)

    def mentioned_by(self, reader: Reader) -> Keep:
        """The keys that a reader mentions; of what settles its edges, also the answers."""
        mentions = self.count.mentions
        found = mentions.of_all(reader.parts, self.context)
        return found.plus(mentions.of_edges(reader, self.context))

    def table(self, env: Env) -> Table:
        states: States = {State(env): 1}
        for i, reader in enumerate(self.node.readers):
            self.during = self.laters[len(self.node.readers) - i]
            states = self.begin(states, reader)
            for item in reader.items:
                states = self.item(states, reader, item)
                self.check(states)
            states = self.end(states, reader, self.retired.get(i, []))
            self.check(states)
        result: Table = {}
        for state, ways in states.items():
            if self.node.unused is not None and self.tracked and not (state.linked or state.joined):
                continue
            add(result, self.count.project(state.env, self.keep, self.context), ways)
        return result

    def check(self, states: States) -> None:
        """Give up where there are too many states: those of a graph take longer than others."""
        if self.count.is_over(4 * len(states)):
            names = {name for state in states for name, _ in state.env}
            raise self.count.too_hard(
                sorted(names, key=repr)[:8],
                f"which of the {len(self.node.vertices)} vertices of a Graph are live must be carried along"
                + (", and which of these names were reached" if names else ""),
            )

    def begin(self, states: States, reader: Reader) -> States:
        """The reader at hand is live, or not."""
        guesses = (True, False) if self.tracked and is_vertex(reader) else (True,)
        following: States = {}
        for state, ways in states.items():
            for here in guesses:
                add_state(following, state._replace(here=here, linked=False), ways)
        return following

    def item(self, states: States, reader: Reader, item: Edge | Group) -> States:
        if isinstance(item, Group):
            for i in range(len(item.edges)):
                states = self.member(states, reader, item, i)
                self.check(states)
            return reset(states)
        following: States = {}
        for state, ways in states.items():
            self.link(following, state, ways, reader, item)
        return following

    def member(self, states: States, reader: Reader, group: Group, i: int) -> States:
        """A member of a Subset of edges is in, or out."""
        subset = group.subset
        place = "".join((*reader.at, *group.at))
        step = list(subset.members)[i]
        key = None if subset.name is None else (self.context.key(subset.name), step)
        left = len(group.edges) - i - 1
        following: States = {}
        for state, ways in states.items():
            with_it = num_subsets(left, subset.minimum - state.chosen - 1, subset.maximum - state.chosen - 1)
            without = num_subsets(left, subset.minimum - state.chosen, subset.maximum - state.chosen)
            asked = bool(with_it and without)
            known = self.count.answer(state.env, key) if key is not None else None
            for present in (False, True):
                if not (with_it if present else without) or (known is not None and known != typed(present)):
                    continue
                env = state.env | {(key, typed(present))} if key is not None and asked else state.env
                given = self.count.given(subset.name, present, step) if asked and known is None else 1
                so_far = multiply(ways, inside(place, given))
                marked = state._replace(env=env, chosen=state.chosen + present)
                if present:
                    self.link(following, marked, so_far, reader, group.edges[i])
                else:
                    add_state(following, marked, so_far)
        return following

    def link(self, following: States, state: State, ways: Ways, reader: Reader, edge: Edge) -> None:
        """Add to `following` the ways to settle an edge after `state`."""
        for edged in self.edge(edge, reader, state.env):
            env = edged.env and self.count.project(edged.env, self.during, self.context)
            after: State | None = state._replace(env=env)
            more = multiply(ways, edged.ways)
            if edged.source is not None:
                after = self.joined_by(state._replace(env=env), edged.source)
                if after is not None and after.here and self.is_reached(state, edged.source):
                    self.decide(following, after, more, edged.left)
                    continue
            if after is not None:
                add_state(following, after, more)

    def is_reached(self, state: State, source: str) -> bool:
        return not self.tracked or source not in self.bits or bool(state.reached & self.bits[source])

    def joined_by(self, state: State, source: str) -> State | None:
        """The state with an edge from `source`; None where a guess was wrong or the edge is refused."""
        if self.node.max_edges is not None and self.tracked:
            state = state._replace(edges=state.edges + 1)
            if state.edges > self.node.max_edges:
                return None
        if not self.tracked:
            return state
        reached = self.is_reached(state, source)
        if self.node.dead == "reject" and not (reached and state.here):
            return None
        bit = self.bits.get(source, 0)
        if self.node.unused is not None:
            state = state._replace(read=state.read | bit)
        if not reached:
            return state
        if state.here and bit and not state.live & bit:
            return None
        return state._replace(linked=True, fed=state.fed | bit if state.here else state.fed)

    def decide(self, following: States, state: State, ways: Ways, nodes: tuple[Stands, ...]) -> None:
        """Add the states in which `nodes`, one after the other, are decided too."""
        for env, more in self.count.chain(nodes, self.context, state.env, self.during).items():
            add_state(following, state._replace(env=env), multiply(ways, more))

    def end(self, states: States, reader: Reader, retired: list[str]) -> States:
        """Nothing more leads to the reader; `retired` are the vertices that nothing later reads."""
        following: States = {}
        place = "".join(reader.at)
        nodes = ((f"{place}.merge", reader.merge), (f"{place}.op", reader.node))
        for state, ways in states.items():
            after: State | None = state
            if self.tracked:
                after = self.close(state, reader)
                after = None if after is None else self.retire(after, retired)
            if after is None:
                continue
            if state.here:
                self.decide(following, after, ways, nodes)
            else:
                add_state(following, after, ways)
        return following

    def close(self, state: State, reader: Reader) -> State | None:
        """The guess that the reader is live, against what leads to it."""
        if not is_vertex(reader):
            return state if state.linked or self.node.unused is not None else None
        bit = self.bits[reader.name]
        reached = state.linked or reader.is_source
        if state.here and not reached:
            return None
        state = state._replace(linked=False)
        if reached:
            state = state._replace(reached=state.reached | bit)
        return state._replace(live=state.live | bit) if state.here else state

    def retire(self, state: State, names: list[str]) -> State | None:
        """The guesses on vertices that nothing later reads, against what reads them."""
        for name in names:
            bit = self.bits[name]
            unread = self.node.unused is not None and not state.read & bit
            if state.live & bit:
                if not (state.fed & bit or unread):
                    return None
                state = state._replace(joined=state.joined or unread)
            elif state.reached & bit and unread:
                return None
            keep = ~bit
            state = state._replace(
                reached=state.reached & keep, live=state.live & keep, fed=state.fed & keep, read=state.read & keep
            )
        return state

    def edge(self, edge: Edge, reader: Reader, env: Env) -> Iterator[Edged]:
        """The ways to settle whether an edge is there, and its source."""
        at = "".join((*reader.at, *edge.source_at))
        sources: list[tuple[Env, str | None, Ways]] = []
        if isinstance(edge.source, Choice):
            for (after, _), (value, ways) in values_of(self.count, edge.source, self.context, env, self.during).items():
                sources.append((after, value, inside(at, ways)))
        else:
            sources.append((env, edge.source, 1))
        step = "".join((*reader.at, *edge.at))
        for start, source, ways in sources:
            if edge.bare or source is None:
                yield Edged(start, source, (), ways)
                continue
            for after, present, left, more in self.presence(edge.node, step, start):
                yield Edged(after, source if present else None, left, multiply(ways, more))

    def presence(self, node: Any, step: str, env: Env) -> Iterator[tuple[Env, bool, tuple[Stands, ...], Ways]]:
        """The ways to settle whether the operation of an edge is None, with what is left open in it."""
        count = self.count
        if node is None:
            yield env, False, (), 1
        elif not may_be_none(node):
            yield env, True, ((step, node),), 1
        elif isinstance(node, Optional | Choice):
            size = 2 if isinstance(node, Optional) else node.decision.size
            key = self.context.key(node.name) if node.name is not None and size > 1 else None
            known = None if key is None else count.answer(env, key)
            for answer, (further, branch) in count.branches(node):
                start: Env | None = env
                given: Ways = 1
                if known is not None and known != typed(answer):
                    continue
                if size > 1 and known is None:
                    given = inside(step, count.given(node.name, answer))
                    start = env if key is None else count.decided(env, key, typed(answer), self.context)
                if start is not None:
                    for after, present, left, more in self.presence(branch, step + further, start):
                        yield after, present, left, multiply(given, more)
        elif isinstance(node, Lazy):
            for expanded in count.expansions_of(node, self.context, env, self.during):
                so_far = inside(step, expanded.ways)
                for after, present, left, more in self.presence(expanded.node, step + expanded.step, expanded.env):
                    yield after, present, left, multiply(so_far, more)
        else:
            for (after, _), (value, ways) in values_of(count, node, self.context, env, self.during).items():
                yield after, value is not None, (), inside(step, ways)


def is_vertex(reader: Reader) -> bool:
    return reader.at[0] != ".outputs"


def reset(states: States) -> States:
    """A Subset is over."""
    following: States = {}
    for state, ways in states.items():
        add_state(following, state._replace(chosen=0), ways)
    return following


def add_state(states: States, state: State, ways: Ways) -> None:
    add(states, state, ways)  # type: ignore[arg-type]
