"""Moving around in a space: mutation, crossover, neighbours. Answers that still apply are kept, by path."""

from __future__ import annotations

import random as random_module
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archsearch.errors import Infeasible, SingleArchitecture
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.decisions import Decision, typed
from archsearch.spaces.refusals import are_spent, count_refusal
from archsearch.spaces.replay import Replay
from archsearch.spaces.steps import Answers
from archsearch.spaces.walk import Decide
from archsearch.spaces.wiring import Refused

if TYPE_CHECKING:
    from archsearch.spaces.space import Space

MAX_TRIES = 100


def live(space: Space, arch: Architecture) -> dict[str, Decision]:
    """The decisions of an architecture by path, as they are declared, in the order of the walk."""
    return space.live(arch)


def keep_or(replay: Replay, changed: Answers, otherwise: Decide) -> Decide:
    """Changed answers first, then the old ones where they still apply, else another way to decide."""
    old, decisions = replay.answers, replay.decisions

    def decide(decision: Decision, path: str) -> Any:
        if path in changed:
            try:
                return decision.parse(changed[path])
            except ValueError:
                pass
        if decisions.get(path) is decision:  # the same question as before
            return old[path]
        if path in old:
            try:
                return decision.parse(old[path])
            except ValueError:
                pass
        return otherwise(decision, path)

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
    return mutation(space, arch, space.replay_of(arch), rng)


def mutations(space: Space, arch: Architecture, n: int, rng: random_module.Random) -> list[Architecture]:
    """As many mutations, each with its id, which costs little where many are made; fewer where refusals are spent."""
    replay = space.replay_of(arch)
    found: list[Architecture] = []
    try:
        while len(found) < n:
            found.append(mutation(space, arch, replay, rng, with_id=True))
    except Infeasible:
        if not are_spent():
            raise
    return found


def mutation(
    space: Space, arch: Architecture, replay: Replay, rng: random_module.Random, with_id: bool = False
) -> Architecture:
    decisions, paths = replay.decisions, replay.paths
    if not decisions:
        raise SingleArchitecture("the space holds one architecture only; there is nothing to mutate")

    def draw(decision: Decision, path: str) -> Any:
        return decision.draw(rng.random)

    for count in range(1, len(paths) + 1):
        for _ in range(MAX_TRIES):
            changed: dict[str, Any] = {}
            while len(changed) < count:
                path = paths[int(rng.random() * len(paths))]
                changed[path] = other_answer(decisions[path], arch.answers[path], rng)
            if count == 1 and path not in replay.steering and decisions[path].options is not None:
                candidate = changed_at(space, replay, path, changed[path], with_id)
                certain = True
            else:
                candidate = candidate_of(space, keep_or(replay, changed, draw))
                # One answer among options is another for sure; several may open what hides all that changed.
                certain = count == 1 and decisions[path].options is not None
            if candidate is None:
                count_refusal()
            elif certain or candidate.id != arch.id:
                return candidate
    raise SingleArchitecture("no other architecture was found by changing this one; are the constraints too tight?")


def changed_at(space: Space, replay: Replay, path: str, answer: Any, with_id: bool) -> Architecture | None:
    """The architecture with another answer at a path that steers nothing; None where constraints refuse it."""
    answers = {**replay.answers, path: answer}
    if space.refused(answers):
        return None
    arch = Architecture(space, answers)
    if with_id:
        arch._id = replay.id_with(path, answer)
    return arch if space.allowed(arch) else None


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
    random = rng.random
    one, other = (a.answers, b.answers), (b.answers, a.answers)

    def decide(decision: Decision, path: str) -> Any:
        for source in one if random() < 0.5 else other:
            if path in source:
                try:
                    return decision.parse(source[path])
                except ValueError:
                    continue
        return decision.draw(random)

    return decide


def crossover(space: Space, a: Architecture, b: Architecture, rng: random_module.Random) -> Architecture:
    """Every decision from one of two parents, by path; what neither has is drawn."""
    decide = cross_of(a, b, rng)
    for _ in range(MAX_TRIES):
        candidate = candidate_of(space, decide)
        if candidate is not None:
            return candidate
        count_refusal()
    raise Infeasible(f"{MAX_TRIES} crossovers in a row were refused by the constraints")


def neighbors(space: Space, arch: Architecture, limit: int, rng: random_module.Random) -> Iterator[Architecture]:
    """Every architecture that differs in one live decision.

    Where the change makes decisions appear, all their completions up to `limit`, then `limit` drawn ones. A
    Real gives `limit` draws.
    """
    replay = space.replay_of(arch)
    for path, decision in replay.decisions.items():
        if decision.options is None:
            drawn = dict.fromkeys([decision.draw(rng.random) for _ in range(limit)])
            answers = [answer for answer in drawn if answer != arch.answers[path]]
        else:
            current = typed(arch.answers[path])
            answers = [answer for answer in decision.options if typed(answer) != current]
        for answer in answers:
            if path in replay.steering:
                yield from completions(space, replay, path, answer, limit, rng)
                continue
            changed = changed_at(space, replay, path, answer, with_id=True)
            if changed is not None:
                yield changed


def completions(
    space: Space, replay: Replay, path: str, answer: Any, limit: int, rng: random_module.Random
) -> Iterator[Architecture]:
    """The architectures with `answer` at `path` and the old answers elsewhere: all, or a sample; none of them twice."""
    pending: list[dict[str, Any]] = [{path: answer}]
    given: list[Architecture] = []
    seen: set[str] | None = None  # the ids of those given, once one was drawn: before, none can come twice
    found = 0
    while pending:
        fixed = pending.pop()
        opened: list[tuple[str, Decision]] = []

        def opens(decision: Decision, p: str, opened: Any = opened) -> Any:
            opened.append((p, decision))
            return decision.draw(rng.random)

        candidate = candidate_of(space, keep_or(replay, fixed, opens))
        sampled = False
        if opened:
            first, decision = opened[0]
            sampled = found + len(pending) >= limit or decision.options is None or decision.size > limit
            if not sampled:
                pending.extend([{**fixed, first: option} for option in reversed(decision.options or ())])
                continue
            found += 1
            seen = {arch.id for arch in given} if seen is None else seen
        if candidate is not None and (seen is None or candidate.id not in seen):
            if seen is None:
                given.append(candidate)
            else:
                seen.add(candidate.id)
            yield candidate
        if sampled:
            if found >= limit:
                return
            if decision.options is None or decision.size > limit:
                pending.append(fixed)
