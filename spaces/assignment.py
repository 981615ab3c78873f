"""Reading an assignment, the answers by path that somebody gives: from code, from JSON, from the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from archsearch.errors import AssignmentError, did_you_mean
from archsearch.spaces.decisions import Decision, frozen
from archsearch.spaces.steps import Answers
from archsearch.spaces.wiring import Refused

if TYPE_CHECKING:
    from archsearch.spaces.space import Space


def read_assignment(assignment: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The answers by path.

    Raises:
        AssignmentError: it is no mapping of paths, or answers one twice.
    """
    if isinstance(assignment, Mapping):
        pairs = list(assignment.items())
    elif isinstance(assignment, str) or not isinstance(assignment, Iterable):
        raise AssignmentError(f"an assignment maps paths to answers, but got {assignment!r}")
    else:
        pairs = []
        for pair in assignment:
            if isinstance(pair, str) or not isinstance(pair, list | tuple) or len(pair) != 2:
                raise AssignmentError(f"an assignment is a dict or a list of (path, answer) pairs, but has {pair!r}")
            pairs.append(tuple(pair))
    given: dict[str, Any] = {}
    for path, answer in pairs:
        if not isinstance(path, str):
            raise AssignmentError(f"paths are strings, but got {path!r}")
        if path in given:
            raise AssignmentError(f"{path}: answered twice", path)
        given[path] = frozen(answer)
    return given


def checked_answers(space: Space, given: Answers) -> Answers:
    """The answers in the order of the walk, each checked, and `require` with them.

    Raises:
        AssignmentError: an answer is missing, not allowed, or of a decision that is not asked.
    """

    def answer(decision: Decision, path: str) -> Any:
        if path not in given:
            raise AssignmentError(
                f"{path}: no answer given, {decision.expected()}{did_you_mean(path, given.keys() - used)}", path
            )
        used.add(path)
        try:
            return decision.parse(given[path])
        except ValueError as error:
            raise AssignmentError(f"{path}: {error}", path) from None

    used: set[str] = set()
    paths = space.compiler.paths
    try:
        answers = space.free_walk(answer)
    except Refused as error:
        raise AssignmentError(f"these answers make no graph: {error}") from None
    for path in given:
        if path not in answers:
            known = path in paths
            why = "is not asked under these answers" if known else "is not a decision of the space"
            raise AssignmentError(f"{path}: {why}{'' if known else did_you_mean(path, answers)}", path)
    for constraint in space.refused(answers):
        values = ", ".join([f"{path}={answers[path]!r}" for path in constraint.paths])
        raise AssignmentError(f"{constraint.text()} does not allow {values}", constraint.paths[0])
    return answers
