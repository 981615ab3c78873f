"""Priors of decisions: what is drawn, what is said of an architecture, and what they leave as it was."""

from __future__ import annotations

import itertools
import json
import math
import pickle
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_spaces import make_space
from scipy import stats

import archsearch as A
from archsearch.errors import AssignmentError, SpaceChanged, SpaceError
from archsearch.spaces import nn
from archsearch.spaces.decisions import Decision, IntegerRange, Options, narrowed
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import (
    Boolean,
    Choice,
    Integer,
    Lazy,
    Optional,
    Real,
    Repeat,
    Scope,
    Sequential,
    Shared,
    Subset,
)
from archsearch.spaces.space import Architecture, Space

seeds = st.integers(0, 2**32 - 1)
laws = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    derandomize=True,
)
LIMIT = 3_000


def pair_of_spaces(seed: int) -> tuple[Space, Space]:
    """The same random space without priors and with."""
    graphs = bool(seed % 2)
    plain, weighted = [make_space(seed, 1 + (seed >> 1) % 2, graphs, priors) for priors in (False, True)]
    assume(plain is not None and weighted is not None and 0 < plain.size() <= LIMIT)
    assert plain is not None
    assert weighted is not None
    return plain, weighted


def enumerated(space: Space) -> list[Architecture]:
    try:
        return list(itertools.islice(space.enumerate(), LIMIT + 1))
    except SpaceError:  # what a Lazy returns is only seen when it is expanded
        assume(False)
        raise


def probabilities(space: Space) -> dict[str, float]:
    """The probability of each architecture: the product over its decisions, as they are asked."""
    found = {}
    for arch in space.enumerate():
        probability = 1.0

        def replay(decision: Decision, path: str, answers: Mapping[str, Any] = arch.answers) -> Any:
            nonlocal probability
            if isinstance(decision, Options) and decision.prior is not None:
                probability *= decision.prior[decision.options.index(answers[path])]
            else:
                probability /= decision.size
            return answers[path]

        space.walk(replay)
        found[arch.id] = probability
    return found


def p_value(ids: list[str], expected: Mapping[str, float]) -> float:
    """Of the chi-square test that these were drawn with those probabilities."""
    counts = Counter(ids)
    assert counts.keys() <= expected.keys()
    observed = [counts[identity] for identity in expected]
    return float(stats.chisquare(observed, [p * len(ids) for p in expected.values()]).pvalue)


def skewed() -> Space:
    inside = Repeat(nn.Linear(Choice([8, 16], prior={16: 4})), Integer(1, 2))
    return Space({"kind": Choice({"deep": inside, "flat": None}, prior=[1, 3]), "more": Optional(Boolean(), prior=0.1)})


def narrowed_space() -> Space:
    x = Choice([1, 2, 3, 4], name="x", prior=[1, 2, 3, 4])
    y = Choice([1, 2, 3, 4], name="y", prior={1: 5})
    return Space({"x": x, "y": y}, require=[lambda x, y: x <= y])


def graph() -> Space:
    edge = Choice({"no": None, "conv": nn.Identity(), "pool": nn.Identity()}, prior={"no": 4})
    vertices = {"a": Vertex(inputs={"x": edge}), "b": Vertex(inputs={"x": edge, "a": edge})}
    return Space(Graph(vertices, inputs="x", outputs="b", dead="reject"))


@pytest.mark.parametrize("make", [skewed, narrowed_space, graph])
def test_draws_follow_the_priors(make: Any) -> None:
    space = make()
    expected = probabilities(space)
    assert math.fsum(expected.values()) == pytest.approx(1)
    rng = random.Random(0)
    ids = [arch.id for arch in space.sample(rng, 20_000)]
    assert p_value(ids, expected) > 1e-3
    assert p_value(ids, dict.fromkeys(expected, 1 / len(expected))) < 1e-9


def test_a_prior_narrowed_by_a_constraint_is_the_same_over_what_is_left() -> None:
    space = narrowed_space()
    first, second = Counter[int](), Counter[tuple[int, int]]()
    for arch in space.sample(random.Random(1), 20_000):
        first[arch["x"]] += 1
        second[arch["x"], arch["y"]] += 1
    assert stats.chisquare([first[x] for x in (1, 2, 3, 4)], [20_000 * x / 10 for x in (1, 2, 3, 4)]).pvalue > 1e-3
    for x, weights in ((2, [1, 1, 1]), (1, [5, 1, 1, 1])):
        found = [second[x, y] for y in range(x, 5)]
        assert stats.chisquare(found, [first[x] * w / sum(weights) for w in weights]).pvalue > 1e-3
    assert second[4, 4] == first[4]


