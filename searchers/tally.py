"""Which trials went through what, to sum their scores again whenever these have changed.

Scores are made from ranks (see `ranks`), so each trial that ends moves them all.
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt


class Tally:
    """Trials by slot: eight bytes for each pair."""

    def __init__(self) -> None:
        self.slots: array[int] = array("i")
        self.trials: array[int] = array("i")
        self.num_slots = 0

    def new_slot(self) -> int:
        """A slot that no trial went through."""
        self.num_slots += 1
        return self.num_slots - 1

    def add(self, slot: int, trial: int) -> None:
        """Trial number `trial` (from 0) went through a slot."""
        self.slots.append(slot)
        self.trials.append(trial)

    def sums(self, scores: npt.NDArray[np.float64]) -> tuple[list[int], list[float]]:
        """For each slot how many trials went through it, and the sum of their scores; `scores` has one for each trial.

        >>> tally = Tally(); a, b = tally.new_slot(), tally.new_slot()
        >>> tally.add(a, 0); tally.add(b, 1); tally.add(a, 1)
        >>> tally.sums(np.array([0.5, 2.0]))
        ([2, 1], [2.5, 2.0])
        """
        if not self.slots:
            return [0] * self.num_slots, [0.0] * self.num_slots
        slots, trials = np.frombuffer(self.slots, np.intc), np.frombuffer(self.trials, np.intc)
        counts = np.bincount(slots, minlength=self.num_slots)
        sums = np.bincount(slots, scores[trials], minlength=self.num_slots)
        return counts.tolist(), sums.tolist()
