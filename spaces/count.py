"""The exact size of a space.

Products are wrong once names are shared, so a node's count is a table: given what was answered before of
the names that it mentions, the ways to answer it, by what is known afterwards of the names that come up
again. Of a name that nothing branches on later one bit is kept: reached, or not. Tables are remembered by
node, so forty equal layers are counted once (LANGUAGE.md section 6).
"""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import Any

from archsearch.errors import SizeTooHard, SpaceError
from archsearch.spaces.decisions import typed
from archsearch.spaces.facts import FactTable, children, function_key
from archsearch.spaces.mentions import NOTHING, Context, Keep, Mentions, Restart, is_indexed, opened_by
from archsearch.spaces.node import Node, deep_recursion, has_node
from archsearch.spaces.nodes import (
    Choice,
    Derived,
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
    is_decision,
)
from archsearch.spaces.program import num_subsets
from archsearch.spaces.require import Require

MAX_STATES = 1_000_000
MAX_EXPANSIONS = 10_000
REACHED = ("reached",)

Number = int | float
Env = frozenset[Any]
Table = dict[Env, Number]


def multiply(a: Number, b: Number) -> Number:
    return math.inf if a == math.inf or b == math.inf else a * b


def add(table: Table, env: Env, ways: Number) -> None:
    if ways:
        before = table.get(env, 0)
        table[env] = math.inf if before == math.inf or ways == math.inf else before + ways


