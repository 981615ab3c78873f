"""Counting where something branches on a value: a Repeat's count, the arguments of a Lazy.

Values are told apart as answers are, with their type: a Lazy of True is not one of 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from archsearch.errors import SizeTooHard
from archsearch.spaces.decisions import typed
from archsearch.spaces.mentions import Context, Keep
from archsearch.spaces.node import has_node
from archsearch.spaces.nodes import Derived, is_decision
from archsearch.spaces.parts import Stands, parts
from archsearch.spaces.ways import Answers, Env, Ways, inside, multiply, plus

if TYPE_CHECKING:
    from archsearch.spaces.count import Count

Valued: TypeAlias = dict[tuple[Env, Any], tuple[Any, Ways]]
"""The value and its ways, by what is known afterwards and the typed value."""


def values_of(count: Count, node: Any, context: Context, env: Env, keep: Keep) -> Valued:
    """Like `Count.ways`, with the values of the node told apart."""
    result: Valued = {}
    if not has_node(node):
        put(result, env, tuple(node) if isinstance(node, list) else node, 1)
        return result
    if is_decision(node):
        key = context.key(node.name) if node.name is not None and node.decision.size > 1 else None
        known = None if key is None else count.answer(env, key)
        count.check_size(node)
        for answer, (step, branch) in count.branches(node):
            if known is not None and known != typed(answer):
                continue
            start: Env | None = env
            if key is not None and known is None:
                start = count.decided(env, key, typed(answer), context)
            if start is None:
                continue
            given = count.given(node.name, answer) if known is None and node.decision.size > 1 else 1
            if getattr(node, "branches", None):
                for (end, _), (value, ways) in values_of(count, branch, context, start, keep).items():
                    put(result, end, value, multiply(given, inside(step, ways)))
            else:
                put(result, start, answer, given)
        return result
    if isinstance(node, Derived | list | tuple):
        for (end, _), (values, ways) in tuples_of(count, parts(node), context, env, keep).items():
            put(result, end, node.compute(values, repr(node)) if isinstance(node, Derived) else values, ways)
        return result
    if count.mentions.of(node, context).names:
        raise SizeTooHard(f"{node!r} shares names and something branches on its value: not counted exactly")
    from archsearch.spaces.space import Space

    for arch in Space(node).enumerate():
        value = arch.values
        ways = Answers(arch.answers) if count.draws else 1
        put(result, env, tuple(value) if isinstance(value, list) else value, ways)
    return result


def tuples_of(count: Count, nodes: list[Stands], context: Context, env: Env, keep: Keep) -> Valued:
    """The values of several nodes, one after the other."""
    states: Valued = {(env, ()): ((), 1)}
    for i, (step, node) in enumerate(nodes):
        later = keep.plus(count.mentions.of_all([n for _, n in nodes[i + 1 :]], context))
        following: Valued = {}
        for (start, _), (so_far, ways) in states.items():
            for (end, _), (value, more) in values_of(count, node, context, start, later).items():
                put(following, end, (*so_far, value), multiply(ways, inside(step, more)))
        states = following
    return states


def put(valued: Valued, env: Env, value: Any, ways: Ways) -> None:
    """Add alternatives that lead to `env` and `value`."""
    key = (env, typed(value))
    before = valued.get(key)
    valued[key] = (value, ways if before is None else plus(before[1], ways))
