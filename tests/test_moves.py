"""Moves against the same moves written plainly: a walk for every change, every answer read again."""

from __future__ import annotations

import functools
import itertools
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_spaces import make_space

from archsearch.errors import SingleArchitecture, SpaceError
from archsearch.spaces import nn
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.decisions import Decision, typed
from archsearch.spaces.moves import candidate_of, live, other_answer
from archsearch.spaces.nodes import Choice, Integer, Lazy, Optional, Real, Repeat, Sequential
from archsearch.spaces.space import Architecture, Space

seeds = st.integers(0, 2**32 - 1)
laws = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    derandomize=True,
)


def what_can_be_expanded(test: Any) -> Any:
    """What a Lazy returns is only seen when it is expanded: a name there may be barred, a graph impossible."""

    @functools.wraps(test)
    def checked(*arguments: Any, **keywords: Any) -> None:
        try:
            test(*arguments, **keywords)
        except SpaceError as error:
            assert "inside a Shared" in str(error) or "whatever is answered" in str(error)  # noqa: PT017
            assume(False)

    return checked


def drawn_from(seed: int) -> tuple[Space, list[Architecture]]:
    """A random space and two architectures of it."""
    space = make_space(seed, 1 + (seed >> 1) % 2, graphs=bool(seed % 2), priors=bool((seed >> 2) % 2))
    assume(space is not None)
    assert space is not None
    return space, space.sample(random.Random(seed), 2)


def walked(space: Space, rng: random.Random, *sources: dict[str, Any]) -> Architecture | None:
    """Each answer from the first source where it applies, or else a draw."""

    def decide(decision: Decision, path: str) -> Any:
        for source in sources:
            if path in source:
                try:
                    return decision.parse(source[path])
                except ValueError:
                    continue
        return decision.draw(rng.random)

    return candidate_of(space, decide)


def plain_mutate(space: Space, arch: Architecture, rng: random.Random) -> str:
    asked: dict[str, Decision] = {}
    space.free_walk(lambda decision, path: asked.setdefault(path, decision) and arch.answers[path])
    paths = list(asked)
    for count in range(1, len(paths) + 1):
        for _ in range(100):
            changed: dict[str, Any] = {}
            while len(changed) < count:
                path = paths[int(rng.random() * len(paths))]
                changed[path] = other_answer(asked[path], arch.answers[path], rng)
            mutant = walked(space, rng, changed, arch.answers)
            if mutant is not None and answers_id(mutant.answers) != arch.id:
                return answers_id(mutant.answers)
    return "none"


@given(seeds)
@laws
@what_can_be_expanded
def test_mutations_are_those_of_a_walk_each(seed: int) -> None:
    space, (arch, _) = drawn_from(seed)
    rng, again, once_more = random.Random(seed), random.Random(seed), random.Random(seed)
    expected = [plain_mutate(space, arch, again) for _ in range(8)]
    if "none" in expected:
        with pytest.raises(SingleArchitecture):
            space.mutations(arch, 8, rng)
        return
    found = space.mutations(arch, 8, rng)
    assert [mutant.id for mutant in found] == expected
    assert [space.mutate(arch, once_more).id for _ in range(8)] == expected
    for mutant in found:
        assert mutant.id == answers_id(mutant.answers)
        assert list(space.architecture(mutant.assignment).answers.items()) == list(mutant.answers.items())


@given(seeds)
@laws
@what_can_be_expanded
def test_what_steers_nothing_changes_nothing_else(seed: int) -> None:
    space, (arch, _) = drawn_from(seed)
    replay = space.replay_of(arch)
    asked: dict[str, Decision] = {}
    space.free_walk(lambda decision, path: asked.setdefault(path, decision) and arch.answers[path])
    assert live(space, arch) == asked
    assert list(replay.decisions) == replay.paths == list(arch.answers)
    rng = random.Random(seed)
    for path, decision in asked.items():
        if path in replay.steering or decision.options is None:
            continue
        for answer in list(decision.options)[:3]:
            answers = {**arch.answers, path: answer}

            def given(decision: Decision, p: str, answers: Any = answers) -> Any:
                assert decision is asked[p]
                return answers[p]

            assert list(space.free_walk(given).items()) == list(answers.items())
            assert replay.id_with(path, answer) == answers_id(answers)
    assert space.mutations(arch, 0, rng) == []


@given(seeds)
@laws
@what_can_be_expanded
def test_crosses_are_those_of_a_walk_each(seed: int) -> None:
    space, (a, b) = drawn_from(seed)
    rng, again = random.Random(seed), random.Random(seed)

    def decide(decision: Decision, path: str) -> Any:
        for source in (a.answers, b.answers) if again.random() < 0.5 else (b.answers, a.answers):
            if path in source:
                try:
                    return decision.parse(source[path])
                except ValueError:
                    continue
        return decision.draw(again.random)

    expected = next(cross for cross in (candidate_of(space, decide) for _ in range(100)) if cross is not None)
    assert space.crossover(a, b, rng) == expected
    assert rng.random() == again.random()


@given(seeds, st.integers(1, 6))
@laws
@what_can_be_expanded
def test_neighbors_differ_in_one_decision_and_none_comes_twice(seed: int, limit: int) -> None:
    space, (arch, _) = drawn_from(seed)
    found = list(itertools.islice(space.neighbors(arch, limit, random.Random(seed)), 300))
    assert len({answers_id(other.answers) for other in found}) == len(found)
    for other in found:
        assert other.id == answers_id(other.answers)
        assert list(space.architecture(other.assignment).answers) == list(other.answers)
        shared = [path for path in arch.answers if path in other.answers]
        assert sum([typed(arch.answers[path]) != typed(other.answers[path]) for path in shared]) == 1


def test_an_answer_that_a_computed_number_reads_steers() -> None:
    space = Space(
        {
            "deep": Lazy(
                lambda n: Sequential(*[nn.Linear(Choice([1, 2]))] * n), n=Choice({"a": Integer(1, 2), "b": 3})
            ),
            "copies": Repeat(nn.Linear(Choice([1, 2])), Integer(1, 3, name="n") - 1),
            "lr": Real(0, 1),
            "act": Optional(nn.ReLU()),
        }
    )
    steering = set()
    for arch in space.sample(random.Random(0), 20):
        steering |= space.replay_of(arch).steering
    assert steering == {"deep.n", "deep.n.a", "n"}


def test_a_neighbor_by_a_number_is_a_draw() -> None:
    space = Space({"lr": Real(0, 1), "x": Choice([1, 2])})
    arch = space.architecture({"lr": 0.5, "x": 1})
    found = list(space.neighbors(arch, 5, random.Random(0)))
    rng = random.Random(0)
    assert [(other["lr"], other["x"]) for other in found] == [*[(rng.random(), 1) for _ in range(5)], (0.5, 2)]
