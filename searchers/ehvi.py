"""Expected improvement of the hypervolume, exactly, for any number of objectives that are predicted independently.

What is not dominated by a front is cut into boxes [l, u]. A trial with losses y makes the point z of a box dominated if
y <= z in every objective, so with independent normal predictions

    EHVI = sum over boxes of prod over j of integral from l_j to u_j of P(y_j <= z) dz,
    integral from -inf to u of P(y <= z) dz = (u - mean) Phi((u - mean) / std) + std phi((u - mean) / std)

(Emmerich, Deutz and Klinkenberg, 2011, for two objectives; for more, Yang et al., 2019, "Efficient computation of
expected hypervolume improvement using box decomposition algorithms".)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from archsearch.searchers.acquisition import Array, expected_improvement

Point = tuple[float, ...]


def boxes(front: Sequence[Point], reference: Point) -> Iterator[tuple[Point, Point]]:
    """Disjoint boxes that cover what is below `reference` and not dominated by `front`: (lower, upper) corners.

    >>> list(boxes([(1.0, 2.0), (2.0, 1.0)], (3.0, 3.0)))  # doctest: +NORMALIZE_WHITESPACE
    [((-inf, -inf), (3.0, 1.0)), ((-inf, 1.0), (2.0, 2.0)), ((-inf, 2.0), (1.0, 3.0))]
    """
    if len(reference) == 1:
        yield (-math.inf,), (min([reference[0], *[point[0] for point in front]]),)
        return
    lower = -math.inf
    below: list[Point] = []
    inside = sorted([point for point in front if point[-1] < reference[-1]], key=lambda point: point[-1])
    for upper, point in [(point[-1], point[:-1]) for point in inside] + [(reference[-1], None)]:
        if upper > lower:
            for low, high in boxes(below, reference[:-1]):
                yield (*low, lower), (*high, upper)
            lower = upper
        if point is not None:
            below.append(point)


def expected_hypervolume_improvement(mean: Array, std: Array, front: Sequence[Point], reference: Point) -> Array:
    """The expected growth of the hypervolume.

    Args:
        mean: of the losses, shape (points, objectives).
        std: of the losses, likewise.
        front: losses of which none dominates another.
        reference: the corner from which the hypervolume is measured.
    """
    corners = list(boxes(front, reference))
    total = np.zeros(len(mean))
    terms: dict[tuple[int, float], Array] = {}

    def up_to(j: int, bound: float) -> Array:
        if (j, bound) not in terms:
            terms[j, bound] = (
                np.zeros(len(mean)) if bound == -math.inf else expected_improvement(mean[:, j], std[:, j], bound)
            )
        return terms[j, bound]

    for lower, upper in corners:
        volume = np.ones(len(mean))
        for j, (low, high) in enumerate(zip(lower, upper, strict=True)):
            volume *= up_to(j, high) - up_to(j, low)
        total += volume
    return total
