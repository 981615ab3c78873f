"""Cells of decisions: halving loses no answer, and changes no draw."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.searchers.bisection import Cell, Scale, part_of, scale_of
from archsearch.searchers.rollouts import shares
from archsearch.searchers.uct import draw_index
from archsearch.spaces.decisions import BOOLEAN, Decision, IntegerRange, Options, RealRange, narrowed

numbers = st.lists(st.integers(-50, 50) | st.floats(-50, 50), min_size=2, max_size=40, unique=True)
options = st.one_of(
    numbers.map(lambda values: Options(tuple(values))),
    st.integers(2, 9).map(lambda n: Options(tuple([f"o{i}" for i in range(n)]))),
    st.sampled_from([BOOLEAN, Options((False, True), "boolean", 0.2), Options((1, 2, 4), prior=(0.5, 0.2, 0.3))]),
)
integers = st.builds(
    lambda low, more, log: IntegerRange(low, low + more, log), st.integers(1, 60), st.integers(1, 150), st.booleans()
)
decisions = options | integers | integers.map(lambda d: narrowed(d, list(d.options)[::3] or [d.low]))


def leaves(scale: Scale, cell: Cell) -> Iterator[Cell]:
    parts = scale.split(cell)
    if not parts:
        yield cell
    for part in parts:
        yield from leaves(scale, part)


def answers(decision: Decision) -> list[Any]:
    assert decision.options is not None
    return list(decision.options)


@settings(deadline=None)
@given(decisions, st.booleans())
def test_cells_cover_every_answer_exactly_once(decision: Decision, bisection: bool) -> None:
    scale = scale_of(decision, bisection)
    found = [scale.draw(cell, random.Random(0).random) for cell in leaves(scale, scale.whole)]
    assert len(found) == decision.size
    assert {repr(answer) for answer in found} == {repr(answer) for answer in answers(decision)}
    for answer in found:
        position = scale.position(answer)
        assert position is not None
        cell = scale.whole
        while parts := scale.split(cell):
            cell = parts[part_of(position, parts)]
        assert scale.draw(cell, random.Random(1).random) == answer


@settings(deadline=None)
@given(decisions, st.booleans())
def test_a_cell_weighs_what_the_draw_makes_of_it(decision: Decision, bisection: bool) -> None:
    scale = scale_of(decision, bisection)
    assert scale.share(scale.whole) == pytest.approx(1.0)
    for cell in leaves(scale, scale.whole):
        answer = scale.draw(cell, random.Random(0).random)
        assert scale.share(cell) == pytest.approx(1 / decision.rarity(answer), rel=1e-6, abs=1e-12)


@settings(deadline=None)
@given(decisions)
def test_ordered_answers_take_as_many_halvings_as_their_logarithm(decision: Decision) -> None:
    scale = scale_of(decision, True)
    if not scale.ordered or getattr(decision, "log", False):
        return
    depth = 0
    cells = [scale.whole]
    while any(scale.split(cell) for cell in cells):
        depth += 1
        cells = [part for cell in cells for part in scale.split(cell) or (cell,)]
    assert depth == (int(decision.size) - 1).bit_length()


@pytest.mark.parametrize("k", [3, 5, 6, 7, 32])
def test_rollouts_by_halves_are_uniform(k: int) -> None:
    """Chi-square; without the weights a third of three options would come half of the time."""
    scale = scale_of(Options(tuple(range(k))), True)
    rng = random.Random(k)
    counts = [0] * k
    for _ in range(300 * k):
        cell = scale.whole
        while parts := scale.split(cell):
            cell = parts[draw_index(shares(scale, parts), rng.random())]
        counts[scale.draw(cell, rng.random)] += 1
    assert sum([(n - 300) ** 2 / 300 for n in counts]) < (k - 1) + 4 * (2 * (k - 1)) ** 0.5 + 5


def test_numbers_are_halved_in_the_order_of_their_values() -> None:
    scale = scale_of(Options((64, 1, 16, 4)), True)
    assert [scale.draw(cell, random.Random(0).random) for cell in leaves(scale, scale.whole)] == [1, 4, 16, 64]
    assert scale.position(16) == 2
    assert scale.position(5) is None


def test_categories_are_never_halved() -> None:
    scale = scale_of(Options(("a", "b", "c", "d")), True)
    assert scale.split(scale.whole) == ((0, 1), (1, 2), (2, 3), (3, 4))


def test_many_numbers_are_always_halved() -> None:
    assert len(scale_of(IntegerRange(1, 64), False).split((1, 65))) == 64
    assert scale_of(IntegerRange(0, 10**9), False).split((0, 10**9 + 1)) == ((0, 500_000_000), (500_000_000, 10**9 + 1))


def test_halves_of_logarithmic_numbers_are_equally_likely() -> None:
    scale = scale_of(IntegerRange(1, 2**20 - 1, log=True), True)
    assert scale.split(scale.whole) == ((1, 2**10), (2**10, 2**20))


@pytest.mark.parametrize("decision", [RealRange(1e-5, 1e-1, log=True), RealRange(-3.0, 5.0)])
def test_cells_of_a_real(decision: RealRange) -> None:
    scale = scale_of(decision, True)
    assert len(list(leaves(scale, scale.whole))) == 8
    for cell in leaves(scale, scale.whole):
        assert scale.share(cell) == 1 / 8
        for seed in range(20):
            position = scale.position(scale.draw(cell, random.Random(seed).random))
            assert position is not None
            assert cell[0] - 1e-9 <= position <= cell[1] + 1e-9
    rng, same = random.Random(3), random.Random(3)
    for _ in range(100):
        assert scale.draw(scale.whole, rng.random) == pytest.approx(decision.draw(same.random), rel=1e-9)
    assert part_of(1.0, scale.split(scale.whole)) == 1
