"""A kernel on architectures: a sum of exponentials of weighted distances, its weights the likeliest a posteriori.

    k(a, b) = sum over views v of s_v exp(-d_v(a, b)),  d_v(a, b) = sum over columns j of w_j (a_j - b_j)^2

A view of effects has the product s_v sum_j w_j a_j b_j instead: a column adds what it adds, whatever the others are.

A view is a way to look at architectures as points (`embedding`): every decision at its place, copies of one decision
added up whatever their place, graphs by their Weisfeiler-Lehman labels, features such as the number of parameters. Each
distance is conditionally negative definite, so the kernel is positive definite (Schoenberg, 1938).

Columns that belong together share a weight. Weights are fitted by maximum a posteriori (Rasmussen and Williams, 2006,
eq. 5.8-5.9): with few trials the prior keeps all decisions alike, with many the ones that matter stand out. Those of
effects are half-Cauchy: most are small, and a few as large as may be (Carvalho, Polson and Scott, 2010, "The horseshoe
estimator for sparse signals"; for processes with many inputs Eriksson and Jankowiak, 2021, arXiv:2103.00349).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

# Standard deviations of the prior, in natural logarithms.
SPREAD_SCALE, SPREAD_FAMILY, SPREAD_WEIGHT, SPREAD_SHARE, SPREAD_NOISE = 1.0, 1.0, 0.7, 1.0, 1.5
NOISE = 0.01
MIN_NOISE = 1e-4
# How far from the others a weight of effects can be, in natural logarithms.
MAX_SPARSE = 8.0
MAX_STEPS = 25


@dataclass(frozen=True)
class View:
    """One way to look at architectures.

    Attributes:
        name: says which.
        weight: by column, the index of its weight.
        family: by weight, the index of the family of weights that it is like.
        effects: whether it is the product of points that counts, and not their distance.
    """

    name: str
    weight: Index
    family: Index
    effects: bool = False

    @property
    def num_weights(self) -> int:
        return len(self.family)


@dataclass(frozen=True)
class Kernel:
    """A fitted kernel.

    Attributes:
        effects: by view, whether it is one of effects.
        roots: by view, the square root of the weight of each column.
        shares: by view, its part of the variance.
        noise: the variance of the noise.
    """

    effects: tuple[bool, ...]
    roots: tuple[Array, ...]
    shares: tuple[float, ...]
    noise: float

    def variance(self, points: Sequence[tuple[Array, Array]]) -> Array:
        """k(a, a) of each point, without noise; from `scaled`."""
        total = np.zeros(len(points[0][1]))
        for (_, lengths), share, effects in zip(points, self.shares, self.effects, strict=True):
            total += share * lengths if effects else share
        return total

    def scaled(self, points: Sequence[Array]) -> list[tuple[Array, Array]]:
        """By view: the points with columns scaled by their weights, and their squared lengths."""
        scaled = [rows * root for rows, root in zip(points, self.roots, strict=True)]
        return [(rows, np.einsum("ij,ij->i", rows, rows)) for rows in scaled]

    def between(self, a: Sequence[tuple[Array, Array]], b: Sequence[tuple[Array, Array]]) -> Array:
        """k of every pair, shape (len(a), len(b)); from `scaled`."""
        total = np.zeros((len(a[0][1]), len(b[0][1])))
        for (rows, lengths), (others, other_lengths), share, effects in zip(
            a, b, self.shares, self.effects, strict=True
        ):
            distance = rows @ others.T
            if effects:
                distance *= share
                total += distance
                continue
            distance *= -2.0
            distance += lengths[:, None]
            distance += other_lengths
            np.maximum(distance, 0.0, out=distance)
            np.negative(distance, out=distance)
            np.exp(distance, out=distance)
            total += share * distance
        return total


def fit(views: Sequence[View], points: Sequence[Array], y: Array) -> Kernel:
    """The likeliest kernel a posteriori.

    Args:
        views: what the columns of each view are.
        points: by view, a row for each observation.
        y: what was observed, of about unit variance and mean zero.
    """
    problem = Fit(views, points, y)
    best = minimize(
        problem.loss,
        problem.start(),
        jac=True,
        method="L-BFGS-B",
        bounds=problem.bounds(),
        options={"maxiter": MAX_STEPS},
    )
    return problem.kernel(best.x)


class Fit:
    """The posterior density of a kernel's parameters, and its gradient.

    The parameters are, by view: the logarithm of its share, of its scale, of its families, of its weights; and of
    the noise at the end. A weight is the product of its own factor, its family's, its view's scale, and what
    makes the mean distance of two observations 1 (of effects the mean product of one with itself).
    """

    def __init__(self, views: Sequence[View], points: Sequence[Array], y: Array) -> None:
        self.views = views
        self.y = y
        self.n = len(y)
        upper = np.triu_indices(self.n, 1)
        self.upper = upper
        # By view and weight, of every pair of observations: the distance, or of effects the product, ...
        self.pairs: list[Array] = []
        # ... and of every observation the product with itself.
        self.squares: list[Array] = []
        self.units: list[float] = []
        for view, rows in zip(views, points, strict=True):
            pairs = np.zeros((view.num_weights, len(upper[0])))
            squares = np.zeros((view.num_weights, self.n))
            order = np.argsort(view.weight, kind="stable")
            edges = np.searchsorted(view.weight[order], np.arange(view.num_weights + 1))
            for i in range(view.num_weights):
                part = rows[:, order[edges[i] : edges[i + 1]]]
                if part.any():
                    products = part @ part.T
                    squares[i] = np.diag(products)
                    if view.effects:
                        pairs[i] = products[upper]
                    else:
                        distances = squares[i][:, None] + squares[i] - 2.0 * products
                        pairs[i] = np.maximum(distances[upper], 0.0)
            of_unit = squares if view.effects else pairs
            mean = float(of_unit.sum(axis=0).mean()) if of_unit.size else 0.0
            self.units.append(1.0 / mean if mean > 0 else 1.0)
            self.pairs.append(pairs * self.units[-1])
            self.squares.append(squares * self.units[-1])
        self.num_families = [int(view.family.max(initial=-1)) + 1 for view in views]
        self.spread = np.concatenate(
            [
                *[
                    np.concatenate(
                        [
                            [SPREAD_SHARE, SPREAD_SCALE],
                            np.full(families, SPREAD_FAMILY),
                            np.full(view.num_weights, SPREAD_WEIGHT),
                        ]
                    )
                    for view, families in zip(views, self.num_families, strict=True)
                ],
                [SPREAD_NOISE],
            ]
        )
        self.centre = np.zeros(len(self.spread))
        for at, _, _ in self.slices():
            self.centre[at] = -math.log(len(views))
        self.centre[-1] = math.log(NOISE)
        # The parameters that are logarithms of half-Cauchy numbers.
        self.sparse = np.zeros(len(self.spread), bool)
        for view, (_, _, at_weights) in zip(views, self.slices(), strict=True):
            self.sparse[at_weights] = view.effects

    def slices(self) -> list[tuple[int, slice, slice]]:
        """By view: where its share is (its scale is next), its families, its weights."""
        found = []
        at = 0
        for view, families in zip(self.views, self.num_families, strict=True):
            middle, end = at + 2 + families, at + 2 + families + view.num_weights
            found.append((at, slice(at + 2, middle), slice(middle, end)))
            at = end
        return found

    def start(self) -> Array:
        return self.centre.copy()

    def bounds(self) -> list[tuple[float, float]]:
        width = np.where(self.sparse, MAX_SPARSE, 4 * self.spread)
        bounds = [(c - w, c + w) for c, w in zip(self.centre, width, strict=True)]
        bounds[-1] = (math.log(MIN_NOISE), 0.0)
        return bounds

    def weights(self, x: Array) -> list[tuple[float, Array]]:
        """By view: its share, and its weights on distances in units."""
        return [
            (math.exp(x[at]), np.exp(x[at + 1] + x[families][view.family] + x[weights]))
            for view, (at, families, weights) in zip(self.views, self.slices(), strict=True)
        ]

    def kernel(self, x: Array) -> Kernel:
        weights = self.weights(x)
        roots = [
            np.sqrt(w[view.weight] * unit) for view, (_, w), unit in zip(self.views, weights, self.units, strict=True)
        ]
        effects = tuple([view.effects for view in self.views])
        return Kernel(effects, tuple(roots), tuple([share for share, _ in weights]), math.exp(x[-1]))

    def prior(self, x: Array) -> tuple[float, Array]:
        """Minus the logarithm of the prior of x, but for a constant, and its gradient."""
        off = np.where(self.sparse, 0.0, (x - self.centre) / self.spread)
        sparse = x[self.sparse]
        gradient = off / self.spread
        gradient[self.sparse] = np.tanh(sparse)
        return 0.5 * float(off @ off) + float(np.logaddexp(sparse, -sparse).sum()), gradient

    def loss(self, x: Array) -> tuple[float, Array]:
        """Minus the logarithm of likelihood times prior, but for a constant, and its gradient."""
        n, y = self.n, self.y
        weights = self.weights(x)
        noise = math.exp(x[-1])
        square, diagonal = np.zeros((n, n)), np.full(n, noise)
        parts: list[Array] = []
        for view, (share, w), pairs, squares in zip(self.views, weights, self.pairs, self.squares, strict=True):
            parts.append(share * (w @ pairs) if view.effects else share * np.exp(-(w @ pairs)))
            diagonal += share * (w @ squares) if view.effects else share
        square[self.upper] = sum(parts)
        square += square.T
        square[np.diag_indices(n)] = diagonal
        factor = cho_factor(square, lower=True, check_finite=False)
        alpha = cho_solve(factor, y, check_finite=False)
        inverse = cho_solve(factor, np.eye(n), check_finite=False)
        loss, gradient = self.prior(x)
        loss += 0.5 * float(y @ alpha) + float(np.log(np.diag(factor[0])).sum())
        # d loss / d K, the pairs of each half counted once
        slope = inverse - np.outer(alpha, alpha)
        of_pairs, of_diagonal = slope[self.upper], 0.5 * np.diag(slope)
        for (at, families, at_weights), view, (share, w), part, pairs, squares in zip(
            self.slices(), self.views, weights, parts, self.pairs, self.squares, strict=True
        ):
            if view.effects:
                of_weights = share * w * (pairs @ of_pairs + squares @ of_diagonal)
                gradient[at] += float(of_weights.sum())
            else:
                pull = of_pairs * part
                gradient[at] += float(pull.sum()) + float(of_diagonal.sum()) * share
                of_weights = -w * (pairs @ pull)
            gradient[at + 1] += float(of_weights.sum())
            gradient[families] += np.bincount(view.family, of_weights, families.stop - families.start)
            gradient[at_weights] += of_weights
        gradient[-1] += float(of_diagonal.sum()) * noise
        return loss, gradient
