"""The contract of a searcher as a test class, for ours and for yours.

    from archsearch.testing import SearcherContract

    class TestMySearcher(SearcherContract):
        searcher = MySearcher()

pytest runs the inherited tests. What they check is what lets a study go on after a crash, whatever happens to its
trials: a search is a function of what it was told, `ask` changes nothing, and proposals are new architectures of the
space until none is left.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from archsearch.errors import EndlessSpace, UsageError
from archsearch.searchers.contract import Direction, Limit, Pending, Problem, Proposal, Search, Searcher, Told
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.space import Space
from archsearch.testing_spaces import endless_spaces, finite_spaces, first_random_spaces, real_spaces

WORKERS = 3

End = Callable[[int, Mapping[str, Any]], Told]
"""How the trial of a number with these answers ends."""


def share(assignment: Mapping[str, Any]) -> float:
    """A number from 0 to 1 that looks random and follows from the answers alone."""
    return int(answers_id(assignment)[:8], 16) / 2**32


def failed(number: int, assignment: Mapping[str, Any]) -> Told:
    return Told(number, assignment, "failed", {}, {}, 1.0)


def ways_to_end(done: End) -> dict[str, End]:
    """What else may happen to the trials of a study, by name; `done` is how one ends well."""

    def with_metrics(number: int, assignment: Mapping[str, Any], **more: float | None) -> Told:
        told = done(number, assignment)
        return dataclasses.replace(told, metrics={**told.metrics, **more})

    def equal(number: int, assignment: Mapping[str, Any]) -> Told:
        told = done(number, assignment)
        values = dict.fromkeys(told.objectives, 0.5)
        return dataclasses.replace(told, objectives=values, metrics=values)

    def first_answer_counts_for_nothing(number: int, assignment: Mapping[str, Any]) -> Told:
        told = done(number, dict(list(assignment.items())[1:]))
        return dataclasses.replace(told, assignment=assignment)

    def huge(number: int, assignment: Mapping[str, Any]) -> Told:
        told = done(number, assignment)
        values = {name: (1e300 if value < 0.5 else -1e300) * value for name, value in told.objectives.items()}
        return dataclasses.replace(told, objectives=values, metrics=values)

    return {
        "all fail": failed,
        "the first fail": lambda number, assignment: (failed if number < 15 else done)(number, assignment),
        "all are stopped early": lambda number, assignment: dataclasses.replace(
            failed(number, assignment), state="pruned"
        ),
        "a number that is not finite": lambda number, assignment: with_metrics(number, assignment, loss=None),
        "all are equal": equal,
        "a decision that counts for nothing": first_answer_counts_for_nothing,
        "very large numbers": huge,
    }


class Study:
    """A study without a driver: it asks, keeps WORKERS trials running, and checks what is proposed.

    Args:
        searcher: what is tested.
        problem: what is searched.
        end: how a trial ends.
        workers: how many trials run at a time.
    """

    def __init__(self, searcher: Searcher, problem: Problem, end: End, workers: int = WORKERS) -> None:
        self.searcher = searcher
        self.problem = problem
        self.end = end
        self.workers = workers
        self.search = searcher.start(problem)
        self.told: list[Told] = []
        self.running: dict[int, Mapping[str, Any]] = {}
        self.found: set[str] = set()
        self.number = 0

    def pending(self) -> list[Pending]:
        """Every other trial has reported something."""
        report = {"loss": None, **dict.fromkeys(self.problem.objectives, 0.5)}
        return [Pending(n, answers, report if n % 2 else None) for n, answers in sorted(self.running.items())]

    def tell(self, told: Told) -> None:
        self.running.pop(told.number, None)
        self.told.append(told)
        try:
            self.search.tell(told)
        except Exception as error:
            error.add_note(f"when it was told of trial {told.number}, whose state is {told.state!r}")
            raise

    def add(self, assignment: Mapping[str, Any]) -> None:
        """A trial that somebody else chose."""
        self.found.add(answers_id(assignment))
        self.running[self.number] = assignment
        self.number += 1

    def ask(self) -> Proposal | None:
        """The next proposal, which is running from now on; it must be new and an architecture of the space."""
        if len(self.running) >= self.workers:
            oldest = sorted(self.running)[self.number % 2 if self.workers > 1 else 0]
            self.tell(self.end(oldest, self.running[oldest]))
        number = self.number
        proposal = self.search.ask(number, self.pending())
        if proposal is None:
            self.number += 1
            return None
        assert isinstance(proposal, Proposal), f"trial {number}: expected a Proposal or None, but ask gave {proposal!r}"
        try:
            arch = self.problem.space.architecture(json.loads(json.dumps(dict(proposal.assignment))))
        except Exception as error:
            error.add_note(f"trial {number}: what is proposed is no architecture of the space, or not in JSON")
            raise
        paths = list(proposal.assignment)
        assert paths == list(arch.assignment), f"trial {number}: answers are in the order of the walk"
        try:
            json.dumps(dict(proposal.note), allow_nan=False)
        except (TypeError, ValueError) as error:
            error.add_note(f"trial {number}: the note of its proposal cannot be written as JSON: {proposal.note!r}")
            raise
        under_way = [n for n, answers in self.running.items() if answers_id(answers) == arch.id]
        assert not under_way, f"trial {number} is that of trial {under_way[0]}, which was given as pending: {arch!r}"
        assert arch.id not in self.found, f"trial {number} came before: {arch!r}"
        self.add(arch.assignment)
        return proposal

    def again(self) -> Search:
        """A new search that was told the same."""
        search = self.searcher.start(self.problem)
        for told in self.told:
            search.tell(told)
        return search

    def run(self, trials: int, replay_every: int = 13) -> None:
        """Ask for so many; now and then a new search must propose the same. It ends only where nothing is left."""
        for _ in range(trials):
            number = self.number
            proposal = self.ask()
            if number % replay_every == 0 or proposal is None:
                pending = [trial for trial in self.pending() if trial.number != number]
                assert self.again().ask(number, pending) == proposal, f"trial {number}: another proposal when resumed"
            if proposal is None:
                break
        else:
            return
        every = {arch.id for arch in self.problem.space.enumerate()}
        assert self.found == every, f"it ended with {len(every - self.found)} of {len(every)} left"
        for number in list(self.running):
            self.tell(self.end(number, self.running[number]))
        assert self.search.ask(self.number, []) is None, "it ended, and then went on"


class SearcherContract:
    """Subclass it in a test file, and say which searcher.

    Attributes:
        searcher: what is tested.
        takes_reals: whether it searches spaces with a Real; otherwise it must refuse them at the start.
        takes_endless: whether it searches grammars without an end; otherwise it must refuse them too.
        takes_several: whether it takes several objectives; otherwise it must refuse them at the start.
        directions: the objectives; more than one for a searcher that needs several.
        trials: how long the studies are; fewer for a slow searcher.
        num_spaces: how many random spaces there are of each kind, beside those by hand.
        seed: of the random spaces.
    """

    searcher: Searcher
    takes_reals = True
    takes_endless = True
    takes_several = True
    directions: Mapping[str, Direction] = {"accuracy": "maximize"}
    trials = 40
    num_spaces = 4
    seed = 0

    def small_spaces(self) -> list[Space]:
        """Spaces that are searched to their end."""
        return [*finite_spaces().values(), *first_random_spaces(self.num_spaces, self.seed, True)]

    def spaces(self) -> list[Space]:
        """Those, and larger ones."""
        larger = first_random_spaces(self.num_spaces, self.seed, False)
        reals = list(real_spaces().values()) if self.takes_reals else []
        endless = list(endless_spaces().values()) if self.takes_endless else []
        return [*self.small_spaces(), *larger, *reals, *endless]

    def problems(self) -> Iterator[Problem]:
        """A problem in every space."""
        for seed, space in enumerate(self.spaces()):
            yield Problem(space, self.directions, (), seed)

    def told(self, number: int, assignment: Mapping[str, Any]) -> Told:
        """How a trial ends here: it depends on its answers alone, and every seventh or so fails."""
        if share(assignment) < 1 / 7:
            return failed(number, assignment)
        return self.done(number, assignment)

    def done(self, number: int, assignment: Mapping[str, Any]) -> Told:
        """How a trial ends well."""
        value = share(assignment)
        values = {name: (value * (3 * i + 1)) % 1 for i, name in enumerate(self.directions)}
        return Told(number, assignment, "done", values, values, 1.0)

    def study(self, problem: Problem, end: End | None = None, workers: int = WORKERS) -> Study:
        return Study(self.searcher, problem, end or self.told, workers)

    def proposals(self, problem: Problem) -> Iterator[tuple[Study, int, list[Pending], Proposal | None]]:
        """The study of a problem before each proposal but the first is running: (study, number, pending, proposal)."""
        study = self.study(problem)
        for number in range(self.trials):
            proposal = study.ask()
            pending = [trial for trial in study.pending() if trial.number != number]
            yield study, number, pending, proposal
            if proposal is None:
                return

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

    def test_proposals_are_new_architectures_of_the_space(self) -> None:
        for problem in self.problems():
            self.study(problem).run(self.trials)

    def test_asking_changes_nothing(self) -> None:
        for problem in self.problems():
            asked = [proposal for *_, proposal in self.proposals(problem)]
            twice = []
            for study, number, pending, proposal in self.proposals(problem):
                study.search.ask(number + 1, pending)
                assert study.search.ask(number, pending) == proposal, f"trial {number}: asking twice gives another"
                twice.append(proposal)
            assert twice == asked, "an ask changed what came later"

    def test_a_copy_proposes_the_same(self) -> None:
        for problem in self.problems():
            for study, number, pending, proposal in self.proposals(problem):
                if number % 3 == 0:
                    again = copy.deepcopy(study.search).ask(number, pending)
                    assert again == proposal, f"trial {number}: a deep copy proposes another"

    def test_a_search_that_was_told_the_same_proposes_the_same(self) -> None:
        """What a study does after a crash: tell a new search everything, then go on asking."""
        for problem in self.problems():
            for study, number, pending, proposal in self.proposals(problem):
                if number % 5 == 0 or proposal is None:
                    assert study.again().ask(number, pending) == proposal, f"trial {number}: another when resumed"

    def test_its_draws_are_its_own(self) -> None:
        """Python's own generator neither decides a proposal nor is moved by one."""
        for problem in list(self.problems())[::2]:
            random.seed(1)
            state = random.getstate()
            first = [proposal for *_, proposal in self.proposals(problem)]
            assert random.getstate() == state, "it draws from Python's own generator"
            random.seed(2)
            assert [proposal for *_, proposal in self.proposals(problem)] == first

    def test_a_finite_space_is_searched_once_and_then_ends(self) -> None:
        for space in self.small_spaces():
            size = space.size()
            assert isinstance(size, int)
            study = self.study(Problem(space, self.directions))
            study.run(size + 1)
            assert study.number == len(study.found) + 1, "it never ended"

    def test_what_is_pending_is_not_proposed(self) -> None:
        """Nothing ends: every trial stays with its worker until the space is exhausted."""
        for space in self.small_spaces():
            size = space.size()
            assert isinstance(size, int)
            self.study(Problem(space, self.directions), workers=size + 1).run(size + 1)

    def test_trials_of_others_are_heard(self) -> None:
        """A person adds trials of their own: those running are pending, and those that ended are told."""
        for problem in self.problems():
            study = self.study(problem)
            draws = random.Random(0)
            for _ in range(self.trials // 4):
                if (assignment := drawn(problem.space, draws)) is not None:
                    study.add(assignment)
            for number in list(study.running)[::2]:
                study.tell(study.end(number, study.running[number]))
            if len(study.told) > 1:
                study.tell(dataclasses.replace(study.told[0], number=study.number))
                study.number += 1
            study.run(self.trials // 2)

    def test_whatever_happens_to_the_trials(self) -> None:
        """All fail, the first fail, all are equal, numbers are not finite or large, a decision counts for nothing."""
        problems = list(self.problems())
        for offset, (name, end) in enumerate(ways_to_end(self.done).items()):
            for problem in problems[offset % 3 :: 3]:
                try:
                    self.study(problem, end).run(self.trials)
                except Exception as error:
                    error.add_note(f"in a study where this happens: {name}")
                    raise

    def test_limits_on_measured_metrics(self) -> None:
        """Some trials keep them, or none; or the metric is missing."""

        def end(number: int, assignment: Mapping[str, Any]) -> Told:
            told = self.told(number, assignment)
            latency = {"latency": None if number % 6 == 5 else 10.0 * (1.0 - share(assignment))}
            return dataclasses.replace(told, metrics={**told.metrics, **latency} if told.state == "done" else {})

        for i, problem in enumerate(self.problems()):
            if i % 2 == 0:
                limit = [Limit(maximum=5.0), Limit(minimum=20.0), Limit(0.0, 0.0)][i // 2 % 3]
                limits = {"latency": limit, "memory": Limit(maximum=1.0)} if i % 4 == 0 else {"latency": limit}
                self.study(dataclasses.replace(problem, constraints=limits), end).run(self.trials)

    def test_three_objectives(self) -> None:
        """They are searched, or refused at the start."""
        directions: dict[str, Direction] = {"accuracy": "maximize", "latency": "minimize", "memory": "minimize"}

        def end(number: int, assignment: Mapping[str, Any]) -> Told:
            value = share(assignment)
            if value < 1 / 7:
                return failed(number, assignment)
            values = {"accuracy": value, "latency": value * 7 % 1, "memory": 0.0 if value < 0.5 else value * 31 % 1}
            return Told(number, assignment, "done", values, values, 1.0)

        for i, problem in enumerate(self.problems()):
            several = dataclasses.replace(problem, objectives=directions)
            if not self.takes_several:
                refused(self.searcher, several, "several objectives")
            elif i % 2 == 0:
                self.study(several, end).run(self.trials)

    def test_what_it_cannot_search_is_refused_at_the_start(self) -> None:
        kinds = {"a Real": (self.takes_reals, real_spaces()), "no end": (self.takes_endless, endless_spaces())}
        for what, (takes, spaces) in kinds.items():
            for space in spaces.values():
                if not takes:
                    refused(self.searcher, Problem(space, self.directions), f"a space with {what}")


def drawn(space: Space, rng: random.Random) -> Mapping[str, Any] | None:
    """The answers of a draw; None where a grammar did not end."""
    try:
        return space.sample(rng).assignment
    except EndlessSpace:
        return None


def refused(searcher: Searcher, problem: Problem, what: str) -> None:
    try:
        searcher.start(problem)
    except UsageError:
        return
    raise AssertionError(f"{what}: expected a UsageError from start(), before the first trial")
