"""Extremely randomised trees (Geurts, Ernst and Wehenkel, 2006; scikit-optimize's, with spread) as a surrogate.

For thousands of trials, where a Gaussian process is too slow. Its columns are those of `Space.encode`: whether a
decision is asked, and how it is answered; for labels one column each.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from skopt.learning import ExtraTreesRegressor

from archsearch.searchers.kernel import Array
from archsearch.searchers.surrogate import Points, Posterior
from archsearch.searchers.views import Feature
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.space import Space

Leaves = npt.NDArray[np.int64]

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
        return ForestPosterior(self.forests, targets, self.points(waiting)[0] if waiting else None)


class ForestPosterior:
    """See `Posterior`; it follows the trials too closely to smooth them.

    Two architectures are as near as the share of trees that have them in one leaf (Breiman, 2001). That is a kernel
    (Davies and Ghahramani, 2014, arXiv:1402.4293): what is under way takes as much of the variance between trees as it
    would in a Gaussian process with it, in which the variance within leaves is noise. The trees stay as they are: to
    grow new ones would take longer than an ask.

    Args:
        forests: one for each target.
        targets: a row for each trial.
        waiting: the rows of what is under way, if anything is.
    """

    def __init__(self, forests: Sequence[ExtraTreesRegressor], targets: Array, waiting: Array | None) -> None:
        self.forests = forests
        self.smoothed = targets
        self.believed = targets[:0]
        self.known: list[Known] | None = None
        if waiting is not None:
            leaves = [leaves_of(forest, waiting) for forest in forests]
            read = [by_leaves(*each) for each in zip(forests, leaves, strict=True)]
            self.believed = np.column_stack([mean for mean, _, _ in read])
            self.known = [Known(those, *parts) for those, (_, *parts) in zip(leaves, read, strict=True)]

    def draws(self, number: int, rng: random.Random) -> list[Architecture]:
        return []

    def predict(self, points: Points) -> tuple[Array, Array]:
        leaves = [leaves_of(forest, points[0]) for forest in self.forests]
        read = [by_leaves(*each) for each in zip(self.forests, leaves, strict=True)]
        variance = np.column_stack([variance for _, variance, _ in read])
        if self.known is not None:
            each = zip(self.known, leaves, read, strict=True)
            variance -= np.column_stack([known.explained(those, *parts) for known, those, (_, *parts) in each])
        return np.column_stack([mean for mean, _, _ in read]), np.sqrt(np.maximum(variance, 0.0))


def leaves_of(forest: ExtraTreesRegressor, rows: Array) -> Leaves:
    """The leaf of each row in each tree, shape (rows, trees)."""
    single = rows.astype(np.float32)
    leaves: Leaves = np.column_stack([tree.tree_.apply(single) for tree in forest.estimators_])
    return leaves


def by_leaves(forest: ExtraTreesRegressor, leaves: Leaves) -> tuple[Array, Array, Array]:
    """Of what is in these leaves the mean, the variance, and the part of that within leaves; the rest is between trees.

    The first two are those of `forest.predict(rows, return_std=True)`, to the last bit, in a fifth of the time.
    """
    mean, within, square = np.zeros(len(leaves)), np.zeros(len(leaves)), np.zeros(len(leaves))
    for tree, at in zip(forest.estimators_, leaves.T, strict=True):
        found = tree.tree_.value[:, 0, 0].take(at)
        mean += found
        inside = np.maximum(tree.tree_.impurity.take(at), forest.min_variance)
        within += inside
        square += inside + found * found
    number = len(forest.estimators_)
    mean /= number
    square /= number
    return mean, np.maximum(square - mean * mean, 0.0), within / number


class Known:
    """What is under way, by the leaves that it is in, shape (waiting, trees), and `by_leaves` of it."""

    def __init__(self, leaves: Leaves, variance: Array, within: Array) -> None:
        self.leaves = leaves
        self.spread = between(variance, within)
        square = nearness(leaves, leaves) * self.spread[:, None] * self.spread
        square[np.diag_indices(len(square))] += within
        self.factor = cho_factor(square, lower=True, check_finite=False)

    def explained(self, leaves: Leaves, variance: Array, within: Array) -> Array:
        """How much of the variance between trees it takes where these leaves are."""
        cross = nearness(self.leaves, leaves) * self.spread[:, None] * between(variance, within)
        explained: Array = np.einsum("ij,ij->j", cross, cho_solve(self.factor, cross, check_finite=False))
        return explained


def between(variance: Array, within: Array) -> Array:
    """The standard deviation between trees."""
    spread: Array = np.sqrt(np.maximum(variance - within, 0.0))
    return spread


def nearness(a: Leaves, b: Leaves) -> Array:
    """The share of trees in which two are in one leaf, shape (len(a), len(b))."""
    near = np.zeros((len(a), len(b)))
    for of_a, of_b in zip(a.T, b.T, strict=True):
        near += of_a[:, None] == of_b
    near /= a.shape[1]
    return near