class Count:
    """Counts one space."""

    def __init__(self, root: Any, require: Iterable[Require]) -> None:
        require = tuple(require)
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
        with deep_recursion():
            while True:
                try:
                    table = self.ways(self.root, self.mentions.top, frozenset(), NOTHING)
                except Restart:
                    self.reset()
                    continue
                result: Number = 0
                for ways in table.values():
                    result = math.inf if math.inf in (result, ways) else result + ways
                return result

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
        self.num_states += 1 + len(table)
        for name, answer in inner:
            if answer is not REACHED:
                self.carried[name] += 1
        if self.num_states > MAX_STATES:
            worst = [say_key(name) for name, _ in self.carried.most_common(8)]
            raise SizeTooHard(
                f"the exact size needs more than {MAX_STATES} states, because of the names {', '.join(worst)}: their "
                "answers must be carried from one use to the next; constraints over pairs are easy, over many names "
                "hard; estimate_size() gives an estimate"
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

    def chain(self, nodes: list[Any], context: Context, env: Env, keep: Keep) -> Table:
        """One node after the other."""
        states: Table = {env: 1}
        nodes = [node for node in nodes if has_node(node) and self.facts.of(node).open]
        later = keep
        laters = []
        for node in reversed(nodes):
            laters.append(later)
            later = later.plus(self.mentions.of(node, context))
        for node, after in zip(nodes, reversed(laters), strict=True):
            states = self.step(states, node, context, after)
        return states

    def step(self, states: Table, node: Any, context: Context, keep: Keep) -> Table:
        following: Table = {}
        for env, ways in states.items():
            for after, more in self.ways(node, context, env, keep).items():
                add(following, self.project(after, keep, context), multiply(ways, more))
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
            case Scope():
                return self.ways(node.node, self.mentions.scope_context(node, context), env, keep)
            case Shared():
                mark = (("shared", context.key(node.name)), REACHED)
                if mark in env:
                    return {env: 1}
                return self.ways(node.node, self.mentions.shared_context(context), env | {mark}, keep)
        return self.chain(children(node), context, env, keep)

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

    def branches(self, node: Any) -> list[tuple[Any, Any]]:
        """The answers of a decision with what each opens."""
        if isinstance(node, Optional):
            return [(False, None), (True, node.node)]
        inside = getattr(node, "branches", None)
        return [(answer, inside[answer] if inside else None) for answer in node.decision.options]

    def of_decision(self, node: Any, context: Context, env: Env, keep: Keep) -> Table:
        after = list(node.members.values()) if isinstance(node, Permute) else []
        inside = opened_by(node)
        opens = any([self.facts.of(branch).open for branch in inside])
        size = 2 if isinstance(node, Optional) else node.decision.size
        key = context.key(node.name) if node.name is not None and size > 1 else None
        known = None if key is None else self.answer(env, key)
        table: Table = {}
        if known is not None:
            branch = {typed(a): b for a, b in self.branches(node)}[known] if opens else None
            return self.chain([branch, *after], context, env, keep)
        if size == 1:
            return self.chain([*inside, *after], context, env, keep)
        waited = key is not None and (
            key in keep.values
            or any([key in keys for _, keys in context.constraints])
            or any([key in self.mentions.of(branch, context).values for branch in inside])
        )
        if size == math.inf:
            return {env | {(key, REACHED)} if key is not None else env: math.inf}
        if not waited and not opens:
            start = env if key is None else env | {(key, REACHED)}
            for end, ways in self.chain(after, context, start, keep).items():
                add(table, end, multiply(size, ways))
            return table
        if size > MAX_STATES:
            raise SizeTooHard(f"{node!r} has {size} answers, and something later depends on which: too many to count")
        for answer, branch in self.branches(node):
            start_env: Env | None = env
            if key is not None:
                start_env = self.decided(env, key, typed(answer) if waited else REACHED, context)
            if start_env is not None:
                for end, ways in self.chain([branch, *after], context, start_env, keep).items():
                    add(table, end, ways)
        return table

    def of_repeat(self, node: Repeat, context: Context, env: Env, keep: Keep) -> Table:
        if not is_indexed(node) and not self.facts.of(node.node).open:
            return self.chain([node.times], context, env, keep)
        table: Table = {}
        body = self.mentions.hidden if is_indexed(node) else self.mentions.of(node.node, context)
        for (start, count), ways in self.values(node.times, context, env, keep.plus(body)).items():
            try:
                check_count(count)
            except SpaceError as error:
                raise SpaceError(f"{node!r}: {error}") from None
            for end, more in self.copies(node, count, context, start, keep).items():
                add(table, end, multiply(ways, more))
        return table

    def copies(self, node: Repeat, count: int, context: Context, env: Env, keep: Keep) -> Table:
        count = min(count, 1) if node.tied else count
        if is_indexed(node):
            nodes = []
            for i in range(count):
                key = (id(node), i)
                if key not in self.expansions:
                    self.expansions[key] = node.copy(i)
                nodes.append(self.mentions.reveal(self.expansions[key], context))
            return self.chain(nodes, context, env, keep)
        mentioned = self.mentions.of(node.node, context)
        if not self.mentions.partners(mentioned.names, context) and count:
            (ways,) = self.ways(node.node, context, frozenset(), NOTHING).values() or (0,)
            return {env: ways if ways == math.inf else ways**count} if ways else {}
        states: Table = {env: 1}
        for i in range(count):
            states = self.step(states, node.node, context, keep if i == count - 1 else keep.plus(mentioned))
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
                        inside = self.ways(member, context, marked, later) if present else {marked: 1}
                        target = following.setdefault(chosen + present, {})
                        for end, more in inside.items():
                            add(target, self.project(end, later, context), multiply(ways, more))
            states = following
        result: Table = {}
        for table in states.values():
            for end, ways in table.items():
                add(result, end, ways)
        return result

    def of_lazy(self, node: Lazy, context: Context, env: Env, keep: Keep) -> Table:
        names = list(node.arguments)
        table: Table = {}
        started = self.values(list(node.arguments.values()), context, env, keep.plus(self.mentions.hidden))
        for (start, arguments), ways in started.items():
            call = dict(zip(names, arguments, strict=True))
            key = (function_key(node.function), tuple([(n, typed(v)) for n, v in call.items()]))
            if key in self.expanding:
                add(table, start, math.inf)
                continue
            if key not in self.expansions:
                if len(self.expansions) >= MAX_EXPANSIONS:
                    raise SizeTooHard(
                        f"{node!r} has more than {MAX_EXPANSIONS} expansions; estimate_size() gives an estimate"
                    )
                self.expansions[key] = node.expand(call, repr(node))
            inside = self.mentions.reveal(self.expansions[key], context)
            self.expanding.add(key)
            for end, more in self.ways(inside, context, start, keep).items():
                add(table, end, multiply(ways, more))
            self.expanding.discard(key)
        return table

    def values(self, node: Any, context: Context, env: Env, keep: Keep) -> dict[tuple[Env, Any], Number]:
        """Like `ways`, with the value of the node told apart."""
        if not has_node(node):
            return {(env, tuple(node) if isinstance(node, list) else node): 1}
        result: dict[tuple[Env, Any], Number] = {}

        def put(end: Env, value: Any, ways: Number) -> None:
            if ways:
                key = (end, value)
                result[key] = result.get(key, 0) + ways

        if is_decision(node):
            key = context.key(node.name) if node.name is not None and node.decision.size > 1 else None
            known = None if key is None else self.answer(env, key)
            if node.decision.size > MAX_STATES:
                raise SizeTooHard(f"{node!r} has too many answers to expand each")
            for answer, branch in self.branches(node):
                if known is not None and known != typed(answer):
                    continue
                start: Env | None = env
                if key is not None and known is None:
                    start = self.decided(env, key, typed(answer), context)
                if start is None:
                    continue
                if getattr(node, "branches", None):
                    for (end, value), ways in self.values(branch, context, start, keep).items():
                        put(end, value, ways)
                else:
                    put(start, answer, 1)
            return result
        if isinstance(node, Derived | list | tuple):
            parts = [child for _, child in node.children()] if isinstance(node, Derived) else list(node)
            states: dict[tuple[Env, Any], Number] = {(env, ()): 1}
            for i, part in enumerate(parts):
                later = keep.plus(self.mentions.of_all(parts[i + 1 :], context))
                following: dict[tuple[Env, Any], Number] = {}
                for (start_env, so_far), ways in states.items():
                    for (end, value), more in self.values(part, context, start_env, later).items():
                        key = (end, (*so_far, value))
                        following[key] = following.get(key, 0) + ways * more
                states = following
            for (end, values), ways in states.items():
                if isinstance(node, Derived):
                    put(end, node.compute(values, repr(node)), ways)
                else:
                    put(end, values, ways)
            return result
        if self.mentions.of(node, context).names:
            raise SizeTooHard(f"{node!r} shares names and something branches on its value: not counted exactly")
        from archsearch.spaces.space import Space

        for arch in Space(node).enumerate():
            value = arch.values
            put(env, tuple(value) if isinstance(value, list) else value, 1)
        return result


def plain(key: Any) -> Any:
    """The answer of a typed key."""
    return tuple([plain(item) for item in key[1:]]) if key[0] is tuple else key[1]


def say_key(key: Any) -> str:
    return key if isinstance(key, str) else say_key(key[0])


def with_named_keys(root: Any, require: Iterable[Require]) -> Any:
    """The root with the decisions that constraints call by their key named so."""
    if not isinstance(root, Mapping):
        return root
    wanted = {name for constraint in require for name in constraint.names}
    names = FactTable().of(root).names
    return {key: renamed(node, key) if key in wanted - names else node for key, node in root.items()}


def renamed(node: Any, name: str) -> Any:
    if isinstance(node, Repeat) and isinstance(node.times, Node):
        return Repeat(node.node, renamed(node.times, name), node.tied)
    if isinstance(node, Node) and hasattr(node, "name") and node.name is None and not isinstance(node, Shared):
        copy = object.__new__(type(node))
        copy.__setstate__(node.__getstate__() | {"name": name})
        return copy
    return node
