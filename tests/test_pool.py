"""Pools: given architectures as a space of their own, against what a search through the list would find."""

from __future__ import annotations

import itertools
import json
import math
import pickle
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_spaces import make_space
from scipy import stats

import archsearch as A
from archsearch.errors import AssignmentError, Infeasible, SingleArchitecture, SpaceChanged, SpaceError
from archsearch.spaces import nn
from archsearch.spaces.decisions import Decision, typed
from archsearch.spaces.moves import cross_of, live
from archsearch.spaces.nodes import Boolean, Choice, Integer, Optional, Real, Repeat
from archsearch.spaces.pool import Pool
from archsearch.spaces.space import Architecture, Space
from archsearch.spaces.wiring import Refused

seeds = st.integers(0, 2**32 - 1)
laws = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    derandomize=True,
)


def random_pool(seed: int) -> tuple[Space, Pool, list[Architecture]]:
    """A pool of up to 40 architectures of a random space, in the order of their ids."""
    space = make_space(seed, 1 + (seed >> 1) % 2, graphs=bool(seed % 2), priors=True)
    assume(space is not None and 2 <= space.size() <= 3_000)
    assert space is not None
    try:
        archs = list(itertools.islice(space.enumerate(), 3_000))
    except SpaceError:  # what a Lazy returns is only seen when it is expanded
        assume(False)
    rng = random.Random(seed)
    some = rng.sample(archs, rng.randint(2, min(40, len(archs))))
    return space, Pool(space, some), sorted(some, key=lambda arch: arch.id)


def share(a: Architecture, b: Architecture) -> float:
    """The share of the decisions, of one or the other, in which two architectures differ."""
    either = a.answers.keys() | b.answers.keys()
    alike = [p for p in a.answers.keys() & b.answers.keys() if typed(a.answers[p]) == typed(b.answers[p])]
    return 1 - len(alike) / len(either)


def grid() -> Space:
    """27 architectures of three decisions."""
    return Space({name: Choice([1, 2, 3]) for name in "abc"})


@given(seeds)
@laws
def test_it_is_the_list_as_a_space(seed: int) -> None:
    space, pool, members = random_pool(seed)
    assert pool.size() == len(members)
    assert [arch.id for arch in pool.enumerate()] == [arch.id for arch in members]
    assert pool.estimate_size() == (len(members), 0)
    for arch in members:
        same = pool.architecture(json.loads(json.dumps(arch.assignment)))
        assert list(same.assignment.items()) == list(arch.assignment.items())
        assert same.id == arch.id == pool.architecture(list(arch.assignment.items())).id
        assert str(same) == str(arch)
        assert pool.log_prior(same) == pytest.approx(space.log_prior(arch))
        assert live(pool, same) == live(space, arch)
    np.testing.assert_array_equal(pool.encode(members), space.encode(members))
    assert json.loads(json.dumps(pool.describe())) == pool.describe()
    assert pool.json_schema() == space.json_schema()


@given(seeds)
@laws
def test_what_is_near_is_what_a_search_through_the_list_finds(seed: int) -> None:
    space, pool, members = random_pool(seed)
    rng = random.Random(seed)
    arch, second = rng.sample(members, 2)
    others = sorted([m for m in members if m != arch], key=lambda m: (share(arch, m), m.id))
    near = list(pool.neighbors(arch, limit=7))
    assert [m.id for m in near] == [m.id for m in others[:7]]
    limit = max(1, min(16, math.isqrt(len(others))))
    farthest = share(arch, others[limit - 1])
    expected = {m.id for m in others if share(arch, m) <= farthest}
    found = {pool.mutate(arch, rng).id for _ in range(40 * len(expected))}
    assert found == expected
    once, again = random.Random(seed), random.Random(seed)
    assert pool.mutations(arch, 5, once) == [pool.mutate(arch, again) for _ in range(5)]

    again = pickle.loads(pickle.dumps(rng))
    child = pool.crossover(arch, second, rng)
    try:
        cross = Architecture(space, space.free_walk(cross_of(arch, second, again)))
    except Refused:
        cross = arch
    left = [m for m in members if m not in (arch, second)]
    if left:
        assert child in left
        assert share(cross, child) == pytest.approx(min([share(cross, m) for m in left]))
    else:
        assert child in (arch, second)


