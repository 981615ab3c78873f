"""scikit-optimize's Optimizer on the flat list of decisions; what is not asked is ignored."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.regret.peers_space import (
    Losses,
    answer_of,
    bounds,
    by_name,
    decode,
    drive,
    flat,
    is_category,
    library,
    one_objective,
)
from benchmarks.regret.tasks import Assignment, Method, Run, Task

from archsearch.spaces.decisions import Decision


@dataclass(frozen=True)
class Skopt:
    """An Optimizer with a base estimator ("RF", "ET", "GP") and 10 random starts, as it comes."""

    estimator: str

    @property
    def name(self) -> str:
        return f"skopt-{self.estimator.lower()}"

    @property
    def version(self) -> str:
        return library("scikit-optimize")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"base_estimator": self.estimator}

    def run(self, task: Task, seed: int, budget: int) -> Run:
        import skopt

        one_objective(task)
        warnings.simplefilter("ignore", UserWarning)  # that a point is a repeat
        asked = flat(task.space).asked
        search = skopt.Optimizer(
            [dimension(each.decision) for each in asked], base_estimator=self.estimator, random_state=seed
        )
        losses = Losses(task)

        def ask() -> tuple[Any, Assignment]:
            point = search.ask()
            answers = {each.path: answer_of(each.decision, code) for each, code in zip(asked, point, strict=True)}
            return point, decode(task.space, answers)

        def tell(point: Any, metrics: dict[str, float]) -> None:
            search.tell(point, losses.of(metrics))

        return drive(task, budget, ask, tell)


def dimension(decision: Decision) -> Any:
    from skopt.space import Categorical, Integer, Real

    low, high, log = bounds(decision)
    if is_category(decision):
        return Categorical(list(range(high + 1)))
    made = Real if decision.options is None else Integer
    return made(low, high, prior="log-uniform" if log else "uniform")


METHODS: tuple[Method, ...] = (Skopt("ET"), Skopt("RF"), Skopt("GP"))
NAMES = tuple([method.name for method in METHODS])


def method(name: str) -> Method:
    """The method of this name."""
    return by_name(METHODS, name)
