"""A space as peers take it: all its decisions in one flat list, with the condition under which each is asked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from typing import Any, TypeVar

import numpy as np
from benchmarks.regret.tasks import Assignment, Method, NotForThis, Run, Task

from archsearch.errors import UsageError
from archsearch.spaces.decisions import Decision, IntegerRange, Options, RealRange, typed
from archsearch.spaces.space import Space
from archsearch.spaces.text import list_decisions

# With more decisions in one list than this no peer comes to an end.
MAX_DECISIONS = 500
# Walks from which the conditions are read off, and walks on which they are then tried.
WALKS = 3_000
# Numbers with more answers than this do not decide what else is asked.
MAX_OPENING = 64

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A decision of the flat list: asked always, or where `parent` is asked and answered with one of `when`."""

    path: str
    decision: Decision
    parent: str | None = None
    when: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Flat:
    """All decisions of a space.

    Attributes:
        asked: the decisions, in the order in which they are listed; a parent stands before its children.
        exact: whether the conditions say all; else there are none, and decisions that are not asked are ignored.
    """

    asked: tuple[Asked, ...]
    exact: bool

    @property
    def form(self) -> str:
        if any([asked.parent is not None for asked in self.asked]):
            return "conditions"
        return "flat" if self.exact else "flat superset"


def by_name(methods: Sequence[Method], name: str) -> Method:
    """The method of this name.

    Raises:
        UsageError: there is none.
    """
    for method in methods:
        if method.name == name:
            return method
    raise UsageError(f"{name}: there is no such peer; there is {', '.join([m.name for m in methods])}")


def library(package: str) -> str:
    """The name of a package and its version."""
    return f"{package} {metadata.version(package)}"


@lru_cache(maxsize=4)
def flat(space: Space) -> Flat:
    """The flat list of a space.

    Raises:
        NotForThis: it has no end, or is too long.
    """
    listed, complete = list_decisions(space.compiler, MAX_DECISIONS + 1)
    if not complete or len(listed) > MAX_DECISIONS:
        raise NotForThis(f"the peer needs all decisions in one list, and here are more than {MAX_DECISIONS} or no end")
    decisions = {each.path: each.decision for each in listed}
    rng = random.Random(0)
    seen = [drawn(space, rng) for _ in range(WALKS)]
    first = first_places(seen)
    paths = sorted(decisions, key=lambda path: first.get(path, len(decisions)))
    codes = np.array([[code(decisions[path], answers, path) for answers in seen] for path in paths])
    asked: dict[str, Asked] = {}
    for i, path in enumerate(paths):
        found = condition(i, paths, decisions, codes, asked)
        if found is None:
            break
        asked[path] = found
    again = [drawn(space, rng) for _ in seen]
    if len(asked) == len(paths) and all([set(answers) == active(asked.values(), answers) for answers in again]):
        return Flat(tuple([digit for each in asked.values() for digit in digits(each)]), True)
    every = [Asked(path, decision) for path, decision in decisions.items()]
    return Flat(tuple([digit for each in every for digit in digits(each)]), False)


def drawn(space: Space, rng: random.Random) -> dict[str, Any]:
    return space.walk(lambda decision, path: decision.draw(rng.random))


def first_places(seen: Iterable[Iterable[str]]) -> dict[str, int]:
    """The earliest place of each decision in a walk: later than that of whatever it depends on."""
    places: dict[str, int] = {}
    for answers in seen:
        for i, path in enumerate(answers):
            places[path] = min(i, places.get(path, i))
    return places


def code(decision: Decision, answers: Mapping[str, Any], path: str) -> int:
    """The rank of an answer that may decide what else is asked; -1 where the decision is not asked."""
    if path not in answers:
        return -1
    options = decision.options
    return 0 if options is None or len(options) > MAX_OPENING else decision.position(answers[path])  # type: ignore[union-attr]


def condition(
    i: int, paths: Sequence[str], decisions: Mapping[str, Decision], codes: Any, known: Mapping[str, Asked]
) -> Asked | None:
    """Under which answers of which one decision before it decision `i` is asked; None where no such rule fits.

    Args:
        codes: the `code` of each decision in each walk, shape (decisions, walks).
        known: what was found for the decisions before it.
    """
    having = codes[i] >= 0
    if having.all():
        return Asked(paths[i], decisions[paths[i]])
    if having.sum() < 10:
        return None
    for j in reversed(range(i)):
        options = decisions[paths[j]].options
        when = np.unique(codes[j][having])
        if options is None or len(options) > MAX_OPENING or when[0] < 0:
            continue
        if (np.isin(codes[j], when) == having).all():
            if len(when) == len(options):  # it is asked with the other, not because of it
                return replace(known[paths[j]], path=paths[i], decision=decisions[paths[i]])
            return Asked(paths[i], decisions[paths[i]], paths[j], tuple([options[n] for n in when]))
    return None


