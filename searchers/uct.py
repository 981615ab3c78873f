"""Rules of the tree search: which branch to take, and how to draw below the tree.

Scores are in units of their spread, larger is better.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any


def uct(mean: float, visits: float, parent_visits: float, exploration: float) -> float:
    """UCB1 applied to trees: mean + b sqrt(2 ln N / n), and infinity for a branch without a visit.

    (Kocsis and Szepesvari, 2006, "Bandit Based Monte-Carlo Planning"; b as in DeepArchitect, 2017.)

    >>> round(uct(0.5, 3, 4, 1.0), 6), round(uct(0.4, 1, 4, 1.0), 6)
    (1.461351, 2.065109)
    """
    if visits <= 0:
        return math.inf
    return mean + exploration * math.sqrt(2 * math.log(max(parent_visits, 1)) / visits)


def shrunk(total: float, count: float, prior: float, weight: float) -> float:
    """The mean of `count` scores that sum to `total`, with `prior` counted `weight` times as one more.

    Of a branch and the same answer anywhere this is rapid action value estimation (Gelly and Silver, 2007, "Combining
    Online and Offline Knowledge in UCT") with the share weight / (weight + count) for the latter.

    >>> shrunk(3.0, 2, 0.0, 1.0), shrunk(0.0, 0, 0.25, 1.0)
    (1.0, 0.25)
    """
    if count + weight == 0:
        return prior
    return (total + weight * prior) / (count + weight)


def evidence(total: float, count: float, mean: float) -> float:
    """By how many standard errors the mean of `count` scores is above `mean`, with one more score of `mean`.

    >>> evidence(2.0, 3, 0.0), evidence(0.0, 0, 0.7)
    (1.0, 0.0)
    """
    return (total - count * mean) / math.sqrt(count + 1)


def tilted(shares: Sequence[float], evidences: Sequence[float], strength: float) -> list[float]:
    """Chances proportional to share exp(strength evidence): the shares themselves where nothing is known.

    >>> tilted([0.5, 0.25, 0.25], [1.0, 1.0, 1.0], 2.0)
    [0.5, 0.25, 0.25]
    """
    top = max(evidences)
    weights = [share * math.exp(strength * (e - top)) for share, e in zip(shares, evidences, strict=True)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def draw_index(chances: Sequence[float], u: float) -> int:
    """The index that u, uniform in [0, 1), draws with these chances.

    >>> [draw_index([0.5, 0.25, 0.25], u) for u in (0.0, 0.49, 0.5, 0.99)]
    [0, 0, 1, 2]
    """
    for i, chance in enumerate(chances):
        u -= chance
        if u < 0:
            return i
    return max(range(len(chances)), key=lambda i: chances[i])


def savage_scores(places: Sequence[Any]) -> list[float]:
    """Scores of trials from their order alone, so in units of spread whatever the objective's scale: the i-th best of n
    has 1/i + 1/(i+1) + ... + 1/n - 1, which is what order statistics of an exponential distribution are on average.

    The best stand out, as they should where the best alone counts; a long tail of bad ones does not. Equal places share
    the mean. Mean 0; the worst of many is -1. (Savage, 1956, "Contributions to the Theory of Rank Order Statistics".)

    Args:
        places: what orders the trials, the best smallest.

    >>> [round(score, 3) for score in savage_scores([0.1, 0.9, 0.5])]
    [0.833, -0.667, -0.167]
    """
    n = len(places)
    by_rank = [total - 1 for total in itertools.accumulate([1 / i for i in range(n, 0, -1)])][::-1]
    order = sorted(range(n), key=lambda i: places[i])
    scores = [0.0] * n
    start = 0
    for i in range(1, n + 1):
        if i == n or places[order[i]] != places[order[start]]:
            mean = math.fsum(by_rank[start:i]) / (i - start)
            for j in order[start:i]:
                scores[j] = mean
            start = i
    return scores
