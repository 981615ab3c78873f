"""syne-tune's searchers on the flat list of decisions; what is not asked is ignored."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
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

SEARCHERS = "syne_tune.optimizer.schedulers.searchers"


@dataclass(frozen=True)
class SyneTune:
    """A searcher by its module and class, as it comes."""

    name: str
    module: str
    searcher: str

    @property
    def version(self) -> str:
        return library("syne-tune")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"searcher": self.searcher}

    def run(self, task: Task, seed: int, budget: int) -> Run:
        import numpy as np

        one_objective(task)
        asked = flat(task.space).asked
        logging.getLogger("syne_tune").setLevel(logging.CRITICAL)
        # The first random configurations come from the global generators.
        random.seed(seed)
        np.random.seed(seed)
        made = getattr(import_module(f"{SEARCHERS}.{self.module}"), self.searcher)
        search = made({f"d{i}": domain(each.decision) for i, each in enumerate(asked)}, random_seed=seed)
        losses = Losses(task)
        number = 0

        def ask() -> tuple[Any, Assignment]:
            config = search.suggest()
            answers = {each.path: answer_of(each.decision, config[f"d{i}"]) for i, each in enumerate(asked)}
            return config, decode(task.space, answers)

        def tell(config: Any, metrics: dict[str, float]) -> None:
            nonlocal number
            search.on_trial_complete(number, config, losses.of(metrics))
            number += 1

        return drive(task, budget, ask, tell)


def domain(decision: Decision) -> Any:
    from syne_tune import config_space

    low, high, log = bounds(decision)
    if is_category(decision):
        return config_space.choice(list(range(high + 1)))
    if decision.options is None:
        return config_space.loguniform(low, high) if log else config_space.uniform(low, high)
    return config_space.lograndint(low, high) if log else config_space.randint(low, high)


METHODS: tuple[Method, ...] = (
    SyneTune("syne_tune-bore", "bore.bore", "Bore"),
    SyneTune("syne_tune-evolution", "regularized_evolution", "RegularizedEvolution"),
)
NAMES = tuple([method.name for method in METHODS])


def method(name: str) -> Method:
    """The method of this name."""
    return by_name(METHODS, name)
