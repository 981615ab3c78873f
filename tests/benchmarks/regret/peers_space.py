"""A space as peers take it: all its decisions in one flat list, with the condition under which each is asked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any, TypeVar

from benchmarks.regret.tasks import Assignment, Method, NotForThis, Run, Task

from archsearch.errors import UsageError
from archsearch.spaces.decisions import Decision, IntegerRange, Options, RealRange, typed
from archsearch.spaces.space import Space
from archsearch.spaces.text import list_decisions

# With more decisions in one list than this no peer comes to an end.
MAX_DECISIONS = 500
# Walks from which the conditions are read off, and walks on which they are then tried.
WALKS = 3_000

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
    seen = [drawn(space, decisions, rng) for _ in range(WALKS)]
    order = {path: i for i, path in enumerate(sorted(decisions, key=lambda path: first_place(path, seen)))}
    found = [condition(path, decisions, seen, order) for path in sorted(decisions, key=order.__getitem__)]
    if None not in found:
        asked = tuple([each for each in found if each is not None])
        if all([set(answers) == active(asked, answers) for answers in (drawn(space, decisions, rng) for _ in seen)]):
            return Flat(asked, True)
    return Flat(tuple([Asked(path, decision) for path, decision in decisions.items()]), False)


def drawn(space: Space, decisions: Mapping[str, Decision], rng: random.Random) -> dict[str, Any]:
    return space.walk(lambda decision, path: decision.draw(rng.random))


def first_place(path: str, seen: Sequence[Mapping[str, Any]]) -> float:
    """Where in its walks a decision comes at the latest; one that no walk met comes last."""
    places = [list(answers).index(path) for answers in seen[:200] if path in answers]
    return max(places) if places else float("inf")


def condition(
    path: str, decisions: Mapping[str, Decision], seen: Sequence[dict[str, Any]], order: Mapping[str, int]
) -> Asked | None:
    """Under which answers of which one decision before it a decision is asked; None where no such rule fits."""
    having = [path in answers for answers in seen]
    if all(having):
        return Asked(path, decisions[path])
    if sum(having) < 20:
        return None
    for parent in sorted([other for other in order if order[other] < order[path]], key=order.__getitem__, reverse=True):
        options = decisions[parent].options
        if options is None or len(options) > 64:
            continue
        under = [typed(answers[parent]) if parent in answers else None for answers in seen]
        when = {key for key, has in zip(under, having, strict=True) if has}
        if None not in when and all([has == (key in when) for key, has in zip(under, having, strict=True)]):
            return Asked(path, decisions[path], parent, tuple([o for o in options if typed(o) in when]))
    return None


def active(asked: Sequence[Asked], answers: Mapping[str, Any]) -> set[str]:
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
    return space.walk(lambda decision, path: allowed(decision, answers[path]))


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
    """Ask, evaluate and tell until the budget is spent; only `ask` and `tell` are timed."""
    assignments: list[Assignment] = []
    seconds: list[float] = []
    for _ in range(budget):
        start = time.perf_counter()
        asked = ask()
        spent = time.perf_counter() - start
        if asked is None:
            break
        token, assignment = asked
        metrics = task.evaluate(assignment)
        start = time.perf_counter()
        tell(token, metrics)
        assignments.append(assignment)
        seconds.append(spent + time.perf_counter() - start)
    return Run(assignments, seconds)
