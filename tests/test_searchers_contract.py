"""Our searchers keep the contract; and the contract is broken by what breaks it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from archsearch.errors import EndlessSpace, SpaceError
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.evolution import Evolution
from archsearch.searchers.exhaustive import Exhaustive
from archsearch.searchers.random import Random
from archsearch.spaces.nodes import Boolean, Choice, Integer, Lazy, Real, Sequential
from archsearch.spaces.space import Space
from archsearch.testing import SearcherContract


class TestRandom(SearcherContract):
    searcher = Random()


class TestEvolution(SearcherContract):
    searcher = Evolution(population=6, sample=3)


class TestExhaustive(SearcherContract):
    searcher = Exhaustive()
    takes_reals = False


def problem(space: Space, seed: int = 0) -> Problem:
    return Problem(space, {"accuracy": "maximize"}, (), seed)


def test_a_random_proposal_depends_on_seed_and_number_alone() -> None:
    space = Space({"x": Real(0.0, 1.0), "n": Integer(1, 1_000)})
    search = Random().start(problem(space, seed=5))
    expected = [space.sample(stream(5, number)).assignment for number in (7, 3, 7)]
    assert [search.ask(number, []) for number in (7, 3, 7)] == [Proposal(a) for a in expected]
    other = Random().start(problem(space, seed=6)).ask(7, [])
    assert other != Proposal(expected[0])


def grammar() -> Choice:
    """Branches more than it ends: many draws have no end."""
    return Choice({"end": None, "more": Sequential(Lazy(grammar), Lazy(grammar), Lazy(grammar))})


def test_random_draws_again_where_a_grammar_does_not_end() -> None:
    space = Space({"x": Integer(1, 10**6), "model": Lazy(grammar)}, max_decisions=200)
    endless = [number for number in range(40) if not ends(space, number)]
    assert endless
    search = Random().start(problem(space))
    assert all([search.ask(number, []) is not None for number in range(40)])

    def always() -> Sequential:
        return Sequential(Lazy(always))

    with pytest.raises(EndlessSpace):
        Random().start(problem(Space(Lazy(always), max_decisions=50))).ask(0, [])


def ends(space: Space, number: int) -> bool:
    try:
        space.sample(stream(0, number))
    except EndlessSpace:
        return False
    return True


def test_random_is_uniform_over_each_decision() -> None:
    """Every option of a decision within five standard errors of its share."""
    space = Space({"a": Choice(["x", "y", "z"]), "b": Choice({"none": None, "deep": {"c": Integer(1, 10**9)}})})
    search = Random().start(problem(space))
    asked = [search.ask(number, []) for number in range(3_000)]
    answers = [proposal.assignment["a"] for proposal in asked if proposal is not None]
    for option in "xyz":
        assert abs(answers.count(option) - 1_000) < 5 * (3_000 * 2 / 9) ** 0.5


def test_exhaustive_follows_the_enumeration_in_any_order_of_asking() -> None:
    space = Space({"a": Integer(1, 4), "b": Boolean()})
    every = [Proposal(arch.assignment) for arch in space.enumerate()]
    search = Exhaustive().start(problem(space))
    for number in (0, 5, 2, 7, 8, 7, 9, 0):
        assert search.ask(number, []) == (every[number] if number < len(every) else None)


def test_exhaustive_refuses_a_real() -> None:
    search = Exhaustive().start(problem(Space({"lr": Real(0.0, 1.0)})))
    with pytest.raises(SpaceError):
        search.ask(0, [])


def broken(ask: Any) -> Any:
    """A contract test of a searcher that asks in this way."""

    class BrokenSearch:
        def __init__(self, problem: Problem) -> None:
            self.problem = problem
            self.calls = 0

        def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
            self.calls += 1
            proposal: Proposal | None = ask(self, number)
            return proposal

        def tell(self, told: Told) -> None:
            pass

    @dataclass(frozen=True)
    class Broken:
        def start(self, problem: Problem) -> Search:
            return BrokenSearch(problem)

    class Contract(SearcherContract):
        searcher = Broken()

    return Contract()


CHANGES_WHEN_ASKED = broken(lambda self, number: Proposal(self.problem.space.sample(stream(0, self.calls)).assignment))
REPEATS = broken(lambda self, number: Proposal(self.problem.space.sample(stream(0, number)).assignment))
DRAWS_FROM_PYTHON = broken(
    lambda self, number: Proposal(self.problem.space.sample(random.Random(random.random())).assignment)
)
PROPOSES_NONSENSE = broken(lambda self, number: Proposal({"nonsense": 1}))
NEVER_STARTS = broken(lambda self, number: None)


@pytest.mark.parametrize(
    ("contract", "test"),
    [
        (CHANGES_WHEN_ASKED, "test_asking_changes_nothing"),
        (CHANGES_WHEN_ASKED, "test_a_search_that_was_told_the_same_proposes_the_same"),
        (REPEATS, "test_a_finite_space_is_searched_once_and_then_ends"),
        (NEVER_STARTS, "test_a_finite_space_is_searched_once_and_then_ends"),
        (DRAWS_FROM_PYTHON, "test_its_draws_are_its_own"),
        (PROPOSES_NONSENSE, "test_proposals_are_architectures_of_the_space"),
    ],
)
def test_the_contract_can_fail(contract: SearcherContract, test: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever a broken searcher raises)
        getattr(contract, test)()
