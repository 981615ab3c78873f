"""NSGA-II: ranks by hand, better fronts than chance, and constraints by Deb's rule."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.errors import UsageError
from archsearch.searchers.contract import Limit, Problem, Searcher, Told
from archsearch.searchers.hypervolume import Front
from archsearch.searchers.nsga2 import NSGA2, crowded_ranks
from archsearch.searchers.outcomes import Outcome
from archsearch.searchers.random import Random
from archsearch.spaces.nodes import Boolean, Choice
from archsearch.spaces.space import Space

SPACE = Space({f"x{i}": Choice([0, 1, 2, 3]) for i in range(10)})
OBJECTIVES: dict[str, Any] = {"low": "minimize", "mixed": "maximize"}


def measured(assignment: Mapping[str, Any]) -> dict[str, float]:
    """Small answers are good for one, and different neighbours for the other."""
    answers = list(assignment.values())
    mixed = sum([abs(a - b) for a, b in itertools.pairwise(answers)])
    return {"low": float(sum(answers)), "mixed": float(mixed)}


def run(searcher: Searcher, seed: int, trials: int, problem: Problem | None = None) -> list[Told]:
    problem = problem or Problem(SPACE, OBJECTIVES, (), seed)
    search = searcher.start(problem)
    done = []
    for number in range(trials):
        proposal = search.ask(number, [])
        assert proposal is not None
        metrics = measured(proposal.assignment)
        values = {name: metrics[name] for name in problem.objectives}
        done.append(Told(number, proposal.assignment, "done", values, metrics, 0.0))
        search.tell(done[-1])
    return done


def volume(done: list[Told]) -> float:
    front = Front()
    for told in done:
        front.add((told.objectives["low"], -told.objectives["mixed"]))
    return front.hypervolume((30.0, 0.0))


def test_its_fronts_are_better_than_those_of_random_search() -> None:
    found = [volume(run(NSGA2(), seed, 200)) for seed in range(5)]
    drawn = [volume(run(Random(), seed, 200)) for seed in range(5)]
    assert min(found) > max(drawn)


def test_one_objective_is_climbed() -> None:
    def best(searcher: Searcher, seed: int) -> float:
        problem = Problem(SPACE, {"low": "minimize"}, (), seed)
        return min([told.objectives["low"] for told in run(searcher, seed, 150, problem)])

    assert statistics.mean([best(NSGA2(), seed) for seed in range(5)]) < 3
    assert statistics.mean([best(Random(), seed) for seed in range(5)]) > 4


def test_a_child_is_of_its_parents_but_for_a_mutation() -> None:
    done = run(NSGA2(population=6, crossover=1.0), 3, 80)
    search = NSGA2(population=6, crossover=1.0).start(Problem(SPACE, OBJECTIVES, (), 3))
    foreign = []
    for told in done:
        proposal = search.ask(told.number, [])
        assert proposal is not None
        if told.number >= 6:
            parents = [done[number].assignment for number in proposal.note["parents"]]
            assert len(parents) == 2
            foreign.append(
                sum([all([answer != parent[p] for parent in parents]) for p, answer in proposal.assignment.items()])
            )
        search.tell(told)
    assert set(foreign) <= {0, 1, 2, 3}
    assert foreign.count(1) + foreign.count(0) > 60


def test_without_crossover_there_is_one_parent_and_more_mutations_change_more() -> None:
    for mutations, most in ((1, 1), (3, 3)):
        done = run(NSGA2(population=6, crossover=0.0, mutations=mutations), 1, 40)
        search = NSGA2(population=6, crossover=0.0, mutations=mutations).start(Problem(SPACE, OBJECTIVES, (), 1))
        changes = []
        for told in done:
            proposal = search.ask(told.number, [])
            assert proposal is not None
            if told.number >= 6:
                (parent,) = proposal.note["parents"]
                changes.append(sum([done[parent].assignment[p] != a for p, a in proposal.assignment.items()]))
            search.tell(told)
        assert statistics.mode(changes) == most


def test_the_worst_of_the_population_leaves_and_failures_never_join() -> None:
    """With a population of two, only the two best are ever parents."""
    space = Space({f"x{i}": Boolean() for i in range(12)})
    search = NSGA2(population=2).start(Problem(space, {"score": "maximize"}))
    scores = {0: 1.0, 1: 5.0, 2: None, 3: 3.0, 4: 0.0, 5: 4.0, 6: None, 7: 2.0}
    alive: list[tuple[float, int]] = []
    for number, score in scores.items():
        proposal = search.ask(number, [])
        assert proposal is not None
        assert set(proposal.note.get("parents", ())) <= {n for _, n in alive}
        values = {} if score is None else {"score": score}
        search.tell(Told(number, proposal.assignment, "done" if values else "failed", values, values, 0.0))
        if score is not None:
            alive = sorted([*alive, (score, number)])[-2:]


def test_what_breaks_a_constraint_is_behind_all_that_keep_it() -> None:
    """Small answers are best on their own; the limit asks for the opposite, and is hardly ever met by chance."""
    problem = Problem(SPACE, {"low": "minimize"}, (), 0, {"mixed": Limit(minimum=18.0)})
    done = run(NSGA2(), 0, 250, problem)
    keeping = [told.objectives["low"] for told in done if told.metrics["mixed"] >= 18.0]  # type: ignore[operator]
    assert len(keeping) > 60, "once it is within the limit, it stays there"
    drawn = run(Random(), 0, 250, problem)
    assert len(keeping) > 5 * sum([told.metrics["mixed"] >= 18.0 for told in drawn])  # type: ignore[operator]


losses = st.tuples(*[st.integers(0, 3)] * 2)
outcomes = st.lists(st.tuples(losses, st.sampled_from([0.0, 0.0, 1.0, 2.0, math.inf])), min_size=1, max_size=9)


@given(outcomes)
def test_ranks_follow_constrained_domination(drawn: list[tuple[tuple[int, int], float]]) -> None:
    made = [Outcome(i, {}, tuple(map(float, point)), (violation,)) for i, (point, violation) in enumerate(drawn)]
    ranks = [number for number, _ in crowded_ranks(made)]
    for (a, i), (b, j) in itertools.product(zip(made, ranks, strict=True), repeat=2):
        if a.feasible and not b.feasible:
            assert i < j
        elif not a.feasible and not b.feasible:
            assert (i < j) is (a.violations < b.violations)
        elif a.feasible and b.feasible and a.losses != b.losses:
            assert i < j or not all([x <= y for x, y in zip(a.losses, b.losses, strict=True)])
    assert set(ranks) == set(range(max(ranks) + 1)), "no number is left out"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "at least 2, but got 1"),
        ({"crossover": 1.5}, "from 0 to 1, but got 1.5"),
        ({"crossover": math.nan}, "from 0 to 1, but got nan"),
        ({"mutations": 0}, "at least 1, but got 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        NSGA2(**options)