def digits(asked: Asked) -> list[Asked]:
    """An order as peers take it, who know none: which member comes first, which of the rest second, and so on."""
    if asked.decision.kind != "permute":
        return [asked]
    ranks = [Options([f"r{rank}" for rank in range(n)]) for n in range(num_members(asked.decision), 1, -1)]
    return [Asked(f"{asked.path}#{i}", ranked, asked.parent, asked.when) for i, ranked in enumerate(ranks)]


def num_members(decision: Decision) -> int:
    """How many members an order has."""
    assert isinstance(decision, Options)
    return len(decision.options[0])


def order_of(decision: Decision, ranks: Sequence[str]) -> Any:
    """The order that `digits` stand for."""
    assert isinstance(decision, Options)
    left = list(decision.options[0])
    return tuple([left.pop(int(rank[1:])) for rank in ranks] + left)


def active(asked: Iterable[Asked], answers: Mapping[str, Any]) -> set[str]:
    """The paths that the conditions call asked under these answers."""
    on: set[str] = set()
    for each in asked:
        if each.parent is None or (
            each.parent in on and typed(answers.get(each.parent)) in {typed(option) for option in each.when}
        ):
            on.add(each.path)
    return on


def is_category(decision: Decision) -> bool:
    """Whether the answers have no order, and none near another."""
    return isinstance(decision, Options) and not decision.ordered


def bounds(decision: Decision) -> tuple[Any, Any, bool]:
    """The least and largest code of a decision, both included, and whether it is drawn evenly in the logarithm.

    A code is what a peer is to choose: the index of an option, an integer of a range, or a real number.
    """
    if isinstance(decision, Options):
        return 0, decision.size - 1, False
    return decision.low, decision.high, decision.log


def answer_of(decision: Decision, code: Any) -> Any:
    """The answer that a code stands for."""
    if isinstance(decision, Options):
        return decision.options[int(code)]
    if isinstance(decision, IntegerRange):
        return int(code)
    return min(decision.high, max(decision.low, float(code)))


def code_of(decision: Decision, answer: Any) -> Any:
    """The code of an answer."""
    return decision.position(answer) if isinstance(decision, Options) else answer


def allowed(decision: Decision, answer: Any) -> Any:
    """The answer; where constraints have left others alone, the number nearest to it, or the first label."""
    if isinstance(decision, RealRange):
        return answer
    if isinstance(decision, IntegerRange):
        return min(decision.high, max(decision.low, answer))
    index = decision.index.get(typed(answer))
    if index is not None:
        return decision.options[index]
    if decision.ordered:
        return min(decision.options, key=lambda option: abs(option - answer))
    return decision.options[0]


def decode(space: Space, answers: Mapping[str, Any]) -> dict[str, Any]:
    """The assignment of a flat list of answers: those that are not asked are ignored."""

    def decide(decision: Decision, path: str) -> Any:
        if decision.kind == "permute":
            return order_of(decision, [answers[f"{path}#{i}"] for i in range(num_members(decision) - 1)])
        return allowed(decision, answers[path])

    return space.walk(decide)


def one_objective(task: Task) -> None:
    """Refuse tasks with several objectives, with limits, and pools."""
    if len(task.objectives) != 1 or task.constraints:
        raise NotForThis("this peer takes one objective without limits")
    if task.kind == "pool":
        raise NotForThis("this peer cannot be held to a pool of architectures")


class Losses:
    """What a peer that minimises one number is told: the score negated; for failures the worst that was seen."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.worst = 0.0
        self.any = False

    def of(self, metrics: Mapping[str, float]) -> float:
        if self.task.failed(metrics):
            return self.worst
        ((name, direction),) = self.task.objectives.items()
        loss = -metrics[name] if direction == "maximize" else metrics[name]
        self.worst = max(self.worst, loss) if self.any else loss
        self.any = True
        return loss


def drive(
    task: Task,
    budget: int,
    ask: Callable[[], tuple[T, Assignment] | None],
    tell: Callable[[T, dict[str, float]], None],
) -> Run:
    """Ask, evaluate and tell until the budget is spent; only `ask` and `tell` are timed, in CPU seconds."""
    assignments: list[Assignment] = []
    seconds: list[float] = []
    for _ in range(budget):
        start = time.process_time()
        asked = ask()
        spent = time.process_time() - start
        if asked is None:
            break
        token, assignment = asked
        metrics = task.evaluate(assignment)
        start = time.process_time()
        tell(token, metrics)
        assignments.append(assignment)
        seconds.append(spent + time.process_time() - start)
    return Run(assignments, seconds)
