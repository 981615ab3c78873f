"""NSGA-II (Deb, Pratap, Agarwal and Meyarivan, 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II").

In its steady-state form (Durillo, Nebro, Luna and Alba, 2009, "On the Effect of the Steady-State Selection Scheme in
Multi-Objective Genetic Algorithms"): each trial that ends joins the population, and the worst member leaves it. No
worker waits for the end of a generation, so it is the same for one worker and for many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import EndlessSpace, Infeasible
from archsearch.searchers.checks import check_number, check_whole
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.outcomes import Outcome, outcome_of
from archsearch.searchers.pareto import crowding_distances, front_numbers
from archsearch.searchers.random import Random
from archsearch.searchers.tried import Tried
from archsearch.searchers.variation import mutated
from archsearch.spaces.architecture import answers_id


@dataclass(frozen=True)
class NSGA2:
    """NSGA-II for one objective or several; no architecture twice while another is left.

    Attributes:
        population: how many trials are kept, and how many are drawn at random first. The default is for some hundred
            trials; more for thousands, or for a front of many.
        crossover: with this probability a child takes its decisions from two parents, by path, otherwise from one.
        mutations: how many decisions of a child are changed after that, at the least.
    """

    population: int = 20
    crossover: float = 0.9
    mutations: int = 1

    def __post_init__(self) -> None:
        check_whole(self, "population", 2)
        check_number(self, "crossover", 1.0)
        check_whole(self, "mutations", 1)

    def start(self, problem: Problem) -> Search:
        return NSGA2Search(problem, self)


class NSGA2Search:
    def __init__(self, problem: Problem, searcher: NSGA2) -> None:
        self.problem = problem
        self.space = problem.space
        self.searcher = searcher
        # Finds what is new: for the first population, and where variation finds only what was tried.
        self.random = Random().start(problem)
        self.tried = Tried()
        self.population: list[Outcome] = []
        self.ranks: list[tuple[int, float]] = []

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        if len(self.population) < self.searcher.population:
            return self.random.ask(number, pending)
        rng = stream(self.problem.seed, number)
        under_way = {answers_id(trial.assignment) for trial in pending}
        ranks = self.ranks = self.ranks or crowded_ranks(self.population)

        def winner() -> Outcome:
            """Of two members, the one in the better front; in the same front, the one in the emptier region."""
            i, j = int(rng.random() * len(ranks)), int(rng.random() * len(ranks))
            return self.population[min(i, j, key=lambda k: ranks[k])]

        parents = [winner()]
        arch = self.space.architecture(parents[0].assignment)
        if rng.random() < self.searcher.crossover:
            parents.append(winner())
            try:
                arch = self.space.crossover(arch, self.space.architecture(parents[1].assignment), rng)
            except (Infeasible, EndlessSpace):  # the constraints keep the parents apart: it is of the first alone
                parents.pop()
        for _ in range(self.searcher.mutations - 1):
            arch = mutated(arch, lambda id: False, rng) or arch
        child = mutated(arch, lambda id: id in self.tried or id in under_way, rng)
        if child is None:
            return self.random.ask(number, pending)
        return Proposal(child.assignment, note={"parents": [parent.number for parent in parents]})

    def tell(self, told: Told) -> None:
        self.random.tell(told)
        self.tried.add(answers_id(told.assignment))
        outcome = outcome_of(told, self.problem)
        if outcome.failed:
            return
        self.population.append(outcome)
        self.ranks = []
        if len(self.population) > self.searcher.population:
            ranks = crowded_ranks(self.population)
            # Of equals the newest leaves.
            del self.population[max(range(len(ranks)), key=lambda i: (ranks[i], i))]


def crowded_ranks(outcomes: Sequence[Outcome]) -> list[tuple[int, float]]:
    """For each outcome (the number of its front, minus its crowding distance): smaller is better.

    Whatever breaks a constraint is in a front behind all that break none, by how far it is outside (Deb's rule).

    >>> feasible = [Outcome(0, {}, (1.0, 2.0), (0.0,)), Outcome(1, {}, (2.0, 2.0), (0.0,))]
    >>> crowded_ranks([*feasible, Outcome(2, {}, (0.0, 0.0), (9.0,)), Outcome(3, {}, (5.0, 5.0), (3.0,))])
    [(0, -inf), (1, -inf), (3, -inf), (2, -inf)]
    """
    numbers = [-1] * len(outcomes)
    feasible = [i for i, outcome in enumerate(outcomes) if outcome.feasible]
    for i, number in zip(feasible, front_numbers([outcomes[i].losses for i in feasible]), strict=True):
        numbers[i] = number
    behind = max(numbers, default=-1) + 1
    violations = sorted({sum(outcome.violations) for outcome in outcomes if not outcome.feasible})
    ranks = [(0, 0.0)] * len(outcomes)
    fronts: dict[int, list[int]] = {}
    for i, outcome in enumerate(outcomes):
        number = numbers[i] if outcome.feasible else behind + violations.index(sum(outcome.violations))
        fronts.setdefault(number, []).append(i)
    for number, front in fronts.items():
        for i, distance in zip(front, crowding_distances([outcomes[i].losses for i in front]), strict=True):
            ranks[i] = (number, -distance)
    return ranks
