"""Cells: ranges of neighbouring answers of one decision, halved until one is left.

Halving makes neighbours share what is known of them: 32 learning rates need no 32 trials before the first comparison
(the tree restructuring of Negrinho and Gordon, 2017, "DeepArchitect", arXiv:1704.08792). A cell weighs as much as the
decision's own draw makes it likely, so halving changes no draw; theirs made 1 of 3 options as likely as the other two.

A cell is a pair [low, high) of positions on the decision's `Scale`.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from archsearch.spaces.decisions import Decision, IntegerRange, Options, RealRange, typed

Cell: TypeAlias = tuple[float, float]

# A whole number of more values than this is always halved.
MAX_APART = 64
# Halvings of a Real: 8 cells. What is asked after it is told apart in each of them.
REAL_HALVINGS = 3
# Further ones, where nothing is kept for each cell.
FINEST_HALVINGS = 20


class Scale(Protocol):
    """The answers of a decision in a line.

    Attributes:
        decision: the decision.
        whole: the cell of all answers.
        ordered: whether neighbours are near in meaning.
    """

    decision: Decision
    whole: Cell
    ordered: bool

    def position(self, answer: Any) -> float | None:
        """Where an answer is; None where constraints do not offer it."""
        ...

    def split(self, cell: Cell, finest: bool = False) -> tuple[Cell, ...]:
        """The parts of a cell, none where it is not divided; a Real is divided further where `finest`."""
        ...

    def share(self, cell: Cell) -> float:
        """The probability that the decision's own draw falls into a cell."""
        ...

    def draw(self, cell: Cell, random: Callable[[], float]) -> Any:
        """An answer in a cell, as the decision's own draw would give it."""
        ...


def scale_of(decision: Decision, bisection: bool) -> Scale:
    """The scale of a decision; ordered options are halved if `bisection`, else told apart at once."""
    if isinstance(decision, RealRange):
        return RealScale(decision)
    if isinstance(decision, IntegerRange):
        return IntegerScale(decision, bisection or decision.size > MAX_APART)
    return OptionScale(decision, bisection)


class OptionScale:
    """Options, numbers in the order of their values; positions are 0, 1, 2, ..."""

    def __init__(self, decision: Options, bisection: bool) -> None:
        self.decision: Decision = decision
        self.ordered = decision.ordered
        self.halved = bisection and self.ordered
        self.answers = sorted(decision.options) if self.ordered else list(decision.options)
        self.positions = {typed(answer): i for i, answer in enumerate(self.answers)}
        self.whole: Cell = (0, len(self.answers))
        # The probability of an option before the i-th.
        self.below = list(itertools.accumulate([1 / decision.rarity(answer) for answer in self.answers], initial=0.0))
        self.parts: dict[Cell, tuple[Cell, ...]] = {}

    def position(self, answer: Any) -> float | None:
        return self.positions.get(typed(answer))

    def split(self, cell: Cell, finest: bool = False) -> tuple[Cell, ...]:
        parts = self.parts.get(cell)
        if parts is None:
            low, high = int(cell[0]), int(cell[1])
            if high - low < 2:
                parts = ()
            elif self.halved:
                middle = (low + high) // 2
                parts = ((low, middle), (middle, high))
            else:
                parts = tuple([(i, i + 1) for i in range(low, high)])
            self.parts[cell] = parts
        return parts

    def share(self, cell: Cell) -> float:
        return self.below[int(cell[1])] - self.below[int(cell[0])]

    def draw(self, cell: Cell, random: Callable[[], float]) -> Any:
        low, high = int(cell[0]), int(cell[1])
        mass = self.below[low] + random() * (self.below[high] - self.below[low])
        return self.answers[min(max(bisect_right(self.below, mass) - 1, low), high - 1)]


class IntegerScale:
    """Whole numbers; positions are the numbers. Halves are equally likely, as nearly as can be."""

    ordered = True

    def __init__(self, decision: IntegerRange, halved: bool) -> None:
        self.decision: Decision = decision
        self.log = decision.log
        self.halved = halved
        self.whole: Cell = (decision.low, decision.high + 1)

    def position(self, answer: Any) -> float:
        number: int = answer
        return number

    def split(self, cell: Cell, finest: bool = False) -> tuple[Cell, ...]:
        low, high = int(cell[0]), int(cell[1])
        if high - low < 2:
            return ()
        if not self.halved:
            return tuple([(i, i + 1) for i in range(low, high)])
        middle = round(math.sqrt(low) * math.sqrt(high)) if self.log else (low + high) // 2
        middle = min(max(middle, low + 1), high - 1)
        return ((low, middle), (middle, high))

    def share(self, cell: Cell) -> float:
        (low, high), (lowest, highest) = cell, self.whole
        if self.log:
            return math.log(high / low) / math.log(highest / lowest)
        return (high - low) / (highest - lowest)

    def draw(self, cell: Cell, random: Callable[[], float]) -> Any:
        low, high = int(cell[0]), int(cell[1])
        if self.log:
            number = int(math.exp(math.log(low) + random() * math.log(high / low)))
        else:
            number = low + int(random() * (high - low))
        return min(max(number, low), high - 1)


class RealScale:
    """Numbers; a position is the share of the draws that are smaller."""

    ordered = True
    whole = (0.0, 1.0)

    def __init__(self, decision: RealRange) -> None:
        self.decision: Decision = decision
        self.low, self.high, self.log = decision.low, decision.high, decision.log

    def position(self, answer: Any) -> float:
        if self.log:
            return (math.log(answer) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        number: float = (answer - self.low) / (self.high - self.low)
        return number

    def split(self, cell: Cell, finest: bool = False) -> tuple[Cell, ...]:
        low, high = cell
        if high - low <= 2.0 ** -(FINEST_HALVINGS if finest else REAL_HALVINGS):
            return ()
        middle = (low + high) / 2
        return ((low, middle), (middle, high))

    def share(self, cell: Cell) -> float:
        return cell[1] - cell[0]

    def draw(self, cell: Cell, random: Callable[[], float]) -> Any:
        share = cell[0] + random() * (cell[1] - cell[0])
        if self.log:
            number = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            number = self.low + share * (self.high - self.low)
        return min(max(number, self.low), self.high)


def part_of(position: float, parts: tuple[Cell, ...]) -> int:
    """Which of the parts of a cell a position is in; the last one includes its end."""
    for i, (_, high) in enumerate(parts):
        if position < high:
            return i
    return len(parts) - 1
