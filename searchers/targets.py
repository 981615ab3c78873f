"""What a surrogate is to predict: ranks of the losses, and of how far from its limits a trial is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from archsearch.searchers.acquisition import Array, log_expected_improvement
from archsearch.searchers.ehvi import expected_hypervolume_improvement
from archsearch.searchers.outcomes import Outcome
from archsearch.searchers.pareto import undominated
from archsearch.searchers.ranks import normal_scores

# Expected improvements that underflow are told apart by nothing, so they are equal.
TINY = 1e-300


def targets_of(outcomes: Sequence[Outcome]) -> Array:
    """A row for each trial: normal scores of every loss, then of every slack; a failed one is the worst of all."""
    done = next((outcome for outcome in outcomes if not outcome.failed), None)
    if done is None:
        return np.zeros((len(outcomes), 1))
    columns = [
        normal_scores([outcome.losses[j] if outcome.losses else math.inf for outcome in outcomes])
        for j in range(len(done.losses))
    ]
    columns += [
        normal_scores([outcome.slacks[j] if outcome.losses else math.inf for outcome in outcomes])
        for j in range(len(done.slacks))
    ]
    return np.column_stack(columns)


def thresholds_of(outcomes: Sequence[Outcome], targets: Array) -> list[float | None]:
    """For each limit, which normal score it stands at; None where nothing tells, as all keep it."""
    done = [i for i, outcome in enumerate(outcomes) if not outcome.failed]
    if not done:
        return []
    first = outcomes[done[0]]
    thresholds: list[float | None] = []
    for j in range(len(first.slacks)):
        scores = targets[:, len(first.losses) + j]
        kept = [scores[i] for i in done if outcomes[i].slacks[j] <= 0]
        broken = [scores[i] for i in range(len(outcomes)) if i not in set(done) or outcomes[i].slacks[j] > 0]
        if not broken:
            thresholds.append(None)
        else:
            thresholds.append((max(kept) + min(broken)) / 2 if kept else min(broken) - 0.5)
    return thresholds


class Acquisition:
    """The logarithm of the expected improvement by a trial, times the chance that it keeps its limits.

    Improvement is of the best feasible loss; with several objectives of the hypervolume of the feasible front, in
    normal scores, from a little beyond the front's worst. Where nothing is feasible yet only the chance counts.

    Args:
        outcomes: what was told.
        targets: their rows (`targets_of`).
        smoothed: what the surrogate makes of those rows, without noise.
        believed: what it makes of trials under way: what it takes for feasible is to be improved upon, too.
    """

    def __init__(self, outcomes: Sequence[Outcome], targets: Array, smoothed: Array, believed: Array) -> None:
        self.num_losses = max([len(outcome.losses) for outcome in outcomes], default=0) or 1
        self.thresholds = thresholds_of(outcomes, targets)
        feasible = [i for i, outcome in enumerate(outcomes) if outcome.feasible]
        losses = smoothed[feasible, : self.num_losses] if feasible else smoothed[:0, : self.num_losses]
        if feasible:
            losses = np.concatenate([losses, believed[self.within(believed), : self.num_losses]])
        points = [tuple(row) for row in losses.tolist()]
        if self.num_losses == 1:
            self.front = points and [min(points)]
        else:
            self.front = [point for point, kept in zip(points, undominated(points), strict=True) if kept]
        corner = losses.max(axis=0) if len(losses) else np.zeros(self.num_losses)
        if self.num_losses > 1 and self.front:
            front = np.array(self.front)
            corner = front.max(axis=0) + 0.1 * (np.ptp(front, axis=0) + 1.0)
        self.reference = tuple(corner.tolist())

    def within(self, believed: Array) -> npt.NDArray[np.bool_]:
        """Which of these rows keep every limit."""
        kept = np.ones(len(believed), bool)
        for j, threshold in enumerate(self.thresholds, self.num_losses):
            if threshold is not None:
                kept &= believed[:, j] <= threshold
        return kept

    def __call__(self, mean: Array, std: Array) -> Array:
        """Of each candidate, whose targets were predicted: shape (candidates, targets)."""
        n = self.num_losses
        value = np.zeros(len(mean))
        if self.front and n == 1:
            value += log_expected_improvement(mean[:, 0], std[:, 0], self.front[0][0])
        elif self.front:
            improvement = expected_hypervolume_improvement(mean[:, :n], std[:, :n], self.front, self.reference)
            value += np.log(np.maximum(improvement, TINY))
        for j, threshold in enumerate(self.thresholds, n):
            if threshold is not None:
                value += log_ndtr((threshold - mean[:, j]) / std[:, j])
        return value
