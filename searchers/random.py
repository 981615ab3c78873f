"""Random search (Bergstra and Bengio, 2012, "Random Search for Hyper-Parameter Optimization")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import EndlessSpace, SpaceError
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.tried import Tried
from archsearch.spaces.architecture import Architecture, answers_id
from archsearch.spaces.uniform import Uniform, check_uniform

# After this many repeats in a row at most a thousandth or so of what is likely to be drawn is left: look for
# it in order instead.
MAX_REDRAWS = 1_000


@dataclass(frozen=True)
class Random:
    """Architectures at random; none twice while another is left.

    Args:
        uniform: over the options of each decision as it comes up ("decisions"), or over all architectures, by
            their exact count ("architectures"); see `Space.sample`.
    """

    uniform: Uniform = "decisions"

    def __post_init__(self) -> None:
        check_uniform(self.uniform, "Random")

    def start(self, problem: Problem) -> Search:
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
        repeat: Architecture | None = None
        for i in range(MAX_REDRAWS):
            try:
                arch = self.space.sample(rng, uniform=self.uniform)
            except EndlessSpace:
                # Draw again: a study that stopped here would come to the same draw whenever it is resumed.
                if repeat is None and i == MAX_REDRAWS - 1:
                    raise
                continue
            if arch.id not in self.tried and arch.id not in under_way:
                return Proposal(arch.assignment)
            repeat = arch
        assert repeat is not None
        return self.next_untried(under_way, repeat)

    def next_untried(self, under_way: set[str], repeat: Architecture) -> Proposal | None:
        """The first architecture of the enumeration that is new: at most as many are skipped as were tried."""
        try:
            for arch in self.space.enumerate():
                if arch.id not in self.tried and arch.id not in under_way:
                    return Proposal(arch.assignment)
        except (SpaceError, EndlessSpace):  # a Real or a grammar without an end: a repeat is all that the draws gave
            return Proposal(repeat.assignment)
        return None

    def tell(self, told: Told) -> None:
        self.tried.add(answers_id(told.assignment))
