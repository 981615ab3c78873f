"""Which trials that break a limit are ranked with those that keep it."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from archsearch.searchers.near_limits import places_near_limits
from archsearch.searchers.outcomes import Outcome


def trial(loss: float | None, *slacks: float) -> Outcome:
    return Outcome(0, {}, () if loss is None else (loss,), slacks if loss is not None else ())


def test_the_nearer_half_of_those_that_gain_is_spread_over_the_feasible() -> None:
    """Four would be better than 6 but for the limit: the two nearest rank with the first and the third of four."""
    feasible = [trial(6.0, -1.0), trial(7.0, -3.0), trial(8.0, -2.0), trial(9.0, -5.0)]
    gaining = [trial(1.0, 10.0), trial(5.0, 2.0), trial(2.0, 0.5), trial(3.0, 7.0)]
    others = [trial(6.5, 0.1), trial(0.0, math.inf), trial(None)]
    trials = [*gaining, *others, *feasible]
    places = places_near_limits(trials)
    assert places[2] == feasible[0].place
    assert places[1] == feasible[2].place
    kept = [i for i in range(len(trials)) if i not in (1, 2)]
    assert [places[i] for i in kept] == [trials[i].place for i in kept]


def test_the_only_one_that_gains_shares_the_best_place() -> None:
    trials = [trial(6.0, -1.0), trial(7.0, -1.0), trial(5.0, 3.0), trial(8.0, 1.0)]
    assert places_near_limits(trials)[2] == trials[0].place


def test_without_a_gain_or_anything_feasible_none_moves() -> None:
    for trials in ([trial(1.0, -1.0), trial(2.0, 1.0)], [trial(1.0, 3.0), trial(9.0, 2.0), trial(None)], []):
        assert places_near_limits(trials) == [outcome.place for outcome in trials]


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-10, 10), st.floats(-10, 10)), min_size=1, max_size=20))
def test_at_most_half_of_those_that_break_a_limit_move(values: list[tuple[float, float, float]]) -> None:
    """None comes before the best that keeps the limits, and none that stays behind broke them by less."""
    trials = [trial(loss, *slacks) for loss, *slacks in values]
    places = places_near_limits(trials)
    best = min([outcome.place for outcome in trials])
    gaining = [i for i, t in enumerate(trials) if best[1] == 0 and not t.feasible and t.losses[0] < best[2]]
    moved = [i for i, outcome in enumerate(trials) if places[i] != outcome.place]
    assert min(places) == best
    assert set(moved) <= set(gaining)
    assert len(moved) == (len(gaining) + 1) // 2
    stay = [sum(trials[i].violations) for i in gaining if i not in moved]
    assert all([sum(trials[i].violations) <= violation for i in moved for violation in stay])
