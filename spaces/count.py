"""The exact size of a space.

Products are wrong once names are shared, so a node's count is a table: given what was answered before of
the names that it mentions, the ways to answer it, by what is known afterwards of the names that come up
again. Of a name that nothing branches on later one bit is kept: reached, or not. Tables are remembered by
node, so forty equal layers are counted once (LANGUAGE.md section 6).

The ways in a table are numbers, or a forest from which architectures are drawn (`archsearch.spaces.ways`):
everything is combined by `add`, `multiply`, `power` and `inside`, and only what is asked makes one or the other.
"""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any, NamedTuple

from archsearch.errors import SizeTooHard, SpaceError
from archsearch.spaces.count_graph import ways_of_graph
from archsearch.spaces.count_values import tuples_of, values_of
from archsearch.spaces.decisions import typed
from archsearch.spaces.facts import FactTable, function_key
from archsearch.spaces.graph import Graph
from archsearch.spaces.mentions import NOTHING, Context, Keep, Mentions, Restart, is_indexed, opened_by
from archsearch.spaces.named_keys import with_named_keys
from archsearch.spaces.node import deep_recursion, has_node
from archsearch.spaces.nodes import (
    Choice,
    Integer,
    Lazy,
    Optional,
    Permute,
    Real,
    Repeat,
    Scope,
    Shared,
    Subset,
    check_count,
)
from archsearch.spaces.parts import Stands, parts
from archsearch.spaces.program import num_subsets
from archsearch.spaces.require import Require
from archsearch.spaces.resolve import show_value
from archsearch.spaces.ways import (
    Answer,
    AnyAnswer,
    Endless,
    Env,
    Forest,
    InScope,
    InShared,
    Number,
    Table,
    Ways,
    add,
    inside,
    multiply,
    number_of,
    plus,
    power,
)

MAX_STATES = 1_000_000
MAX_EXPANSIONS = 10_000
REACHED = ("reached",)


class Expanded(NamedTuple):
    """One expansion of a Lazy: `ways` to answer its arguments, and the step from it to what it gave."""

    env: Env
    ways: Ways
    key: Any
    node: Any
    step: str


