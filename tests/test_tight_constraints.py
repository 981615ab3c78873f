"""Constraints that allow little: what is refused is counted, and what one ask pays for is bounded."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from archsearch.errors import Infeasible
from archsearch.searchers.auto import Auto
from archsearch.searchers.contract import Problem, Search, Told
from archsearch.searchers.effect_draws import EffectDraws
from archsearch.searchers.embedding import Embedding
from archsearch.searchers.local_search import LocalSearch
from archsearch.searchers.mcts import MCTS
from archsearch.searchers.smbo import SMBO
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.nodes import Choice, Integer, Real
from archsearch.spaces.pool import Pool
from archsearch.spaces.refusals import at_most
from archsearch.spaces.space import Space


class Counted:
    """A filter that counts how often it is asked, and how often it refuses."""

    def __init__(self, allows: Callable[[Architecture], bool]) -> None:
        self.allows = allows
        self.asked = self.refused = 0

    def __call__(self, arch: Architecture) -> bool:
        self.asked += 1
        allowed = self.allows(arch)
        self.refused += not allowed
        return allowed


def few_are_allowed() -> tuple[Space, Counted]:
    """One draw in a thousand is allowed; half of the changes of one that is."""
    where = Counted(lambda arch: arch["n"] <= 1_000)
    return Space({"n": Integer(1, 1_000_000), "x": Real(0.0, 1.0)}, where=where), where


def no_change_is_allowed() -> tuple[Space, Counted]:
    """A sum that only two changes together keep."""
    where = Counted(lambda arch: sum(arch.answers.values()) == 90)
    return Space([Integer(0, 9) for _ in range(20)], where=where), where


def tell(search: Search, number: int, assignment: Any) -> None:
    value = {"m": sum([(i % 5 - 2) * float(answer) for i, answer in enumerate(assignment.values())])}
    search.tell(Told(number, assignment, "done", value, value, 0.0))


@pytest.mark.parametrize(
    ("searcher", "most"),
    [
        # Ten for each of some 700 candidates, of which those that are found need none.
        (SMBO(initial=3), 7_000),
        # As many for each of 64 neighbours, and of as many again where a climb goes on.
        (LocalSearch(starts=3), 1_500),
    ],
)
def test_what_an_ask_pays_for_is_bounded(searcher: Any, most: int) -> None:
    """Where each took as many draws as allow it, it would be tens of thousands."""
    space, where = no_change_is_allowed()
    search = searcher.start(Problem(space, {"m": "maximize"}))
    for number in range(12):
        before = where.refused
        proposal = search.ask(number, [])
        assert search.ask(number, []) == proposal
        tell(search, number, proposal.assignment)
        assert where.refused - before < 2 * most


def test_fresh_draws_that_are_mostly_refused_are_few() -> None:
    """A thousand refusals are paid for, ten for each of a hundred draws, which would take a hundred thousand."""
    space, where = few_are_allowed()
    search = SMBO(initial=3).start(Problem(space, {"m": "maximize"}))
    for number in range(6):
        before = where.refused
        proposal = search.ask(number, [])
        assert proposal is not None
        if number >= 3:
            assert 1_000 <= where.refused - before < 4_000
        tell(search, number, proposal.assignment)


def test_the_choice_of_a_searcher_takes_few_draws() -> None:
    """Sixteen would be refused as many thousand times."""
    space, where = few_are_allowed()
    searchers, _ = Auto().choose(Problem(space, {"m": "maximize"}))
    assert searchers == [SMBO()]
    assert where.refused < 6_000


@pytest.mark.parametrize("space", [few_are_allowed, no_change_is_allowed])
def test_a_draw_that_is_refused_too_often_does_not_end_a_model(space: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = space()
    search = SMBO(initial=3).start(Problem(made, {"m": "maximize"}))
    for number in range(3):
        tell(search, number, search.ask(number, []).assignment)  # type: ignore[union-attr]
    monkeypatch.setattr("archsearch.spaces.sampling.MAX_REFUSALS", 5)
    for number in range(3, 8):
        proposal = search.ask(number, [])
        assert proposal is not None
        assert proposal.note  # of the model, not at random
        tell(search, number, proposal.assignment)


def test_refusals_end_draws_and_moves() -> None:
    rng = random.Random(0)
    space, where = few_are_allowed()
    with pytest.raises(Infeasible, match="refused 7 architectures"), at_most(7):
        space.sample(rng)
    assert where.asked == 7
    space, where = no_change_is_allowed()
    first, second = space.sample(rng, 2)
    moves: list[Callable[[], Architecture]] = [
        lambda: space.mutate(first, rng),
        lambda: space.crossover(first, second, rng),
    ]
    for move in moves:
        where.asked = 0
        with pytest.raises(Infeasible, match="refused 7 architectures"), at_most(7):
            move()
        assert where.asked == 7


def test_bounds_within_bounds() -> None:
    """The innermost counts, and after it the outer one goes on where it was, whatever ended the inner one."""
    rng = random.Random(0)
    space, where = few_are_allowed()
    with at_most(7) as outer:
        with suppress(Infeasible), at_most(3) as inner:
            space.sample(rng)
        assert (outer.number, inner.number, where.asked) == (0, 3, 3)
        with pytest.raises(Infeasible):
            space.sample(rng)
    assert (outer.number, inner.number, where.asked) == (7, 3, 10)
    assert space.sample(rng)["n"] <= 1_000


def test_refusals_end_draws_of_a_pool() -> None:
    """Its moves ask the filter once a member, and so count nothing."""
    where = Counted(lambda arch: arch["n"] == 0)
    pool = Pool(Space({"n": Integer(0, 99)}, where=where), [{"n": i} for i in range(100)])
    with pytest.raises(Infeasible, match="refused 7 architectures"), at_most(7):
        pool.sample(random.Random(0))
    assert where.asked == 7
    where.allows = lambda arch: arch["n"] < 2
    zero, one = list(pool.enumerate())
    with at_most(1) as refusals:
        assert pool.mutations(zero, 3, random.Random(0)) == [one] * 3
        assert pool.crossover(zero, one, random.Random(0)) in (zero, one)
    assert refusals.number == 0


def test_tree_search_where_a_walk_is_refused_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the study: it goes on at random, with other draws."""
    space = Space({"a": Real(0.0, 1.0), "b": Real(0.0, 1.0)}, require=lambda a, b: abs(a - b) < 0.03)
    search = MCTS(rollouts="random").start(Problem(space, {"m": "maximize"}))
    tell(search, 0, search.ask(0, []).assignment)  # type: ignore[union-attr]
    monkeypatch.setattr("archsearch.spaces.sampling.MAX_REFUSALS", 12)
    for number in range(1, 20):
        proposal = search.ask(number, [])
        assert proposal is not None
        tell(search, number, proposal.assignment)


