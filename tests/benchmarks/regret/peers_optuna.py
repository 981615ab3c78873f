"""Optuna's samplers, define-by-run: a trial is asked for each decision as a walk of the space comes to it.

Labels are `suggest_categorical`, numbers with an order `suggest_int` (the index of a listed number, so that neighbours
are near) and `suggest_float`. Of OptunaHub's two samplers for trees (read from the folder OPTUNAHUB_REGISTRY),
`hierarchical_tpe` is for Optuna 4 and fails with 5.0; `tpe_union_multivariate` is left out: it ends in an IndexError
where the good trials lack a decision that all others have.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.regret.peers_space import (
    MAX_DECISIONS,
    Asked,
    allowed,
    answer_of,
    bounds,
    by_name,
    digits,
    drive,
    flat,
    is_category,
    library,
    order_of,
)
from benchmarks.regret.tasks import Assignment, Method, NotForThis, Run, Task

from archsearch.spaces.decisions import Decision
from archsearch.spaces.text import list_decisions

VIOLATIONS = "violations"


@dataclass(frozen=True)
class Optuna:
    """A sampler by name, with what is set other than its defaults."""

    name: str
    sampler: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    several: bool = False
    needs_flat: bool = False

    @property
    def version(self) -> str:
        return library("optuna")

    def run(self, task: Task, seed: int, budget: int) -> Run:
        import optuna

        if task.kind == "pool":
            raise NotForThis("this peer cannot be held to a pool of architectures")
        if self.several and len(task.objectives) == 1:
            raise NotForThis("this setting is for several objectives")
        if self.needs_flat and (task.kind == "tree" or flat(task.space).form != "flat"):
            raise NotForThis("it models only what all trials have in common, the rest is drawn at random")
        if self.is_hub and (task.constraints or len(task.objectives) > 1):
            raise NotForThis("this sampler takes one objective without limits")
        if self.is_hub and not self.version.startswith("optuna 4."):
            raise NotForThis("this sampler needs Optuna 4")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            directions=list(task.objectives.values()), sampler=self.made(seed, bool(task.constraints))
        )
        full = full_decisions(task)

        def ask() -> tuple[Any, Assignment]:
            trial = study.ask()
            return trial, task.space.walk(
                lambda decision, path: allowed(decision, suggest(trial, full.get(path, decision), path))
            )

        def tell(trial: Any, metrics: dict[str, float]) -> None:
            if task.failed(metrics):
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                return
            if task.constraints:
                violations = [limit.violation(metrics[name]) for name, limit in task.constraints.items()]
                trial.set_user_attr(VIOLATIONS, [v if math.isfinite(v) else 1e9 for v in violations])
            study.tell(trial, [metrics[name] for name in task.objectives])

        return drive(task, budget, ask, tell)

    @property
    def is_hub(self) -> bool:
        return self.sampler.startswith("samplers/")

    def made(self, seed: int, constrained: bool) -> Any:
        import optuna

        made: Callable[..., Any] = hub(self.sampler) if self.is_hub else getattr(optuna.samplers, self.sampler)
        if constrained:
            return made(seed=seed, **self.settings, constraints_func=lambda trial: trial.user_attrs[VIOLATIONS])
        return made(seed=seed, **self.settings)


def hub(package: str) -> Any:
    """The sampler class of an OptunaHub package."""
    folder = os.environ.get("OPTUNAHUB_REGISTRY")
    if folder is None:
        raise NotForThis("OPTUNAHUB_REGISTRY names no folder with the packages of OptunaHub")
    import optunahub

    module = optunahub.load_local_module(package, registry_root=folder)
    (name,) = [name for name in module.__all__ if name.endswith("Sampler")]
    return getattr(module, name)


def full_decisions(task: Task) -> dict[str, Decision]:
    """The decisions as they are before constraints narrow them: Optuna wants the same options at every trial."""
    listed, complete = list_decisions(task.space.compiler, MAX_DECISIONS)
    return {each.path: each.decision for each in listed} if complete else {}


def suggest(trial: Any, decision: Decision, path: str) -> Any:
    if decision.kind == "permute":
        return order_of(decision, [suggest(trial, d.decision, d.path) for d in digits(Asked(path, decision))])
    low, high, log = bounds(decision)
    if is_category(decision):
        return answer_of(decision, trial.suggest_categorical(path, list(range(high + 1))))
    if decision.options is None:
        return answer_of(decision, trial.suggest_float(path, low, high, log=log))
    return answer_of(decision, trial.suggest_int(path, low, high, log=log))


METHODS: tuple[Method, ...] = (
    Optuna("optuna-tpe", "TPESampler"),
    Optuna("optuna-tpe-univariate", "TPESampler", {"multivariate": False}),
    Optuna("optuna-tpe-group", "TPESampler", {"group": True, "multivariate": True}),
    Optuna("optuna-tpe-hierarchical", "samplers/hierarchical_tpe"),
    Optuna("optuna-gp", "GPSampler", needs_flat=True),
    Optuna("optuna-nsga2", "NSGAIISampler", several=True),
)
NAMES = tuple([method.name for method in METHODS])


def method(name: str) -> Method:
    """The method of this name."""
    return by_name(METHODS, name)
