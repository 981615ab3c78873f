"""A linear model of n-grams, DeepArchitect's surrogate (Negrinho and Gordon, 2017, arXiv:1704.08792), as a baseline.

There an architecture is the sequence of its modules' types, and its features are the counts of all runs of 1 to 4 of
them. Here it is the sequence of its answers in the order of the walk, so that widths and rates count as well, and the
regression is Bayesian (MacKay, 1992), which sets its own ridge and says how sure it is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.linear_model import BayesianRidge

from archsearch.searchers.embedding import template_of
from archsearch.searchers.kernel import Array
from archsearch.searchers.surrogate import Points, Posterior
from archsearch.spaces.architecture import Architecture

LONGEST = 4
# An n-gram that is met less often in all trials is left out.
RARE = 3


def tokens(arch: Architecture) -> list[str]:
    """The answers of an architecture, in the order of the walk; a float with two digits, as it never comes twice."""
    return [
        f"{template_of(path)}={answer:.1e}" if isinstance(answer, float) else f"{template_of(path)}={answer}"
        for path, answer in arch.answers.items()
    ]


def ngrams(arch: Architecture) -> Counter[tuple[str, ...]]:
    """How often each run of 1 to LONGEST answers stands in an architecture."""
    words = tokens(arch)
    return Counter([tuple(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1)])


class NgramSurrogate:
    """See `Surrogate`; what comes after its first trials waits for the next fit."""

    def __init__(self, archs: Sequence[Architecture], targets: Array) -> None:
        counts = [ngrams(arch) for arch in archs]
        total: Counter[tuple[str, ...]] = Counter()
        for count in counts:
            total.update(count)
        self.column = {gram: i for i, gram in enumerate([g for g, n in total.items() if n >= RARE])}
        rows = self.rows(counts)
        self.models = [BayesianRidge().fit(rows, target) for target in targets.T]

    def rows(self, counts: Sequence[Counter[tuple[str, ...]]]) -> Array:
        """How long each architecture is, and how often each n-gram stands in it."""
        rows = np.zeros((len(counts), 1 + len(self.column)))
        for row, count in zip(rows, counts, strict=True):
            row[0] = sum([n for gram, n in count.items() if len(gram) == 1])
            for gram, n in count.items():
                if gram in self.column:
                    row[1 + self.column[gram]] = n
        return rows

    def points(self, archs: Sequence[Architecture]) -> Points:
        return [self.rows([ngrams(arch) for arch in archs])]

    def extend(self, archs: Sequence[Architecture]) -> None:
        """Nothing."""

    def posterior(self, targets: Array, waiting: Sequence[Architecture]) -> Posterior:
        return NgramPosterior(self.models, targets, self.points(waiting)[0] if waiting else None)


class NgramPosterior:
    """See `Posterior`; what is under way is an observation like another, under the ridge and noise that were fitted.

    Args:
        models: one for each target.
        targets: a row for each trial.
        waiting: the rows of what is under way, if anything is.
    """

    def __init__(self, models: Sequence[BayesianRidge], targets: Array, waiting: Array | None) -> None:
        self.models = models
        self.smoothed = targets
        self.believed = targets[:0]
        self.known: list[Known] | None = None
        if waiting is not None:
            self.believed = np.column_stack([model.predict(waiting) for model in models])
            self.known = [Known(model, waiting) for model in models]

    def draws(self, number: int, rng: random.Random) -> list[Architecture]:
        return []

    def predict(self, points: Points) -> tuple[Array, Array]:
        each = [model.predict(points[0], return_std=True) for model in self.models]
        mean, std = np.column_stack([mean for mean, _ in each]), np.column_stack([std for _, std in each])
        if self.known is not None:
            std = np.sqrt(std * std - np.column_stack([known.explained(points[0]) for known in self.known]))
        return mean, std


class Known:
    """What is under way, to a model: with its rows W and the covariance S of the weights, these are known better by

    S W' (W S W' + noise)^-1 W S  (Rasmussen and Williams, 2006, section 2.1).
    """

    def __init__(self, model: BayesianRidge, waiting: Array) -> None:
        self.centre = model.X_offset_
        rows = waiting - self.centre
        self.weighed: Array = model.sigma_ @ rows.T
        square = rows @ self.weighed
        square[np.diag_indices(len(square))] += 1.0 / model.alpha_
        self.factor = cho_factor(square, lower=True, check_finite=False)

    def explained(self, rows: Array) -> Array:
        """The variance of each of the rows that it takes away."""
        cross = (rows - self.centre) @ self.weighed
        explained: Array = np.einsum("ij,ji->i", cross, cho_solve(self.factor, cross.T, check_finite=False))
        return explained
