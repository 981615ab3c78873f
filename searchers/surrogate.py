"""Surrogates: what predicts the targets of architectures that were not tried, from those that were.

A surrogate is made from the first trials of a study and then hears of more without being fitted anew; it is a function
of those alone. Architectures are given to it as points: see `points`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from archsearch.searchers.acquisition import Array
from archsearch.spaces.architecture import Architecture

Points = list[Array]


class Posterior(Protocol):
    """A surrogate under certain targets.

    What is under way is taken to come out as predicted (the kriging believer of Ginsbourger, Le Riche and Carraro,
    2010): the mean stays as it is, and less is left to learn near it.

    Attributes:
        smoothed: what it makes of the targets of the trials themselves, shape (trials, targets).
        believed: the mean at what is under way, shape (waiting, targets).
    """

    smoothed: Array
    believed: Array

    def draws(self, number: int, rng: random.Random) -> list[Architecture]:
        """About so many architectures that it is likely to make much of; none where it has no way to draw them."""
        ...

    def predict(self, points: Points) -> tuple[Array, Array]:
        """Mean and standard deviation without noise, each of shape (points, targets)."""
        ...


class Surrogate(Protocol):
    """A model of several targets."""

    def points(self, archs: Sequence[Architecture]) -> Points:
        """Architectures as it sees them: one or several arrays with a row for each."""
        ...

    def extend(self, archs: Sequence[Architecture]) -> None:
        """Hear of all trials so far, of which the first are known to it."""
        ...

    def posterior(self, targets: Array, waiting: Sequence[Architecture]) -> Posterior:
        """What it predicts.

        Args:
            targets: of all trials so far, shape (trials, targets).
            waiting: trials without an outcome.
        """
        ...
