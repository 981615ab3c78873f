"""Moving around in a space: mutation, crossover, neighbours. Answers that still apply are kept, by path."""

from __future__ import annotations

import random as random_module
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archsearch.errors import Infeasible, SingleArchitecture
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.decisions import Decision, typed
from archsearch.spaces.steps import Answers
from archsearch.spaces.walk import Decide
from archsearch.spaces.wiring import Refused

if TYPE_CHECKING:
    from archsearch.spaces.space import Space

MAX_TRIES = 100


def live(space: Space, arch: Architecture) -> dict[str, Decision]:
    """The decisions of an architecture by path, as they are declared, in the order of the walk."""
    return space.live(arch)


def keep_or_draw(old: Answers, rng: random_module.Random, changed: dict[str, Any]) -> Decide:
    """Changed answers first, then the old ones where they still apply, else a draw."""

    def decide(decision: Decision, path: str) -> Any:
        for source in (changed, old):
            if path in source:
                try:
                    return decision.parse(source[path])
                except ValueError:
                    continue
        return decision.draw(rng.random)

    return decide


def other_answer(decision: Decision, answer: Any, rng: random_module.Random) -> Any:
    """An answer that differs, uniform over the rest; for a Real, a fresh draw."""
    if decision.options is None:
        return decision.draw(rng.random)
    index = int(rng.random() * (decision.size - 1))
    position = decision.position(answer)
    return decision.options[index if index < position else index + 1]


def mutate(space: Space, arch: Architecture, rng: random_module.Random) -> Architecture:
    """One live decision gets another answer; two, then more, where 100 single changes are refused."""
    decisions = live(space, arch)
    if not decisions:
        raise SingleArchitecture("the space holds one architecture only; there is nothing to mutate")
    paths = list(decisions)
    for count in range(1, len(paths) + 1):
        for _ in range(MAX_TRIES):
            changed: dict[str, Any] = {}
            while len(changed) < count:
                path = paths[int(rng.random() * len(paths))]
                changed[path] = other_answer(decisions[path], arch.answers[path], rng)
            candidate = candidate_of(space, keep_or_draw(arch.answers, rng, changed))
            if candidate is not None and candidate.id != arch.id:
                return candidate
    raise SingleArchitecture("no other architecture was found by changing this one; are the constraints too tight?")


def candidate_of(space: Space, decide: Decide) -> Architecture | None:
    """The architecture that `decide` gives; None where constraints refuse it."""
    try:
        answers = space.free_walk(decide)
    except Refused:
        return None
    if space.refused(answers):
        return None
    arch = Architecture(space, answers)
    return arch if space.allowed(arch) else None


def cross_of(a: Architecture, b: Architecture, rng: random_module.Random) -> Decide:
    """Each answer from one of two parents, by path, where it applies, or else from the other; else a draw."""

    def decide(decision: Decision, path: str) -> Any:
        first, second = (a.answers, b.answers) if rng.random() < 0.5 else (b.answers, a.answers)
        return keep_or_draw(second, rng, first)(decision, path)

    return decide


def crossover(space: Space, a: Architecture, b: Architecture, rng: random_module.Random) -> Architecture:
    """Every decision from one of two parents, by path; what neither has is drawn."""
    decide = cross_of(a, b, rng)
    for _ in range(MAX_TRIES):
        candidate = candidate_of(space, decide)
        if candidate is not None:
            return candidate
    raise Infeasible(f"{MAX_TRIES} crossovers in a row were refused by the constraints")


def neighbors(space: Space, arch: Architecture, limit: int, rng: random_module.Random) -> Iterator[Architecture]:
    """Every architecture that differs in one live decision.

    Where the change makes decisions appear, all their completions up to `limit`, then `limit` drawn ones. A
    Real gives `limit` draws.
    """
    seen = {arch.id}
    for path, decision in live(space, arch).items():
        if decision.options is None:
            answers = [decision.draw(rng.random) for _ in range(limit)]
        else:
            current = typed(arch.answers[path])
            answers = [answer for answer in decision.options if typed(answer) != current]
        for answer in answers:
            for candidate in completions(space, arch.answers, path, answer, limit, rng):
                if candidate.id not in seen:
                    seen.add(candidate.id)
                    yield candidate


def completions(
    space: Space, old: Answers, path: str, answer: Any, limit: int, rng: random_module.Random
) -> Iterator[Architecture]:
    """The architectures with `answer` at `path` and the old answers elsewhere: all new ones, or a sample."""
    pending: list[dict[str, Any]] = [{path: answer}]
    found = 0
    while pending:
        fixed = pending.pop()
        opened: list[tuple[str, Decision]] = []

        def decide(decision: Decision, p: str, fixed: dict[str, Any] = fixed, opened: Any = opened) -> Any:
            for source in (fixed, old):
                if p in source:
                    try:
                        return decision.parse(source[p])
                    except ValueError:
                        continue
            opened.append((p, decision))
            return decision.draw(rng.random)

        candidate = candidate_of(space, decide)
        if not opened:
            if candidate is not None:
                yield candidate
            continue
        first, decision = opened[0]
        if found + len(pending) >= limit or decision.options is None or decision.size > limit:
            found += 1
            if candidate is not None:
                yield candidate
            if found >= limit:
                return
            if decision.options is None or decision.size > limit:
                pending.append(fixed)
            continue
        pending.extend([{**fixed, first: option} for option in reversed(decision.options)])
