"""The Gaussian process and its kernel against plain linear algebra and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import halfcauchy, multivariate_normal, norm

from archsearch.searchers.gp import GaussianProcess
from archsearch.searchers.kernel import Fit, Kernel, View, fit

VIEWS = [
    View("a", np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1])),
    View("b", np.array([0, 1, 2]), np.array([0, 0, 0])),
    View("c", np.array([0, 1, 1]), np.array([0, 0]), effects=True),
]


def data(n: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((n, 6)), rng.random((n, 3)), rng.random((n, 3))], rng.standard_normal(n)


def by_hand(kernel: Kernel, a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
    """The sum of exponentials and products, a pair at a time."""
    k = np.zeros((len(a[0]), len(b[0])))
    for i in range(len(k)):
        for j in range(k.shape[1]):
            for rows, others, root, share in zip(a[:2], b[:2], kernel.roots[:2], kernel.shares[:2], strict=True):
                k[i, j] += share * np.exp(-np.sum((root * (rows[i] - others[j])) ** 2))
            k[i, j] += kernel.shares[2] * np.sum(kernel.roots[2] ** 2 * a[2][i] * b[2][j])
    return k


KERNEL = Kernel(
    (False, False, True),
    (np.array([1.0, 2.0, 0.5, 0.1, 1.0, 1.5]), np.array([0.3, 1.0, 2.0]), np.array([0.5, 0.7, 0.2])),
    (0.7, 0.4, 0.6),
    0.05,
)


def test_the_posterior_is_that_of_conditioning() -> None:
    (points, y), (new, _) = data(15), data(7, 1)
    process = GaussianProcess(KERNEL, points)
    mean, std = process.predict(new, process.weights(y))
    inverse = np.linalg.inv(by_hand(KERNEL, points, points) + 0.05 * np.eye(15))
    cross = by_hand(KERNEL, points, new)
    assert mean == pytest.approx(cross.T @ inverse @ y)
    assert std**2 == pytest.approx(np.diag(by_hand(KERNEL, new, new) - cross.T @ inverse @ cross))


@given(st.integers(1, 9), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_growing_is_the_same_as_all_at_once(first: int, more: int) -> None:
    points, y = data(first + more)
    whole = GaussianProcess(KERNEL, points)
    grown = GaussianProcess(KERNEL, [rows[:first] for rows in points])
    before = grown.factor.copy()
    bigger = grown.extended([rows[first:] for rows in points])
    assert len(bigger) == first + more
    assert bigger.factor == pytest.approx(whole.factor)
    assert bigger.weights(y) == pytest.approx(whole.weights(y))
    assert (grown.factor == before).all()


def test_the_loss_is_minus_the_log_of_likelihood_and_prior() -> None:
    points, y = data(12)
    problem = Fit(VIEWS, points, y)
    rng = np.random.default_rng(3)
    start, other = problem.start(), problem.start() + 0.3 * rng.standard_normal(len(problem.start()))

    def expected(x: np.ndarray) -> float:
        kernel = problem.kernel(x)
        covariance = by_hand(kernel, points, points) + kernel.noise * np.eye(12)
        # Of the third view: share, scale, family, then two weights, which are half-Cauchy; a density of logarithms.
        normal, cauchy = np.r_[: len(x) - 3, len(x) - 1], np.exp(x[-3:-1])
        prior = norm(problem.centre, problem.spread).logpdf(x)[normal].sum()
        prior += (halfcauchy.logpdf(cauchy) + np.log(cauchy)).sum()
        return float(-prior - multivariate_normal(np.zeros(12), covariance).logpdf(y))

    assert problem.loss(other)[0] - problem.loss(start)[0] == pytest.approx(expected(other) - expected(start))
    gradient = problem.loss(other)[1]
    steps = 1e-5 * np.eye(len(other))
    numeric = [(problem.loss(other + step)[0] - problem.loss(other - step)[0]) / 2e-5 for step in steps]
    assert gradient == pytest.approx(numeric, abs=1e-6)


def test_what_matters_gets_the_weight() -> None:
    """The first column alone decides: its weight ends far above the others', and noise low."""
    rng = np.random.default_rng(0)
    rows = rng.random((60, 4))
    y = np.sin(5 * rows[:, 0])
    kernel = fit([View("a", np.arange(4), np.zeros(4, int))], [rows], (y - y.mean()) / y.std())
    weights = kernel.roots[0] ** 2
    assert weights[0] > 5 * max(weights[1:])
    assert kernel.noise < 0.01


def test_few_effects_among_many() -> None:
    """Three of a hundred columns add up to what was observed: they get the weight, and predict the rest."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((100, 100))
    y = rows[:, 0] - rows[:, 1] + 0.7 * rows[:, 2] + 0.1 * rng.standard_normal(100)
    view = View("effects", np.arange(100), np.zeros(100, int), effects=True)
    kernel = fit([view], [rows[:60]], y[:60] / y[:60].std())
    weights = kernel.roots[0] ** 2
    assert weights[:3].sum() > 10 * weights[3:].sum()
    process = GaussianProcess(kernel, [rows[:60]])
    mean, _ = process.predict([rows[60:]], process.weights(y[:60]))
    assert np.corrcoef(mean, y[60:])[0, 1] > 0.98


def test_points_that_never_differ_are_no_trouble() -> None:
    points = [np.ones((5, 6)), np.zeros((5, 3)), np.zeros((5, 3))]
    kernel = fit(VIEWS, points, np.zeros(5))
    process = GaussianProcess(kernel, points)
    mean, std = process.predict(points, process.weights(np.zeros(5)))
    assert mean == pytest.approx(0.0)
    assert np.isfinite(std).all()
