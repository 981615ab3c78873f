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
        return NgramPosterior(self.models, targets)


class NgramPosterior:
    """See `Posterior`; it takes no note of what is under way."""

    def __init__(self, models: Sequence[BayesianRidge], targets: Array) -> None:
        self.models = models
        self.smoothed = targets

    def draws(self, number: int, rng: random.Random) -> list[Architecture]:
        return []

    def predict(self, points: Points) -> tuple[Array, Array]:
        each = [model.predict(points[0], return_std=True) for model in self.models]
        return np.column_stack([mean for mean, _ in each]), np.column_stack([std for _, std in each])