def test_an_integer_keeps_its_logarithm_where_it_is_narrowed() -> None:
    whole = IntegerRange(1, 7, log=True)
    kept = narrowed(whole, [1, 3])
    rng = random.Random(0)
    share = sum([kept.draw(rng.random) == 1 for _ in range(20_000)]) / 20_000
    assert share == pytest.approx(math.log(2) / (math.log(2) + math.log(4 / 3)), abs=0.02)


@given(seeds)
@laws
def test_a_prior_changes_no_architecture_no_count_and_no_identity(seed: int) -> None:
    plain, weighted = pair_of_spaces(seed)
    archs = enumerated(plain)
    assert weighted.size() == plain.size()
    assert [arch.id for arch in enumerated(weighted)] == [arch.id for arch in archs]
    for arch in archs[:20]:
        assert weighted.architecture(arch.assignment).canonical_id == plain.architecture(arch.assignment).canonical_id
    drawn = [space.sample(random.Random(seed), 5, uniform="architectures") for space in (plain, weighted)]
    assert drawn[0] == drawn[1]


@given(seeds)
@laws
def test_log_prior_is_the_draw_against_a_uniform_one(seed: int) -> None:
    """By the probabilities of both, decision by decision, as the free walk asks them."""
    plain, weighted = pair_of_spaces(seed)

    def log_probability(space: Space, arch: Architecture) -> float:
        total = 0.0

        def replay(decision: Decision, path: str) -> Any:
            nonlocal total
            total -= math.log(decision.rarity(arch.answers[path]))
            return arch.answers[path]

        space.free_walk(replay)
        return total

    for arch in enumerated(plain)[:50]:
        expected = log_probability(weighted, arch) - log_probability(plain, arch)
        assert weighted.log_prior(arch) == pytest.approx(expected, abs=1e-9)
        assert plain.log_prior(arch) == 0


@given(seeds)
@laws
def test_the_estimate_of_the_size_is_unbiased(seed: int) -> None:
    """Exactly: its expectation, the sum over architectures of probability x weight, is the size."""
    _, space = pair_of_spaces(seed)
    total = 0.0
    for arch in enumerated(space):
        rarities: list[tuple[float, float]] = []

        def replay(decision: Decision, path: str, answers: Any = arch.answers, rarities: Any = rarities) -> Any:
            chosen = decision.options.index(answers[path])  # type: ignore[union-attr]
            if isinstance(decision, Options) and decision.prior is not None:
                rarities.append((decision.prior[chosen], decision.rarity(answers[path])))
            return answers[path]

        space.free_walk(replay)
        total += math.prod([p * rarity for p, rarity in rarities])
    assert total == pytest.approx(space.size())


def test_the_estimate_of_the_size_under_strong_priors_and_logarithms() -> None:
    space = Space({"a": Repeat(Choice([1, 2, 3], prior=[5, 1, 1]), Integer(1, 4, log=True)), "b": Boolean(prior=0.7)})
    assert space.size() == 2 * (3 + 9 + 27 + 81)
    mean, error = space.estimate_size(draws=10_000)
    assert abs(mean - space.size()) < 4 * error
    assert error < 0.1 * space.size()


def test_what_a_new_decision_gets_is_drawn_by_its_prior() -> None:
    space = Space({"a": Optional(Choice([1, 2], prior={2: 99}))})
    off = space.architecture({"a": False})
    rng = random.Random(0)
    found = Counter([space.mutate(off, rng)["a"] for _ in range(1_000)])
    assert found[2] > 950
    mixed = [space.crossover(off, space.architecture({"a": True, "a.present": 1}), rng)["a"] for _ in range(500)]
    assert None in mixed
    assert 1 in mixed


def test_a_prior_does_not_keep_mutation_from_an_answer() -> None:
    space = Space({"a": Choice([1, 2, 3], prior=[1e6, 1, 1])})
    rng = random.Random(0)
    found = Counter([space.mutate(space.architecture({"a": 2}), rng)["a"] for _ in range(1_000)])
    assert 400 < found[3] < 600


