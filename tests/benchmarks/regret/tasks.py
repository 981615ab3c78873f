"""What is searched, and what searches: a Task knows its best value, a Method proposes architectures for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Literal, Protocol, TypeAlias

from archsearch.searchers.contract import Direction, Limit
from archsearch.spaces.space import Space

Assignment: TypeAlias = Mapping[str, Any]
Kind: TypeAlias = Literal["flat", "tree", "mixed", "pool"]

# By the beginning of a task's name, the module that has a function `task(name)` for it.
MODULES = {"nbmacro": "nbmacro", "nbgraph": "nbgraph", "hwgpt": "hwgpt", "": "analytic"}

ANALYTIC = ("tree", "tree_noisy", "grammar", "hierarchy", "mixed", "cell", "order", "trap")
GRAPHS = ("nbgraph_cora", "nbgraph_arxiv", "nbgraph_photo", "nbgraph_cs", "nbgraph_proteins")
HWGPT = (
    "hwgpt_fitted", "hwgpt_fitted_limit", "hwgpt_fitted_front", "hwgpt_pool", "hwgpt_pool_limit", "hwgpt_pool_front"
)  # fmt: skip
NAMES = ("nbmacro", "nbmacro_noisy", *GRAPHS, *HWGPT, *ANALYTIC)


@dataclass(frozen=True)
class Task:
    """A space with an answer for every architecture.

    Attributes:
        name: the name of the task, and of the folder of its results.
        space: what is searched.
        evaluate: the metrics of an assignment, the same whenever it is asked. With one objective: "score", which the
            search sees and maximises, and "report", which regret is measured on (maximised, too); both NaN where the
            architecture cannot be trained: the trial failed. With several: the objectives by name, and no regret but
            hypervolume.
        best: the largest "report" of the space; with several objectives, the hypervolume of the best front.
        worst: what counts as report as long as no architecture has been found that can be trained and keeps the limits.
        budget: evaluations in a run.
        kind: "flat", all decisions always asked, each with finitely many options; "tree", some asked only under some
            answers of others; "mixed", with numbers (Real, Integer), perhaps a tree as well; "pool", an archsearch
            Pool over a space: only its members can be evaluated.
        unit: what regret is divided by, where the reports' own unit means nothing; else 1.
        objectives: directions by metric.
        constraints: limits on metrics. The incumbent is the best that keeps them.
        best_score: the largest "score", where the search sees another table than the report is from: then regret is
            shown in that, too.
        reference: with several objectives, the corner that bounds the hypervolume, by metric, in the metric's own unit.
    """

    name: str
    space: Space
    evaluate: Callable[[Assignment], dict[str, float]]
    best: float
    worst: float
    budget: int = 200
    kind: Kind = "flat"
    unit: float = 1.0
    objectives: Mapping[str, Direction] = field(default_factory=lambda: {"score": "maximize"})
    constraints: Mapping[str, Limit] = field(default_factory=dict)
    best_score: float | None = None
    reference: Mapping[str, float] = field(default_factory=dict)

    def failed(self, metrics: Mapping[str, float]) -> bool:
        """Whether these metrics are of a trial that failed."""
        return any([not math.isfinite(metrics[name]) for name in self.objectives])


@dataclass(frozen=True)
class Run:
    """What a method did in one run.

    Attributes:
        assignments: what it had evaluated, in order; an archsearch assignment each. Repeats count. Shorter than the
            budget only if the method says that nothing is left.
        ask_seconds: for each, the CPU seconds that the method itself took (ask and tell), without the evaluation.
    """

    assignments: list[Assignment]
    ask_seconds: list[float]


class Method(Protocol):
    """A search method with its settings: ours or a peer's.

    Those of a library are in a file `peers_LIBRARY.py` here, with `NAMES`, a tuple of their names (`LIBRARY-tpe`), and
    a function `method(name) -> Method`, which imports the library only when it is called.

    Attributes:
        name: the name, and of the file of its results: letters, digits and `_-.=+`, beginning with the library.
        version: of the library that does the work, such as "optuna 5.0.0".
        settings: JSON-able; what was set other than the library's defaults.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...

    def run(self, task: Task, seed: int, budget: int) -> Run:
        """Search the task from this seed, with `task.evaluate`; deterministic in the seed.

        Raises:
            NotForThis: the method cannot search this task.
        """
        ...


class NotForThis(Exception):
    """A method cannot search this task: its space or its objectives are not of a kind that it knows."""


@cache
def task(name: str) -> Task:
    """The task of this name.

    Raises:
        KeyError: there is none.
        NoData: its table is not on this machine.
    """
    if name not in NAMES:
        raise KeyError(f"no task {name!r}; there is {', '.join(NAMES)}")
    module = next(module for start, module in MODULES.items() if name.startswith(start))
    found: Task = import_module(f"benchmarks.regret.{module}").task(name)
    return found
