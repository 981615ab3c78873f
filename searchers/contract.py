"""What a searcher is: a frozen description that starts a search, which is asked for proposals and told outcomes.

A searcher sees what stands here and nothing else: no torch, no ray, no database, no clock. The contract
(`archsearch.testing.SearcherContract` checks it):

- `ask(number, pending)` does not change the search: asked twice, or on a deep copy, it gives the same. Its
  randomness is `stream(seed, number)`, so proposal 57 does not depend on how many draws came before it.
- It may remember what `tell` determines, such as a fitted model.
- Every proposal is an architecture of the space, its constraints (`require`, `where`) included.
- `ask` gives None when nothing is left to propose.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from archsearch.errors import StudyError
from archsearch.spaces.space import Space

Direction: TypeAlias = Literal["maximize", "minimize"]
Assignment: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """What is searched, and for what.

    Attributes:
        space: the space, with its constraints.
        objectives: the metrics that count, in the order of their declaration, and which way each is better.
        free_metrics: those of the objectives that an architecture has without being evaluated
            (`arch.parameters`, `arch.flops`).
        seed: of the study.
    """

    space: Space
    objectives: Mapping[str, Direction]
    free_metrics: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """An architecture to evaluate.

    Attributes:
        assignment: the answers by path.
        parent: the number of the trial whose weights this one continues from.
        budget: how much to spend on it, in the study's own unit (epochs, tokens).
        note: JSON-able remarks of the searcher, kept in the record.
    """

    assignment: Assignment
    parent: int | None = None
    budget: float | None = None
    note: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """A trial that was proposed and has no outcome yet.

    Attributes:
        number: of the trial.
        assignment: the answers by path.
        latest_report: the metrics of its latest report, with its `step`; None before the first.
    """

    number: int
    assignment: Assignment
    latest_report: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome of a trial.

    Attributes:
        number: of the trial.
        assignment: the answers by path.
        state: done, failed, or pruned (stopped early).
        objectives: the objectives' values; empty when the trial failed.
        metrics: everything that `evaluate` returned, the objectives included.
        cost: seconds that the evaluation took.
    """

    number: int
    assignment: Assignment
    state: Literal["done", "failed", "pruned"]
    objectives: Mapping[str, float]
    metrics: Mapping[str, Any]
    cost: float


class Search(Protocol):
    """A search under way."""

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        """The proposal for trial `number` while `pending` are running; None when nothing is left."""

    def tell(self, told: Told) -> None:
        """Hear the outcome of a trial."""


class Searcher(Protocol):
    """A search algorithm and its settings: a frozen dataclass."""

    def start(self, problem: Problem) -> Search:
        """Begin a search that has heard nothing."""


def stream(seed: int, number: int) -> random.Random:
    """The random stream of one trial: it depends on the study's seed and the trial's number alone.

    >>> stream(0, 7).random() == stream(0, 7).random() != stream(0, 8).random()
    True
    """
    return random.Random(derived_seed(seed, number, bits=128))


def derived_seed(*parts: int | str, bits: int = 32) -> int:
    """A whole number of `bits` bits that depends on `parts` alone, in any process and version of Python."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=bits // 8).digest()
    return int.from_bytes(digest, "big")


def describe_searcher(searcher: Searcher) -> dict[str, Any]:
    """A searcher as JSON-able data: its class and its settings.

    Raises:
        StudyError: it is not a dataclass, so its settings cannot be told.
    """
    if isinstance(searcher, type) or not dataclasses.is_dataclass(searcher):
        raise StudyError(
            f"searcher must be the name of one or a frozen dataclass with start(problem), such as Random(), "
            f"but got {searcher!r}"
        )
    kind = type(searcher)
    settings = {f.name: getattr(searcher, f.name) for f in dataclasses.fields(searcher)}
    return {"class": f"{kind.__module__}:{kind.__qualname__}", **settings}


def taken(pending: Iterable[Pending]) -> set[str]:
    """The ids of the pending architectures."""
    from archsearch.spaces.architecture import answers_id

    return {answers_id(p.assignment) for p in pending}