def test_log_prior_by_hand_and_on_a_fresh_copy_of_the_space() -> None:
    space = Space({"a": Choice(["x", "y", "z"], prior={"x": 2}), "b": Optional(Boolean(prior=0.9), prior=0.25),
                   "lr": Real(0.1, 1), "n": Integer(1, 9, log=True)})  # fmt: skip
    arch = space.architecture({"a": "y", "b": True, "b.present": False, "lr": 0.5, "n": 3})
    expected = math.log(3 / 4) + math.log(2 / 4) + math.log(2 / 10)
    assert space.log_prior(arch) == pytest.approx(expected)
    assert pickle.loads(pickle.dumps(space)).log_prior(arch) == pytest.approx(expected)
    with pytest.raises(AssignmentError, match="a: no answer given"):
        space.log_prior(Space({"nothing": Choice([1, 2])}).sample(random.Random(0)))
    with pytest.raises(AssignmentError, match="expected one of 'x'"):
        space.log_prior(Space({"a": Choice(["no", "y"])}).architecture({"a": "no"}))


def test_members_of_a_subset_have_no_prior() -> None:
    space = Space({"some": Subset(["a", "b", "c"], 1, 2), "x": Choice([1, 2], prior=[1, 3])})
    arch = space.sample(random.Random(0))
    assert space.log_prior(arch) == pytest.approx(math.log(2 * (0.25 if arch["x"] == 1 else 0.75)))


# One name, one prior.


def use(prior: Any = None, name: str = "k") -> Choice:
    return Choice([1, 3, 5], name=name, prior=prior)


def shares(space: Space, path: str) -> list[float]:
    drawn = Counter([arch.answers[path] for arch in space.sample(random.Random(0), 3_000) if path in arch.answers])
    return [drawn[option] / sum(drawn.values()) for option in (1, 3, 5)]


@pytest.mark.parametrize(
    "root",
    [
        {"a": use([8, 1, 1]), "b": use()},
        {"a": use(), "b": use([8, 1, 1])},
        {"a": Optional(use()), "b": Choice({"c": use({1: 8}), "none": None})},
        {"a": Lazy(lambda: nn.Linear(use())), "b": use([8, 1, 1])},
        {"a": use([8, 1, 1]), "b": use([4, 0.5, 0.5])},
    ],
)
def test_uses_of_a_name_without_a_prior_take_that_of_another(root: Any) -> None:
    space = Space(root)
    assert shares(space, "k") == pytest.approx([0.8, 0.1, 0.1], abs=0.03)
    arch = next(arch for arch in space.enumerate() if arch.answers.get("k") == 1)
    assert space.log_prior(arch) == pytest.approx(math.log(0.8 * 3))


def test_a_scope_has_its_own_name_and_prior() -> None:
    inner = Scope(Sequential(nn.Linear(use()), nn.Linear(use([1, 1, 8]))), "k")
    space = Space(
        {"a": use([8, 1, 1]), "b": inner, "c": Scope(nn.Linear(use()), "k"), "d": Shared(nn.Linear(use()), "s")}
    )
    assert shares(space, "k") == pytest.approx([0.8, 0.1, 0.1], abs=0.03)
    assert shares(space, "b.k") == pytest.approx([0.1, 0.1, 0.8], abs=0.03)
    assert shares(space, "c.k") == pytest.approx([1 / 3] * 3, abs=0.04)
    arch = pickle.loads(pickle.dumps(space.sample(random.Random(0))))
    assert arch.values  # resolved before anything of the copy is compiled
    assert arch.space.log_prior(arch) == pytest.approx(space.log_prior(arch))


def test_optional_and_boolean_of_one_name_share_the_prior() -> None:
    space = Space({"a": Optional(nn.ReLU(), name="d", prior=0.9), "b": Boolean(name="d")})
    arch = space.architecture({"d": True})
    assert space.log_prior(arch) == pytest.approx(math.log(1.8))


def two_lazies() -> Space:
    space = Space({"a": Lazy(lambda: nn.Linear(use())), "b": Lazy(lambda: nn.Linear(use([8, 1, 1])))})
    space.sample(random.Random(0))
    return space


