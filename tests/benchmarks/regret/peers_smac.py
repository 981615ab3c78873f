"""SMAC3 on a ConfigSpace with conditions, where one decision says when another is asked; else on the flat list."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.regret.peers_space import (
    Flat,
    Losses,
    answer_of,
    bounds,
    by_name,
    code_of,
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
class Smac:
    """A facade by its name, deterministic, otherwise as it comes."""

    name: str
    facade: str
    needs_flat: bool = False

    @property
    def version(self) -> str:
        return library("smac")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"facade": self.facade, "deterministic": True}

    def run(self, task: Task, seed: int, budget: int) -> Run:
        import smac
        from smac.runhistory.dataclasses import TrialValue
        from smac.runhistory.enumerations import StatusType

        one_objective(task)
        decisions = flat(task.space)
        if self.needs_flat and decisions.form == "conditions":
            raise NotForThis("SMAC's Gaussian process is for flat spaces")
        with tempfile.TemporaryDirectory() as folder:
            scenario = smac.Scenario(
                configuration_space(decisions, seed),
                deterministic=True,
                n_trials=budget,
                seed=seed,
                output_directory=folder,
            )
            search = getattr(smac, self.facade)(
                scenario, target_function=lambda config, seed: 0.0, overwrite=True, logging_level=50
            )
            losses = Losses(task)

            def ask() -> tuple[Any, Assignment] | None:
                try:
                    info = search.ask()
                except StopIteration:
                    return None
                chosen = dict(info.config)
                answers = {
                    each.path: answer_of(each.decision, chosen.get(f"d{i}", bounds(each.decision)[0]))
                    for i, each in enumerate(decisions.asked)
                }
                return info, decode(task.space, answers)

            def tell(info: Any, metrics: dict[str, float]) -> None:
                status = StatusType.CRASHED if task.failed(metrics) else StatusType.SUCCESS
                search.tell(info, TrialValue(cost=losses.of(metrics), time=0.0, status=status))

            return drive(task, budget, ask, tell)


def configuration_space(decisions: Flat, seed: int) -> Any:
    """Hyperparameters `d0`, `d1`, ... and when they are active."""
    import ConfigSpace

    made = [hyperparameter(f"d{i}", each.decision) for i, each in enumerate(decisions.asked)]
    index = {each.path: i for i, each in enumerate(decisions.asked)}
    space = ConfigSpace.ConfigurationSpace(seed=seed)
    space.add(made)
    for child, each in zip(made, decisions.asked, strict=True):
        if each.parent is not None:
            parent = decisions.asked[index[each.parent]].decision
            when = [code_of(parent, answer) for answer in each.when]
            space.add(ConfigSpace.InCondition(child, made[index[each.parent]], when))
    return space


def hyperparameter(name: str, decision: Decision) -> Any:
    import ConfigSpace

    low, high, log = bounds(decision)
    if is_category(decision):
        return ConfigSpace.CategoricalHyperparameter(name, list(range(high + 1)))
    if decision.options is None:
        return ConfigSpace.UniformFloatHyperparameter(name, low, high, log=log)
    return ConfigSpace.UniformIntegerHyperparameter(name, low, high, log=log)


METHODS: tuple[Method, ...] = (
    Smac("smac-rf", "HyperparameterOptimizationFacade"),
    Smac("smac-gp", "BlackBoxFacade", needs_flat=True),
)
NAMES = tuple([method.name for method in METHODS])


def method(name: str) -> Method:
    """The method of this name."""
    return by_name(METHODS, name)
