"""The automatic choice: what it takes, that it says why, and that it keeps the contract."""

from __future__ import annotations

import random
import re

import pytest

from archsearch.errors import Infeasible
from archsearch.searchers import by_name
from archsearch.searchers.auto import Auto, AutoSearch
from archsearch.searchers.contract import Problem, Told
from archsearch.searchers.exhaustive import Exhaustive
from archsearch.searchers.mcts import MCTS
from archsearch.searchers.nsga2 import NSGA2
from archsearch.searchers.smbo import SMBO
from archsearch.spaces.nodes import Boolean, Choice, Integer, Lazy, Real
from archsearch.spaces.space import Space
from archsearch.testing import SearcherContract


@pytest.mark.slow
class TestAuto(SearcherContract):
    searcher = Auto()
    trials = 8
    num_spaces = 0


def grammar() -> Choice:
    """Mostly ends, and has no end of architectures."""
    return Choice({"end": None, "also": None, "on": {"x": Boolean(), "more": Lazy(grammar)}})


MANY = Space([Boolean() for _ in range(1_200)])


@pytest.mark.parametrize(
    ("space", "objectives", "chosen", "why"),
    [
        (Space(Choice(list(range(9)))), 1, Exhaustive(), "9 architectures"),
        (Space([Choice([1, 2, 3])] * 8), 1, SMBO(), "6,561 architectures with about 8 decisions .*; within 200 trials"),
        (Space([Choice([1, 2, 3])] * 8), 2, SMBO(), "2 objectives; it takes several"),
        (Space({"lr": Real(0.0, 1.0)}), 1, SMBO(), "infinitely many"),
        (Space(Lazy(grammar)), 1, SMBO(), "infinitely many"),
        (MANY, 1, MCTS(), "with about 1200 decisions"),
        (MANY, 2, NSGA2(), "2 objectives"),
    ],
)
def test_what_is_chosen_and_why(space: Space, objectives: int, chosen: object, why: str) -> None:
    problem = Problem(space, {f"m{i}": "maximize" for i in range(objectives)})
    searchers, reason = Auto().choose(problem)
    assert searchers == [chosen]
    search = Auto().start(problem)
    assert isinstance(search, AutoSearch)
    assert search.reason == reason
    assert reason.startswith(type(chosen).__name__.lower())
    assert re.search(why, reason)


def test_it_is_found_by_its_name() -> None:
    assert by_name("auto") == Auto()


def test_turns_on_hundreds_of_decisions() -> None:
    """Both are told everything and asked by turns; what one proposed, the other never does."""
    space = Space([Choice(["a", "b", "c"]) for _ in range(150)])
    problem = Problem(space, {"m": "maximize"})
    searchers, reason = Auto().choose(problem)
    assert searchers == [SMBO(), MCTS()]
    assert reason.startswith("smbo and mcts by turns")
    search, alone = Auto().start(problem), [searcher.start(problem) for searcher in searchers]
    seen = set()
    for number in range(24):
        proposal = search.ask(number, [])
        assert proposal is not None
        expected = alone[number % 2].ask(number, [])
        assert expected is not None
        assert proposal.assignment == expected.assignment
        seen.add(tuple(proposal.assignment.items()))
        value = {"m": float(list(proposal.assignment.values()).count("a"))}
        told = Told(number, proposal.assignment, "done", value, value, 0.0)
        for each in (search, *alone):
            each.tell(told)
    assert len(seen) == 24


def test_constraints_that_refuse_a_draw_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """They say nothing of the searcher; where they refuse all, the study ends before its first trial."""
    monkeypatch.setattr("archsearch.spaces.sampling.MAX_REFUSALS", 30)
    root = {"n": Integer(1, 1_000), "x": Real(0.0, 1.0)}
    some = Space(root, where=lambda arch: arch["n"] <= 40)
    with pytest.raises(Infeasible):
        some.sample(random.Random(0), 16)
    searchers, _ = Auto().choose(Problem(some, {"m": "maximize"}))
    assert searchers == [SMBO()]
    with pytest.raises(Infeasible):
        Auto().start(Problem(Space(root, where=lambda arch: False), {"m": "maximize"}))