def test_mutations_are_those_that_were_found() -> None:
    """What so many refusals allow is the beginning of what comes without a bound."""
    space, where = few_are_allowed()
    first = space.sample(random.Random(0))
    every = [arch.id for arch in space.mutations(first, 30, random.Random(1))]
    where.refused = 0
    with at_most(5):
        some = [arch.id for arch in space.mutations(first, 30, random.Random(1))]
    assert where.refused == 5
    assert 0 < len(some) < 30
    assert some == every[: len(some)]


def test_a_constraint_without_a_table_is_counted_as_well() -> None:
    """Of Reals there is none: walks are made again."""
    tries = 0

    def require(a: float, b: float) -> bool:
        nonlocal tries
        tries += 1
        return a + b < 1e-9

    space = Space({"a": Real(0.0, 1.0), "b": Real(0.0, 1.0), "c": Choice([1, 2])}, require=require)
    with pytest.raises(Infeasible, match="refused 7 architectures"), at_most(7):
        space.sample(random.Random(0))
    assert tries <= 14
    embedding = Embedding(space)
    tries = 0
    assert EffectDraws(space, embedding, np.zeros(embedding.width))(5, random.Random(0)) == []
    assert tries <= 100


@pytest.mark.parametrize("seed", range(20))
def test_reals_that_leave_no_answer_to_the_last_are_drawn_again(seed: int) -> None:
    """Of two reals the first is above 0.3 in seven draws of ten, and no draw of the second would mend that."""
    space = Space({"a": Real(0.0, 1.0), "b": Real(0.0, 1.0)}, require=lambda a, b: a + b <= 0.3)
    rng = random.Random(seed)
    arch = space.sample(rng)
    assert arch["a"] + arch["b"] <= 0.3
    for other in (space.mutate(arch, rng), space.crossover(arch, space.sample(rng), rng)):
        assert other["a"] + other["b"] <= 0.3
