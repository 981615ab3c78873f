"""What a search makes of what it is told: losses and violations, and which of two trials is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archsearch.errors import UsageError
from archsearch.searchers.contract import Problem, Told

# The searchers that take several objectives, for the error of those that do not.
SEVERAL_OBJECTIVES = ("Random", "Exhaustive", "NSGA2", "SMBO", "Auto")


@dataclass(frozen=True)
class Outcome:
    """A trial that ended.

    Attributes:
        number: its number.
        assignment: its answers by path.
        losses: its objectives in the order of the problem, smaller is better; empty where it has none (it failed).
        slacks: how far outside (positive) or inside (negative) each limit of the problem it is, in their order; empty
            where it failed.
    """

    number: int
    assignment: Mapping[str, Any]
    losses: tuple[float, ...]
    slacks: tuple[float, ...] = ()

    @property
    def violations(self) -> tuple[float, ...]:
        """By how much it breaks each limit; 0 for those it keeps."""
        return tuple([max(0.0, slack) for slack in self.slacks])

    @property
    def failed(self) -> bool:
        return not self.losses

    @property
    def feasible(self) -> bool:
        return bool(self.losses) and not any(self.violations)

    @property
    def place(self) -> tuple[bool, float, float]:
        """Orders trials by their first objective: the feasible by loss, then the others by violation, then the failed.

        (The rules of Deb, 2000, "An efficient constraint handling method for genetic algorithms".)
        """
        return (self.failed, sum(self.violations), self.losses[0] if self.losses else 0.0)


def outcome_of(told: Told, problem: Problem) -> Outcome:
    """What was told, with every objective to be minimised."""
    if told.state != "done":
        return Outcome(told.number, told.assignment, ())
    losses = [
        -told.objectives[name] if direction == "maximize" else told.objectives[name]
        for name, direction in problem.objectives.items()
    ]
    slacks = [limit.slack(told.metrics.get(name)) for name, limit in problem.constraints.items()]
    return Outcome(told.number, told.assignment, tuple(losses), tuple(slacks))


def single_objective(problem: Problem, searcher: str) -> str:
    """The only objective of a problem, for a searcher that takes one.

    Raises:
        UsageError: there are several; says which searchers take them.
    """
    if len(problem.objectives) != 1:
        *most, last = SEVERAL_OBJECTIVES
        raise UsageError(
            f"{searcher} is for one objective, but the study has {', '.join(problem.objectives)}; "
            f"{', '.join(most)} and {last} take several"
        )
    (objective,) = problem.objectives
    return objective
