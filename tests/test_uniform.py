"""Uniform over architectures beside uniform over decisions: exact, by index, and as drawn (LANGUAGE.md section 6).

The oracle of the first is the enumeration: every architecture once. That of the second multiplies, along the
walk that gives an architecture, the chances of its answers.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_spaces import make_space
from scipy import stats

from archsearch.errors import EndlessSpace, Infeasible, SizeTooHard, SpaceError
from archsearch.searchers.contract import Problem
from archsearch.searchers.random import Random
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.decisions import Decision
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import (
    Boolean,
    Choice,
    Derived,
    Integer,
    Lazy,
    Module,
    Optional,
    Permute,
    Real,
    Repeat,
    Require,
    Residual,
    Scope,
    Sequential,
    Shared,
    Subset,
)
from archsearch.spaces.space import Architecture, Space
from archsearch.spaces.uniform import Uniform, UniformDraws, index_below
from archsearch.testing import SearcherContract

# The seeds are fixed, so nothing here fails by chance; what is refuted is refuted far beyond this.
ACCEPTED = 1e-4
TINY = 30


def layer(**arguments: Any) -> Module:
    return Module("package.mod:Layer", arguments)


def cell() -> Any:
    return Shared(Sequential(Choice({"wide": layer(width=Integer(1, 4)), "none": None}), layer(bias=Boolean())), "cell")


def rule(depth: int) -> Any:
    if depth == 0:
        return layer(size=Choice([1, 2]))
    return Choice({"stop": None, "more": Sequential(layer(size=Choice([3, 5])), Lazy(rule, depth=depth - 1))})


def graph(dead: str) -> Graph:
    return Graph(
        {
            "a": Vertex(layer(size=Integer(1, 4)), inputs={"x": Optional(layer())}),
            "b": Vertex(layer(bias=Boolean()), inputs={"x": layer(), "a": Optional(layer())}),
        },
        inputs="x",
        outputs="b",
        dead=dead,
    )


def k() -> Choice:
    return Choice([1, 3, 5], name="k")


def d() -> Boolean:
    return Boolean(name="d")


# Small spaces in which the two distributions differ strongly, with their sizes.
SKEWED: dict[str, tuple[Callable[[], Space], int]] = {
    "a conditional": (lambda: Space(Choice({"many": layer(width=Integer(1, 9)), "none": None})), 10),
    "a shared name": (lambda: Space({"a": Choice({"use": layer(size=k()), "no": None}), "b": Optional(k())}), 10),
    "a shared name that opens": (
        lambda: Space({"a": Optional(layer(x=Choice([1, 2, 3])), name="d"), "b": layer(y=d()), "c": Optional(d())}),
        8,
    ),
    "a repeat": (lambda: Space(Repeat(layer(size=Choice([1, 3])), Integer(0, 3))), 15),
    "a repeat, tied": (lambda: Space(Repeat(layer(size=k()), Integer(0, 3), tied=True)), 10),
    "a repeat by index": (lambda: Space(Repeat(lambda i: layer(size=Integer(0, i)), Integer(1, 4))), 33),
    "a repeat by a computed number": (
        lambda: Space(Repeat(layer(size=Choice([1, 3])), Choice([0, 1, 2]) + Choice([0, 1]))),
        21,
    ),
    "a subset": (
        lambda: Space(Subset([layer(size=Choice([1, 3, 5])), layer(), layer(bias=Boolean())], 1, 2)),
        17,
    ),
    "a named subset": (
        lambda: Space([Subset([layer(a=Choice([1, 2])), layer(), layer()], 1, 2, name="s") for _ in range(2)]),
        15,
    ),
    "a permutation": (lambda: Space(Permute(layer(size=Integer(1, 2)), Optional(layer(size=Integer(1, 5))))), 24),
    "a grammar": (lambda: Space(Lazy(rule, depth=3)), 23),
    "a lazy by values with their types": (
        lambda: Space(Lazy(lambda n: Choice([1, 2, 3, 4, 5]) if n is True else layer(), n=Choice([True, 1]))),
        6,
    ),
    "a lazy by a value that may be absent": (
        lambda: Space(Lazy(lambda n: layer(size=Integer(1, 9)) if n is None else layer(), n=Optional(Integer(1, 3)))),
        12,
    ),
    "a repeat by the sum of several": (
        lambda: Space(
            [
                Repeat(
                    layer(size=Choice([1, 3])),
                    Derived(lambda n: sum(n), n=Repeat(Scope(Derived(lambda k: k, k=Integer(1, 2, name="k")), "k"), 2)),
                ),
                Optional(Shared(layer(size=Integer(1, 3)), "part")),
            ]
        ),
        144,
    ),
    "a scope": (
        lambda: Space(Repeat(Scope(Optional(layer(size=k(), padding=k() // 2)), "k"), Choice([0, 1, 2]))),
        21,
    ),
    "a shared part": (lambda: Space([Optional(cell()), Residual(cell())]), 20),
    "a shared part, perhaps never": (lambda: Space([Optional(cell()), Optional(cell())]), 31),
    "a graph that prunes": (lambda: Space(graph("prune")), 14),
    "a graph that rejects": (lambda: Space(graph("reject")), 10),
    "a constraint": (
        lambda: Space(
            {f"g{i}": Choice([1, 2, 3, 4]) for i in range(3)},
            require=[Require(lambda a, b: a <= b, f"g{i}", f"g{i + 1}") for i in range(2)],
        ),
        20,
    ),
    "a constraint of a scope": (
        lambda: Space(
            Repeat(
                Scope(
                    layer(a=Integer(1, 3, name="a"), b=Integer(1, 3, name="b")),
                    "a",
                    "b",
                    require=[lambda a, b: a < b],
                ),
                Integer(0, 2),
            )
        ),
        13,
    ),
    "a constraint on a key": (
        lambda: Space(
            {"blocks": Repeat(layer(size=Choice([1, 3])), Integer(1, 4)), "width": Choice([1, 2, 3])},
            require=[lambda blocks, width: blocks * width <= 3],
        ),
        18,
    ),
}


def chances_of(space: Space) -> dict[str, float]:
    """The chance of each architecture where every decision is drawn on its own."""
    chances = {}
    for arch in space.enumerate():
        chance = 1.0

        def replay(decision: Decision, path: str, answers: Mapping[str, Any] = arch.answers) -> Any:
            nonlocal chance
            chance /= decision.rarity(answers[path])
            return answers[path]

        space.walk(replay)
        chances[arch.id] = chance
    return chances


def p_value(archs: list[Architecture], chances: Mapping[str, float]) -> float:
    """Of the chi-square test that these were drawn with those chances."""
    counts = Counter([arch.id for arch in archs])
    assert counts.keys() <= chances.keys()
    found = [counts[identity] for identity in chances]
    expected = [chance * len(archs) for chance in chances.values()]
    return float(stats.chisquare(found, expected).pvalue)


def draw(space: Space, uniform: Uniform, n: int, seed: int = 0) -> list[Architecture]:
    rng = random.Random(seed)
    return [space.sample(rng, uniform=uniform) for _ in range(n)]


def equal_chances(space: Space) -> dict[str, float]:
    archs = list(space.enumerate())
    return {arch.id: 1 / len(archs) for arch in archs}


@pytest.mark.parametrize("name", SKEWED)
def test_each_kind_draws_what_it_says_and_not_what_the_other_says(name: str) -> None:
    make, size = SKEWED[name]
    space = make()
    equal, skewed = equal_chances(space), chances_of(space)
    assert len(equal) == space.size() == size
    assert math.isclose(sum(skewed.values()), 1)
    by_decisions = draw(space, "decisions", 100 * size)
    by_architectures = draw(space, "architectures", 100 * size)
    assert p_value(by_decisions, skewed) > ACCEPTED
    assert p_value(by_architectures, equal) > ACCEPTED
    assert p_value(by_decisions, equal) < 1e-12
    assert p_value(by_architectures, skewed) < 1e-12


seeds = st.integers(0, 2**32 - 1)
laws = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    derandomize=True,
)


def enumerated(seed: int, limit: int) -> tuple[Space, list[Architecture]]:
    space = make_space(seed)
    assume(space is not None)
    assert space is not None
    assume(0 < space.size() <= limit)
    try:
        return space, list(space.enumerate())
    except SpaceError as error:
        # What a Lazy returns is only seen when it is expanded: a name there may be barred.
        assert "inside a Shared" in str(error)  # noqa: PT017
        assume(False)
        raise


@given(seeds)
@laws
def test_every_index_is_another_architecture(seed: int) -> None:
    space, archs = enumerated(seed, 1_000)
    draws = UniformDraws(space)
    assert draws.total == space.size()
    by_id = {arch.id: arch for arch in archs}
    found = set()
    for index in range(draws.total):
        answers = draws.answers(index, no_random)
        found.add(answers_id(answers))
        assert list(answers) == list(by_id[answers_id(answers)].answers)
    assert found == by_id.keys()


def no_random() -> float:
    raise AssertionError("nothing here is a Real")


@given(seeds)
@laws
def test_draws_from_tiny_spaces_reach_all_alike(seed: int) -> None:
    space, archs = enumerated(seed, TINY)
    found = draw(space, "architectures", 30 * len(archs), seed)
    assert {arch.id for arch in found} == {arch.id for arch in archs}
    if len(archs) > 1:
        assert p_value(found, {arch.id: 1 / len(archs) for arch in archs}) > 1e-6


@given(seeds)
@laws
def test_a_draw_from_any_space_is_an_architecture_of_it(seed: int) -> None:
    space = make_space(seed, depth=3)
    assume(space is not None)
    assert space is not None
    assume(space.size() > 0)
    rng = random.Random(seed)
    try:
        for _ in range(5):
            arch = space.sample(rng, uniform="architectures")
            assert list(space.architecture(arch.assignment).answers) == list(arch.answers)
    except SpaceError as error:
        assert "inside a Shared" in str(error)  # noqa: PT017


def test_a_real_counts_as_one_answer_and_is_drawn_within_its_bounds() -> None:
    space = Space({"a": Choice({"rate": layer(p=Real(0.0, 0.5)), "width": layer(n=Integer(1, 3))}), "lr": Real(1, 3)})
    assert space.size() == math.inf
    archs = draw(space, "architectures", 4_000)
    kinds = Counter([arch.answers.get("a.width.n", "rate") for arch in archs])
    assert kinds.keys() == {"rate", 1, 2, 3}
    assert stats.chisquare(list(kinds.values())).pvalue > ACCEPTED
    lr = [arch["lr"] for arch in archs]
    assert stats.kstest(lr, stats.uniform(1, 2).cdf).pvalue > ACCEPTED
    p = [arch.answers["a.rate.p"] for arch in archs if arch.answers["a"] == "rate"]
    assert stats.kstest(p, stats.uniform(0, 0.5).cdf).pvalue > ACCEPTED
    assert abs(stats.pearsonr(lr[:-1], lr[1:]).statistic) < 0.1


def test_a_named_real_is_drawn_once() -> None:
    rate = Real(0, 1, name="p")
    (arch,) = draw(Space([Optional(layer(p=rate)), layer(p=rate), rate * 2]), "architectures", 1)
    assert list(arch.answers) in (["[0]", "p"], ["[0]", "p"])


def test_what_where_refuses_is_left_out_and_the_rest_stays_uniform() -> None:
    space = Space(Repeat(layer(size=Integer(1, 3)), Integer(0, 2)), where=lambda arch: len(arch.answers) != 2)
    equal = equal_chances(space)
    assert len(equal) == 10
    assert p_value(draw(space, "architectures", 2_000), equal) > ACCEPTED


def test_a_seed_means_the_same_everywhere() -> None:
    space = Space(Repeat([Choice(["a", "b", "c"]), Optional(Integer(1, 1_000))], Integer(0, 2)))
    assert draw(space, "architectures", 1, seed=0)[0].assignment == {
        "root": 2,
        "[0][0]": "b",
        "[0][1]": True,
        "[0][1].present": 930,
        "[1][0]": "c",
        "[1][1]": True,
        "[1][1].present": 533,
    }


def drawn_ids(hash_seed: str) -> list[str]:
    """The ids that another process draws from random spaces."""
    script = """if True:
        import random
        from random_spaces import make_space
        for seed in range(40):
            space = make_space(seed)
            if space is not None and 0 < space.size() < 10**6:
                try:
                    print(seed, *[arch.id for arch in space.sample(random.Random(seed), 5, uniform="architectures")])
                except Exception as error:
                    print(seed, type(error).__name__)
    """
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", script]
    folder = Path(__file__).parent
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.split()


def test_the_order_of_sets_has_no_part_in_a_draw() -> None:
    ids = drawn_ids("1")
    assert len(ids) > 150
    assert ids == drawn_ids("2")


def test_a_huge_space_is_drawn_as_a_small_one_is() -> None:
    names = [f"k{i}" for i in range(301)]
    shared = {name: Choice([1, 2, 3], name=name) for name in names}
    space = Space([layer(a=shared[a], b=shared[b]) for a, b in itertools.pairwise(names)])
    assert space.size() == 3**301
    archs = draw(space, "architectures", 200)
    for name in ("k0", "k150", "k300"):
        counts = Counter([arch.answers[name] for arch in archs])
        assert stats.chisquare([counts[i] for i in (1, 2, 3)]).pvalue > ACCEPTED


def test_no_nesting_is_too_deep() -> None:
    node: Any = layer(size=Choice([1, 2]))
    for _ in range(3_000):
        node = Optional(node)
    space = Space(node)
    depths = [len(arch.answers) for arch in draw(space, "architectures", 5)]
    assert space.size() == 3_002
    assert max(depths) > 300


def test_decisions_beyond_the_limit_are_an_error_in_both_kinds() -> None:
    space = Space(Repeat(Lazy(rule, depth=3), 20), max_decisions=10)
    for uniform in ("decisions", "architectures"):
        with pytest.raises(EndlessSpace, match="more than 10 decisions"):
            draw(space, uniform, 1)


@pytest.mark.parametrize("total", [1, 2, 3, 10**6, 2**64, 3**200])
def test_the_index_spans_its_range(total: int) -> None:
    assert index_below(total, lambda: 0.0) == 0
    assert index_below(total, lambda: 1 - 2.0**-53) == total - 1


@given(st.integers(1, 10**60), seeds)
def test_the_index_is_the_fraction_of_its_range_that_was_drawn(total: int, seed: int) -> None:
    drawn: list[float] = []
    rng = random.Random(seed)

    def remember() -> float:
        drawn.append(rng.random())
        return drawn[-1]

    index = index_below(total, remember)
    fraction = sum([Fraction(number) / 2 ** (53 * i) for i, number in enumerate(drawn)])
    assert index == math.floor(total * fraction)
    assert 53 * len(drawn) >= total.bit_length() + 64


def test_the_low_digits_of_a_large_index_are_uniform() -> None:
    rng = random.Random(1)
    counts = Counter([index_below(10**40, rng.random) % 10 for _ in range(5_000)])
    assert stats.chisquare([counts[i] for i in range(10)]).pvalue > ACCEPTED


def always() -> Any:
    return Choice({"stop": None, "more": Sequential(layer(), Lazy(always))})


def test_another_word_names_both() -> None:
    space = Space(Choice([1, 2]))
    with pytest.raises(SpaceError, match="uniform='decisions' or uniform='architectures', but got 'nodes'"):
        space.sample(random.Random(0), uniform="nodes")  # type: ignore[call-overload]


def test_a_grammar_without_an_end_is_refused_with_its_path() -> None:
    space = Space({"x": Choice([1, 2]), "body": Sequential(layer(), rest=Lazy(always))})
    with pytest.raises(SpaceError, match=r"^body\.rest\.more\[1\]: Lazy\(always\) .*uniform='decisions'"):
        draw(space, "architectures", 1)


def test_a_constraint_on_a_real_is_refused_with_its_path() -> None:
    rate = Real(0.1, 1, name="lr")
    space = Space({"x": Integer(1, 3), "lr": rate}, require=[lambda x, lr: x * lr < 2])
    with pytest.raises(SpaceError, match=r"^lr: a constraint reads Real\(0.1, 1.0, name='lr'\).*uniform='decisions'"):
        draw(space, "architectures", 1)
    scoped = Space(
        {
            "body": Repeat(
                Scope(
                    layer(x=Integer(1, 3, name="x"), p=Real(0, 1, name="p")), "x", "p", require=[lambda x, p: x * p < 2]
                ),
                Integer(1, 2),
            )
        }
    )
    with pytest.raises(SpaceError, match=r"^body\[0\]\.p: a constraint"):
        draw(scoped, "architectures", 1)


def test_a_count_that_is_too_hard_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.spaces.count.MAX_STATES", 20_000)
    names = [f"n{i}" for i in range(12)]
    space = Space([Integer(1, 9, name=n) for n in names], require=[Require(lambda *a: sum(a) % 7 == 3, *names)])
    with pytest.raises(SizeTooHard, match="n0"):
        draw(space, "architectures", 1)


def test_constraints_that_allow_nothing_are_named() -> None:
    space = Space({"a": Choice([1, 2]), "b": Choice([1, 2])}, require=[Require(lambda a, b: a + b > 4, "a", "b")])
    with pytest.raises(Infeasible, match=r"Require\(<lambda>, 'a', 'b'\)"):
        draw(space, "architectures", 1)


def test_random_search_takes_either_kind() -> None:
    space = Space(Choice({"many": layer(width=Integer(1, 9)), "none": None}))
    equal, skewed = equal_chances(space), chances_of(space)
    for searcher, own, other in ((Random(), skewed, equal), (Random(uniform="architectures"), equal, skewed)):
        search = searcher.start(Problem(space, {"accuracy": "maximize"}, seed=3))
        proposals = [search.ask(number, []) for number in range(1_000)]
        archs = [space.architecture(proposal.assignment) for proposal in proposals if proposal is not None]
        assert len(archs) == 1_000
        assert p_value(archs, own) > ACCEPTED
        assert p_value(archs, other) < 1e-12


class TestRandomOverArchitectures(SearcherContract):
    searcher = Random(uniform="architectures")
    takes_endless = False
