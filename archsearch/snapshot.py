"""How far a run is: what a progress display is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """A study while it runs.

    Attributes:
        target: how many trials it is to have.
        finished: how many have finished, in this run and before.
        finished_here: how many of them in this run.
        running: the numbers of the trials that are being evaluated.
        failures: finished trials that failed, by kind.
        num_lost: attempts of this run whose worker was lost.
        best: the number of the best trial and its value; None before there is one, and with several objectives.
        seconds: how long this run has taken.
        num_reused: finished trials that another one's evaluation answered.
        seconds_asking: how much of it the searcher took to propose.
    """

    target: int
    finished: int
    finished_here: int
    running: tuple[int, ...]
    failures: Mapping[str, int]
    num_lost: int
    best: tuple[int, float] | None
    seconds: float
    num_reused: int = 0
    seconds_asking: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the trials of this run so far; None before the first has finished."""
        if not self.finished_here:
            return None
        return self.seconds / self.finished_here * max(0, self.target - self.finished)
