"""The rules of the tree search against their closed forms."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.searchers.uct import draw_index, evidence, savage_scores, shrunk, tilted, uct

numbers = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("exploration", "a", "b"), [(1.0, 1.461351, 2.065109), (0.5, 0.980676, 1.232555), (0.0, 0.5, 0.4)]
)
def test_uct_of_the_paper(exploration: float, a: float, b: float) -> None:
    """Four visits, three of them to a branch of mean .5 and one to another of mean .4."""
    assert uct(0.5, 3, 4, exploration) == pytest.approx(a, abs=1e-6)
    assert uct(0.4, 1, 4, exploration) == pytest.approx(b, abs=1e-6)


def test_uct_visits_what_was_not_visited() -> None:
    assert uct(0.0, 0, 0, 1.0) == uct(-5.0, 0, 9, 0.0) == math.inf
    assert uct(0.3, 1, 1, 2.0) == 0.3


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=8), numbers, st.integers(0, 8))
def test_shrunk_is_the_mean_with_the_prior_as_further_scores(scores: list[float], prior: float, weight: int) -> None:
    expected = math.fsum([*scores, *[prior] * weight]) / (len(scores) + weight)
    assert shrunk(math.fsum(scores), len(scores), prior, weight) == pytest.approx(expected, abs=1e-6)


def test_shrunk_of_nothing_is_the_prior() -> None:
    assert shrunk(0.0, 0, 3.0, 0.0) == shrunk(0.0, 0, 3.0, 2.0) == 3.0


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), max_size=20), st.floats(-100, 100))
def test_evidence_counts_standard_errors(scores: list[float], mean: float) -> None:
    """With one score of `mean` more, the mean of all n lies so many errors of 1 / sqrt(n) above it."""
    more = [*scores, mean]
    expected = (math.fsum(more) / len(more) - mean) * math.sqrt(len(more))
    assert evidence(math.fsum(scores), len(scores), mean) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(-50, 50)), min_size=1, max_size=6), st.floats(0, 3))
def test_tilted_chances_have_the_odds_that_they_say(parts: list[tuple[float, float]], strength: float) -> None:
    chances = tilted([share for share, _ in parts], [e for _, e in parts], strength)
    assert math.fsum(chances) == pytest.approx(1.0)
    (share, e), (other, f) = parts[0], parts[-1]
    odds = share / other * math.exp(strength * (e - f))
    assert chances[0] == pytest.approx(odds * chances[-1], rel=1e-6, abs=1e-12)


def test_an_index_is_drawn_with_its_chance() -> None:
    rng = random.Random(1)
    chances = [0.1, 0.0, 0.6, 0.3]
    drawn = [draw_index(chances, rng.random()) for _ in range(20_000)]
    expected = [2_000, 12_000, 6_000]
    counts = [drawn.count(i) for i in (0, 2, 3)]
    assert 1 not in drawn
    assert sum([(n - e) ** 2 / e for n, e in zip(counts, expected, strict=True)]) < 13.8  # chi-square, 2 df: 0.1%
    assert draw_index([0.2, 0.3, 0.0], 0.999999) == 1  # chances whose rounded sum is below the draw


def test_savage_scores_are_means_of_exponential_order_statistics() -> None:
    """Against simulation: five standard errors of the mean of 4,000 samples of five."""
    rng = random.Random(2)
    samples = [sorted([rng.expovariate(1.0) for _ in range(5)], reverse=True) for _ in range(4_000)]
    scores = savage_scores([10, 20, 30, 40, 50])
    for i, score in enumerate(scores):
        values = [sample[i] - 1 for sample in samples]
        mean = math.fsum(values) / len(values)
        error = math.sqrt(math.fsum([(v - mean) ** 2 for v in values])) / len(values)
        assert abs(mean - score) < 5 * error


@settings(deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=30))
def test_savage_scores_follow_from_the_order_alone(places: list[int]) -> None:
    scores = savage_scores(places)
    assert math.fsum(scores) == pytest.approx(0.0, abs=1e-9)
    assert savage_scores([place**3 - 7 for place in places]) == scores
    for a, score in zip(places, scores, strict=True):
        for b, other in zip(places, scores, strict=True):
            assert (a < b) == (score > other)
