"""The contract of a searcher as a test class, for ours and for yours.

    from archsearch.testing import SearcherContract

    class TestMySearcher(SearcherContract):
        searcher = MySearcher()

pytest runs the inherited tests. What they check is what lets a study go on after a crash: a search is a
function of what it was told, `ask` changes nothing, and proposals are new architectures of the space until
none is left.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Searcher, Told
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.nodes import Boolean, Choice, Integer, Lazy, Real
from archsearch.spaces.space import Space

WORKERS = 3
TRIALS = 40


def grammar(depth: int) -> Any:
    return Choice({"leaf": Choice([1, 2, 3]), "both": [grammar(depth - 1), grammar(depth - 1)]}) if depth else Boolean()


def finite_spaces() -> dict[str, Space]:
    """Small spaces without a Real, of every kind that has tripped a searcher up."""
    return {
        "flat": Space({"a": Choice([1, 2, 3]), "b": Boolean(), "c": Choice(["x", "y"])}),
        "conditional": Space(
            {"a": Choice({"none": None, "deep": {"b": Integer(1, 4), "c": Boolean()}}), "d": Boolean()}
        ),
        "lopsided": Space(Choice({"one": None, "many": [Integer(1, 5), Integer(1, 5)]})),
        "grammar": Space(Lazy(grammar, depth=Choice([1, 2]))),
        "constrained": Space(
            {"a": Integer(1, 6), "b": Integer(1, 6)}, require=[lambda a, b: a < b], where=[lambda arch: arch["a"] != 2]
        ),
        "tuples": Space({"a": Choice([(1, 2), (3, 4), (5, 6)]), "b": Integer(1, 9)}),
        "one": Space({"a": Choice([1])}),
    }


def real_spaces() -> dict[str, Space]:
    """Spaces with a Real."""
    return {
        "learning rate": Space({"lr": Real(1e-4, 1e-1, log=True), "a": Choice([1, 2])}),
        "conditional": Space({"a": Choice({"none": None, "deep": {"b": Real(0.0, 1.0)}})}),
    }


class SearcherContract:
    """Subclass it in a test file, and say which searcher.

    Attributes:
        searcher: what is tested.
        takes_reals: whether it searches spaces with a Real.
        directions: the objectives; more than one for a searcher that needs several.
    """

    searcher: Searcher
    takes_reals = True
    directions: Mapping[str, Any] = {"accuracy": "maximize"}

    def problems(self) -> Iterator[Problem]:
        """A problem in every space, with two seeds."""
        spaces = {**finite_spaces(), **(real_spaces() if self.takes_reals else {})}
        for space in spaces.values():
            for seed in (0, 1):
                yield Problem(space, self.directions, (), seed)

    def told(self, number: int, proposal: Proposal) -> Told:
        """How a trial ends here: it depends on its answers alone, and every seventh or so fails."""
        value = int(answers_id(proposal.assignment)[:8], 16) / 2**32
        if value < 1 / 7:
            return Told(number, proposal.assignment, "failed", {}, {}, 1.0)
        values = {name: (value * (i + 1)) % 1 for i, name in enumerate(self.directions)}
        return Told(number, proposal.assignment, "done", values, values, 1.0)

    def trace(self, problem: Problem, search: Search | None = None) -> Iterator[tuple[Search, int, list[Pending], Any]]:
        """A study with three workers: (search, number, pending, proposal) at every ask."""
        search = search or self.searcher.start(problem)
        running: dict[int, Proposal] = {}
        for number in range(TRIALS):
            if len(running) == WORKERS:
                oldest = sorted(running)[number % 2]
                search.tell(self.told(oldest, running.pop(oldest)))
            pending = [Pending(n, p.assignment) for n, p in sorted(running.items())]
            proposal = search.ask(number, pending)
            yield search, number, pending, proposal
            if proposal is None:
                return
            running[number] = proposal

    def test_it_is_a_frozen_description_that_json_holds(self) -> None:
        assert dataclasses.is_dataclass(self.searcher), "a searcher is a frozen dataclass"
        fields = [field.name for field in dataclasses.fields(self.searcher)]
        settings = {name: getattr(self.searcher, name) for name in fields}
        again = type(self.searcher)(**json.loads(json.dumps(settings)))
        assert again == self.searcher, "its settings must come back from JSON as they were"
        for name in fields:
            try:
                setattr(self.searcher, name, settings[name])
            except dataclasses.FrozenInstanceError:
                continue
            raise AssertionError(f"{name} can be set: a searcher is a frozen dataclass")

    def test_proposals_are_architectures_of_the_space(self) -> None:
        for problem in self.problems():
            for _, number, _, proposal in self.trace(problem):
                if proposal is not None:
                    arch = problem.space.architecture(json.loads(json.dumps(dict(proposal.assignment))))
                    paths = list(proposal.assignment)
                    assert paths == list(arch.assignment), f"trial {number}: answers are in the order of the walk"
                    json.dumps(dict(proposal.note), allow_nan=False)

    def test_asking_changes_nothing(self) -> None:
        for problem in self.problems():
            asked = [proposal for *_, proposal in self.trace(problem)]
            twice = []
            for search, number, pending, proposal in self.trace(problem):
                search.ask(number + 1, pending)
                assert search.ask(number, pending) == proposal, f"trial {number}: asking twice gives something else"
                twice.append(proposal)
            assert twice == asked, "an ask changed what came later"

    def test_a_copy_proposes_the_same(self) -> None:
        for problem in self.problems():
            for search, number, pending, proposal in self.trace(problem):
                assert copy.deepcopy(search).ask(number, pending) == proposal, f"trial {number}"

    def test_a_search_that_was_told_the_same_proposes_the_same(self) -> None:
        """What a study does after a crash: tell a new search everything, then go on asking."""
        for problem in self.problems():
            told: list[Told] = []

            class Heard:
                """A search that notes what it is told."""

                def __init__(self, search: Search, told: list[Told]) -> None:
                    self.search, self.told = search, told

                def ask(self, number: int, pending: Any) -> Proposal | None:
                    return self.search.ask(number, pending)

                def tell(self, outcome: Told) -> None:
                    self.told.append(outcome)
                    self.search.tell(outcome)

            for _, number, pending, proposal in self.trace(problem, Heard(self.searcher.start(problem), told)):
                if number % 5 == 0 or proposal is None:
                    fresh = self.searcher.start(problem)
                    for outcome in told:
                        fresh.tell(outcome)
                    assert fresh.ask(number, pending) == proposal, f"trial {number}"

    def test_its_draws_are_its_own(self) -> None:
        """Python's own generator neither decides a proposal nor is moved by one."""
        for problem in self.problems():
            random.seed(1)
            state = random.getstate()
            first = [proposal for *_, proposal in self.trace(problem)]
            assert random.getstate() == state, "it draws from Python's own generator"
            random.seed(2)
            assert [proposal for *_, proposal in self.trace(problem)] == first

    def test_a_finite_space_is_searched_once_and_then_ends(self) -> None:
        for name, space in finite_spaces().items():
            problem = Problem(space, self.directions)
            every = {arch.id for arch in space.enumerate()}
            search = self.searcher.start(problem)
            running: dict[int, Proposal] = {}
            found: list[str] = []
            for number in range(len(every) + 1):
                pending = [Pending(n, p.assignment) for n, p in running.items()]
                proposal = search.ask(number, pending)
                if proposal is None:
                    break
                found.append(answers_id(proposal.assignment))
                running[number] = proposal
                if len(running) == WORKERS:
                    oldest = min(running)
                    search.tell(self.told(oldest, running.pop(oldest)))
            assert len(set(found)) == len(found), f"{name}: an architecture came twice"
            assert set(found) == every, f"{name}: {len(every) - len(found)} of {len(every)} never came"
            assert search.ask(len(found), [Pending(n, p.assignment) for n, p in running.items()]) is None
