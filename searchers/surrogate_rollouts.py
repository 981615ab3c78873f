"""The rollout that promises most: a surrogate ranks several (see `smbo` for the surrogate and what it promises by)."""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.searchers.contract import Pending, Problem, Told
from archsearch.searchers.smbo import SMBO, SMBOSearch
from archsearch.spaces.architecture import Architecture

NUM_ROLLOUTS = 32


class RankedRollouts:
    """Picks rollouts by the acquisition function of model-based search."""

    def __init__(self, problem: Problem) -> None:
        self.model = SMBOSearch(problem, SMBO())

    def tell(self, told: Told) -> None:
        self.model.tell(told)

    @property
    def number(self) -> int:
        """How many rollouts to draw: 1 until there is a surrogate to rank them."""
        return NUM_ROLLOUTS if len(self.model.outcomes) >= self.model.searcher.initial else 1

    def best(self, archs: Sequence[Architecture], pending: Sequence[Pending]) -> Architecture:
        """The one that promises most; the first of equal ones."""
        if len(archs) == 1:
            return archs[0]
        values = self.model.promise(self.model.posterior(self.model.architectures(pending)))(archs).tolist()
        return archs[max(range(len(archs)), key=lambda i: values[i])]
