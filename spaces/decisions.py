"""What can be asked: a decision, its answers, and how one is drawn.

Answers are JSON values (a tuple is written as a list) and compare with their type: True is not 1, and 1
is not 1.0. Draws use `random.Random.random()` alone, so that a seed means the same on every Python.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from archsearch.spaces.node import is_scalar

Answer: TypeAlias = Any
"""None, bool, int, float, str, or a tuple of such."""


def typed(answer: Any) -> Any:
    """A hashable key that tells answers apart with their type. Lists count as tuples."""
    if isinstance(answer, list | tuple):
        return (tuple, *[typed(item) for item in answer])
    return (type(answer), answer)


def frozen(answer: Any) -> Any:
    """An answer as it comes from JSON, with tuples for lists."""
    return tuple([frozen(item) for item in answer]) if isinstance(answer, list | tuple) else answer


def is_answer(value: object) -> bool:
    """A scalar, or a tuple of such."""
    return is_scalar(value) or (isinstance(value, tuple) and all(is_answer(item) for item in value))


@dataclass(frozen=True)
class Options:
    """One of a few answers, in order.

    Attributes:
        options: the answers.
        kind: "choice", "boolean" or "permute": what kind of node asks.
        chance: for a boolean, the probability of True where it is not a half (a member of a Subset).
        ordered: whether neighbours in `options` are near in meaning (all are numbers).
        prior: the probability of each option, where the user gave a prior.
    """

    options: Sequence[Any]
    kind: str = "choice"
    chance: float | None = None
    prior: tuple[float, ...] | None = None

    def __len__(self) -> int:
        return len(self.options)

    @cached_property
    def index(self) -> dict[Any, int]:
        return {typed(option): i for i, option in enumerate(self.options)}

    @cached_property
    def ordered(self) -> bool:
        return all(isinstance(o, int | float) and not isinstance(o, bool) for o in self.options)

    @cached_property
    def scalars(self) -> dict[Any, Any]:
        """The options that are no tuples, by type and value."""
        return {(type(option), option): option for option in self.options if not isinstance(option, tuple)}

    @property
    def size(self) -> int:
        return len(self.options)

    @property
    def signature(self) -> Any:
        """What two uses of one name must agree in."""
        return ("options", tuple([typed(option) for option in self.options]))

    @cached_property
    def bounds(self) -> list[float]:
        """Where each option but the first begins, if [0, 1) is divided by the prior."""
        assert self.prior is not None
        return list(itertools.accumulate(self.prior[:-1]))

    @cached_property
    def log_priors(self) -> dict[Any, float]:
        """By answer, the logarithm of how much likelier the prior makes it than a uniform draw; empty without one."""
        prior = self.prior or ()
        return {key: math.log(p * len(prior)) for key, p in zip(self.index, prior, strict=False)}

    def draw(self, random: Callable[[], float]) -> Any:
        if self.prior is not None:
            return self.options[bisect.bisect_right(self.bounds, random())]
        if self.chance is not None:
            return random() < self.chance
        return self.options[int(random() * len(self.options))]

    def rarity(self, answer: Any) -> float:
        """1 / the probability that `draw` gives the answer."""
        if self.prior is not None:
            return 1 / self.prior[self.position(answer)]
        if self.chance is not None:
            return 1 / (self.chance if answer else 1 - self.chance)
        return len(self.options)

    def parse(self, answer: Any) -> Any:
        """The declared option that `answer` (perhaps from JSON) is; ValueError says what there is."""
        try:
            return self.scalars[type(answer), answer]
        except (KeyError, TypeError):
            pass
        try:
            return self.options[self.index[typed(answer)]]
        except (KeyError, TypeError):
            raise ValueError(f"got {answer!r} ({type(answer).__name__}), {self.expected()}") from None

    def expected(self) -> str:
        few = [repr(option) for option in itertools.islice(self.options, 12)]
        return "expected one of " + ", ".join(few) + (", ..." if len(self.options) > 12 else "")

    def position(self, answer: Any) -> int:
        """The index of an answer among the options."""
        return self.index[typed(answer)]

    def text(self) -> str:
        few = [repr(option) for option in itertools.islice(self.options, 8)]
        prior = [f"{p:.3g}" for p in self.prior[:8]] if self.prior is not None else []
        many = len(self.options) > 8
        chances = f", prior {', '.join(prior)}{', ...' if many else ''}" if prior else ""
        return "[" + ", ".join(few) + (f", ... {len(self.options)} options" if many else "") + "]" + chances


@dataclass(frozen=True)
class IntegerRange:
    """An integer from `low` to `high`, both included; `log` draws evenly in the logarithm."""

    low: int
    high: int
    log: bool = False

    kind = "integer"
    ordered = True

    @property
    def options(self) -> range:
        return range(self.low, self.high + 1)

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    @property
    def signature(self) -> Any:
        return ("integer", self.low, self.high, self.log)

    def draw(self, random: Callable[[], float]) -> int:
        if not self.log:
            return self.low + int(random() * (self.high - self.low + 1))
        low, high = math.log(self.low), math.log(self.high + 1)
        return min(self.high, max(self.low, int(math.exp(low + random() * (high - low)))))

    def rarity(self, answer: float) -> float:
        """1 / the probability that `draw` gives the answer."""
        if not self.log:
            return self.size
        return math.log((self.high + 1) / self.low) / math.log((answer + 1) / answer)

    def parse(self, answer: Any) -> int:
        if type(answer) is not int or not self.low <= answer <= self.high:
            raise ValueError(f"got {answer!r} ({type(answer).__name__}), {self.expected()}")
        return answer

    def expected(self) -> str:
        return f"expected an integer from {self.low} to {self.high}"

    def position(self, answer: int) -> int:
        return answer - self.low

    def text(self) -> str:
        return f"{self.low} to {self.high}" + (", log" if self.log else "")


@dataclass(frozen=True)
class RealRange:
    """A number from `low` to `high`, both included; `log` draws evenly in the logarithm."""

    low: float
    high: float
    log: bool = False

    kind = "real"
    ordered = True
    options = None
    size = math.inf

    @property
    def signature(self) -> Any:
        return ("real", self.low, self.high, self.log)

    def draw(self, random: Callable[[], float]) -> float:
        if not self.log:
            return min(self.high, self.low + random() * (self.high - self.low))
        low, high = math.log(self.low), math.log(self.high)
        return min(self.high, max(self.low, math.exp(low + random() * (high - low))))

    def rarity(self, answer: float) -> float:
        """1 / the probability that `draw` gives the answer."""
        return math.inf

    def parse(self, answer: Any) -> float:
        if isinstance(answer, bool) or not isinstance(answer, int | float) or not self.low <= answer <= self.high:
            raise ValueError(f"got {answer!r} ({type(answer).__name__}), {self.expected()}")
        return float(answer)

    def expected(self) -> str:
        return f"expected a number from {self.low} to {self.high}"

    def text(self) -> str:
        return f"{self.low} to {self.high}" + (", log" if self.log else "")


Decision: TypeAlias = Options | IntegerRange | RealRange


def narrowed(decision: Options | IntegerRange, kept: Sequence[Any]) -> Options:
    """The decision with some of its answers only: each as likely as before, given that it is one of these."""
    skewed = isinstance(decision, IntegerRange) and decision.log
    if not kept or (not skewed and getattr(decision, "prior", None) is None):
        return Options(tuple(kept), decision.kind, getattr(decision, "chance", None) if len(kept) > 1 else None)
    weights = [1 / decision.rarity(answer) for answer in kept]
    total = math.fsum(weights)
    return Options(tuple(kept), decision.kind, prior=tuple([weight / total for weight in weights]))


BOOLEAN = Options((False, True), "boolean")
