"""How trials on both sides of a limit compare, for a search that looks where the best are or goes by means of scores.

The best often lies at a limit. Where all that keeps it so far is poor, what comes close from the other side shows where
to look; were it all ranked last, its answers would be avoided and the poor ones refined. Tree search makes its scores
from these places, model-based search starts its local search from the first of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from archsearch.searchers.outcomes import Outcome

Place: TypeAlias = tuple[bool, float, float]


def places_near_limits(outcomes: Sequence[Outcome]) -> list[Place]:
    """The `Outcome.place` of each trial, but with some that break a limit among those that keep all.

    Of those that are better than the best feasible but for a limit, the half that break it by least are spread evenly
    over the places of the feasible, the nearest at the best's: at a limit both sides are equally worth a look. The
    other half stay behind all that keep it, so that what is far outside does not draw the search.

    (To rank some infeasible ones with the feasible by how little they violate: Ray, Singh, Isaacs and Smith, 2009,
    "Infeasibility Driven Evolutionary Algorithm for Constrained Optimization".)
    """
    places = [outcome.place for outcome in outcomes]
    feasible = sorted([outcome.place for outcome in outcomes if outcome.feasible])
    if not feasible:
        return places
    *_, best = feasible[0]
    gaining = [i for i, outcome in enumerate(outcomes) if gains(outcome, best)]
    gaining.sort(key=lambda i: sum(outcomes[i].violations))
    near = gaining[: -(-len(gaining) // 2)]
    for rank, i in enumerate(near):
        places[i] = feasible[rank * len(feasible) // len(near)]
    return places


def gains(outcome: Outcome, best: float) -> bool:
    """Whether a trial has a smaller loss than `best` and breaks a limit, by a finite amount."""
    return not outcome.failed and 0 < sum(outcome.violations) < math.inf and outcome.losses[0] < best
