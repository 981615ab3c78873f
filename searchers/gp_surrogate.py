"""The Gaussian process over decisions as a surrogate: a kernel for each target, conditioned on all trials."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np

from archsearch.searchers.effect_draws import EffectDraws
from archsearch.searchers.gp import GaussianProcess
from archsearch.searchers.kernel import Array, fit
from archsearch.searchers.surrogate import Points, Posterior
from archsearch.searchers.views import Feature, Views
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.space import Space

# A kernel is fitted to the best half of so many trials and an even selection of the others.
MAX_FITTED = 160
# Of more trials than this, the best half of so many and the latest are looked at: predictions cost the square.
MAX_TRIALS = 500


class GPSurrogate:
    """See `Surrogate`.

    Args:
        space: of the architectures.
        archs: the first trials.
        targets: a row for each.
        features: numbers that it looks at beside the decisions.
    """

    def __init__(
        self, space: Space, archs: Sequence[Architecture], targets: Array, features: Sequence[Feature] = ()
    ) -> None:
        self.views = Views(space, archs, features)
        self.size = len(archs)
        self.used = used(targets)
        points = self.points([archs[i] for i in self.used])
        self.processes = []
        for target in targets[self.used].T:
            chosen = selection(target)
            kernel = fit(self.views.views, [rows[chosen] for rows in points], standard(target[chosen]))
            self.processes.append(GaussianProcess(kernel, points))

    def points(self, archs: Sequence[Architecture]) -> Points:
        return self.views.points(archs)

    def extend(self, archs: Sequence[Architecture]) -> None:
        # One at a time, so that the numbers are the same to the last bit however many come at once.
        for i in range(self.size, len(archs)):
            points = self.points([archs[i]])
            self.processes = [process.extended(points) for process in self.processes]
            self.used.append(i)
        self.size = len(archs)

    def posterior(self, targets: Array, waiting: Sequence[Architecture]) -> Posterior:
        return GPPosterior(self.views, self.processes, targets, self.used, self.points(waiting) if waiting else None)


class GPPosterior:
    """See `Posterior`; what is under way is an observation like another."""

    def __init__(
        self,
        views: Views,
        processes: Sequence[GaussianProcess],
        targets: Array,
        used: list[int],
        waiting: Points | None,
    ) -> None:
        self.views = views
        self.centre = targets.mean(axis=0)
        self.processes = list(processes)
        self.weights = []
        self.smoothed = targets.copy()
        self.believed = np.zeros((len(waiting[0]) if waiting is not None else 0, targets.shape[1]))
        for j, process in enumerate(processes):
            y = targets[used, j] - self.centre[j]
            weights = process.weights(y)
            self.smoothed[used, j] -= process.kernel.noise * weights
            if waiting is not None:
                lies, _ = process.predict(waiting, weights)
                self.believed[:, j] = lies + self.centre[j]
                self.processes[j] = process.extended(waiting)
                weights = self.processes[j].weights(np.append(y, lies))
            self.weights.append(weights)

    def draws(self, number: int, rng: random.Random) -> list[Architecture]:
        """By effects, where there are views of them; those on several targets are weighed at random."""
        if self.views.effects is None:
            return []
        shares = [-math.log(1.0 - rng.random()) for _ in self.processes]
        slopes = np.zeros(self.views.embedding.width)
        for share, process, weights in zip(shares, self.processes, self.weights, strict=True):
            slopes += share / sum(shares) * process.slopes(self.views.effects, weights)
        return EffectDraws(self.views.space, self.views.embedding, slopes)(number, rng)

    def predict(self, points: Points) -> tuple[Array, Array]:
        each = [process.predict(points, w) for process, w in zip(self.processes, self.weights, strict=True)]
        mean = np.column_stack([mean for mean, _ in each]) + self.centre
        return mean, np.column_stack([std for _, std in each])


def used(targets: Array) -> list[int]:
    """The trials that a process is conditioned on, in their order."""
    n = len(targets)
    if n <= MAX_TRIALS:
        return list(range(n))
    half = MAX_TRIALS // 2
    best = np.argsort(targets[: n - half].mean(axis=1), kind="stable")[:half]
    return [*sorted(best.tolist()), *range(n - half, n)]


def standard(y: Array) -> Array:
    """With mean 0 and variance 1, or all 0."""
    spread = float(y.std())
    centred: Array = y - y.mean()
    return centred / spread if spread > 0 else centred


def selection(target: Array) -> list[int]:
    """The trials to fit a kernel to, in their order."""
    order = np.argsort(target, kind="stable").tolist()
    if len(order) <= MAX_FITTED:
        return sorted(order)
    half = MAX_FITTED // 2
    rest = order[half:]
    return sorted(order[:half] + [rest[int(i)] for i in np.linspace(0, len(rest) - 1, half)])
