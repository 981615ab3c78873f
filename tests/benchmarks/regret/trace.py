"""What a run came to: the best so far after every evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from benchmarks.regret.tasks import Run, Task

from archsearch.spaces.architecture import answers_id


@dataclass(frozen=True)
class Trace:
    """One run of a method on a task; a line of a file of results.

    Attributes:
        seed: of the run.
        budget: evaluations that it was given.
        evaluations: how many it made.
        at: the evaluations, counted from 1, at which the best so far changed.
        report: what it was from there on: the "report" of the incumbent (the evaluation with the best score so far), or
            the hypervolume.
        score: the incumbent's "score" from there on, what the search saw of it; with several objectives nothing.
        repeats: evaluations of what had been evaluated before.
        failed: evaluations that failed.
        ask_ms: milliseconds that the method took for an evaluation: the median of all, and of the last twenty.
    """

    seed: int
    budget: int
    evaluations: int
    at: Sequence[int]
    report: Sequence[float]
    repeats: int
    failed: int
    ask_ms: Sequence[float]
    score: Sequence[float] = ()

    def best_so_far(self, budget: int, before: float, by: Literal["report", "score"] = "report") -> list[float]:
        """The best so far after each of `budget` evaluations.

        Args:
            budget: how many evaluations; a method that found nothing left to evaluate keeps what it has.
            before: what counts as long as nothing has succeeded.
            by: which of the incumbent's numbers.
        """
        values: list[float] = []
        value, changes = before, dict(zip(self.at, getattr(self, by), strict=True))
        for n in range(1, budget + 1):
            value = changes.get(n, value)
            values.append(value)
        return values


def trace(task: Task, seed: int, budget: int, run: Run) -> Trace:
    """What a run came to."""
    outcomes = [task.evaluate(assignment) for assignment in run.assignments]
    at: list[int] = []
    changes: list[tuple[float, ...]] = []
    for n, value in enumerate(best_so_far(task, outcomes), 1):
        if value is not None and (not changes or value != changes[-1]):
            at.append(n)
            changes.append(value)
    asks = [1e3 * seconds for seconds in run.ask_seconds] or [0.0]
    return Trace(
        seed=seed,
        budget=budget,
        evaluations=len(outcomes),
        at=at,
        report=[float(f"{value[0]:.9g}") for value in changes],
        score=[float(f"{score:.9g}") for _, *scores in changes for score in scores],
        repeats=len(outcomes) - len({answers_id(assignment) for assignment in run.assignments}),
        failed=sum([task.failed(metrics) for metrics in outcomes]),
        ask_ms=[float(f"{value:.3g}") for value in (median(asks), median(asks[-20:]))],
    )


def best_so_far(task: Task, outcomes: Iterable[Mapping[str, float]]) -> Iterable[tuple[float, ...] | None]:
    """After each evaluation the incumbent's report and score, or the hypervolume; None as long as there is none."""
    value: tuple[float, ...] | None = None
    best = -math.inf
    front: list[tuple[float, ...]] = []
    for metrics in outcomes:
        kept = all([not limit.violation(metrics.get(name)) for name, limit in task.constraints.items()])
        if kept and not task.failed(metrics):
            if len(task.objectives) > 1:
                front.append(gains(task, metrics))
                value = (hypervolume(front),)
            elif metrics["score"] > best:
                best, value = metrics["score"], (metrics["report"], metrics["score"])
        yield value


def gains(task: Task, metrics: Mapping[str, float]) -> tuple[float, ...]:
    """By how much metrics are better than the reference, one for each objective; negative where they are worse."""
    signs = {"maximize": 1.0, "minimize": -1.0}
    return tuple([signs[to] * (metrics[name] - task.reference[name]) for name, to in task.objectives.items()])


def hypervolume(points: Iterable[tuple[float, ...]]) -> float:
    """The area that points in the plane dominate, from the origin on.

    >>> hypervolume([(1, 3), (2, 2), (2, 1), (-1, 9)])
    5.0
    """
    area = height = 0.0
    for x, y in sorted([(x, y) for x, y in points if x > 0], reverse=True):
        if y > height:
            area, height = area + x * (y - height), y
    return area
