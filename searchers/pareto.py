"""Domination, fronts and crowding. Every objective is a loss: smaller is better."""

from __future__ import annotations

import math
from collections.abc import Sequence


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether `a` is nowhere worse (larger) than `b` and somewhere better; equal points do not.

    >>> dominates((1, 2), (1, 3)), dominates((1, 2), (1, 2))
    (True, False)
    """
    return all([x <= y for x, y in zip(a, b, strict=True)]) and tuple(a) != tuple(b)


def undominated(losses: Sequence[tuple[float, ...]]) -> list[bool]:
    """For each point, whether no other dominates it; equal points are all kept.

    Sorted lexicographically, a point can only be dominated by one before it, so by one of the front so far.

    >>> undominated([(1, 2), (2, 1), (2, 2), (1, 2)])
    [True, True, False, True]
    """
    kept = [False] * len(losses)
    front: list[tuple[float, ...]] = []
    for i in sorted(range(len(losses)), key=lambda i: losses[i]):
        if not any(dominates(other, losses[i]) for other in reversed(front)):
            kept[i] = True
            front.append(losses[i])
    return kept


def front_numbers(losses: Sequence[tuple[float, ...]]) -> list[int]:
    """For each point the number of its front: 0 is undominated, 1 is so without those of 0, and so on.

    Each point, in lexicographic order, goes to the first front where none dominates it, found by bisection (Zhang,
    Tian, Cheng and Jin, 2015, "An Efficient Approach to Nondominated Sorting"). Equal points share a front.

    >>> front_numbers([(1, 2), (2, 1), (2, 2), (3, 3), (1, 2)])
    [0, 0, 1, 2, 0]
    """
    numbers = [0] * len(losses)
    fronts: list[list[tuple[float, ...]]] = []
    for i in sorted(range(len(losses)), key=lambda i: losses[i]):
        # Whoever is dominated in a front is dominated in all before it.
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            if any(dominates(other, losses[i]) for other in reversed(fronts[middle])):
                low = middle + 1
            else:
                high = middle
        if low == len(fronts):
            fronts.append([])
        fronts[low].append(losses[i])
        numbers[i] = low
    return numbers


def crowding_distances(losses: Sequence[tuple[float, ...]]) -> list[float]:
    """How far the points of one front are from their neighbours: the sides of the box between them, added.

    Each objective is in units of its range; one that is the same everywhere adds nothing. The ends of an objective are
    infinitely far from others. Of equal points the first counts, and the others have distance 0. (Deb, Pratap, Agarwal
    and Meyarivan, 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section III-B.)

    >>> crowding_distances([(0, 4), (1, 1), (4, 0), (1, 1)])
    [inf, 2.0, inf, 0.0]
    """
    first: dict[tuple[float, ...], int] = {}
    for i, point in enumerate(losses):
        first.setdefault(tuple(point), i)
    distances = dict.fromkeys(first, 0.0)
    for k in range(len(losses[0]) if losses else 0):
        order = sorted(first, key=lambda point: point[k])
        low, high = order[0][k], order[-1][k]
        if low == high and len(order) > 1:
            continue
        distances[order[0]] = distances[order[-1]] = math.inf
        for before, point, after in zip(order, order[1:], order[2:], strict=False):
            distances[point] += (after[k] - before[k]) / (high - low)
    return [distances[tuple(point)] if first[tuple(point)] == i else 0.0 for i, point in enumerate(losses)]
