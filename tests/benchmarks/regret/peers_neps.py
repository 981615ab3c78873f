"""NePS on the flat list of decisions: Bayesian optimization, and regularized evolution as it comes (20/5)."""

from __future__ import annotations

import random
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
from benchmarks.regret.tasks import Assignment, Method, NotForThis, Run, Task

from archsearch.spaces.decisions import Decision


@dataclass(frozen=True)
class Neps:
    """An algorithm of NePS by its name, as it comes."""

    name: str
    algorithm: str
    needs_flat: bool = False

    @property
    def version(self) -> str:
        return library("neural-pipeline-search")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"algorithm": self.algorithm}

    def run(self, task: Task, seed: int, budget: int) -> Run:
        import neps
        import numpy as np
        import torch

        one_objective(task)
        decisions = flat(task.space)
        if self.needs_flat and decisions.form != "flat":
            raise NotForThis("NePS refuses Bayesian optimization of anything but a flat space")
        # NePS draws from the global generators.
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        names = {f"d{i}": each for i, each in enumerate(decisions.asked)}
        pipeline = type("Pipeline", (neps.PipelineSpace,), {n: parameter(e.decision) for n, e in names.items()})()
        search = neps.AskAndTell(getattr(neps.algorithms, self.algorithm)(pipeline))
        losses = Losses(task)

        def ask() -> tuple[Any, Assignment]:
            trial = search.ask()
            answers = {each.path: answer_of(each.decision, value_of(trial.config, n)) for n, each in names.items()}
            return trial, decode(task.space, answers)

        def tell(trial: Any, metrics: dict[str, float]) -> None:
            search.tell(trial.metadata.id, losses.of(metrics))

        return drive(task, budget, ask, tell)


def parameter(decision: Decision) -> Any:
    import neps

    low, high, log = bounds(decision)
    if is_category(decision):
        return neps.Categorical(tuple(range(high + 1)))
    made = neps.Float if decision.options is None else neps.Integer
    return made(low, high, log=log)


def value_of(config: Mapping[str, Any], name: str) -> Any:
    """A parameter of a configuration: by its name, or by the place and kind that NePS's own spaces record."""
    if name in config:
        return config[name]
    (key,) = [key for key in config if key.startswith(f"SAMPLING__Resolvable.{name}::")]
    return config[key]


METHODS: tuple[Method, ...] = (
    Neps("neps-bo", "bayesian_optimization", needs_flat=True),
    Neps("neps-evolution", "neps_regularized_evolution"),
)
NAMES = tuple([method.name for method in METHODS])


def method(name: str) -> Method:
    """The method of this name."""
    return by_name(METHODS, name)
