"""Going on with a study whose space is another than before, or whose functions are."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archsearch import nn
from archsearch.errors import SpaceChanged, StudyError
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told
from archsearch.snapshot import Snapshot
from archsearch.spaces.nodes import Choice, Derived, Integer, Sequential
from archsearch.spaces.space import Space
from archsearch.study import Study


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def study(space: Space, store: Path) -> Study:
    return Study(space, lambda trial: 1.0, store=store, name="digits")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (Space({"a": Choice([1, 2, 3]), "b": Integer(1, 4)}), "a.options"),
        (Space({"a": Choice([1, 2]), "b": Integer(1, 5)}), "b.high: was 4, is 5"),
        (Space({"a": Choice([1, 2]), "c": Integer(1, 4)}), "b: no longer there"),
        (Space({"a": Choice([1, 2], name="k"), "b": Integer(1, 4)}), "a.name: new"),
    ],
)
def test_another_structure_is_refused_with_the_paths(store: Path, after: Space, said: str) -> None:
    study(Space({"a": Choice([1, 2]), "b": Integer(1, 4)}), store).run(trials=2)
    changed = study(after, store)
    for use in (lambda: changed.run(trials=3), lambda: changed.trials, lambda: changed.ask()):
        with pytest.raises(SpaceChanged) as raised:
            use()
        assert "study 'digits'" in str(raised.value)
        assert said in str(raised.value)
    with contextlib.closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT count(*), max(holder) FROM trials, studies").fetchone() == (2, None)


def test_many_differences_are_counted(store: Path) -> None:
    study(Space({f"a{i}": Integer(0, 3) for i in range(9)}), store).run(trials=1)
    with pytest.raises(SpaceChanged, match="and 4 more"):
        study(Space({f"a{i}": Integer(0, 4) for i in range(9)}), store).run(trials=2)


def test_the_same_space_declared_anew_goes_on(store: Path) -> None:
    for target in (2, 4):
        space = Space(Sequential(nn.Linear(Choice([3, 5, 7, 9])), nn.ReLU()), input_shape=(4,))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            one = Study(space, lambda trial: 1.0, store=store)
            one.run(trials=target)
        assert len(one.trials) == target


@dataclass(frozen=True)
class Broken:
    """A searcher that cannot start."""

    def start(self, problem: Problem) -> Search:
        raise ValueError("cannot start")


def test_a_search_that_cannot_start_leaves_nothing_behind(store: Path) -> None:
    space = Space({"a": Integer(0, 3)})
    for _ in range(2):  # the second time too: the first let go of the study
        with pytest.raises(ValueError, match="cannot start"):
            Study(space, lambda trial: 1.0, searcher=Broken(), store=store).run(trials=1)
    with contextlib.closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT count(*) FROM studies").fetchone() == (0,)
    Study(space, lambda trial: 1.0, store=store).run(trials=1)


@dataclass(frozen=True)
class Giving:
    """A searcher that proposes this, slowly."""

    what: str

    def start(self, problem: Problem) -> Search:
        return Given(self.what)


class Given:
    def __init__(self, what: str) -> None:
        self.what = what

    def ask(self, number: int, pending: Sequence[Pending]) -> Any:
        time.sleep(0.01)
        proposed: dict[str, Any] = {
            "answers": {"a": number},
            "note": Proposal({"a": number}, note={"value": math.nan}),
            "sound": Proposal({"a": number}),
        }
        return proposed[self.what]

    def tell(self, told: Told) -> None:
        pass


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("answers", r"searcher Giving, trial 0: expected a Proposal or None, but ask gave \{'a': 0\}"),
        ("note", "searcher Giving, trial 0: the note of its proposal cannot be written as JSON"),
    ],
)
def test_what_is_no_proposal_is_refused(what: str, said: str, store: Path) -> None:
    mine = Study(Space({"a": Integer(0, 3)}), lambda trial: 1.0, searcher=Giving(what), store=store)
    with pytest.raises(StudyError, match=said):
        mine.run(trials=1)
    assert mine.trials == []


def test_the_time_of_asks_is_known(store: Path) -> None:
    """In each run its own."""
    mine = Study(Space({"a": Integer(0, 9)}), lambda trial: 1.0, searcher=Giving("sound"), store=store)
    for trials in (4, 8):
        snapshots: list[Snapshot] = []
        mine.run(trials=trials, progress=snapshots.append)
        assert 0.04 <= snapshots[-1].seconds_asking < snapshots[-1].seconds


def double(n: int) -> int:
    return 2 * n


def triple(n: int) -> int:
    return 3 * n


def below_eight(n: int) -> bool:
    return n < 8


def below_three(n: int) -> bool:
    return n < 3


def renamed(function: Callable[..., Any]) -> Callable[..., Any]:
    """As if the file had been edited: the name stays, and what it says is something else."""
    function.__qualname__ = "function"
    return function


def test_other_functions_go_on_where_every_trial_is_still_valid(store: Path) -> None:
    def space(function: Callable[..., Any]) -> Space:
        n = Integer(1, 9, name="n")
        return Space({"n": n, "m": Derived(renamed(function), n=n)})

    study(space(double), store).run(trials=3)
    with pytest.warns(UserWarning, match="all 3 stored trials are still"):
        study(space(triple), store).run(trials=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study(space(triple), store).run(trials=6)
    with contextlib.closing(sqlite3.connect(store)) as connection:
        assert [kind for (kind,) in connection.execute("SELECT kind FROM events")] == ["functions changed"]
    last = study(space(triple), store).trials[-1]
    assert last["m"] == 3 * last["n"]


def test_other_functions_are_refused_where_a_trial_is_no_longer_valid(store: Path) -> None:
    def space(allows: Callable[..., Any]) -> Space:
        return Space({"n": Integer(1, 9)}, require=[renamed(allows)])

    study(space(below_eight), store).run(trials=7)
    with pytest.raises(SpaceChanged, match=r"trial \d is no longer an architecture"):
        study(space(below_three), store).run(trials=8)
    with contextlib.closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT holder FROM studies").fetchone() == (None,)
    assert len(study(space(below_eight), store).trials) == 7
