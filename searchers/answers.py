"""What trials with an answer scored, wherever in the tree it was given: statistics by path and cell.

(All moves as first: Brugmann, 1993, "Monte Carlo Go"; as guides of rollouts: Finnsson and Bjornsson, 2008,
"Simulation-Based Approach to General Game Playing".)
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from archsearch.searchers.bisection import Cell, Scale
from archsearch.searchers.tally import Tally
from archsearch.spaces.decisions import typed

Slot: TypeAlias = tuple[Any, int]
"""An answer, and its slot in the tally."""


class AnswerStatistics:
    """The trials that gave each answer at each path."""

    def __init__(self) -> None:
        self.slots: dict[str, dict[Any, Slot]] = {}
        self.tally = Tally()

    def add(self, path: str, answer: Any, trial: int) -> None:
        """Trial number `trial` (from 0) gave an answer."""
        slots = self.slots.setdefault(path, {})
        key = typed(answer)
        if key not in slots:
            slots[key] = (answer, self.tally.new_slot())
        self.tally.add(slots[key][1], trial)

    def under(self, scores: npt.NDArray[np.float64]) -> ScoredAnswers:
        """The statistics where the trials have these scores."""
        return ScoredAnswers(self.slots, *self.tally.sums(scores))


class ScoredAnswers:
    """Counts and sums of scores for cells of decisions."""

    def __init__(self, slots: dict[str, dict[Any, Slot]], counts: Sequence[int], sums: Sequence[float]) -> None:
        self.slots, self.counts, self.sums = slots, counts, sums
        self.lines: dict[str, Line] = {}

    def line(self, path: str, scale: Scale) -> Line:
        """The trials that gave an answer of a scale at a path, along the scale."""
        line = self.lines.get(path)
        if line is None or line.scale is not scale:
            line = self.lines[path] = self.lay(path, scale)
        return line

    def lay(self, path: str, scale: Scale) -> Line:
        points = []
        for answer, slot in self.slots.get(path, {}).values():
            position = scale.position(answer)
            if position is not None:  # else constraints do not offer it here
                points.append((position, self.counts[slot], self.sums[slot]))
        points.sort()
        return Line(scale, points)


class Line:
    """Trials along a scale: how many are in a cell, and the sum of their scores."""

    def __init__(self, scale: Scale, points: Sequence[tuple[float, int, float]]) -> None:
        self.scale = scale
        self.positions = [position for position, _, _ in points]
        self.counts = list(itertools.accumulate([count for _, count, _ in points], initial=0))
        self.sums = list(itertools.accumulate([total for _, _, total in points], initial=0.0))

    def of(self, cell: Cell) -> tuple[int, float]:
        """The count and the sum of scores of a cell."""
        low = bisect_left(self.positions, cell[0])
        high = bisect_left(self.positions, cell[1])
        if cell[1] == self.scale.whole[1]:
            high = len(self.positions)
        return self.counts[high] - self.counts[low], self.sums[high] - self.sums[low]
