"""A JSON schema for assignments, for answers that come from a person or a language model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archsearch.spaces.decisions import Decision, IntegerRange, RealRange
from archsearch.spaces.prior import rounded
from archsearch.spaces.steps import ASK, ENTER, Program, Step
from archsearch.spaces.wiring import Refused

if TYPE_CHECKING:
    from archsearch.spaces.space import Space

# Past this many ways to reach decisions, the schema says what may be answered, but not when.
MAX_WAYS = 5_000

Way = tuple[tuple[str, Any], ...]


class TooManyWays(Exception):
    """The space is too large, or a grammar without an end."""


def json_schema(space: Space) -> dict[str, Any]:
    """A schema that holds for the assignments of a space: what each path may be answered with, and when it is asked.

    Constraints are not in it, nor, in a large space or a grammar, which answers ask which others:
    `space.architecture(...)` checks everything.
    """
    compiler = space.compiler
    found: dict[str, tuple[Decision, set[Way]]] = {}
    complete = True
    try:
        collect(compiler.program(compiler.root), (), found)
    except TooManyWays:
        complete = False
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {path: answer_schema(decision) for path, (decision, _) in found.items()},
        "required": [path for path, (_, ways) in found.items() if () in ways],
        "additionalProperties": not complete,
    }
    conditional = [(path, ways) for path, (_, ways) in found.items() if () not in ways]
    if complete and conditional:
        schema["allOf"] = [when(path, ways) for path, ways in conditional]
    return schema


def collect(program: Program, way: Way, found: dict[str, tuple[Decision, set[Way]]]) -> None:
    """Note every decision with the answers that lead to it. An explicit stack: spaces may be deep."""
    stack: list[tuple[Iterator[Any], Way]] = [(iter(program), way)]
    count = 0
    while stack:
        steps, way = stack[-1]
        entry = next(steps, None)
        if entry is None:
            stack.pop()
            continue
        step: Step = entry[4]
        count += 1
        if count > MAX_WAYS:
            raise TooManyWays
        if step.kind == ASK:
            assert step.decision is not None
            given = dict(way)
            if step.path not in given:
                found.setdefault(step.path, (step.decision, set()))[1].add(way)
        for answers, opened in openings(step, way, found):
            if opened:
                stack.append((iter(opened), (*way, *[pair for pair in answers if pair not in way])))


def openings(
    step: Step, way: Way, found: dict[str, tuple[Decision, set[Way]]]
) -> Iterator[tuple[list[tuple[str, Any]], Program]]:
    """The programs that a step opens, with the answers that open each."""
    if step.programs is None:
        return
    given = dict(way)
    if step.kind == ENTER:
        yield [], step.programs[None]
        return
    reads = (step.path,) if step.kind == ASK else step.reads
    if reads is None:
        raise TooManyWays
    choices = []
    for path in reads:
        options = found[path][0].options if path not in given else (given[path],)
        if options is None or len(options) > MAX_WAYS:
            raise TooManyWays
        choices.append(options)
    if math.prod([len(options) for options in choices]) > MAX_WAYS:
        raise TooManyWays
    for answers in itertools.product(*choices):
        chosen = dict(zip(reads, answers, strict=True))
        try:
            key = chosen[step.path] if step.kind == ASK else step.key(chosen)  # type: ignore[misc]
        except Refused:
            continue
        yield list(chosen.items()), step.programs[key]


def when(path: str, ways: set[Way]) -> dict[str, Any]:
    """`path` is answered under one of `ways`, and only then."""
    conditions = [
        {"properties": {p: {"const": jsonable(answer)} for p, answer in way}, "required": [p for p, _ in way]}
        for way in sorted(ways, key=repr)
    ]
    return {"if": {"anyOf": conditions}, "then": {"required": [path]}, "else": {"properties": {path: False}}}


def answer_schema(decision: Decision) -> dict[str, Any]:
    if isinstance(decision, IntegerRange):
        return {"type": "integer", "minimum": decision.low, "maximum": decision.high}
    if isinstance(decision, RealRange):
        return {"type": "number", "minimum": decision.low, "maximum": decision.high}
    schema: dict[str, Any] = {"enum": [jsonable(option) for option in decision.options]}
    if decision.prior is not None:
        chances = zip(decision.options, rounded(decision.prior), strict=True)
        schema["description"] = "prior: " + ", ".join([f"{option!r} {p:.3g}" for option, p in chances])
    return schema


def jsonable(answer: Any) -> Any:
    return [jsonable(item) for item in answer] if isinstance(answer, tuple) else answer
