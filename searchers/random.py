"""Random search (Bergstra and Bengio, 2012, "Random Search for Hyper-Parameter Optimization")."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import EndlessSpace, Infeasible, SizeTooHard, SpaceError, UsageError
from archsearch.searchers.checks import check_word
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.tried import Tried
from archsearch.spaces.architecture import Architecture, answers_id
from archsearch.spaces.uniform import KINDS, Uniform

# After this many repeats in a row at most a thousandth or so of what is likely to be drawn is left: look for
# it in order instead. Where little was tried, looking through it in order is cheaper than so many draws: then after
# some draws for each architecture that was tried.
MAX_REDRAWS = 1_000
DRAWS_PER_TRIED = 10
# So many draws that constraints refuse, each after thousands of attempts, are taken to mean that nothing is left.
MAX_REFUSED = 10


@dataclass(frozen=True)
class Random:
    """Architectures at random; none twice while another is left.

    Args:
        uniform: over the options of each decision as it comes up ("decisions"), or over all architectures, by
            their exact count ("architectures"); see `Space.sample`.
    """

    uniform: Uniform = "decisions"

    def __post_init__(self) -> None:
        check_word(self, "uniform", KINDS)

    def start(self, problem: Problem) -> Search:
        if self.uniform == "architectures":
            try:
                problem.space.sample(stream(problem.seed, 0), uniform=self.uniform)
            except (SpaceError, SizeTooHard) as error:
                raise UsageError(f"Random(uniform='architectures') cannot count this space: {error}") from error
        return RandomSearch(problem, self.uniform)


class RandomSearch:
    def __init__(self, problem: Problem, uniform: Uniform) -> None:
        self.space = problem.space
        self.uniform = uniform
        self.seed = problem.seed
        self.tried = Tried()

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        rng = stream(self.seed, number)
        under_way = {answers_id(trial.assignment) for trial in pending}
        few = min(MAX_REDRAWS, DRAWS_PER_TRIED * (len(self.tried) + len(under_way) + 1))
        arch = self.drawn(rng, under_way, few)
        if arch is not None:
            return Proposal(arch.assignment)
        try:
            arch = self.next_untried(under_way)
        except (SpaceError, EndlessSpace):  # a Real or a grammar without an end: only draws are left
            arch = self.drawn(rng, under_way, MAX_REDRAWS) or self.space.sample(rng, uniform=self.uniform)
        return None if arch is None else Proposal(arch.assignment)

    def drawn(self, rng: random.Random, under_way: set[str], draws: int) -> Architecture | None:
        """The first of so many draws that is new."""
        refused = 0
        for _ in range(draws):
            try:
                arch = self.space.sample(rng, uniform=self.uniform)
            except EndlessSpace:  # draw again: a study that stopped here would come to the same draw when resumed
                continue
            except Infeasible:  # the same, where it is known that constraints allow something
                refused += 1
                if not len(self.tried) or refused == MAX_REFUSED:
                    raise
                continue
            if arch.id not in self.tried and arch.id not in under_way:
                return arch
        return None

    def next_untried(self, under_way: set[str]) -> Architecture | None:
        """The first architecture of the enumeration that is new: at most as many are skipped as were tried."""
        for arch in self.space.enumerate():
            if arch.id not in self.tried and arch.id not in under_way:
                return arch
        return None

    def tell(self, told: Told) -> None:
        self.tried.add(answers_id(told.assignment))
