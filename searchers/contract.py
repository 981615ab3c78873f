"""What a search algorithm is given, what it gives, and nothing else: no torch, no ray, no database, no clock.

    search = searcher.start(problem)
    proposal = search.ask(number, pending)      # does not change the search
    search.tell(told)                           # in the order in which trials finish

A search is a function of what it was told: telling a new one the same outcomes gives the same proposals,
which is how a study goes on after a crash.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from archsearch.spaces.space import Space

Direction: TypeAlias = Literal["maximize", "minimize"]
State: TypeAlias = Literal["done", "failed", "pruned"]


@dataclass(frozen=True)
class Limit:
    """What a constrained metric may be, both bounds included."""

    minimum: float = -math.inf
    maximum: float = math.inf

    def slack(self, value: float | None) -> float:
        """How far a value is outside (positive) or inside (negative); inf for one that is missing or not finite.

        >>> Limit(maximum=20.0).slack(23.0), Limit(minimum=0.5, maximum=1.0).slack(0.625)
        (3.0, -0.125)
        """
        if value is None or not math.isfinite(value):
            return math.inf
        return max(self.minimum - value, value - self.maximum)

    def violation(self, value: float | None) -> float:
        """How far a value is outside; 0 inside."""
        return max(0.0, self.slack(value))


@dataclass(frozen=True)
class Problem:
    """What is searched.

    Attributes:
        space: the space, with its constraints (`require`, `where`); limits on free metrics are among its `where`.
        objectives: what is optimised: direction by metric, in the order in which the study names them.
        free_metrics: the objectives that follow from an architecture without evaluating it, as attributes of
            it (`arch.parameters`).
        seed: the seed of the study; see `stream`.
        constraints: limits on metrics that only an evaluation measures, such as a latency.
    """

    space: Space
    objectives: Mapping[str, Direction]
    free_metrics: tuple[str, ...] = ()
    seed: int = 0
    constraints: Mapping[str, Limit] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """One architecture to try.

    Attributes:
        assignment: its answers by path, in the order of the walk.
        parent: the number of the trial whose weights it continues from.
        budget: how much of the whole training it is to get, in the unit of the evaluation.
        note: JSON-able data for the record, such as why it was chosen.
    """

    assignment: Mapping[str, Any]
    parent: int | None = None
    budget: float | None = None
    note: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pending:
    """A trial that has been proposed and has not finished.

    Attributes:
        number: its number.
        assignment: its answers by path.
        latest_report: the metrics that it reported last, or None.
    """

    number: int
    assignment: Mapping[str, Any]
    latest_report: Mapping[str, float | None] | None = None


@dataclass(frozen=True)
class Told:
    """How a trial ended.

    Attributes:
        number: its number.
        assignment: its answers by path.
        state: "done", "failed" or "pruned".
        objectives: the value of each objective; empty unless it is done.
        metrics: everything that was measured; None stands for a number that is not finite.
        cost: seconds that the evaluation took.
    """

    number: int
    assignment: Mapping[str, Any]
    state: State
    objectives: Mapping[str, float]
    metrics: Mapping[str, float | None]
    cost: float


class Search(Protocol):
    """A search under way. It may be deep-copied.

    One that was chosen for the problem may say what it is and why in an attribute `reason`: the record keeps it.
    """

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        """The architecture for trial `number`; None where nothing is left. Asking twice gives the same."""
        ...

    def tell(self, told: Told) -> None:
        """Hear how a trial ended."""
        ...


class Searcher(Protocol):
    """The description of an algorithm: a frozen dataclass whose fields, as JSON, are part of the record."""

    def start(self, problem: Problem) -> Search:
        """A search that has heard nothing."""
        ...


def stream(seed: int, number: int) -> random.Random:
    """The random stream of a trial: from the study's seed and the trial's number alone."""
    digest = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))
