"""Exhaustive search: every architecture once, in the order of the enumeration."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.errors import SizeTooHard, UsageError
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told
from archsearch.searchers.tried import Tried
from archsearch.spaces.architecture import Architecture, answers_id
from archsearch.spaces.space import Space


@dataclass(frozen=True)
class Exhaustive:
    """The first architecture of `space.enumerate()` that was not tried, for spaces with an end."""

    def start(self, problem: Problem) -> Search:
        check_end(problem.space)
        return ExhaustiveSearch(problem.space)


def check_end(space: Space) -> None:
    try:
        endless = space.size() == math.inf
    except SizeTooHard:  # only the enumeration can tell
        return
    if endless:
        raise UsageError(
            "Exhaustive is for spaces with an end, but this one has a Real, or a grammar without an end "
            "(print(space) lists its decisions); Random and the other searchers take such spaces"
        )


class ExhaustiveSearch:
    """Proposals depend on what was tried and is pending alone; the iterator only remembers how far all was tried."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.tried = Tried()
        self.rewind()

    def rewind(self) -> None:
        self.iterator: Iterator[Architecture] = self.space.enumerate()
        # What the iterator gave and was not told: at most what is pending, and one more.
        self.ahead: deque[Architecture] = deque()

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        under_way = {answers_id(trial.assignment) for trial in pending}
        self.ahead = deque([arch for arch in self.ahead if arch.id not in self.tried])
        for arch in self.ahead:
            if arch.id not in under_way:
                return Proposal(arch.assignment)
        for arch in self.iterator:
            if arch.id not in self.tried:
                self.ahead.append(arch)
                if arch.id not in under_way:
                    return Proposal(arch.assignment)
        return None

    def tell(self, told: Told) -> None:
        self.tried.add(answers_id(told.assignment))

    def __getstate__(self) -> dict[str, Any]:
        return {"space": self.space, "tried": self.tried}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.space, self.tried = state["space"], state["tried"]
        self.rewind()
