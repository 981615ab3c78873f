"""Exhaustive search: every architecture once, in the order of the enumeration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told
from archsearch.spaces.space import Architecture, Space


@dataclass(frozen=True)
class Exhaustive:
    """Trial n is the n-th architecture of `space.enumerate()`. For spaces without a Real."""

    def start(self, problem: Problem) -> Search:
        return ExhaustiveSearch(problem.space)


class ExhaustiveSearch:
    """Proposals depend on the number alone; the iterator is only a memory of where the last one stood."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.rewind()

    def rewind(self) -> None:
        self.position = -1
        self.current: Architecture | None = None
        self.iterator: Iterator[Architecture] = self.space.enumerate()

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        if number < self.position:
            self.rewind()
        while self.position < number:
            following = next(self.iterator, None)
            if following is None:
                return None
            self.current = following
            self.position += 1
        return None if self.current is None else Proposal(self.current.assignment)

    def tell(self, told: Told) -> None:
        """Outcomes change nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return {"space": self.space}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["space"])  # type: ignore[misc]
