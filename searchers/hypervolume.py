"""The hypervolume of a front, exactly, in any number of objectives. Every objective is a loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from archsearch.searchers.pareto import dominates, undominated


def hypervolume(losses: Iterable[Sequence[float]], reference: Sequence[float]) -> float:
    """The volume of what the points dominate within a reference point (Zitzler and Thiele, 1998).

    A point that is not better than the reference in every objective adds nothing, and so does a point that is
    dominated or equal to another.

    With the points in the order of their last loss, largest first, what a point adds to those after it is a slab: the
    way from its last loss to the reference, times what it adds in the other objectives (While, Bradstreet and Barone,
    2012, "A Fast Way of Calculating Exact Hypervolumes"). Two objectives take n log n steps, three n times as many.

    Args:
        losses: the points, each of as many numbers as the reference.
        reference: in every objective, the loss from which on a point is worth nothing.

    >>> hypervolume([(1, 2), (2, 1), (2, 2), (0, 9)], (3, 3))
    3.0
    >>> hypervolume([(0, 1, 1), (1, 0, 1), (1, 1, 0)], (2, 2, 2))
    4.0
    """
    bound = tuple(reference)
    inside = {tuple(point) for point in losses}
    points = [point for point in inside if all([x < r for x, r in zip(point, bound, strict=True)])]
    return float(volume(points, bound))


def volume(points: list[tuple[float, ...]], bound: tuple[float, ...]) -> float:
    """The hypervolume of points that are all better than the bound in every objective."""
    if not points:
        return 0.0
    if len(bound) <= 1:
        return bound[0] - min(points)[0] if bound else 1.0
    if len(bound) == 2:
        return area(points, bound)
    kept = [point for point, front in zip(points, undominated(points), strict=True) if front]
    kept.sort(key=lambda point: (-point[-1], point))
    slabs = []
    for i, point in enumerate(kept):
        *own, last = point
        alone = math.prod([r - x for x, r in zip(own, bound, strict=False)])
        limited = {tuple([max(x, y) for x, y in zip(own, other, strict=False)]) for other in kept[i + 1 :]}
        slabs.append((bound[-1] - last) * (alone - volume(list(limited), bound[:-1])))
    return math.fsum(slabs)


def area(points: list[tuple[float, ...]], bound: tuple[float, ...]) -> float:
    """Two objectives: the steps of the staircase, from the left."""
    steps = []
    lowest = bound[1]
    for x, y in sorted(points):
        if y < lowest:
            steps.append((bound[0] - x) * (lowest - y))
            lowest = y
    return math.fsum(steps)


class Front:
    """The undominated of all points that were added, without equal ones.

    >>> front = Front()
    >>> [front.add(point) for point in [(2, 2), (1, 3), (3, 3), (1, 3), (1, 2)]]
    [True, True, False, False, True]
    >>> front.points, front.hypervolume((3, 3))
    ([(1, 2)], 2.0)
    """

    def __init__(self) -> None:
        self.points: list[tuple[float, ...]] = []

    def add(self, point: Sequence[float]) -> bool:
        """Whether the front has changed: no point of it dominates the new one or is equal to it."""
        new = tuple(point)
        if any([old == new or dominates(old, new) for old in self.points]):
            return False
        self.points = [old for old in self.points if not dominates(new, old)]
        self.points.append(new)
        return True

    def hypervolume(self, reference: Sequence[float]) -> float:
        """The volume that it dominates within a reference point; see `hypervolume`."""
        return hypervolume(self.points, reference)
