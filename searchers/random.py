"""Random search: every trial an independent draw, uniform over the options of each decision, without repeats.

The baseline of Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization" (JMLR 2012).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import SizeTooHard
from archsearch.searchers.contract import Pending, Problem, Proposal, Told, stream, taken
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.space import Architecture, Space

# Draws of one trial that may hit what is known before the rest of the space is listed instead.
MAX_REPEATS = 100

# A space up to this size is listed to find what is left of it.
MAX_LISTED = 100_000


@dataclass(frozen=True)
class Random:
    """Random search. Nothing is proposed twice while anything else is left; a finite space comes to an end.

    In a space of more than 100,000 architectures a proposal repeats after 100 draws in a row that are known.
    """

    def start(self, problem: Problem) -> RandomSearch:
        return RandomSearch(problem)


class RandomSearch:
    def __init__(self, problem: Problem) -> None:
        self.space = problem.space
        self.seed = problem.seed
        self.known: set[str] = set()
        self.small = is_small(problem.space)
        self.left: list[Architecture] | None = None

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        rng = stream(self.seed, number)
        waiting = taken(pending)
        for _ in range(MAX_REPEATS):
            arch = self.space.sample(rng)
            if arch.id not in self.known and arch.id not in waiting:
                return Proposal(arch.assignment)
        if not self.small:
            return Proposal(arch.assignment)
        # What is known only grows, so the list of the rest only shrinks and need not be made anew.
        rest = self.space.enumerate() if self.left is None else self.left
        self.left = [a for a in rest if a.id not in self.known]
        left = [a for a in self.left if a.id not in waiting]
        return Proposal(left[int(rng.random() * len(left))].assignment) if left else None

    def tell(self, told: Told) -> None:
        self.known.add(answers_id(told.assignment))


def is_small(space: Space) -> bool:
    try:
        size = space.size()
    except SizeTooHard:
        return False
    return size is not math.inf and size <= MAX_LISTED