@given(seeds)
@laws
def test_a_walk_goes_where_a_member_is(seed: int) -> None:
    _, pool, members = random_pool(seed)
    reached = set()
    for member in members:
        asked: list[str] = []

        def decide(decision: Decision, path: str, member: Any = member, asked: Any = asked) -> Any:
            before = [arch for arch in members if all(same(arch, member, p) for p in asked)]
            options = {typed(arch.answers[path]) for arch in before}
            assert decision.options is not None
            assert {typed(option) for option in decision.options} == options
            assert len(decision.options) == len(options)
            asked.append(path)
            return member.answers[path]

        def same(a: Architecture, b: Architecture, path: str) -> bool:
            return path in a.answers and typed(a.answers[path]) == typed(b.answers[path])

        assert list(pool.free_walk(decide).items()) == list(member.answers.items())
        assert asked == list(member.answers)
        choices: list[Any] = []
        answers = pool.walk(lambda d, p, c=choices, m=member: c.append(d.size) or m.answers[p])  # type: ignore[misc]
        assert answers == member.answers
        assert all(size > 1 for size in choices)
        reached.add(Architecture(pool, answers).id)
    assert reached == {arch.id for arch in members}
    rng = random.Random(seed)
    ids = {arch.id for arch in members}
    for _ in range(10):
        assert Architecture(pool, pool.walk(lambda d, p: d.draw(rng.random))).id in ids


