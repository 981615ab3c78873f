"""The searcher that fits a problem: what is chosen, and why, is in the record of the study.

The rules come from measurements (tests/benchmarks/RESULTS.md, "Regret"): on flat tables, conditional trees, mixed
numbers, graphs and orders model-based search is ahead soon after its start, and was not clearly overtaken within 200
trials. Where an architecture has hundreds of decisions it takes turns with Monte Carlo tree search: the model gets on
faster than that alone, but leaves decisions alone that it takes for none that matter. Its asks take time in proportion
to the decisions, so beyond a thousand of them tree search has them all, or for several objectives NSGA-II.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from archsearch.errors import ArchsearchError, EndlessSpace, Infeasible
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Searcher, Told
from archsearch.searchers.exhaustive import Exhaustive
from archsearch.searchers.mcts import MCTS
from archsearch.searchers.nsga2 import NSGA2
from archsearch.searchers.patience import IN_ALL
from archsearch.searchers.smbo import SMBO
from archsearch.searchers.views import MAX_WEIGHTS
from archsearch.spaces.refusals import at_most
from archsearch.spaces.space import Space

# Fewer architectures than this are all tried before a model would say anything.
TINY = 10
# More decisions than this in an architecture make an ask of model-based search take more than a second.
MANY_DECISIONS = 1_000
DRAWS = 16


@dataclass(frozen=True)
class Auto:
    """Chooses by the size of the space, the number of decisions in an architecture, and the objectives."""

    def start(self, problem: Problem) -> Search:
        chosen, reason = self.choose(problem)
        return AutoSearch([searcher.start(problem) for searcher in chosen], reason)

    def choose(self, problem: Problem) -> tuple[Sequence[Searcher], str]:
        """The searchers that take turns with a problem, mostly one, and why."""
        size, decisions = size_of(problem.space), mean_decisions(problem.space)
        many = f"{len(problem.objectives)} objectives" if len(problem.objectives) > 1 else "one objective"
        about = f"{described(size)} with about {decisions:.0f} decisions each, {many}"
        if size <= TINY:
            return [Exhaustive()], f"exhaustive: {about}; all are tried before a model would say anything"
        if decisions > MANY_DECISIONS:
            if len(problem.objectives) > 1:
                return [NSGA2()], f"nsga2: {about}; with so many decisions a model would take seconds an ask"
            return [MCTS()], f"mcts: {about}; with so many decisions a model would take seconds an ask"
        if decisions > MAX_WEIGHTS and len(problem.objectives) == 1:
            return [SMBO(), MCTS()], (
                f"smbo and mcts by turns: {about}; the model alone leaves out decisions that it takes for unimportant"
            )
        model = "a Gaussian process over decisions, and forests beyond 1,500 trials"
        if len(problem.objectives) > 1:
            return [SMBO()], f"smbo: {about}; it takes several, by expected hypervolume improvement under {model}"
        return [SMBO()], f"smbo: {about}; within 200 trials the best here on most of the measured tasks ({model})"


class AutoSearch:
    """The searches of the searchers that were chosen: each is told everything, and they are asked by turns.

    Attributes:
        reason: which, and why.
    """

    def __init__(self, searches: Sequence[Search], reason: str) -> None:
        self.searches = searches
        self.reason = reason

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        return self.searches[number % len(self.searches)].ask(number, pending)

    def tell(self, told: Told) -> None:
        for search in self.searches:
            search.tell(told)


def described(size: float) -> str:
    if size != size:  # nan; a huge int is none, but math.isnan cannot take it
        return "architectures that are too hard to count,"
    if size == math.inf:
        return "infinitely many architectures"
    if size < 1e9:
        return f"{size:,} architectures"
    return f"about 10^{math.floor(math.log10(size))} architectures"


def size_of(space: Space) -> float:
    """The number of architectures; nan where it is too hard to count."""
    try:
        return space.size()
    except ArchsearchError:
        return math.nan


def mean_decisions(space: Space) -> float:
    """How many decisions an architecture has, by a few draws; those of a grammar that do not end count as the most.

    Raises:
        Infeasible: constraints refuse the first.
    """
    rng = random.Random(0)
    counts: list[int] = []

    def draw() -> None:
        with suppress(EndlessSpace):
            counts.append(len(space.sample(rng).answers))

    draw()
    with suppress(Infeasible), at_most(IN_ALL):  # another would take as many attempts again
        for _ in range(DRAWS - 1):
            draw()
    return sum(counts) / len(counts) if counts else float(space.max_decisions)
