"""A JSON schema for assignments, for answers that come from a person or a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archsearch.spaces.decisions import Decision, IntegerRange, RealRange
from archsearch.spaces.text import list_decisions

if TYPE_CHECKING:
    from archsearch.spaces.space import Space

MAX_PATHS = 10_000


def json_schema(space: Space) -> dict[str, Any]:
    """What each path may be answered with, and which paths every architecture answers.

    Which other decisions are asked depends on the answers: `space.architecture(...)` checks that, and
    constraints, exactly.
    """
    decisions, complete = list_decisions(space.compiler, MAX_PATHS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {listed.path: answer_schema(listed.decision) for listed in decisions},
        "required": always(space),
        "additionalProperties": not complete,
    }


def always(space: Space) -> list[str]:
    """The paths asked before anything branches."""
    compiler = space.compiler
    return [path for path, _, _, _, step in compiler.program(compiler.root) if step.decision is not None]


def answer_schema(decision: Decision) -> dict[str, Any]:
    if isinstance(decision, IntegerRange):
        return {"type": "integer", "minimum": decision.low, "maximum": decision.high}
    if isinstance(decision, RealRange):
        return {"type": "number", "minimum": decision.low, "maximum": decision.high}
    return {"enum": [jsonable(option) for option in decision.options]}


def jsonable(answer: Any) -> Any:
    return [jsonable(item) for item in answer] if isinstance(answer, tuple) else answer