class Count:
    """Counts one space.

    Args:
        root: its root.
        require: its constraints.
        draws: count with forests, of which architectures are drawn; a Real counts as one answer then.
    """

    def __init__(self, root: Any, require: Iterable[Require], draws: bool = False) -> None:
        require = tuple(require)
        self.draws = draws
        self.facts = FactTable()
        self.root = with_named_keys(root, require)
        self.expansions: dict[Any, Any] = {}
        self.expanding: set[Any] = set()
        self.mentions = Mentions(require, self.facts)
        self.reset()

    def reset(self) -> None:
        self.memo: dict[Any, Table] = {}
        self.expanding.clear()
        self.num_states = 0
        self.carried: Tally[Any] = Tally()

    def total(self) -> Number:
        """The number of architectures; math.inf with a Real or an endless grammar."""
        return number_of(self.root_ways())

    def root_ways(self) -> Ways:
        """The ways of the whole space; 0 where the constraints allow nothing."""
        with deep_recursion():
            while True:
                try:
                    table = self.ways(self.root, self.mentions.top, frozenset(), NOTHING)
                except Restart:
                    self.reset()
                    continue
                return reduce(plus, table.values()) if table else 0

    def ways(self, node: Any, context: Context, env: Env, keep: Keep) -> Table:
        """The table of a node after `env`; keys of `keep` survive in it."""
        if not has_node(node) or not self.facts.of(node).open:
            return {env: 1}
        mentioned = self.mentions.of(node, context)
        related = self.mentions.partners(mentioned.names, context)
        inner = frozenset([pair for pair in env if pair[0] in related])
        wanted = Keep(keep.names & related, keep.values & related)
        key = (id(node), id(context), inner, wanted)
        table = self.memo.get(key)
        if table is None:
            table = {}
            for after, ways in self.count(node, context, inner, wanted).items():
                add(table, self.project(after, wanted, context), ways)
            self.remember(key, table, inner)
        outer = env - inner
        return {after | outer: ways for after, ways in table.items()} if outer else table

    def remember(self, key: Any, table: Table, inner: Env) -> None:
        self.memo[key] = table
        for name, answer in inner:
            if answer is not REACHED:
                self.carried[name] += 1
        if self.is_over(1 + len(table)):
            raise self.too_hard(
                [name for name, _ in self.carried.most_common(8)],
                "their answers must be carried from one use to the next; constraints over pairs are easy, over many "
                "names hard",
            )

    def is_over(self, states: int) -> bool:
        """Count so many more states; whether there are too many now."""
        self.num_states += states
        return self.num_states > MAX_STATES

    def too_hard(self, names: Iterable[Any], why: str) -> SizeTooHard:
        cause = f", because of the names {', '.join([say_key(name) for name in names])}" if names else ""
        return SizeTooHard(
            f"the exact size needs more than {MAX_STATES} states{cause}: {why}; estimate_size() gives an estimate"
        )

    def project(self, env: Env, keep: Keep, context: Context) -> Env:
        """What of `env` still matters: answers that something branches on or a constraint waits for; else a bit."""
        known = {key for key, _ in env}
        waiting: set[Any] = set()
        for _, keys in context.constraints:
            if any([key in keep.names and key not in known for key in keys]):
                waiting.update(keys)
        kept = []
        for key, answer in env:
            if key in keep.values or key in waiting:
                kept.append((key, answer))
            elif key in keep.names:
                kept.append((key, REACHED))
        return frozenset(kept)

    def chain(self, nodes: Iterable[Stands], context: Context, env: Env, keep: Keep) -> Table:
        """One node after the other."""
        states: Table = {env: 1}
        nodes = [(step, node) for step, node in nodes if has_node(node) and self.facts.of(node).open]
        later = keep
        laters = []
        for _, node in reversed(nodes):
            laters.append(later)
            later = later.plus(self.mentions.of(node, context))
        for (step, node), after in zip(nodes, reversed(laters), strict=True):
            states = self.follow(states, step, node, context, after)
        return states

    def follow(self, states: Table, step: str, node: Any, context: Context, keep: Keep) -> Table:
        """`states`, then the node that stands at `step`."""
        following: Table = {}
        for env, ways in states.items():
            for after, more in self.ways(node, context, env, keep).items():
                add(following, self.project(after, keep, context), multiply(ways, inside(step, more)))
        return following

    def count(self, node: Any, context: Context, env: Env, keep: Keep) -> Table:
        match node:
            case Choice() | Integer() | Real() | Optional() | Permute():
                return self.of_decision(node, context, env, keep)
            case Repeat():
                return self.of_repeat(node, context, env, keep)
            case Subset():
                return self.of_subset(node, context, env, keep)
            case Lazy():
                return self.of_lazy(node, context, env, keep)
            case Graph():
                return ways_of_graph(self, node, context, env, keep)
            case Scope():
                table = self.ways(node.node, self.mentions.scope_context(node, context), env, keep)
                return {e: InScope(node.names, w) if isinstance(w, Forest) else w for e, w in table.items()}
            case Shared():
                mark = (("shared", context.key(node.name)), REACHED)
                if mark in env:
                    return {env: 1}
                table = self.ways(node.node, self.mentions.shared_context(context), env | {mark}, keep)
                return {e: InShared(node.name, w) if isinstance(w, Forest) else w for e, w in table.items()}
        return self.chain(parts(node), context, env, keep)

    def answer(self, env: Env, key: Any) -> Any:
        for known, answer in env:
            if known == key:
                return answer
        return None

    def decided(self, env: Env, key: Any, answer: Any, context: Context) -> Env | None:
        """`env` with one more answer (typed); None where a constraint refuses it."""
        env = env | {(key, answer)}
        for function, keys in context.constraints:
            if key in keys:
                known = dict(env)
                values = [known.get(k) for k in keys]
                if all([value is not None and value is not REACHED for value in values]) and not function(
                    *[plain(value) for value in values]
                ):
                    return None
        return env

    def given(self, name: str | None, answer: Any, step: str = "") -> Ways:
        """The one way to give an answer of the decision at this place (or called `name`)."""
        return Answer(name, answer, step) if self.draws else 1

    def endless(self, reason: str) -> Ways:
        return Endless(reason) if self.draws else math.inf

    def branches(self, node: Any) -> list[tuple[Any, Stands]]:
        """The answers of a decision with what each opens."""
        if isinstance(node, Optional):
            return [(False, ("", None)), (True, (".present", node.node))]
        within = getattr(node, "branches", None)
        return [(a, (f".{a}", within[a]) if within else ("", None)) for a in node.decision.options]

    def check_size(self, node: Any) -> None:
        """Refuse to count the answers of a decision one by one where they are too many."""
        size = node.decision.size
        if size > MAX_STATES:
            raise SizeTooHard(f"{node!r} has {size} answers, and something later depends on which: too many to count")

    def of_decision(self, node: Any, context: Context, env: Env, keep: Keep) -> Table:
        after = list(node.members.items()) if isinstance(node, Permute) else []
        opened = opened_by(node)
        opens = any([self.facts.of(branch).open for branch in opened])
        size = 2 if isinstance(node, Optional) else node.decision.size
        key = context.key(node.name) if node.name is not None and size > 1 else None
        known = None if key is None else self.answer(env, key)
        table: Table = {}
        if known is not None:
            branches = [branch for answer, branch in self.branches(node) if typed(answer) == known] if opens else []
            return self.chain([*branches, *after], context, env, keep)
        if size == 1:
            return self.chain([*[branch for _, branch in self.branches(node)], *after], context, env, keep)
        constrained = any([key in keys for _, keys in context.constraints])
        waited = key is not None and (
            key in keep.values
            or constrained
            or any([key in self.mentions.of(branch, context).values for branch in opened])
        )
        if size == math.inf or (not waited and not opens):
            start = env if key is None else env | {(key, REACHED)}
            answers: Ways = AnyAnswer(node.name, node.decision) if self.draws else size
            if size == math.inf and constrained and self.draws:
                answers = self.endless(f"a constraint reads {node!r}, and what it allows of a Real is not counted")
            for end, ways in self.chain(after, context, start, keep).items():
                add(table, end, multiply(answers, ways))
            return table
        self.check_size(node)
        for answer, branch in self.branches(node):
            start_env: Env | None = env
            if key is not None:
                start_env = self.decided(env, key, typed(answer) if waited else REACHED, context)
            if start_env is not None:
                given = self.given(node.name, answer)
                for end, ways in self.chain([branch, *after], context, start_env, keep).items():
                    add(table, end, multiply(given, ways))
        return table

    def of_repeat(self, node: Repeat, context: Context, env: Env, keep: Keep) -> Table:
        times = node.times
        plain_times = isinstance(times, Choice | Integer) and getattr(times, "branches", None) is None
        step = "" if plain_times else ".times"
        if not is_indexed(node) and not self.facts.of(node.node).open:
            return self.chain([(step, times)], context, env, keep)
        table: Table = {}
        body = self.mentions.hidden if is_indexed(node) else self.mentions.of(node.node, context)
        for (start, _), (count, ways) in values_of(self, times, context, env, keep.plus(body)).items():
            try:
                check_count(count)
            except SpaceError as error:
                raise SpaceError(f"{node!r}: {error}") from None
            for end, more in self.copies(node, count, context, start, keep).items():
                add(table, end, multiply(inside(step, ways), more))
        return table

    def copies(self, node: Repeat, count: int, context: Context, env: Env, keep: Keep) -> Table:
        count = min(count, 1) if node.tied else count
        if is_indexed(node):
            nodes = []
            for i in range(count):
                key = (id(node), i)
                if key not in self.expansions:
                    self.expansions[key] = node.copy(i)
                nodes.append((f"[{i}]", self.mentions.reveal(self.expansions[key], context)))
            return self.chain(nodes, context, env, keep)
        mentioned = self.mentions.of(node.node, context)
        if not node.tied and not self.mentions.partners(mentioned.names, context) and count:
            (ways,) = self.ways(node.node, context, frozenset(), NOTHING).values() or (0,)
            return {env: power(ways, count)} if ways else {}
        states: Table = {env: 1}
        for i in range(count):
            later = keep if i == count - 1 else keep.plus(mentioned)
            states = self.follow(states, "[*]" if node.tied else f"[{i}]", node.node, context, later)
        return states

    def of_subset(self, node: Subset, context: Context, env: Env, keep: Keep) -> Table:
        base = None if node.name is None else context.key(node.name)
        members = list(node.members.items())
        states: dict[int, Table] = {0: {env: 1}}
        for i, (step, member) in enumerate(members):
            later = keep.plus(self.mentions.of_all([m for _, m in members[i + 1 :]], context))
            if base is not None:
                own = frozenset([(base, s) for s, _ in members[i + 1 :]])
                later = later.plus(Keep(own, own))
            key = None if base is None else (base, step)
            following: dict[int, Table] = {}
            for chosen, table in states.items():
                left = len(members) - i - 1
                ins = num_subsets(left, node.minimum - chosen - 1, node.maximum - chosen - 1)
                outs = num_subsets(left, node.minimum - chosen, node.maximum - chosen)
                for start, ways in table.items():
                    known = None if key is None else self.answer(start, key)
                    for present in (False, True):
                        if not (ins if present else outs) or (known is not None and known != typed(present)):
                            continue
                        marked = start
                        if key is not None and ins and outs:
                            marked = start | {(key, typed(present))}
                        asked = ins and outs and known is None
                        so_far = multiply(ways, self.given(node.name, present, step)) if asked else ways
                        opened = self.ways(member, context, marked, later) if present else {marked: 1}
                        target = following.setdefault(chosen + present, {})
                        for end, more in opened.items():
                            here = inside(f"{step}.present", more)
                            add(target, self.project(end, later, context), multiply(so_far, here))
            states = following
        result: Table = {}
        for table in states.values():
            for end, ways in table.items():
                add(result, end, ways)
        return result

    def of_lazy(self, node: Lazy, context: Context, env: Env, keep: Keep) -> Table:
        table: Table = {}
        for expanded in self.expansions_of(node, context, env, keep):
            if expanded.key in self.expanding:
                add(table, expanded.env, self.endless(f"{node!r} comes back to itself, a grammar without an end"))
                continue
            self.expanding.add(expanded.key)
            for end, more in self.ways(expanded.node, context, expanded.env, keep).items():
                add(table, end, multiply(expanded.ways, inside(expanded.step, more)))
            self.expanding.discard(expanded.key)
        return table

    def expansions_of(self, node: Lazy, context: Context, env: Env, keep: Keep) -> Iterator[Expanded]:
        """What a Lazy gives for the values of its arguments, with the ways to answer those."""
        names = list(node.arguments)
        arguments = [(f".{name}", argument) for name, argument in node.arguments.items()]
        later = keep.plus(self.mentions.hidden)
        for (start, _), (values, ways) in tuples_of(self, arguments, context, env, later).items():
            call = dict(zip(names, values, strict=True))
            key = (function_key(node.function), tuple([(n, typed(v)) for n, v in call.items()]))
            if key not in self.expansions:
                if len(self.expansions) >= MAX_EXPANSIONS:
                    raise SizeTooHard(
                        f"{node!r} has more than {MAX_EXPANSIONS} expansions; estimate_size() gives an estimate"
                    )
                self.expansions[key] = node.expand(call, repr(node))
            expansion = self.mentions.reveal(self.expansions[key], context)
            shown = [show_value(call[name]) for name in names if self.facts.of(node.arguments[name]).open]
            yield Expanded(start, ways, key, expansion, f"({','.join(shown)})" if shown else "")


def plain(key: Any) -> Any:
    """The answer of a typed key."""
    return tuple([plain(item) for item in key[1:]]) if key[0] is tuple else key[1]


def say_key(key: Any) -> str:
    return key if isinstance(key, str) else say_key(key[0])
