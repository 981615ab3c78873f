"""Regularized evolution (Real, Aggarwal, Huang and Le, 2019, "Regularized Evolution for Image Classifier
Architecture Search", arXiv:1802.01548): a tournament among the last few trials, and a mutation of its winner.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import UsageError
from archsearch.searchers.checks import check_whole
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.outcomes import Outcome, outcome_of, single_objective
from archsearch.searchers.random import Random
from archsearch.searchers.tried import Tried
from archsearch.searchers.variation import mutated
from archsearch.spaces.architecture import answers_id


@dataclass(frozen=True)
class Evolution:
    """Regularized evolution for one objective; no architecture twice while another is left.

    Attributes:
        population: how many of the latest trials compete; older ones die, however good they are. It should be far
            below the number of trials, since as many are drawn at random first.
        sample: how many of them are drawn for a tournament; the best is mutated in one decision. Those that break
            constraints are behind all that keep them, by how far they are outside.
    """

    population: int = 25
    sample: int = 10

    def __post_init__(self) -> None:
        check_whole(self, "population", 1)
        check_whole(self, "sample", 1)
        if self.sample > self.population:
            raise UsageError(
                f"Evolution needs sample <= population, but got sample={self.sample!r}, population={self.population!r}"
            )

    def start(self, problem: Problem) -> Search:
        single_objective(problem, "Evolution")
        return EvolutionSearch(problem, self)


class EvolutionSearch:
    def __init__(self, problem: Problem, searcher: Evolution) -> None:
        self.problem = problem
        self.space = problem.space
        self.sample = searcher.sample
        # Finds what is new: for the first population, and where mutation finds only what was tried.
        self.random = Random().start(problem)
        self.tried = Tried()
        self.alive: deque[Outcome] = deque(maxlen=searcher.population)

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        if len(self.alive) < (self.alive.maxlen or 0):
            return self.random.ask(number, pending)
        rng = stream(self.problem.seed, number)
        rivals = list(self.alive)
        tournament = [rivals.pop(int(rng.random() * len(rivals))) for _ in range(self.sample)]
        parent = min(tournament, key=lambda rival: rival.place)
        arch = self.space.architecture(parent.assignment)
        under_way = {answers_id(trial.assignment) for trial in pending}
        child = mutated(arch, lambda id: id in self.tried or id in under_way, rng)
        if child is None:
            return self.random.ask(number, pending)
        return Proposal(child.assignment, note={"mutated": parent.number})

    def tell(self, told: Told) -> None:
        self.random.tell(told)
        self.tried.add(answers_id(told.assignment))
        outcome = outcome_of(told, self.problem)
        if not outcome.failed:
            self.alive.append(outcome)
