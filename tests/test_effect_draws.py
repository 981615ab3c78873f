"""Draws by effects: their chances by hand, and what they are for, spaces of many decisions of which few matter."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from test_smbo import run

from archsearch.searchers.contract import Pending, Problem, Told
from archsearch.searchers.effect_draws import STRENGTHS, EffectDraws
from archsearch.searchers.embedding import Embedding
from archsearch.searchers.gp import GaussianProcess
from archsearch.searchers.kernel import Kernel
from archsearch.searchers.local_search import LocalSearch
from archsearch.searchers.smbo import SMBO
from archsearch.searchers.views import MAX_WEIGHTS
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.nodes import Choice, Optional, Real
from archsearch.spaces.space import Space


def slopes_of(embedding: Embedding, effects: Mapping[str, Mapping[Any, float]]) -> np.ndarray:
    """Slopes under which the options of choices add just this much."""
    slopes = np.zeros(embedding.width)
    for path, of_options in effects.items():
        block = embedding.blocks[path]
        wanted = [of_options[option] for option in block.decision.options or ()]
        slopes[block.start : block.start + block.table.shape[1]] = np.linalg.pinv(block.table) @ wanted
    return slopes


def test_chances_by_hand() -> None:
    """Each answer by its prior times e to the strength by which it is better, in units of the mean range."""
    space = Space({
        "a": Choice(["x", "y"], prior={"x": 1.0, "y": 3.0}),
        "b": Choice(["u", "v", "w"]),
        "c": Optional({"rate": Real(0.0, 1.0)}),
    })  # fmt: skip
    embedding = Embedding(space)
    effects: dict[str, dict[Any, float]] = {
        "a": {"x": 0.0, "y": 0.02},
        "b": {"u": 0.0, "v": 0.01, "w": 0.04},
        "c": {False: 0.0, True: 0.0},
    }
    priors: dict[str, dict[Any, float]] = {
        "a": {"x": 1.0, "y": 3.0},
        "b": dict.fromkeys("uvw", 1.0),
        "c": {False: 1.0, True: 1.0},
    }
    draws = EffectDraws(space, embedding, slopes_of(embedding, effects))
    archs = draws(4_000, random.Random(0))
    assert len(archs) == 4_000
    for turn, strength in enumerate(STRENGTHS):
        own = archs[turn :: len(STRENGTHS)]
        for path, prior in priors.items():
            chances = {o: p * math.exp(-strength * effects[path][o] / 0.02) for o, p in prior.items()}
            counts = Counter([arch.answers[path] for arch in own])
            for option, chance in chances.items():
                share = chance / sum(chances.values())
                assert counts[option] / 2_000 == pytest.approx(share, abs=4 * (share / 2_000) ** 0.5 + 1e-3)


def test_no_effects_are_the_own_draws() -> None:
    """Where nothing is known every answer is as likely as it was."""
    space = Space({"a": Choice(["x", "y"], prior={"x": 1.0, "y": 3.0})})
    embedding = Embedding(space)
    archs = EffectDraws(space, embedding, np.zeros(embedding.width))(2_000, random.Random(0))
    assert sum([arch.answers["a"] == "y" for arch in archs]) / 2_000 == pytest.approx(0.75, abs=0.04)


def test_slopes_are_differences_of_predictions() -> None:
    """A step along a column of effects changes the mean by its slope."""
    rng = np.random.default_rng(0)
    rows, y = rng.standard_normal((20, 4)), rng.standard_normal(20)
    kernel = Kernel((False, True), (np.ones(4), np.array([0.5, 1.0, 2.0, 0.1])), (0.7, 0.4), 0.05)
    process = GaussianProcess(kernel, [rows, rows])
    weights = process.weights(y)
    still = np.zeros((5, 4))
    mean, _ = process.predict([still, np.vstack([np.zeros(4), np.eye(4)])], weights)
    assert process.slopes(1, weights) == pytest.approx(mean[1:] - mean[0])


def test_few_decisions_that_matter_among_many() -> None:
    """Of 200 choices 8 matter: with 50 trials nearer to the best than local search with three times as many."""
    space = Space({f"d{i}": Choice([0, 1, 2]) for i in range(200)})
    assert len(Embedding(space).blocks) > MAX_WEIGHTS

    def score(assignment: Mapping[str, Any]) -> float:
        return float(sum([assignment[f"d{25 * i}"] == i % 3 for i in range(8)]))

    def best(searcher: Any, trials: int) -> float:
        return max([metrics["score"] for _, metrics in run(searcher, space, score, trials)])

    assert best(SMBO(), 50) > best(LocalSearch(), 150)


def test_two_objectives_under_constraints_with_failures_and_pending() -> None:
    """Everything at once on 140 decisions: what is proposed is allowed and new, and asking changes nothing."""
    rest: list[Any] = [Choice(["a", "b", "c"], name=f"d{i}") for i in range(140)]
    space = Space(rest, require=[lambda d0, d1: d0 != d1], where=[lambda arch: arch["d2"] != arch["d3"]])
    search = SMBO(initial=4).start(Problem(space, {"x": "maximize", "y": "minimize"}))
    proposed: list[Mapping[str, Any]] = []
    for number in range(10):
        pending = [Pending(i, proposed[i]) for i in range(6, number)]
        proposal = search.ask(number, pending)
        assert proposal == search.ask(number, pending)
        assert proposal is not None
        proposed.append(proposal.assignment)
        assert space.allowed(space.architecture(proposal.assignment))
        if number < 6:
            answers = list(proposal.assignment.values())
            value = {"x": float(answers.count("a")), "y": float(answers.count("b"))}
            state: Any = "failed" if number == 2 else "done"
            search.tell(Told(number, proposal.assignment, state, {} if number == 2 else value, value, 0.0))
    assert len({answers_id(assignment) for assignment in proposed}) == 10
