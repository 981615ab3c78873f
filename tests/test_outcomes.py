"""Which of two trials is better, limits and failures included."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from archsearch.searchers.outcomes import Outcome, places_at_limits


def trial(loss: float | None, *slacks: float) -> Outcome:
    return Outcome(0, {}, () if loss is None else (loss,), slacks if loss is not None else ())


def test_one_that_breaks_a_limit_shares_the_best_place() -> None:
    """The third gains 4 on the best feasible for 2 outside, the fourth 5 for 10; the last has no latency at all."""
    trials = [trial(6.0, -1.0), trial(7.0, -3.0), trial(2.0, 2.0), trial(1.0, 10.0), trial(None), trial(0.0, math.inf)]
    places = places_at_limits(trials)
    assert places[2] == places[0] == trials[0].place
    assert sorted(range(6), key=lambda i: places[i]) == [0, 2, 1, 3, 5, 4]


def test_without_a_gain_or_anything_feasible_none_does() -> None:
    for trials in ([trial(1.0, -1.0), trial(2.0, 1.0)], [trial(1.0, 3.0), trial(9.0, 2.0), trial(None)], []):
        assert places_at_limits(trials) == [outcome.place for outcome in trials]


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-10, 10), st.floats(-10, 10)), min_size=1, max_size=20))
def test_all_but_one_keep_their_places(values: list[tuple[float, float, float]]) -> None:
    """None comes before the best that keeps the limits."""
    trials = [trial(loss, *slacks) for loss, *slacks in values]
    places = places_at_limits(trials)
    changed = [i for i, outcome in enumerate(trials) if places[i] != outcome.place]
    assert len(changed) <= 1
    assert not any([trials[i].feasible for i in changed])
    assert min(places) == min([outcome.place for outcome in trials])
