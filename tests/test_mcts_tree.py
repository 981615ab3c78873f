"""The tree of decisions: expansion and backup by hand, closed subtrees, and counts against brute force."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.searchers.bisection import Scale, part_of, scale_of
from archsearch.searchers.tree import Step, Tree
from archsearch.spaces.nodes import Boolean, Choice, Integer, Real
from archsearch.spaces.space import Space
from archsearch.testing_spaces import finite_spaces

SPACE = Space({"a": Choice(["x", "y"]), "n": Integer(1, 3)})


def steps_in(space: Space, assignment: Mapping[str, Any], scales: dict[str, Scale]) -> list[Step]:
    steps: list[Step] = []

    def replay(decision: Any, path: str) -> Any:
        scale = scales.get(path)
        if scale is None or scale.decision != decision:
            scale = scales[path] = scale_of(decision, True)
        position = scale.position(assignment[path])
        assert position is not None
        steps.append(Step(path, scale, position))
        return assignment[path]

    space.walk(replay)
    return steps


def grown(space: Space, trials: Sequence[Mapping[str, Any]]) -> Tree:
    """The tree of these trials."""
    scales: dict[str, Scale] = {}
    tree = Tree()
    for i in range(len(trials)):
        tree.add(i, lambda trial: steps_in(space, trials[trial], scales))
    return tree


def totals(tree: Tree, scores: Sequence[float]) -> list[tuple[int, float]]:
    """Visits and sum of scores of each node."""
    return list(zip(*tree.tally.sums(np.array(scores, float)), strict=True))


def test_a_tree_by_hand() -> None:
    """a is x or y; then n is 1, or 2 to 3, which is halved again."""
    tree = grown(SPACE, [{"a": "x", "n": 1}])
    assert totals(tree, [8]) == [(1, 8)]
    assert tree.nodes[0].resting == 0

    tree = grown(SPACE, [{"a": "x", "n": 1}, {"a": "y", "n": 2}])
    root = tree.nodes[0]
    assert (root.path, root.parts, root.resting) == ("a", ((0, 1), (1, 2)), None)
    assert root.children == [1, 2]  # the trial that rested went down first
    assert totals(tree, [8, 4]) == [(2, 12), (1, 8), (1, 4)]
    assert [node.resting for node in tree.nodes] == [None, 0, 1]

    tree = grown(SPACE, [{"a": "x", "n": 1}, {"a": "y", "n": 2}, {"a": "x", "n": 3}])
    assert (tree.nodes[1].path, tree.nodes[1].parts, tree.nodes[1].children) == ("n", ((1, 2), (2, 4)), [3, 4])
    assert totals(tree, [8, 4, 2]) == [(3, 14), (2, 10), (1, 4), (1, 8), (1, 2)]
    assert [node.closed for node in tree.nodes] == [False, False, False, True, False]

    tree = grown(SPACE, [{"a": "x", "n": 1}, {"a": "y", "n": 2}, {"a": "x", "n": 3}, {"a": "x", "n": 2}])
    assert (tree.nodes[4].path, tree.nodes[4].parts, tree.nodes[4].children) == ("n", ((2, 3), (3, 4)), [6, 5])
    assert totals(tree, [8, 4, 2, 1]) == [(4, 15), (3, 11), (1, 4), (1, 8), (2, 3), (1, 2), (1, 1)]
    assert [node.closed for node in tree.nodes] == [False, True, False, True, True, True, True]
    assert not tree.closed


def test_trials_that_part_late_are_parted_there() -> None:
    """The second trial makes every node down to where it leaves the first."""
    tree = grown(SPACE, [{"a": "x", "n": 2}, {"a": "x", "n": 3}])
    assert [node.path for node in tree.nodes] == ["a", "n", "n", "", ""]
    assert totals(tree, [1, 5]) == [(2, 6), (2, 6), (2, 6), (1, 1), (1, 5)]


def test_a_repeat_is_counted_at_its_leaf() -> None:
    tree = grown(SPACE, [{"a": "x", "n": 1}] * 3)
    assert totals(tree, [1, 1, 1]) == [(3, 3)] * 3
    assert [node.closed for node in tree.nodes] == [False, False, True]


@pytest.mark.parametrize("name", sorted(set(finite_spaces()) - {"one", "one is left", "constrained"}))
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_a_tree_closes_with_the_last_architecture(name: str, seed: int) -> None:
    space = finite_spaces()[name]
    every = [arch.assignment for arch in space.enumerate()]
    random.Random(seed).shuffle(every)
    assert not grown(space, every[:-1]).closed
    assert grown(space, every).closed


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40))
def test_nodes_count_the_trials_that_begin_with_them(seed: int, n: int) -> None:
    space = Space({"a": Choice({"no": None, "yes": {"b": Integer(1, 5), "c": Boolean()}}), "lr": Real(0.0, 1.0)})
    rng = random.Random(seed)
    trials = [space.sample(rng).assignment for _ in range(n)]
    scores = [rng.randrange(100) for _ in trials]
    tree = grown(space, trials)
    scales: dict[str, Scale] = {}
    every = [steps_in(space, trial, scales) for trial in trials]
    counted = totals(tree, scores)
    for number, node in enumerate(tree.nodes):
        through = [i for i in range(n) if number in nodes_on(tree, every[i])]
        assert counted[number] == (len(through), sum([scores[i] for i in through]))
        ends = [nodes_on(tree, every[i])[-1] == number for i in through]
        assert node.parts or len(through) == 1 or all(ends)  # what ends in one cell of a Real stays together
        assert not node.closed or not any(["lr" in trials[i] for i in through])
        for part, child in zip(node.parts, node.children, strict=True):
            inside = [i for i in through if node.parts[part_of(at(every[i], node.path), node.parts)] == part]
            assert (child is None) == (not inside)
            assert child is None or counted[child][0] == len(inside)


def nodes_on(tree: Tree, steps: Sequence[Step]) -> list[int]:
    """The nodes that these answers come through."""
    children = [tree.nodes[number].children[i] for number, i in tree.way(steps).branches]
    return [0, *[child for child in children if child is not None]]


def at(steps: Sequence[Step], path: str) -> float:
    return next(step.position for step in steps if step.path == path)
