"""Domination (minimisation)."""

from __future__ import annotations

from collections.abc import Sequence


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether `a` is nowhere worse (larger) than `b` and somewhere better.

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
