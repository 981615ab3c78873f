"""Cuts of tensors against an oracle that lists indices one by one, over random axes and shapes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archsearch.elastic.axes import Axes, Axis, Layers, Run
from archsearch.elastic.cut import Cut, check_axes
from archsearch.errors import ElasticError


@dataclass(frozen=True)
class Governed:
    """A dimension made up of blocks: a number for each index, -1 where it stays, else the axis and the unit."""

    owners: list[tuple[int, int]]
    runs: list[tuple[int, Run]]


@st.composite
def dimensions(draw: st.DrawFn, dim: int, units: list[int]) -> Governed:
    """One dimension of a tensor: blocks of axes, in any order, with indices of nobody between them."""
    owners: list[tuple[int, int]] = []
    runs = []
    for axis in draw(st.lists(st.integers(0, len(units) - 1), max_size=3)):
        owners += [(-1, 0)] * draw(st.integers(0, 2))
        size = draw(st.integers(1, 3))
        runs.append((axis, Run("t", dim, size, len(owners))))
        owners += [(axis, unit) for unit in range(units[axis]) for _ in range(size)]
    owners += [(-1, 0)] * draw(st.integers(0 if owners else 1, 2))
    return Governed(owners, runs)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Axes, list[Governed], dict[str, tuple[int, ...]]]:
    units = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    dims = [draw(dimensions(dim, units)) for dim in range(draw(st.integers(1, 3)))]
    runs = [run for dim in dims for run in dim.runs]
    axes = Axes(Axis(f"a.{i}", "a", n, runs=tuple(run for axis, run in runs if axis == i)) for i, n in enumerate(units))
    kept = {
        f"a.{i}": tuple(sorted(draw(st.sets(st.integers(0, n - 1), min_size=1)))) for i, n in enumerate(units) if n > 1
    }
    return axes, dims, kept


def oracle(values: np.ndarray, dims: list[Governed], kept: dict[str, tuple[int, ...]]) -> np.ndarray:
    indices = [
        [i for i, (axis, unit) in enumerate(dim.owners) if f"a.{axis}" not in kept or unit in kept[f"a.{axis}"]]
        for dim in dims
    ]
    return values[np.ix_(*indices)]


def filled(dims: list[Governed]) -> np.ndarray:
    shape = [len(dim.owners) for dim in dims]
    return np.arange(int(np.prod(shape))).reshape(shape)


@given(cases())
def test_what_stays_is_what_listing_the_indices_gives(
    case: tuple[Axes, list[Governed], dict[str, tuple[int, ...]]],
) -> None:
    axes, dims, kept = case
    values = filled(dims)
    check_axes(axes, {"t": values.shape})
    cut = Cut.of(axes, kept)
    expected = oracle(values, dims, kept)
    assert cut.take("t", torch.from_numpy(values)).numpy().tolist() == expected.tolist()
    assert cut.shape("t", values.shape) == expected.shape
    assert cut.numel({"t": values.shape}) == expected.size


@given(cases(), st.randoms(use_true_random=False))
def test_a_cut_of_a_cut_is_the_cut_of_what_stays_of_both(
    case: tuple[Axes, list[Governed], dict[str, tuple[int, ...]]], rng: random.Random
) -> None:
    axes, dims, kept = case
    values = torch.from_numpy(filled(dims))
    first = Cut.of(axes, kept)
    rest = first.rest({"t": tuple(values.shape)})
    part = first.take("t", values)
    check_axes(rest, {"t": part.shape})
    fewer = {
        name: tuple(sorted(rng.sample(range(len(units)), rng.randint(1, len(units))))) for name, units in kept.items()
    }
    both = {name: tuple(kept[name][i] for i in places) for name, places in fewer.items()}
    assert torch.equal(Cut.of(rest, fewer).take("t", part), Cut.of(axes, both).take("t", values))


@given(cases())
def test_axes_are_plain_data(case: tuple[Axes, list[Governed], dict[str, tuple[int, ...]]]) -> None:
    axes = case[0]
    assert Axes.from_json(json.loads(json.dumps(axes.to_json()))) == axes


def test_a_block_is_a_view_and_gradients_flow_into_the_whole() -> None:
    axes = Axes([Axis("a.0", "a", 4, runs=(Run("t", 0, 2),))])
    whole = torch.arange(24.0).reshape(8, 3).requires_grad_()
    part = Cut.of(axes, {"a.0": 2}).take("t", whole)
    assert part.data_ptr() == whole.data_ptr()
    part.sum().backward()
    assert whole.grad is not None
    assert whole.grad.tolist() == [[1.0] * 3] * 4 + [[0.0] * 3] * 4


LAYERED = Axes(
    [
        Layers("layers", "layers", 4, path="blocks", order=(2, 0, 3, 1)),
        *[Axis(f"a.{i}", "a", 6, layer=f"blocks.{i}", runs=(Run(f"blocks.{i}.w", 0),)) for i in range(4)],
    ]
)


def test_layers_leave_by_their_order_and_those_that_stay_move_up() -> None:
    cut = Cut.of(LAYERED, {"layers": 2, "a.2": 3})
    assert cut.layers == (0, 2)
    assert [cut.name(f"blocks.{i}.w") for i in range(4)] == ["blocks.0.w", None, "blocks.1.w", None]
    assert cut.name("blocks_norm.weight") == "blocks_norm.weight"
    assert cut.numel({f"blocks.{i}.w": (6, 5) for i in range(4)}) == (6 + 3) * 5
    rest = cut.rest({f"blocks.{i}.w": (6, 5) for i in range(4)})
    assert [(axis.name, axis.units) for axis in rest] == [("layers", 2), ("a.0", 6), ("a.1", 3)]
    assert rest.layers is not None
    assert rest.layers.order == (1, 0)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"b.0": 2}, "no axis 'b.0'"),
        ({"a.0": 0}, "a.0 keeps from 1 to 6 units"),
        ({"a.0": 7}, "a.0 keeps from 1 to 6 units"),
        ({"a.0": (1, 1)}, "each once and ascending"),
        ({"a.0": (2, 1)}, "each once and ascending"),
        ({"a.0": (5, 6)}, "a.0 has units 0 to 5"),
        ({"a.0": True}, "expected a number of units"),
        ({"a.0": 2.5}, "expected a number of units"),
        ({"layers": 1, "a.0": 2}, "its layer blocks.0 is not kept"),
        ({"layers": 5}, "layers keeps from 1 to 4 units"),
    ],
)
def test_units_that_are_not_there_are_refused(kept: dict[str, int], words: str) -> None:
    with pytest.raises(ElasticError, match=words):
        Cut.of(LAYERED, kept)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ([Axis("a.0", "a", 3, runs=(Run("u", 0),))], "a.0 governs u, which the model does not have"),
        ([Axis("a.0", "a", 3, runs=(Run("t", 2),))], "dimension 2 of t, which has shape"),
        ([Axis("a.0", "a", 3, runs=(Run("t", 0, 2),))], "governs 0 to 6 of dimension 0"),
        (
            [Axis("a.0", "a", 3, runs=(Run("t", 0),)), Axis("a.1", "a", 2, runs=(Run("t", 0, 1, 2),))],
            "a.0 and a.1 both govern index 2",
        ),
    ],
)
def test_axes_that_do_not_fit_are_refused(axes: list[Axis], words: str) -> None:
    with pytest.raises(ElasticError, match=words):
        check_axes(Axes(axes), {"t": (4, 5)})


def test_a_cut_is_shown_by_what_it_leaves_out() -> None:
    axes = Axes([Axis("ffn.0", "ffn", 4000), Axis("ffn.1", "ffn", 4000)])
    assert repr(Cut.of(axes, {"ffn.0": 1000})) == "Cut(ffn.0: 1000 of 4000)"
    assert repr(Cut.of(axes, {})) == "Cut(whole)"


def test_axes_have_names_of_their_own() -> None:
    with pytest.raises(ElasticError, match="'a' is twice"):
        Axes([Axis("a", "a", 1), Axis("a", "b", 2)])
    with pytest.raises(ElasticError, match="one axis of layers"):
        Axes([Layers("x", "x", 1, path="x"), Layers("y", "y", 1, path="y")])


@pytest.mark.parametrize(
    "data", [{}, {"axes": [{"name": "a"}], "tied": {}}, {"axes": 3, "tied": {}}, {"axes": [], "tied": 3}]
)
def test_what_are_no_axes_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ElasticError, match="not axes as archsearch writes them"):
        Axes.from_json(data)
