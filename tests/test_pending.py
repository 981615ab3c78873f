"""Trials under way: surrogates learn from them as far as can be without their outcomes, and searches spread."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from archsearch.searchers.contract import Pending, Problem, Search, Told
from archsearch.searchers.forest_surrogate import ForestSurrogate, Known, by_leaves, leaves_of, nearness
from archsearch.searchers.gp_surrogate import GPSurrogate
from archsearch.searchers.local_search import LocalSearch
from archsearch.searchers.ngram_surrogate import NgramSurrogate
from archsearch.searchers.outcomes import Outcome
from archsearch.searchers.ranks import normal_scores
from archsearch.searchers.smbo import SMBO, SMBOSearch
from archsearch.searchers.targets import Acquisition
from archsearch.spaces.nodes import Choice
from archsearch.spaces.space import Space

SPACE = Space({f"x{i}": Choice([0, 1, 2]) for i in range(8)})
ARCHS = SPACE.sample(random.Random(1), 80)


def score(assignment: Mapping[str, Any]) -> float:
    """Each decision has a best answer, and counts more than the next."""
    return -float(sum([abs(answer - i % 3) / (1 + i) for i, answer in enumerate(assignment.values())]))


TARGETS = normal_scores([-score(arch.assignment) for arch in ARCHS])[:, None]


def surrogate(kind: Any, num: int = 60) -> Any:
    return kind(*(() if kind is NgramSurrogate else (SPACE,)), ARCHS[:num], TARGETS[:num])


def tell(search: Search, number: int, assignment: Mapping[str, Any]) -> None:
    value = score(assignment)
    search.tell(Told(number, assignment, "done", {"score": value}, {"score": value}, 0.0))


@pytest.mark.parametrize("kind", [GPSurrogate, ForestSurrogate, NgramSurrogate])
def test_the_mean_stays_and_what_is_near_is_known_better(kind: Any) -> None:
    model = surrogate(kind)
    arch = ARCHS[70]
    near = list(SPACE.neighbors(arch, 4, random.Random(0)))
    far = [other for other in SPACE.sample(random.Random(2), 200) if not alike(arch.assignment, other.assignment)]
    assert far
    before, after = [model.posterior(TARGETS[:60], waiting) for waiting in ([], [arch])]
    assert after.believed == pytest.approx(before.predict(model.points([arch]))[0])
    left = []
    for archs in ([arch], near, far):
        (mean, std), (same, less) = [posterior.predict(model.points(archs)) for posterior in (before, after)]
        assert same == pytest.approx(mean, abs=1e-6)
        assert (less <= std + 1e-9).all()
        left.append(float((less / std).mean()))
    assert left[0] < left[1] < left[2]


def alike(a: Mapping[str, Any], b: Mapping[str, Any]) -> int:
    return sum([a[path] == b[path] for path in a])


def test_a_forest_is_read_in_one_pass_as_its_own_method_reads_it() -> None:
    model = surrogate(ForestSurrogate)
    (rows,) = model.points(ARCHS)
    (forest,) = model.forests
    mean, variance, within = by_leaves(forest, leaves_of(forest, rows))
    expected, std = forest.predict(rows, return_std=True)
    assert (mean == expected).all()
    assert (np.sqrt(variance) == std).all()
    assert (within <= variance + 1e-9).all()


def test_in_a_forest_near_is_the_share_of_trees_with_both_in_one_leaf() -> None:
    leaves = np.array([[1, 2, 3, 4], [1, 2, 9, 9], [7, 7, 7, 7]])
    assert nearness(leaves[:1], leaves).tolist() == [[1.0, 0.5, 0.0]]
    # Variance 1 between trees, with noise of 0.25: of one under way nearness squared goes, over 1.25 times as much.
    variance, within = np.full(3, 1.25), np.full(3, 0.25)
    known = Known(leaves[:1], variance[:1], within[:1])
    assert known.explained(leaves, variance, within) == pytest.approx([1 / 1.25, 0.25 / 1.25, 0.0])
    # Two that are alike are as one with half the noise.
    known = Known(leaves[[0, 0]], variance[:2], within[:2])
    assert known.explained(leaves, variance, within) == pytest.approx([1 / 1.125, 0.25 / 1.125, 0.0])


def test_ngrams_know_what_they_would_if_it_had_been_told() -> None:
    """The posterior covariance with more rows, by its definition."""
    model = surrogate(NgramSurrogate)
    waiting = ARCHS[60:65]
    (ridge,) = model.models
    rows = np.concatenate(model.points(ARCHS[:60])) - ridge.X_offset_
    more = model.points(waiting)[0] - ridge.X_offset_
    others = model.points(ARCHS[65:])[0] - ridge.X_offset_
    precision = ridge.lambda_ * np.eye(rows.shape[1]) + ridge.alpha_ * (rows.T @ rows + more.T @ more)
    expected = np.einsum("ij,ij->i", others @ np.linalg.inv(precision), others) + 1 / ridge.alpha_
    _, std = model.posterior(TARGETS[:60], waiting).predict(model.points(ARCHS[65:]))
    assert std[:, 0] ** 2 == pytest.approx(expected, rel=1e-6)


def test_what_is_believed_is_to_be_improved_upon_where_it_keeps_the_limits() -> None:
    outcomes = [Outcome(0, {}, (1.0,), (-1.0,)), Outcome(1, {}, (0.0,), (1.0,))]
    targets = np.array([[0.5, -0.5], [-0.5, 0.5]])

    def promise(*believed: tuple[float, float]) -> float:
        acquisition = Acquisition(outcomes, targets, targets, np.array(believed).reshape(-1, 2))
        return float(acquisition(np.array([[0.0, -1.0]]), np.array([[1.0, 1.0]]))[0])

    assert promise((-1.0, -1.0)) < promise() == promise((0.6, -1.0)) == promise((-1.0, 1.0))


class Heedless(SMBOSearch):
    """What is under way is not tried again, and no more."""

    def posterior(self, waiting: Any) -> Any:
        return super().posterior([])


def batch(search: Search, told: int = 20, size: int = 8) -> list[Pending]:
    """Proposals of which none has ended when the next is asked for."""
    for number in range(told):
        tell(search, number, ARCHS[number].assignment)
    pending: list[Pending] = []
    for number in range(told, told + size):
        proposal = search.ask(number, pending)
        assert proposal is not None
        pending.append(Pending(number, proposal.assignment))
    return pending


def spread(pending: list[Pending]) -> float:
    """In how many decisions two of them differ, on average."""
    pairs = list(itertools.combinations(pending, 2))
    return sum([8 - alike(a.assignment, b.assignment) for a, b in pairs]) / len(pairs)


@pytest.mark.parametrize(("surrogate", "times"), [("forest", 1.3), ("ngrams", 1.2)])
def test_a_batch_spreads_by_more_than_that_none_comes_twice(surrogate: Any, times: float) -> None:
    heeding, not_heeding = [], []
    for seed in range(3):
        problem = Problem(SPACE, {"score": "maximize"}, seed=seed)
        heeding.append(spread(batch(SMBO(surrogate=surrogate).start(problem))))
        not_heeding.append(spread(batch(Heedless(problem, SMBO(surrogate=surrogate)))))
    assert sum(heeding) > times * sum(not_heeding)


def test_local_search_gives_up_a_climb_that_waits_for_a_worker_that_hangs() -> None:
    """At the top, one of its neighbours never ends: the others are tried, then what is beyond, then a new climb begins.

    Beyond as many as are under way and as many as a climb begins with, 1 + 2.
    """
    search = LocalSearch(starts=2).start(Problem(SPACE, {"score": "maximize"}))
    hung: list[Pending] = []
    notes = []
    top = False
    for number in range(100):
        proposal = search.ask(number, hung)
        assert proposal is not None
        if top and not hung:
            hung.append(Pending(number, proposal.assignment))
            continue
        if hung:
            notes.append(next(iter(proposal.note), "start"))
        tell(search, number, proposal.assignment)
        top = top or score(proposal.assignment) == 0
    runs = [(kind, len(list(run))) for kind, run in itertools.groupby(notes)]
    assert [kind for kind, _ in runs[:4]] == ["neighbor", "beyond", "start", "neighbor"]
    assert [length for _, length in runs[1:3]] == [3, 2]
