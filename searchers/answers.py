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
from archsearch.searchers.embedding import template_of
from archsearch.searchers.tally import Tally
from archsearch.spaces.decisions import typed

Slot: TypeAlias = tuple[Any, int]
"""An answer, and its slot in the tally."""

Point: TypeAlias = tuple[float, int, float]
"""A position on a scale, how many trials answered so, and the sum of their scores."""


class AnswerStatistics:
    """The trials that gave each answer at each path."""

    def __init__(self) -> None:
        self.slots: dict[str, dict[Any, Slot]] = {}
        self.copies: dict[str, list[str]] = {}
        self.tally = Tally()

    def add(self, path: str, answer: Any, trial: int) -> None:
        """Trial number `trial` (from 0) gave an answer."""
        slots = self.slots.get(path)
        if slots is None:
            slots = self.slots[path] = {}
            self.copies.setdefault(template_of(path), []).append(path)
        key = typed(answer)
        if key not in slots:
            slots[key] = (answer, self.tally.new_slot())
        self.tally.add(slots[key][1], trial)

    def under(self, scores: npt.NDArray[np.float64]) -> ScoredAnswers:
        """The statistics where the trials have these scores."""
        return ScoredAnswers(self, *self.tally.sums(scores))


class ScoredAnswers:
    """Counts and sums of scores for cells of decisions."""

    def __init__(self, answers: AnswerStatistics, counts: Sequence[int], sums: Sequence[float]) -> None:
        self.answers, self.counts, self.sums = answers, counts, sums
        self.lines: dict[str, Line] = {}
        self.lines_of_copies: dict[str, list[Line]] = {}

    def line(self, path: str, scale: Scale) -> Line:
        """The trials that gave an answer at a path, along a scale."""
        line = self.lines.get(path)
        if line is None or line.scale is not scale:
            line = self.lines[path] = Line(scale, self.points(path, scale))
        return line

    def line_of_copies(self, path: str, scale: Scale) -> Line | None:
        """The same for all paths that differ in indices alone, with scores above the mean of each; None without any.

        A trial counts once for each copy that it has.
        """
        template = template_of(path)
        paths = self.answers.copies.get(template, ())
        if len(paths) < 2:
            return None
        lines = self.lines_of_copies.setdefault(template, [])
        for line in lines:
            if line.scale.decision is scale.decision or line.scale.decision == scale.decision:
                return line
        points = []
        for copy in paths:
            along = self.points(copy, scale)
            mean = sum([total for _, _, total in along]) / max(1, sum([count for _, count, _ in along]))
            points += [(position, count, total - count * mean) for position, count, total in along]
        lines.append(Line(scale, points))
        return lines[-1]

    def points(self, path: str, scale: Scale) -> list[Point]:
        found = []
        for answer, slot in self.answers.slots.get(path, {}).values():
            position = scale.position(answer)
            if position is not None:  # else it is not offered
                found.append((position, self.counts[slot], self.sums[slot]))
        return found


class Line:
    """Trials along a scale: how many are in a cell, and the sum of their scores."""

    def __init__(self, scale: Scale, points: Sequence[Point]) -> None:
        points = sorted(points)
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
