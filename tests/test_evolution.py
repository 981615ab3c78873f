"""Regularized evolution: tournaments among the young, one decision changed, better than chance."""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Mapping
from typing import Any

import pytest

from archsearch.errors import UsageError
from archsearch.searchers.contract import Limit, Problem, Search, Searcher, Told
from archsearch.searchers.evolution import Evolution
from archsearch.searchers.random import Random
from archsearch.spaces.nodes import Choice
from archsearch.spaces.space import Space

SPACE = Space({f"x{i}": Choice([0, 1, 2, 3]) for i in range(12)})


def score(assignment: Mapping[str, Any]) -> float:
    """How many decisions are right, and right beside a right one."""
    right = [int(answer == int(path[1:]) % 4) for path, answer in assignment.items()]
    return float(sum(right) + sum([a * b for a, b in itertools.pairwise(right)]))


def tell(search: Search, number: int, assignment: Mapping[str, Any], value: float) -> None:
    search.tell(Told(number, assignment, "done", {"score": value}, {"score": value}, 0.0))


def run(
    searcher: Searcher, seed: int, trials: int, direction: Any = "maximize"
) -> list[tuple[Mapping[str, Any], float]]:
    search = searcher.start(Problem(SPACE, {"score": direction}, (), seed))
    sign = 1.0 if direction == "maximize" else -1.0
    done = []
    for number in range(trials):
        proposal = search.ask(number, [])
        assert proposal is not None
        value = sign * score(proposal.assignment)
        done.append((proposal.assignment, value))
        tell(search, number, proposal.assignment, value)
    return done


def test_a_child_differs_in_one_decision_from_one_of_the_young() -> None:
    """In more than one only where all that differ in one were met before: a repeat is mutated further."""
    search = Evolution(population=5, sample=2).start(Problem(SPACE, {"score": "maximize"}))
    done: list[Mapping[str, Any]] = []
    changes = []
    for number in range(60):
        proposal = search.ask(number, [])
        assert proposal is not None
        if number >= 5:
            parent = proposal.note["mutated"]
            assert number - 5 <= parent < number
            changes.append(sum([done[parent][path] != answer for path, answer in proposal.assignment.items()]))
        done.append(proposal.assignment)
        tell(search, number, proposal.assignment, score(proposal.assignment))
    assert min(changes) == 1
    assert changes.count(1) > 45


def test_a_tournament_of_all_mutates_the_best_of_the_young() -> None:
    """However good, an older trial is dead."""
    done = run(Evolution(population=5, sample=5), 1, 80)
    for number in range(5, 80):
        parent, _ = max(done[number - 5 : number], key=lambda trial: trial[1])
        assert sum([parent[path] != done[number][0][path] for path in parent]) >= 1
    search = Evolution(population=2, sample=2).start(Problem(SPACE, {"score": "maximize"}))
    best = dict.fromkeys(SPACE.sample(random.Random(0)).assignment, 0)
    tell(search, 0, best, 100.0)
    for number, answer in ((1, 1), (2, 2)):
        tell(search, number, dict.fromkeys(best, answer), float(number))
    proposal = search.ask(3, [])
    assert proposal is not None
    assert proposal.note == {"mutated": 2}
    assert sorted(proposal.assignment.values())[1:-1] == [2] * 10


def test_a_tournament_prefers_what_keeps_the_constraints() -> None:
    """However good a trial is, one that keeps them beats it, and one that breaks them less."""
    problem = Problem(SPACE, {"score": "maximize"}, (), 0, {"latency": Limit(maximum=1.0)})
    search = Evolution(population=4, sample=4).start(problem)
    for number, (value, latency) in enumerate([(9.0, 5.0), (1.0, 0.5), (0.5, 1.0), (8.0, None)]):
        assignment = dict.fromkeys(SPACE.sample(random.Random(0)).assignment, number)
        search.tell(Told(number, assignment, "done", {"score": value}, {"latency": latency}, 0.0))
    proposal = search.ask(4, [])
    assert proposal is not None
    assert proposal.note == {"mutated": 1}
    for number, latency in ((4, 3.0), (5, 2.0), (6, 4.0), (7, None)):
        proposal = search.ask(number, [])
        assert proposal is not None
        search.tell(Told(number, proposal.assignment, "done", {"score": 7.0}, {"latency": latency}, 0.0))
    proposal = search.ask(8, [])
    assert proposal is not None
    assert proposal.note == {"mutated": 5}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_it_is_better_than_random_search(direction: Any) -> None:
    def best(searcher: Searcher, seed: int) -> float:
        return max([score(assignment) for assignment, _ in run(searcher, seed, 150, direction)])

    evolved = [best(Evolution(), seed) for seed in range(8)]
    drawn = [best(Random(), seed) for seed in range(8)]
    assert statistics.mean(evolved) > statistics.mean(drawn) + 4
    assert min(evolved) > statistics.mean(drawn)


def test_what_it_cannot_do_is_said_at_once() -> None:
    with pytest.raises(UsageError, match="sample=30, population=25"):
        Evolution(sample=30)
    with pytest.raises(
        UsageError, match=r"one objective, but the study has a, b; Random, Exhaustive, .* and Auto take several"
    ):
        Evolution().start(Problem(SPACE, {"a": "maximize", "b": "minimize"}))
