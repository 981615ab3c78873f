"""A Gaussian process over architectures (Rasmussen and Williams, 2006, algorithm 2.1), grown a row at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from archsearch.searchers.kernel import Array, Kernel


class GaussianProcess:
    """The posterior under a fixed kernel; observations may be added, and what was observed may change.

    Args:
        kernel: with its noise.
        points: by view, a row for each observation.
    """

    def __init__(self, kernel: Kernel, points: Sequence[Array]) -> None:
        self.kernel = kernel
        self.scaled = kernel.scaled(points)
        square = kernel.between(self.scaled, self.scaled)
        square[np.diag_indices(len(square))] = kernel.variance(self.scaled) + kernel.noise
        self.factor: Array = cholesky(square, lower=True, check_finite=False)

    def __len__(self) -> int:
        return len(self.factor)

    def extended(self, points: Sequence[Array]) -> GaussianProcess:
        """With more observations; this one stays as it is."""
        new = self.kernel.scaled(points)
        more = len(new[0][1])
        if not more:
            return self
        cross = self.kernel.between(self.scaled, new)
        below = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        own = self.kernel.between(new, new)
        own[np.diag_indices(more)] = self.kernel.variance(new) + self.kernel.noise
        corner = cholesky(own - below.T @ below, lower=True, check_finite=False)
        n = len(self)
        factor = np.zeros((n + more, n + more), order="F")
        factor[:n, :n], factor[n:, :n], factor[n:, n:] = self.factor, below.T, corner
        grown = object.__new__(GaussianProcess)
        grown.kernel, grown.factor = self.kernel, factor
        grown.scaled = [
            (np.concatenate([rows, other]), np.concatenate([lengths, other_lengths]))
            for (rows, lengths), (other, other_lengths) in zip(self.scaled, new, strict=True)
        ]
        return grown

    def weights(self, y: Array) -> Array:
        """What observations, one or several columns of them, weigh in a prediction: (K + noise)^-1 y."""
        weights: Array = cho_solve((self.factor, True), y, check_finite=False)
        return weights

    def slopes(self, view: int, weights: Array) -> Array:
        """What a unit of each column of a view of effects adds to a prediction; weights: from `weights`."""
        rows, _ = self.scaled[view]
        slopes: Array = self.kernel.shares[view] * self.kernel.roots[view] * (rows.T @ weights)
        return slopes

    def predict(self, points: Sequence[Array], weights: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at points, of what is seen there without noise.

        Args:
            points: by view, a row for each point.
            weights: from `weights`.
        """
        scaled = self.kernel.scaled(points)
        cross = self.kernel.between(self.scaled, scaled)
        below = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        variance = self.kernel.variance(scaled) - np.einsum("ij,ij->j", below, below)
        return cross.T @ weights, np.sqrt(np.maximum(variance, 1e-12))
