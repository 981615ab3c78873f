"""Exhaustive search: every architecture of the space once, in the order of `space.enumerate()`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.searchers.contract import Pending, Problem, Proposal, Told
from archsearch.spaces.space import Architecture, Space


@dataclass(frozen=True)
class Exhaustive:
    """Everything, in order; for spaces small enough to afford it.

    Raises:
        SpaceError: when asked, if the space has a Real.
    """

    def start(self, problem: Problem) -> ExhaustiveSearch:
        return ExhaustiveSearch(problem.space)


class ExhaustiveSearch:
    """Trial n is the n-th architecture. Holds its place in the enumeration, so asking in order costs one step."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._rewind()

    def _rewind(self) -> None:
        self._remaining: Iterator[Architecture] = self.space.enumerate()
        self._number = -1
        self._current: Architecture | None = None

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        if number < self._number:
            self._rewind()
        while self._number < number:
            self._current = next(self._remaining, None)
            self._number += 1
        return Proposal(self._current.assignment) if self._current is not None else None

    def tell(self, told: Told) -> None:
        pass

    def __getstate__(self) -> dict[str, Any]:
        # The enumeration is a running generator, which cannot be copied; a copy finds its place again.
        return {"space": self.space}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.space = state["space"]
        self._rewind()
