"""Rows for surrogates, against their definition written out; drawing many at once."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from random_spaces import make_space

from archsearch.errors import AssignmentError, EndlessSpace, SpaceError
from archsearch.spaces import encode as encoding
from archsearch.spaces import nn, program
from archsearch.spaces import space as space_module
from archsearch.spaces.decisions import Decision, IntegerRange
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import Boolean, Choice, Integer, Lazy, Optional, Permute, Real, Repeat, Sequential, Subset
from archsearch.spaces.space import Space
from archsearch.spaces.text import list_decisions

seeds = st.integers(0, 2**32 - 1)


def block(decision: Decision, answer: Any) -> list[float]:
    """The columns of a decision that is asked, by the rule in words."""
    if decision.options is None:
        low, high = decision.low, decision.high
        if decision.log:
            return [1.0, math.log(answer / low) / math.log(high / low)]
        return [1.0, (answer - low) / (high - low)]
    if isinstance(decision, IntegerRange):
        return [1.0, (answer - decision.low) / (decision.high - decision.low)]
    position = [repr(option) for option in decision.options].index(repr(answer))  # tells 1, True and (True,) apart
    if all(type(option) in (int, float) for option in decision.options):
        return [1.0, position / (decision.size - 1)]
    return [1.0, *[float(i == position) for i in range(decision.size)]]


def by_definition(space: Space, archs: list[Any]) -> np.ndarray[Any, Any]:
    decisions, complete = list_decisions(space.compiler, 10_000)
    assert complete
    rows = []
    for arch in archs:
        row: list[float] = []
        for listed in decisions:
            width = len(block(listed.decision, listed.decision.draw(random.Random(0).random)))
            asked = listed.path in arch.answers
            row += block(listed.decision, arch.answers[listed.path]) if asked else [0.0] * width
        rows.append(row)
    return np.array(rows).reshape(len(archs), -1)


@given(seeds)
def test_rows_of_random_spaces_follow_the_definition(seed: int) -> None:
    space = make_space(seed)
    assume(space is not None)
    assert space is not None
    try:
        archs = space.sample(random.Random(seed), 20)
    except EndlessSpace:
        assume(False)
    assume(list_decisions(space.compiler, 10_000)[1])
    np.testing.assert_allclose(space.encode(archs), by_definition(space, archs), rtol=1e-12, atol=1e-12)


def test_every_kind_of_decision_follows_the_definition() -> None:
    space = Space(
        {
            "label": Choice(["a", "b", "c"]),
            "number": Choice([1, 2.5, 7]),
            "mixed": Choice([1, True, 1.0, "1"]),
            "pairs": Choice([(1, 2), (True, 2), None]),
            "order": Permute(nn.ReLU(), nn.Sigmoid(), nn.Tanh()),
            "some": Subset([nn.ReLU(), nn.Linear(Choice([1, 2]))]),
            "range": Integer(3, 9),
            "wide": Integer(-(10**6), 10**9),
            "log": Integer(1, 1_000, log=True),
            "rate": Real(1e-4, 1e-1, log=True),
            "share": Real(-1, 1),
            "depth": Repeat(Optional(nn.Linear(Choice([8, 16]))), Integer(0, 4)),
            "on": Boolean(),
        }
    )
    archs = space.sample(random.Random(0), 300)
    rows = space.encode(archs)
    np.testing.assert_allclose(rows, by_definition(space, archs), rtol=1e-12, atol=1e-12)
    assert {tuple(row) for row in rows[:, 6:11].tolist()} == {(1, *one) for one in np.eye(4).tolist()}
    np.testing.assert_array_equal(rows[7:8], space.encode(archs[7:8]))
    assert space.encode([]).shape == (0, rows.shape[1])
    assert space.encode(iter(archs)).shape == rows.shape


def test_columns_are_made_anew_with_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def deeper(n: int) -> Any:
        return Sequential(nn.Linear(Choice([1, 2])), *([Lazy(deeper, n=Integer(0, n - 1))] if n else []))

    space = Space(deeper(4))
    archs = space.sample(random.Random(0), 30)
    rows = space.encode(archs)
    before = space.compiler
    monkeypatch.setattr(program, "MAX_SITES", 1)
    monkeypatch.setattr(space_module, "MAX_SITES", 1)
    np.testing.assert_array_equal(space.encode(archs), rows)
    assert space.compiler is not before


def test_the_architectures_of_another_space_are_refused() -> None:
    one, other = Space({"x": Choice([1, 2])}), Space({"x": Choice([2, 3]), "y": Choice([1, 2])})
    stranger = other.architecture({"x": 3, "y": 1})
    with pytest.raises(AssignmentError, match="x: 3 is no answer of this space"):
        one.encode([stranger])
    with pytest.raises(AssignmentError, match="y: 1 is no"):
        one.encode([other.architecture({"x": 2, "y": 1})])


def test_a_grammar_without_an_end_is_hashed() -> None:
    def more(go: bool) -> Any:
        return Sequential(nn.Linear(Choice([1, 2, 3])), Lazy(more, go=Boolean())) if go else nn.ReLU()

    space = Space(more(True))
    archs = space.sample(random.Random(1), 40)
    rows = space.encode(archs, width=64)
    assert rows.shape == (40, 64)
    np.testing.assert_array_equal(rows.sum(axis=1), [len(arch.answers) for arch in archs])
    np.testing.assert_array_equal(rows, space.encode(archs, width=64))


@given(seeds)
def test_many_at_once_are_those_that_one_after_the_other_gives(seed: int) -> None:
    space = make_space(seed)
    assume(space is not None)
    assert space is not None
    one, many = random.Random(seed), random.Random(seed)
    try:
        expected = [space.sample(one) for _ in range(7)]
    except EndlessSpace:
        assume(False)
    assert space.sample(many, 7) == expected
    assert many.getstate() == one.getstate()


def test_batches_beyond_a_thousand_and_with_constraints() -> None:
    plain = Space({"x": Choice([1, 2, 3]), "y": Choice([1, 2, 3])})
    tight = Space({"x": Choice([1, 2, 3]), "y": Choice([1, 2, 3])}, require=lambda x, y: x < y)
    for space in (plain, tight):
        one, many = random.Random(5), random.Random(5)
        assert space.sample(many, 2_003) == [space.sample(one) for _ in range(2_003)]
    assert all(arch["x"] < arch["y"] for arch in tight.sample(random.Random(0), 100))
    assert plain.sample(random.Random(0), 0) == []


def test_batches_where_a_lazy_gives_graphs_that_are_refused() -> None:
    def graph(wide: bool) -> Any:
        edges = {"x": Optional(nn.Linear(Choice([1, 2, 3])))}
        return Graph({"a": Vertex(inputs=edges), "b": Vertex(inputs=edges)}, inputs="x", outputs="b") if wide else None

    space = Space(Lazy(graph, wide=Boolean()))
    one, many = random.Random(5), random.Random(5)
    assert space.sample(many, 300) == [space.sample(one) for _ in range(300)]
    assert many.getstate() == one.getstate()


@pytest.mark.parametrize("n", [-1, 2.0, True, "3"])
def test_how_many_is_a_count(n: Any) -> None:
    with pytest.raises(SpaceError, match="how many architectures"):
        Space(Choice([1, 2])).sample(random.Random(0), n)


def test_wide_ranges_and_tables_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"n": Integer(2, 40), "m": Optional(Integer(1, 5))}
    archs = Space(node).sample(random.Random(0), 100)
    rows = Space(node).encode(archs)
    monkeypatch.setattr(encoding, "MAX_TABULATED", 3)
    np.testing.assert_array_equal(Space(node).encode(archs), rows)