ANYTHING: dict[str, Any] = {"text": ["1", 1], "number": 0.5, "word": "ab", "list": [0.5]}


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Choice([1, 2, 3], prior=[1, 2]), r"each of its 3 options \[1, 2, 3\], but got 2: \[1, 2\]"),
        (lambda: Choice([1, 2], prior=[1, -1]), "weight of 2 must be a positive, finite number, but got -1"),
        (lambda: Choice([1, 2], prior=[0, 1]), "weight of 1 .* but got 0; leave the option out"),
        (lambda: Choice([1, 2], prior=[1, math.inf]), "finite"),
        (lambda: Choice([1, 2], prior=[1, math.nan]), "finite"),
        (lambda: Choice([1, 2], prior=[1, True]), "number, but got True"),
        (lambda: Choice([1, 2], prior=ANYTHING["text"]), "number, but got '1'"),
        (lambda: Choice([1, 2], prior=[1e-300, 1e300]), "weight of 1 is too small beside"),
        (lambda: Choice([1, 2], prior=ANYTHING["number"]), r"weights in the order of the options \[1, 2\], .* got 0.5"),
        (lambda: Choice(["a", "b"], prior=ANYTHING["word"]), "a list of weights"),
        (lambda: Choice({"conv": None, "pool": None}, prior={"cnv": 3}), "weight for 'cnv', .*; did you mean 'conv'"),
        (lambda: Choice([1, 2], prior={1.0: 3}), "weight for 1.0, but the options are"),
        (lambda: Choice([1, 2], prior={"2": 3}), r"weight for '2', but the options are \[1, 2\]; did you mean 2\?"),
        (lambda: Choice([1, 2], prior={(): 3, None: 1}), r"weight for \(\), but the options are"),
        (lambda: Boolean(prior=1), "the probability of True, more than 0 and less than 1, but got 1"),
        (lambda: Boolean(prior=True), "but got True"),
        (lambda: Optional(nn.ReLU(), prior=ANYTHING["list"]), r"the probability of being present, .* but got \[0.5\]"),
        (lambda: Space({"a": use([8, 1, 1]), "b": use([1, 8, 1])}), "'k' disagree in the prior: .*0.8"),
        (lambda: Space({"a": Shared(nn.Linear(Choice([1, 2], prior=[1, 3])), "s"),
                        "b": Shared(nn.Linear(Choice([1, 2])), "s")}).sample(random.Random(0)), "Shared 's' differ"),
        (two_lazies, "disagree in the prior: none at a.out_features.*where a Lazy gives one"),
    ],
)  # fmt: skip
def test_what_errors_say(declare: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        declare()


def test_it_is_shown_and_recorded_only_where_it_was_given() -> None:
    space = skewed()
    text = str(space)
    assert "kind  " in text
    assert "['deep', 'flat'], prior 0.25, 0.75" in text
    described = space.describe()["space"]["items"]
    assert described["kind"]["prior"] == [0.25, 0.75]
    assert described["more"]["prior"] == [0.9, 0.1]
    assert "prior" not in described["more"]["node"]
    assert repr(space.root["more"]) == "Optional(Boolean(), prior=0.1)"
    schema = space.json_schema()
    assert schema["properties"]["kind"]["description"] == "prior: 'deep' 0.25, 'flat' 0.75"
    for arch in space.enumerate():
        jsonschema.validate(json.loads(json.dumps(arch.assignment)), schema)


def test_weights_count_by_what_they_mean() -> None:
    a, b = [Space({"a": Choice(["x", "y", "z"], prior=prior)}) for prior in ([3, 1, 1], {"x": 3.0})]
    c = Space({"a": Choice(["x", "y", "z"], prior=[0.3, 0.1, 0.1])})
    assert a.describe() == b.describe() == c.describe()


def evaluate(trial: Any) -> float:
    return float(trial["a"])


def test_a_study_goes_on_with_the_same_prior_only(tmp_path: Path) -> None:
    def study(prior: list[float]) -> Any:
        space = Space({"a": Choice([1, 2, 3], prior=prior)})
        return A.Study(space, evaluate, objective="a", searcher="random", store=str(tmp_path / "s.db"), name="s")

    study([3, 1, 1]).run(trials=1)
    study([6, 2, 2]).run(trials=2)
    with pytest.raises(SpaceChanged, match=r"space\.items\.a\.prior"):
        study([1, 1, 3]).run(trials=3)
