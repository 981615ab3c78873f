"""PyGlove's regularized evolution (Real et al., 2019), on a tree of its decision points.

What is asked under one answer alone is nested below it; what is asked under several (a layer of a network of 3 or more)
stands beside its parent and is ignored where it is not asked, so that it outlives a mutation of the parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.regret.peers_space import Asked, Losses, by_name, decode, drive, flat, library, one_objective
from benchmarks.regret.tasks import Assignment, Method, NotForThis, Run, Task

from archsearch.spaces.decisions import IntegerRange, RealRange

# PyGlove lists the candidates of a choice, so a wide range of integers becomes this many steps.
MAX_CANDIDATES = 256


@dataclass(frozen=True)
class PyGlove:
    """Regularized evolution with uniform mutation."""

    population: int
    tournament: int

    @property
    def name(self) -> str:
        return f"pyglove-evolution-{self.population}-{self.tournament}"

    @property
    def version(self) -> str:
        return library("pyglove")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"population_size": self.population, "tournament_size": self.tournament}

    def run(self, task: Task, seed: int, budget: int) -> Run:
        import pyglove as pg

        one_objective(task)
        asked = flat(task.space).asked
        # Each point of a mutation draws from the generator of its mutator: without a seed, from the clock.
        search = pg.evolution.regularized_evolution(
            mutator=pg.evolution.mutators.Uniform(seed=seed),
            population_size=self.population,
            tournament_size=self.tournament,
            seed=seed,
        )
        search.setup(points(asked, None, None))
        by_path = {each.path: each for each in asked}
        losses = Losses(task)

        def ask() -> tuple[Any, Assignment]:
            dna = search.propose()
            answers = {path: each.decision.options[0] for path, each in by_path.items() if each.decision.options}
            for point, value in dna.to_dict(key_type="dna_spec", value_type="value").items():
                each = by_path[point.name]
                answers[each.path] = value if isinstance(each.decision, RealRange) else candidates(each)[value]
            return dna, decode(task.space, answers)

        def tell(dna: Any, metrics: dict[str, float]) -> None:
            search.feedback(dna, -losses.of(metrics))

        return drive(task, budget, ask, tell)


def candidates(asked: Asked) -> Any:
    """The answers that PyGlove chooses from."""
    decision = asked.decision
    if isinstance(decision, IntegerRange) and (decision.log or decision.size > MAX_CANDIDATES):
        raise NotForThis(f"{asked.path}: PyGlove has no integers but in a list, and {decision.text()} is a wide range")
    return decision.options


def points(asked: tuple[Asked, ...], parent: str | None, answer: Any) -> Any:
    """PyGlove's space of what is asked at the top, or below an answer."""
    import pyglove as pg

    inside = [each for each in asked if place(each, asked) == (parent, answer)]
    elements = []
    for each in inside:
        decision = each.decision
        if isinstance(decision, RealRange):
            scale = "log" if decision.log else "linear"
            elements.append(pg.geno.floatv(float(decision.low), float(decision.high), scale=scale, name=each.path))
            continue
        below = [points(asked, each.path, repr(option)) for option in candidates(each)]
        elements.append(pg.geno.oneof(below, name=each.path))
    return pg.geno.space(elements)


def place(each: Asked, asked: tuple[Asked, ...]) -> tuple[str | None, str | None]:
    """Below which answer of which decision a decision is nested; answers by their text, which tells types apart."""
    by_path = {other.path: other for other in asked}
    while each.parent is not None:
        if len(each.when) == 1:
            return each.parent, repr(each.when[0])
        each = by_path[each.parent]
    return None, None


METHODS: tuple[Method, ...] = (PyGlove(25, 10), PyGlove(100, 10))
NAMES = tuple([method.name for method in METHODS])


def method(name: str) -> Method:
    """The method of this name."""
    return by_name(METHODS, name)
