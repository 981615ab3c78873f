"""Small steps of numbers: in range, small, along ridges, and of what a constraint allows."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.searchers.candidates import Candidates
from archsearch.searchers.embedding import Embedding
from archsearch.searchers.nudges import LONGEST, nudged, nudges
from archsearch.spaces.decisions import IntegerRange, RealRange
from archsearch.spaces.nodes import Choice, Integer, Lazy, Real, Repeat
from archsearch.spaces.space import Space


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.booleans(), st.floats(-3, 3), st.data())
def test_an_integer_moves_unless_it_is_at_an_end(
    low: int, more: int, log: bool, step: float, data: st.DataObject
) -> None:
    decision = IntegerRange(low, low + more, log)
    answer = data.draw(st.integers(low, low + more))
    moved = decision.parse(nudged(decision, answer, step))
    towards = decision.high if step > 0 else decision.low
    assert (moved - answer) * (1 if step > 0 else -1) >= 0
    assert moved != answer or answer == towards


@given(st.floats(1e-9, 1e9), st.floats(1.001, 1e9), st.booleans(), st.floats(-3, 3), st.floats(0, 1))
def test_a_real_moves_by_a_share_of_its_range(low: float, ratio: float, log: bool, step: float, share: float) -> None:
    decision = RealRange(low, low * ratio, log)
    answer = min(decision.high, low * ratio**share if log else low + share * (decision.high - low))
    moved = decision.parse(nudged(decision, answer, step))
    expected = min(1.0, max(0.0, share + step))
    if log:
        assert math.log(moved) == pytest.approx(math.log(low) + expected * math.log(ratio), abs=1e-6)
    else:
        assert moved == pytest.approx(low + expected * (decision.high - low), rel=1e-6)


def test_of_numbers_with_many_answers_one_or_several() -> None:
    space = Space({"kind": Choice(["a", "b"]), "few": Integer(1, 4), "n": Integer(1, 1_000), "x": Real(0.0, 1.0)})
    arch = space.sample(random.Random(0))
    moved = [
        {path for path, answer in other.answers.items() if answer != arch.answers[path]}
        for other in nudges(space, arch, 100, random.Random(1))
    ]
    assert len(moved) == 100
    assert {frozenset(paths) for paths in moved} == {frozenset({"n"}), frozenset({"x"}), frozenset({"n", "x"})}
    assert all([len(paths) == 1 for paths in moved[::2]])


def test_steps_are_small_and_of_many_sizes() -> None:
    space = Space({"x": Real(1e-6, 1.0, log=True)})
    arch = space.architecture({"x": 1e-3})
    sizes = sorted(
        [abs(math.log(other["x"] / 1e-3) / math.log(1e6)) for other in nudges(space, arch, 400, random.Random(0))]
    )
    assert sizes[200] < 0.05  # a fresh draw is further away in nine of ten cases
    assert sizes[40] < 0.005
    assert sizes[-1] > LONGEST


def test_nothing_to_nudge() -> None:
    space = Space({"a": Choice([1, 2, 3]), "n": Integer(0, 5)})
    assert nudges(space, space.sample(random.Random(0)), 10, random.Random(0)) == []


def test_what_constraints_refuse_is_left_out() -> None:
    space = Space({"a": Real(0.0, 1.0), "b": Real(0.0, 1.0)}, require=lambda a, b: a + b <= 1.0)
    arch = space.architecture({"a": 0.5, "b": 0.5})
    found = nudges(space, arch, 200, random.Random(0))
    assert 50 < len(found) < 150
    assert all([other["a"] + other["b"] <= 1.0 for other in found])


def test_a_decision_that_a_number_opens_is_drawn() -> None:
    """The number says how many layers there are: those that it adds are decided, too."""
    space = Space({"layers": Repeat(Choice([1, 2]), Integer(1, 50))})
    arch = space.sample(random.Random(0))
    found = nudges(space, arch, 20, random.Random(0))
    assert {len(other.answers) > len(arch.answers) for other in found} == {True, False}
    assert all([space.architecture(other.assignment).id == other.id != arch.id for other in found])


def test_what_does_not_end_is_left_out() -> None:
    """Each of up to thirty copies is a grammar that goes on more often than not."""

    def term() -> Choice:
        return Choice({"end": None, "on": Lazy(term), "more": Lazy(term)})

    space = Space({"terms": Repeat(Lazy(term), Integer(1, 30))}, max_decisions=60)
    arch = space.architecture({"terms": 1, "terms[0]": "end"})
    found = nudges(space, arch, 200, random.Random(0))
    assert 100 < len(found) < 200


def test_they_are_half_of_the_neighbours_that_a_model_looks_at() -> None:
    space = Space({"kind": Choice(["a", "b", "c"]), "x": Real(0.0, 1.0)})
    arch = space.architecture({"kind": "a", "x": 0.5})
    near = Candidates(space, lambda id: False, lambda number, rng: [], random.Random(0)).near(arch, 40)
    steps = [abs(other["x"] - 0.5) for other in near if other["kind"] == "a"]
    assert sum([step < 0.05 for step in steps]) >= 10


@given(st.floats(0, 1), st.floats(0, 1))
def test_near_numbers_are_near_quadratically(a: float, b: float) -> None:
    """Twice as far is four times the squared distance while both are near, and never more than a half."""
    embedding = Embedding(Space({"x": Real(0.0, 1.0)}))

    def distance(x: float, y: float) -> float:
        rows = embedding.rows([embedding.space.architecture({"x": value}) for value in (x, y)])
        return float(((rows[0] - rows[1]) ** 2).sum())

    assert distance(a, b) <= 0.5 + 1e-9
    middle = 0.25 + a / 2
    assert distance(middle, middle + 0.02) == pytest.approx(4 * distance(middle, middle + 0.01), rel=0.15)
    assert distance(0.0, 1.0) == pytest.approx(0.5)