def test_an_answer_that_no_member_has_is_refused() -> None:
    pool = Pool(grid(), [{"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}])
    with pytest.raises(AssignmentError, match=r"a: got 3 .* expected one of 1, 2"):
        pool.walk(lambda decision, path: 3)
    assert pool.resolve(lambda decision, path: 2) == {"a": 2, "b": 2, "c": 2}


def test_a_pool_of_all_there_is_moves_like_the_space() -> None:
    space = Space({name: Choice([1, 2, 3, 4]) for name in "abcd"})
    pool = Pool(space, space.enumerate())
    rng = random.Random(0)
    arch = pool.sample(rng)
    expected = {other.id for other in space.neighbors(arch)}
    assert {other.id for other in pool.neighbors(arch, limit=12)} == expected
    found = {pool.mutate(arch, rng).id for _ in range(400)}
    assert expected <= found
    assert all(share(arch, other) <= 0.5 for other in pool.enumerate() if other.id in found)


def test_every_member_is_drawn_as_often() -> None:
    pool = Pool(grid(), [{"a": 1, "b": 1, "c": c} for c in (1, 2, 3)] + [{"a": 3, "b": 3, "c": 3}])
    for uniform in ("decisions", "architectures"):
        counts = Counter([arch.id for arch in pool.sample(random.Random(0), 4_000, uniform=uniform)])
        assert stats.chisquare([counts[arch.id] for arch in pool.enumerate()]).pvalue > 1e-3
    rng, again = random.Random(1), random.Random(1)
    assert pool.sample(rng, 5) == [pool.sample(again) for _ in range(5)]
    with pytest.raises(SpaceError, match="uniform="):
        pool.sample(rng, uniform="members")  # type: ignore[call-overload]
    with pytest.raises(SpaceError, match="how many"):
        pool.sample(rng, -1)


def test_neither_the_order_of_the_list_nor_repeats_count() -> None:
    space = grid()
    archs = [space.sample(random.Random(seed)) for seed in range(20)]
    pool = Pool(space, archs)
    turned = Pool(space, [arch.assignment for arch in reversed(archs + archs)])
    assert pool.size() == len({arch.id for arch in archs}) == turned.size()
    assert pool.describe() == turned.describe()
    assert pool.sample(random.Random(3)) == turned.sample(random.Random(3))
    assert Pool(space, archs[:19]).describe() != pool.describe() or archs[19] in archs[:19]
    assert space.describe() == {key: value for key, value in pool.describe().items() if key != "pool"}


def test_constraints_hold() -> None:
    k = Integer(1, 3, name="k")
    space = Space({"k": k, "b": Integer(1, 9)}, require=[lambda k, b: k <= b], where=[lambda arch: arch["b"] != 5])
    archs = [{"k": 1, "b": b} for b in (3, 5, 7)]
    pool = Pool(space, archs)
    assert pool.size() == 3
    assert sorted([arch["b"] for arch in pool.enumerate()]) == [3, 7]
    rng = random.Random(0)
    assert {arch["b"] for arch in pool.sample(rng, 50)} == {3, 7}
    three = pool.architecture(archs[0])
    assert {pool.mutate(three, rng)["b"] for _ in range(50)} == {7}
    assert [arch["b"] for arch in pool.neighbors(three)] == [7]
    assert {pool.crossover(three, pool.architecture(archs[2]), rng)["b"] for _ in range(50)} == {3, 7}
    with pytest.raises(AssignmentError, match=r"where\[0\]"):
        pool.architecture(archs[1])
    with pytest.raises(SpaceError, match=r"member 1 .* does not allow k=3, b=2"):
        Pool(space, [*archs[:1], {"k": 3, "b": 2}])
    with pytest.raises(SingleArchitecture, match="pool of 2"):
        Pool(space, archs[:2]).mutate(three, rng)
    with pytest.raises(Infeasible, match="where="):
        Pool(space, [{"k": 1, "b": 5}, {"k": 2, "b": 5}]).sample(rng)


def test_reals_and_conditions() -> None:
    space = Space(
        {"lr": Real(0, 1), "more": Optional(Integer(1, 1_000)), "depth": Repeat(nn.Linear(Choice([1, 2])), 2)}
    )
    archs = [space.sample(random.Random(seed)) for seed in range(30)]
    pool = Pool(space, archs)
    seen = []
    pool.walk(lambda decision, path: seen.append(decision) or decision.options[-1])  # type: ignore[func-returns-value, index]
    assert seen[0].options == tuple(sorted([arch["lr"] for arch in archs]))
    assert math.isfinite(pool.size())
    assert pool.architecture({**archs[0].assignment}) == archs[0]
    assert len(list(pool.enumerate())) == 30


def test_an_architecture_of_the_space_that_is_no_member() -> None:
    space = grid()
    pool = Pool(space, [{"a": 1, "b": 1, "c": 1}, {"a": 3, "b": 3, "c": 1}])
    stranger = space.architecture({"a": 1, "b": 1, "c": 3})
    with pytest.raises(
        AssignmentError, match=r"none of the 2 of the pool; the nearest, \w{20}, differs in c: 3, there 1"
    ):
        pool.architecture(stranger.assignment)
    with pytest.raises(AssignmentError, match="c: got 9"):
        pool.architecture({"a": 1, "b": 1, "c": 9})
    with pytest.raises(AssignmentError, match="b: no answer given"):
        pool.architecture({"a": 1})
    with pytest.raises(AssignmentError, match="b: got set"):
        pool.architecture({"a": 1, "b": set(), "c": 1})
    assert pool.mutate(stranger, random.Random(0))["a"] == 1
    assert [arch["a"] for arch in pool.neighbors(stranger)] == [1, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pool(grid(), []), "at least one architecture, but got none"),
        (lambda: Pool(grid(), {"a": 1, "b": 1}), "takes a list of .* but got {'a'"),  # type: ignore[dict-item]
        (lambda: Pool(Choice([1, 2]), []), r"takes a space .* but got Choice\(\[1, 2\]\)"),  # type: ignore[arg-type]
        (lambda: Pool(grid(), [{"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 4, "c": 1}]), "member 1 is no .* b: got 4"),
        (
            lambda: Pool(grid(), [Space({"z": Boolean()}).sample(random.Random(0))]),
            "member 0 is no .* a: no answer given",
        ),
        (lambda: Pool(grid(), [7]), "member 0 is no architecture of the space: an assignment maps paths"),  # type: ignore[list-item]
    ],
)
def test_what_errors_say(make: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


def test_a_pool_of_one_and_of_members_of_a_pool() -> None:
    space = grid()
    pool = Pool(space, [{"a": 1, "b": 1, "c": c} for c in (1, 2, 3)])
    one = Pool(pool, [pool.sample(random.Random(0))])
    with pytest.raises(SingleArchitecture):
        one.mutate(one.sample(random.Random(0)), random.Random(0))
    assert list(one.neighbors(one.sample(random.Random(0)))) == []
    arch = one.sample(random.Random(0))
    assert one.crossover(arch, arch, random.Random(0)) == arch


@pytest.mark.parametrize("where", [(), (lambda arch: True,)])
def test_it_pickles(where: Any) -> None:
    space = Space({"model": nn.Linear(Choice([2, 3], prior=[3, 1])), "x": Integer(1, 9)}, input_shape=(4,))
    pool = Pool(space, [space.sample(random.Random(seed)) for seed in range(8)])
    copy = pickle.loads(pickle.dumps(pool))
    assert copy.describe() == pool.describe()
    rng, again = random.Random(0), random.Random(0)
    arch, same = pool.sample(rng), copy.sample(again)
    assert arch == same
    assert same.parameters == arch.parameters
    assert copy.log_prior(same) == pool.log_prior(arch)
    assert pool.mutate(arch, rng) == copy.mutate(same, again)
    assert list(copy.neighbors(same)) == list(pool.neighbors(arch))
    assert pickle.loads(pickle.dumps(arch)) == arch


def evaluate(trial: Any) -> dict[str, float]:
    return {"loss": float(trial["a"] + trial["b"] * trial["c"])}


@pytest.mark.parametrize("searcher", ["random", "exhaustive", "evolution"])
def test_a_study_proposes_members_until_there_is_none_left(searcher: str, tmp_path: Path) -> None:
    space = grid()
    archs = [space.sample(random.Random(seed)) for seed in range(12)]

    def study(pool: Space) -> Any:
        store = str(tmp_path / "s.db")
        return A.Study(pool, evaluate, objective={"loss": "minimize"}, searcher=searcher, store=store, name="s")

    study(Pool(space, archs)).run(trials=4)
    with pytest.raises(SpaceChanged, match=r"pool\.(size|ids)"):
        study(Pool(space, archs[:5])).run(trials=50)
    with pytest.raises(SpaceChanged, match="pool: no longer there"):
        study(space).run(trials=50)
    whole = study(Pool(space, archs))
    whole.run(trials=50)
    assert {trial.arch.id for trial in whole.trials} == {arch.id for arch in archs}
    assert len(whole.trials) == len({arch.id for arch in archs})
