"""Local search: first improvement, every neighbour before it gives up, plateaus, restarts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from archsearch.errors import UsageError
from archsearch.searchers.contract import Limit, Pending, Problem, Proposal, Search, Searcher, Told
from archsearch.searchers.local_search import MAX_PLATEAU, LocalSearch
from archsearch.searchers.random import Random
from archsearch.spaces.nodes import Boolean, Choice, Integer, Real, Repeat
from archsearch.spaces.space import Space

SPACE = Space({f"x{i}": Choice([0, 1, 2]) for i in range(8)})
Answers = Mapping[str, Any]


def distance(a: Answers, b: Answers) -> int:
    return sum([a[path] != b[path] for path in a])


def run(
    searcher: Searcher, score: Callable[[Answers], float], trials: int, seed: int = 0, space: Space = SPACE
) -> tuple[Search, list[tuple[Proposal, float]]]:
    search = searcher.start(Problem(space, {"score": "maximize"}, (), seed))
    done = []
    for number in range(trials):
        proposal = search.ask(number, [])
        if proposal is None:
            break
        value = score(proposal.assignment)
        done.append((proposal, value))
        search.tell(Told(number, proposal.assignment, "done", {"score": value}, {"score": value}, 0.0))
    return search, done


def twos(answers: Answers) -> float:
    return float(sum([answer == 2 for answer in answers.values()]))


def test_it_moves_to_the_first_neighbour_that_is_better() -> None:
    """From the best of the starts; every proposal is a neighbour of the best so far, until the top."""
    _, done = run(LocalSearch(starts=4), twos, 40)
    best = max(range(4), key=lambda n: done[n][1])
    for number in range(4, 40):
        proposal, value = done[number]
        if done[best][1] == 8:
            break
        assert proposal.note == {"neighbor": best}
        assert distance(proposal.assignment, done[best][0].assignment) == 1
        if value > done[best][1]:
            best = number
    assert done[best][1] == 8


def test_all_neighbours_are_seen_before_it_starts_anew() -> None:
    """The only start is a local optimum: its 16 neighbours follow, then a fresh start."""
    start = LocalSearch(starts=1).start(Problem(SPACE, {"score": "maximize"})).ask(0, [])
    assert start is not None
    peak = start.assignment
    _, done = run(LocalSearch(starts=1), lambda answers: float(answers == peak), 19)
    around = [proposal.assignment for proposal, _ in done[1:17]]
    assert all([distance(answers, peak) == 1 for answers in around])
    assert len({tuple(answers.values()) for answers in around}) == 16
    assert done[17][0].note == {}
    assert distance(done[17][0].assignment, peak) > 1
    assert done[18][0].note == {"neighbor": 17}


def test_a_new_climb_draws_as_many_starts_and_forgets_the_old_peak() -> None:
    space = Space({"x": Integer(0, 30), "y": Boolean()})
    first = next(arch.assignment for arch in space.enumerate())
    search, done = run(LocalSearch(starts=3), lambda answers: float(answers == first), 62, space=space)
    starts = [number for number, (proposal, _) in enumerate(done) if proposal.note == {}]
    assert starts[:3] == [0, 1, 2]
    assert len({tuple(proposal.assignment.values()) for proposal, _ in done}) == 62
    assert search.ask(62, []) is None


def test_a_plateau_is_walked_within_bounds() -> None:
    """Only by way of equal neighbours is there a way up; and where all is equal, climbs end nevertheless."""

    def terrace(answers: Answers) -> float:
        """All are worth 0, but those where the last four are 2, by what stands before them."""
        return 10.0 + twos(answers) if all([answers[f"x{i}"] == 2 for i in range(6, 8)]) else 0.0

    peaks = [max([value for _, value in run(LocalSearch(), terrace, 200, seed)[1]]) for seed in range(4)]
    assert peaks == [18.0] * 4
    _, done = run(LocalSearch(starts=1), lambda answers: 0.5, 400)
    origins = [proposal.note.get("neighbor") for proposal, _ in done]
    restarts = [number for number, origin in enumerate(origins) if origin is None]
    assert len(restarts) > 1
    assert len(set(origins[restarts[0] : restarts[1]])) <= MAX_PLATEAU + 2


def test_starts_that_fail_do_not_count() -> None:
    search = LocalSearch(starts=2).start(Problem(SPACE, {"score": "maximize"}))
    for number in range(6):
        proposal = search.ask(number, [])
        assert proposal is not None
        assert proposal.note == {}
        search.tell(Told(number, proposal.assignment, "failed", {}, {}, 0.0))
    proposal = search.ask(6, [])
    assert proposal is not None
    search.tell(Told(6, proposal.assignment, "done", {"score": 1.0}, {"score": 1.0}, 0.0))
    following = search.ask(7, [])
    assert following is not None
    assert following.note == {"neighbor": 6}


def test_with_all_neighbours_under_way_the_others_draw() -> None:
    search, done = run(LocalSearch(starts=1), twos, 1)
    pending: list[Pending] = []
    for number in range(1, 20):
        proposal = search.ask(number, pending)
        assert proposal is not None
        assert (proposal.note == {"neighbor": 0}) is (number <= 16)
        pending.append(Pending(number, proposal.assignment))
    assert len({tuple(trial.assignment.values()) for trial in pending}) == 19
    assert done[0][0].assignment not in [trial.assignment for trial in pending]


def test_many_neighbours_are_looked_at_in_blocks() -> None:
    """A repeat of wide decisions, and a Real: too many neighbours to list, and no end of them."""
    space = Space({"layers": Repeat(Choice(list(range(40))), 6), "lr": Real(0.0, 1.0)})

    def close(answers: Answers) -> float:
        off = sum([abs(answer - 20) for path, answer in answers.items() if path != "lr"])
        return -float(off + abs(answers["lr"] - 0.5))

    def best(searcher: Searcher, seed: int) -> float:
        return max([value for _, value in run(searcher, close, 300, seed, space)[1]])

    assert statistics.mean([best(LocalSearch(), seed) for seed in range(4)]) > -12
    assert statistics.mean([best(Random(), seed) for seed in range(4)]) < -20
    _, done = run(LocalSearch(starts=1), lambda answers: 0.0 if answers["lr"] < 2 else 1.0, 100, 0, space)
    assert sum([proposal.note == {"neighbor": 0} for proposal, _ in done]) == 99


def test_it_climbs_back_into_the_limits() -> None:
    """The violation counts before the score."""
    problem = Problem(SPACE, {"score": "maximize"}, (), 0, {"sum": Limit(maximum=4.0)})
    search = LocalSearch(starts=1).start(problem)
    found = []
    for number in range(60):
        proposal = search.ask(number, [])
        assert proposal is not None
        total = float(sum(proposal.assignment.values()))
        found.append((total, twos(proposal.assignment)))
        search.tell(Told(number, proposal.assignment, "done", {"score": found[-1][1]}, {"sum": total}, 0.0))
    assert max([score for total, score in found if total <= 4]) == 2.0
    assert found[0][0] > 4


def test_it_is_better_than_random_search() -> None:
    climbed = [max([value for _, value in run(LocalSearch(), twos, 60, seed)[1]]) for seed in range(6)]
    assert climbed == [8.0] * 6
    assert max([max([value for _, value in run(Random(), twos, 60, seed)[1]]) for seed in range(6)]) < 8


def test_what_it_cannot_do_is_said_at_once() -> None:
    with pytest.raises(UsageError, match="at least 1, but got 0"):
        LocalSearch(starts=0)
    with pytest.raises(UsageError, match=r"LocalSearch is for one objective, but the study has a, b; .* take several"):
        LocalSearch().start(Problem(SPACE, {"a": "maximize", "b": "minimize"}))
