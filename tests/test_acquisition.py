"""Expected improvements against integrals done by other means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from archsearch.searchers.acquisition import expected_improvement, log_expected_improvement
from archsearch.searchers.ehvi import boxes, expected_hypervolume_improvement
from archsearch.searchers.pareto import undominated


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0.05, 3), st.floats(-3, 3))
def test_expected_improvement_is_the_integral(mean: float, std: float, best: float) -> None:
    low = min(best, mean - 12 * std)
    value, _ = quad(lambda y: (best - y) * norm.pdf(y, mean, std), low, best, limit=200, points=[mean - std])
    ours = expected_improvement(np.array([mean]), np.array([std]), best)[0]
    assert ours == pytest.approx(value, rel=1e-6, abs=1e-9)


def test_its_logarithm_goes_on_where_it_underflows() -> None:
    """Equal to the logarithm where there is one, smooth across its two forms, and ordered far beyond."""
    z = np.linspace(-8, 8, 400)
    direct = np.log(expected_improvement(-z, np.ones_like(z), 0.0))
    assert log_expected_improvement(-z, np.ones_like(z), 0.0) == pytest.approx(direct, abs=1e-4)
    edge = log_expected_improvement(np.array([24.999, 25.001]), np.ones(2), 0.0)
    assert edge[0] - edge[1] == pytest.approx(0.002 * 25.08, abs=1e-3)
    far = log_expected_improvement(np.array([50.0, 500.0, 5_000.0]), np.ones(3), 0.0)
    assert np.isfinite(far).all()
    assert (np.diff(far) < 0).all()


def test_its_logarithm_where_the_gain_is_all_but_sure() -> None:
    """Many standard deviations below the best it is the logarithm of the gain, and overflows nowhere."""
    gain = np.array([5.0, 12.4, 12.6, 18.0, 20.0, 1e3, 1e6])
    assert log_expected_improvement(-gain, np.full(7, 0.5), 0.0) == pytest.approx(np.log(gain), rel=1e-9)


def fronts(draw: st.DrawFn) -> list[tuple[float, ...]]:
    size = draw(st.integers(1, 3))
    coordinate = st.integers(0, 4).map(float)
    points = draw(st.lists(st.tuples(*[coordinate] * size), min_size=1, max_size=6))
    return [point for point, kept in zip(points, undominated(points), strict=True) if kept]


@given(st.composite(fronts)())
@settings(deadline=None)
def test_boxes_cover_what_is_not_dominated_once(front: list[tuple[float, ...]]) -> None:
    """A cell of the grid below the reference lies in one box if no point of the front dominates it, else in none."""
    size = len(front[0])
    found = list(boxes(front, (5.0,) * size))
    for cell in np.ndindex(*[6] * size):
        middle = [c - 0.5 for c in cell]
        inside = [all([lo < m < hi for lo, m, hi in zip(lower, middle, upper, strict=True)]) for lower, upper in found]
        dominated = any([all([p <= m for p, m in zip(point, middle, strict=True)]) for point in front])
        assert sum(inside) == (not dominated)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_expected_hypervolume_improvement_against_simulation(size: int) -> None:
    """The mean improvement over draws, each computed from a fine sample of the region; within five standard errors."""
    rng = np.random.default_rng(size)
    points = [tuple(row) for row in rng.random((9, size)).tolist()]
    front = [point for point, kept in zip(points, undominated(points), strict=True) if kept]
    reference = (1.1,) * size
    mean, std = rng.random((3, size)) * 0.5, rng.random((3, size)) * 0.2 + 0.05
    ours = expected_hypervolume_improvement(mean, std, front, reference)
    low = -0.8
    where = rng.uniform(low, 1.1, (200_000, size))
    free = ~np.any([np.all(np.array(point) <= where, axis=1) for point in front], axis=0)
    for i in range(3):
        weight = np.prod(norm.cdf(where, mean[i], std[i]), axis=1) * free * (1.1 - low) ** size
        error = weight.std() / math.sqrt(len(weight))
        assert abs(ours[i] - weight.mean()) < 5 * error + 1e-4
    one = expected_hypervolume_improvement(mean[:, :1], std[:, :1], [(0.4,)], (9.0,))
    assert one == pytest.approx(expected_improvement(mean[:, 0], std[:, 0], 0.4))
