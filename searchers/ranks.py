"""Ranks in place of scores: a long tail of bad networks hides what is between the good ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri


def normal_scores(places: Sequence[Any]) -> npt.NDArray[np.float64]:
    """What the order of values would be were they normal: quantiles at (rank - 3/8) / (n + 1/4) (Blom, 1958).

    Equal values share the mean of their ranks.

    >>> normal_scores([3.0, 1.0, 2.0, 2.0]).round(2).tolist()
    [1.05, -1.05, 0.0, 0.0]
    """
    n = len(places)
    order = sorted(range(n), key=lambda i: places[i])
    ranks = np.zeros(n)
    start = 0
    for i in range(1, n + 1):
        if i == n or places[order[i]] != places[order[start]]:
            ranks[order[start:i]] = (start + 1 + i) / 2
            start = i
    scores: npt.NDArray[np.float64] = ndtri((ranks - 0.375) / (n + 0.25))
    return scores
