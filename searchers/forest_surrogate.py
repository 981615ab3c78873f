"""Extremely randomised trees (Geurts, Ernst and Wehenkel, 2006; scikit-optimize's, with spread) as a surrogate.

For thousands of trials, where a Gaussian process is too slow. Its columns are those of `Space.encode`: whether a
decision is asked, and how it is answered; for labels one column each.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from skopt.learning import ExtraTreesRegressor

from archsearch.searchers.kernel import Array
from archsearch.searchers.surrogate import Points, Posterior
from archsearch.searchers.views import Feature
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.space import Space

NUM_TREES = 30
# With more columns than this each split looks at the root of their number: ten times as fast.
WIDE = 64
# The spread of trees that agree; a tree never knows a score better.
MIN_VARIANCE = 1e-3


class ForestSurrogate:
    """See `Surrogate`; what comes after its first trials waits for the next forest."""

    def __init__(
        self, space: Space, archs: Sequence[Architecture], targets: Array, features: Sequence[Feature] = ()
    ) -> None:
        self.space = space
        self.features = features
        (rows,) = self.points(archs)
        self.forests = [
            ExtraTreesRegressor(
                n_estimators=NUM_TREES,
                min_variance=MIN_VARIANCE,
                max_features="sqrt" if rows.shape[1] > WIDE else 1.0,
                min_samples_leaf=2,
                random_state=len(archs),  # the history alone
            ).fit(rows, target)
            for target in targets.T
        ]

    def points(self, archs: Sequence[Architecture]) -> Points:
        rows = self.space.encode(archs)
        if self.features:
            numbers = np.array([[feature(arch) for feature in self.features] for arch in archs], dtype=float)
            rows = np.hstack([rows, np.nan_to_num(numbers, posinf=1e300, neginf=-1e300)])
        return [rows]

    def extend(self, archs: Sequence[Architecture]) -> None:
        """Nothing."""

    def posterior(self, targets: Array, waiting: Sequence[Architecture]) -> Posterior:
        return ForestPosterior(self.forests, targets)


class ForestPosterior:
    """See `Posterior`; it follows the trials too closely to smooth them, and takes no note of what is under way."""

    def __init__(self, forests: Sequence[ExtraTreesRegressor], targets: Array) -> None:
        self.forests = forests
        self.smoothed = targets

    def draws(self, number: int, rng: random.Random) -> list[Architecture]:
        return []

    def predict(self, points: Points) -> tuple[Array, Array]:
        each = [forest.predict(points[0], return_std=True) for forest in self.forests]
        return np.column_stack([mean for mean, _ in each]), np.column_stack([std for _, std in each])
