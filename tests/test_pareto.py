"""Fronts, crowding and hypervolume against their definitions, closed forms, inclusion-exclusion and Monte Carlo."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.searchers.hypervolume import Front, hypervolume
from archsearch.searchers.pareto import crowding_distances, dominates, front_numbers, undominated

Points = list[tuple[int, ...]]


def points(dimensions: int, most: int = 8, largest: int = 6) -> st.SearchStrategy[Points]:
    """Small whole numbers, so that ties and duplicates are common and sums are exact."""
    return st.lists(st.tuples(*[st.integers(0, largest)] * dimensions), max_size=most)


any_points = st.integers(1, 5).flatmap(lambda dimensions: points(dimensions, 12))
some_points = st.integers(1, 5).flatmap(lambda dimensions: st.tuples(st.just(dimensions), points(dimensions)))


def union(losses: Points, reference: tuple[int, ...]) -> int:
    """By inclusion-exclusion over the boxes between the points and the reference."""
    total = 0
    for size in range(1, len(losses) + 1):
        for some in itertools.combinations(losses, size):
            corner = [max(column) for column in zip(*some, strict=True)]
            sides = [max(0, r - x) for x, r in zip(corner, reference, strict=True)]
            total += (-1) ** (size + 1) * math.prod(sides)
    return total


@given(any_points)
def test_the_undominated_are_those_that_none_dominates(losses: Points) -> None:
    assert undominated(losses) == [not any([dominates(other, point) for other in losses]) for point in losses]


@given(any_points)
def test_fronts_are_peeled_off(losses: Points) -> None:
    left = dict(enumerate(losses))
    expected = [0] * len(losses)
    for number in itertools.count():
        if not left:
            break
        front = [i for i, point in left.items() if not any([dominates(other, point) for other in left.values()])]
        for i in front:
            expected[i] = number
            del left[i]
    assert front_numbers(losses) == expected


@given(any_points)
def test_domination_is_a_strict_order(losses: Points) -> None:
    for a, b in itertools.product(losses, losses):
        assert not (dominates(a, b) and dominates(b, a))
        for c in losses:
            assert dominates(a, c) or not (dominates(a, b) and dominates(b, c))


def test_crowding_by_hand() -> None:
    """Four points of a line: each inner one is between its neighbours, in units of the range."""
    assert crowding_distances([(0.0, 10.0), (1.0, 7.0), (3.0, 5.0), (10.0, 0.0)]) == [
        math.inf,
        3 / 10 + 5 / 10,
        9 / 10 + 7 / 10,
        math.inf,
    ]
    assert crowding_distances([(1.0, 1.0)]) == [math.inf]
    assert crowding_distances([(1.0, 1.0), (1.0, 1.0)]) == [math.inf, 0.0]
    assert crowding_distances([]) == []


@given(points(3, 12), st.randoms(use_true_random=False))
def test_crowding_does_not_depend_on_the_order(losses: Points, draws: random.Random) -> None:
    """But for which of equal points is the first; nor on the unit of an objective. The ends are infinitely far."""
    distinct = list(dict.fromkeys(losses))
    distances = dict(zip(distinct, crowding_distances(distinct), strict=True))
    unique = [point for point in distinct if all([[q[k] for q in distinct].count(point[k]) == 1 for k in range(3)])]
    shuffled = list(distinct)
    draws.shuffle(shuffled)
    again = dict(zip(shuffled, crowding_distances(shuffled), strict=True))
    if len(unique) == len(distinct):
        assert again == distances
    scaled = crowding_distances([(4.0 * x, y - 1.0, z) for x, y, z in distinct])
    assert scaled == pytest.approx(list(distances.values()))
    for k in range(3):
        if distinct and len({point[k] for point in distinct}) > 1:
            assert any([distances[point] == math.inf for point in distinct if point[k] == min(p[k] for p in distinct)])


@given(some_points)
def test_hypervolume_is_the_union_of_boxes(drawn: tuple[int, Points]) -> None:
    dimensions, losses = drawn
    reference = (5,) * dimensions
    assert hypervolume(losses, reference) == union(losses, reference)


@given(some_points, st.randoms(use_true_random=False))
def test_hypervolume_does_not_depend_on_any_order(drawn: tuple[int, Points], draws: random.Random) -> None:
    dimensions, losses = drawn
    reference = tuple(range(4, 4 + dimensions))
    expected = hypervolume(losses, reference)
    shuffled = losses + losses[:2]
    draws.shuffle(shuffled)
    columns = list(range(dimensions))
    draws.shuffle(columns)
    turned = [[point[k] for k in columns] for point in shuffled]
    assert hypervolume(turned, [reference[k] for k in columns]) == expected


@given(some_points, st.data())
def test_hypervolume_grows_with_a_new_point_exactly_if_it_is_new_to_the_front(
    drawn: tuple[int, Points], data: st.DataObject
) -> None:
    dimensions, losses = drawn
    reference = (5,) * dimensions
    new = data.draw(st.tuples(*[st.integers(0, 6)] * dimensions))
    before, after = hypervolume(losses, reference), hypervolume([*losses, new], reference)
    counts = max(new) < 5 and not any([old == new or dominates(old, new) for old in losses])
    assert (after > before) is counts
    assert after >= before
    larger = tuple([r + 1 for r in reference])
    assert hypervolume(losses, larger) >= hypervolume(losses, reference)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 5])
def test_hypervolume_in_closed_form(dimensions: int) -> None:
    """One point is a box; a cube and one more on each of its sides; the points of a simplex make a staircase."""
    assert hypervolume([(0.5,) * dimensions], (2.0,) * dimensions) == 1.5**dimensions
    assert hypervolume([], (1.0,) * dimensions) == 0.0
    corners = [tuple([0.0 if i == k else 1.0 for i in range(dimensions)]) for k in range(dimensions)]
    assert hypervolume(corners, (2.0,) * dimensions) == dimensions + 1
    n = 5
    simplex = [point for point in itertools.product(range(n), repeat=dimensions) if sum(point) == n - 1]
    cells = sum([sum(point) >= n - 1 for point in itertools.product(range(n), repeat=dimensions)])
    assert hypervolume(simplex, (n,) * dimensions) == cells


@pytest.mark.parametrize(("dimensions", "number"), [(2, 200), (3, 100), (4, 30), (6, 14)])
def test_hypervolume_agrees_with_monte_carlo(dimensions: int, number: int) -> None:
    rng = random.Random(dimensions)
    losses = []
    for _ in range(number):
        direction = [rng.gauss(0, 1) for _ in range(dimensions)]
        length = math.hypot(*direction)
        losses.append(tuple([1 - abs(x) / length for x in direction]))  # on a sphere: nothing is dominated
    assert all(undominated(losses))
    draws = 4_000
    hits = 0
    for _ in range(draws):
        at = [rng.random() for _ in range(dimensions)]
        hits += any([all([x <= y for x, y in zip(point, at, strict=True)]) for point in losses])
    share = hits / draws
    error = math.sqrt(share * (1 - share) / draws)
    assert hypervolume(losses, (1.0,) * dimensions) == pytest.approx(share, abs=5 * error)


@given(any_points)
def test_a_front_is_kept_as_it_grows(losses: Points) -> None:
    front = Front()
    for i, point in enumerate(losses):
        before = {tuple(old) for old, kept in zip(losses[:i], undominated(losses[:i]), strict=True) if kept}
        after = {tuple(old) for old, kept in zip(losses[: i + 1], undominated(losses[: i + 1]), strict=True) if kept}
        assert front.add(point) is (before != after)
        assert len(front.points) == len(after)
        assert set(front.points) == after
    if losses:
        assert front.hypervolume((5,) * len(losses[0])) == hypervolume(losses, (5,) * len(losses[0]))
