"""Our searchers keep the contract; and the contract is broken by what breaks it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from archsearch.errors import EndlessSpace, Infeasible, SizeTooHard, UsageError
from archsearch.searchers.contract import Direction, Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.evolution import Evolution
from archsearch.searchers.exhaustive import Exhaustive
from archsearch.searchers.local_search import LocalSearch
from archsearch.searchers.nsga2 import NSGA2
from archsearch.searchers.random import Random
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.nodes import Boolean, Choice, Integer, Lazy, Real, Sequential
from archsearch.spaces.space import Space
from archsearch.testing import SearcherContract, failed, ways_to_end
from archsearch.testing_spaces import SMALL, first_random_spaces, random_spaces


class TestRandom(SearcherContract):
    searcher = Random()


class TestEvolution(SearcherContract):
    searcher = Evolution(population=6, sample=3)
    takes_several = False


class TestNSGA2(SearcherContract):
    searcher = NSGA2(population=6)


class TestNSGA2OfSeveral(SearcherContract):
    searcher = NSGA2(population=5, crossover=0.5, mutations=2)
    directions: Mapping[str, Direction] = {"accuracy": "maximize", "latency": "minimize"}
    num_spaces = 2


class TestLocalSearch(SearcherContract):
    searcher = LocalSearch(starts=3)
    takes_several = False


class TestExhaustive(SearcherContract):
    searcher = Exhaustive()
    takes_reals = False
    takes_endless = False


def problem(space: Space, seed: int = 0) -> Problem:
    return Problem(space, {"accuracy": "maximize"}, (), seed)


def test_a_random_proposal_depends_on_seed_and_number_alone() -> None:
    space = Space({"x": Real(0.0, 1.0), "n": Integer(1, 1_000)})
    search = Random().start(problem(space, seed=5))
    expected = [space.sample(stream(5, number)).assignment for number in (7, 3, 7)]
    assert [search.ask(number, []) for number in (7, 3, 7)] == [Proposal(a) for a in expected]
    other = Random().start(problem(space, seed=6)).ask(7, [])
    assert other != Proposal(expected[0])


def grammar() -> Choice:
    """Branches more than it ends: many draws have no end."""
    return Choice({"end": None, "more": Sequential(Lazy(grammar), Lazy(grammar), Lazy(grammar))})


def test_random_draws_again_where_a_grammar_does_not_end() -> None:
    space = Space({"x": Integer(1, 10**6), "model": Lazy(grammar)}, max_decisions=200)
    endless = [number for number in range(40) if not ends(space, number)]
    assert endless
    search = Random().start(problem(space))
    assert all([search.ask(number, []) is not None for number in range(40)])

    def always() -> Sequential:
        return Sequential(Lazy(always))

    with pytest.raises(EndlessSpace):
        Random().start(problem(Space(Lazy(always), max_decisions=50))).ask(0, [])


def ends(space: Space, number: int) -> bool:
    try:
        space.sample(stream(0, number))
    except EndlessSpace:
        return False
    return True


def test_random_is_uniform_over_each_decision() -> None:
    """Every option of a decision within five standard errors of its share."""
    space = Space({"a": Choice(["x", "y", "z"]), "b": Choice({"none": None, "deep": {"c": Integer(1, 10**9)}})})
    search = Random().start(problem(space))
    asked = [search.ask(number, []) for number in range(3_000)]
    answers = [proposal.assignment["a"] for proposal in asked if proposal is not None]
    for option in "xyz":
        assert abs(answers.count(option) - 1_000) < 5 * (3_000 * 2 / 9) ** 0.5


def test_exhaustive_follows_the_enumeration_without_what_others_tried() -> None:
    space = Space({"a": Integer(1, 4), "b": Boolean()})
    every = [arch.assignment for arch in space.enumerate()]
    search = Exhaustive().start(problem(space))
    search.tell(failed(0, every[1]))
    pending = [Pending(1, every[0]), Pending(2, every[3])]
    assert search.ask(9, pending) == Proposal(every[2])
    assert search.ask(9, []) == Proposal(every[0])
    assert search.ask(9, [Pending(n, answers) for n, answers in enumerate(every)]) is None
    assert search.ask(3, pending) == Proposal(every[2])
    for number, answers in enumerate(every[:7]):
        search.tell(failed(number, answers))
    assert search.ask(20, []) == Proposal(every[7])
    assert search.ask(20, [Pending(8, every[7])]) is None


def test_exhaustive_takes_what_is_too_hard_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the enumeration itself has to tell."""

    def too_hard(space: Space) -> int:
        raise SizeTooHard("too many states")

    monkeypatch.setattr(Space, "size", too_hard)
    search = Exhaustive().start(problem(Space({"a": Integer(1, 4)})))
    assert search.ask(0, []) == Proposal({"a": 1})


def test_exhaustive_says_which_searchers_take_a_real() -> None:
    with pytest.raises(UsageError, match=r"a Real, or a grammar without an end .*; Random and the other searchers"):
        Exhaustive().start(problem(Space({"lr": Real(0.0, 1.0)})))


class Foundation:
    """A search that hears and forgets; broken ones are made of it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.space = problem.space
        self.calls = 0
        self.told: list[Told] = []
        self.tried: set[str] = set()
        self.sound = Random().start(problem)

    def tell(self, told: Told) -> None:
        self.told.append(told)
        self.tried.add(answers_id(told.assignment))
        self.sound.tell(told)

    def untried(self, under_way: Sequence[Pending] = ()) -> Proposal | None:
        out = {answers_id(trial.assignment) for trial in under_way}
        left = (arch for arch in self.space.enumerate() if arch.id not in self.tried and arch.id not in out)
        arch = next(left, None)
        return None if arch is None else Proposal(arch.assignment)


def broken(ask: Any, start: Any = lambda problem: None) -> SearcherContract:
    """The contract of a searcher that asks in this way, and checks the problem in that one."""

    class BrokenSearch(Foundation):
        def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
            self.calls += 1
            proposal: Proposal | None = ask(self, number, pending)
            return proposal

    @dataclass(frozen=True)
    class Broken:
        def start(self, problem: Problem) -> Search:
            start(problem)
            return BrokenSearch(problem)

    class Contract(SearcherContract):
        searcher = Broken()
        trials = 20
        num_spaces = 2

    return Contract()


def sound(self: Any, number: int, pending: Any) -> Any:
    return self.sound.ask(number, pending)


def hangs_on_to_the_best(self: Any, number: int, pending: Any) -> Any:
    """Looks at the losses as if all trials had some."""
    best = max(self.told, key=lambda told: told.objectives["accuracy"]) if self.told else None
    return sound(self, number + (best.number if best else 0), pending)


def needs_metrics(self: Any, number: int, pending: Any) -> Any:
    if any([value * 0 != 0 for told in self.told for value in told.metrics.values()]):
        raise AssertionError("a metric is not finite")
    return sound(self, number, pending)


def divides_by_the_spread(self: Any, number: int, pending: Any) -> Any:
    scores = [told.objectives["accuracy"] for told in self.told if told.state == "done"]
    return sound(self, number + int(1 / (max(scores) - min(scores))) if len(scores) > 12 else number, pending)


def overflows(self: Any, number: int, pending: Any) -> Any:
    [told.objectives["accuracy"] ** 2.0 for told in self.told if told.state == "done"]
    return sound(self, number, pending)


def needs_reports(self: Any, number: int, pending: Any) -> Any:
    [trial.latest_report["accuracy"] for trial in pending]
    return sound(self, number, pending)


def needs_one_objective(self: Any, number: int, pending: Any) -> Any:
    [told.objectives["accuracy"] for told in self.told if told.state == "done"]
    ((_, _),) = self.problem.objectives.items()
    return sound(self, number, pending)


def needs_something_feasible(self: Any, number: int, pending: Any) -> Any:
    keeping = [
        all([limit.violation(told.metrics.get(name)) == 0 for name, limit in self.problem.constraints.items()])
        for told in self.told
    ]
    if len(keeping) > 10:
        keeping.index(True)
    return sound(self, number, pending)


def counts_its_proposals(self: Any, number: int, pending: Any) -> Any:
    """Trial n is the n-th architecture, whoever asked for the others."""
    for i, arch in enumerate(self.space.enumerate()):
        if i == number:
            return Proposal(arch.assignment)
    return None


def gives_up_after_a_failure(self: Any, number: int, pending: Any) -> Any:
    return None if any([told.state == "failed" for told in self.told]) else sound(self, number, pending)


def loses_the_order(self: Any, number: int, pending: Any) -> Any:
    proposal = sound(self, number, pending)
    return proposal and Proposal(dict(reversed(proposal.assignment.items())))


def remembers_what_it_proposed(self: Any, number: int, pending: Any) -> Any:
    return sound(self, number + self.calls // 7, pending)


CONTRACTS = {
    "random": broken(sound),
    "changes when asked": broken(
        lambda self, number, pending: Proposal(self.space.sample(stream(0, self.calls)).assignment)
    ),
    "repeats": broken(lambda self, number, pending: Proposal(self.space.sample(stream(0, number)).assignment)),
    "draws from Python": broken(
        lambda self, number, pending: Proposal(self.space.sample(random.Random(random.random())).assignment)
    ),
    "nonsense": broken(lambda self, number, pending: Proposal({"nonsense": 1})),
    "never starts": broken(lambda self, number, pending: None),
    "loses the order": broken(loses_the_order),
    "forgets what is pending": broken(lambda self, number, pending: self.untried()),
    "counts its calls": broken(remembers_what_it_proposed),
    "counts trials": broken(counts_its_proposals),
    "gives up": broken(gives_up_after_a_failure),
    "all were done": broken(hangs_on_to_the_best),
    "all is finite": broken(needs_metrics),
    "not all are equal": broken(divides_by_the_spread),
    "numbers are small": broken(overflows),
    "all have reported": broken(needs_reports),
    "one objective": broken(needs_one_objective),
    "something is feasible": broken(needs_something_feasible),
}

NEW = "test_proposals_are_new_architectures_of_the_space"
PURE = "test_asking_changes_nothing"
AGAIN = "test_a_search_that_was_told_the_same_proposes_the_same"
ONCE = "test_a_finite_space_is_searched_once_and_then_ends"
PENDING = "test_what_is_pending_is_not_proposed"
OTHERS = "test_trials_of_others_are_heard"
WHATEVER = "test_whatever_happens_to_the_trials"
LIMITS = "test_limits_on_measured_metrics"
THREE = "test_three_objectives"


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("changes when asked", PURE),
        ("changes when asked", AGAIN),
        ("changes when asked", "test_a_copy_proposes_the_same"),
        ("counts its calls", PURE),
        ("counts its calls", AGAIN),
        ("repeats", ONCE),
        ("repeats", NEW),
        ("never starts", ONCE),
        ("never starts", NEW),
        ("draws from Python", "test_its_draws_are_its_own"),
        ("nonsense", NEW),
        ("loses the order", NEW),
        ("forgets what is pending", PENDING),
        ("forgets what is pending", NEW),
        ("counts trials", OTHERS),
        ("gives up", ONCE),
        ("gives up", WHATEVER),
        ("all were done", WHATEVER),
        ("all were done", LIMITS),
        ("all is finite", WHATEVER),
        ("all is finite", LIMITS),
        ("not all are equal", WHATEVER),
        ("numbers are small", WHATEVER),
        ("all have reported", PENDING),
        ("one objective", THREE),
        ("something is feasible", LIMITS),
    ],
)
def test_the_contract_can_fail(name: str, test: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever a broken searcher raises)
        getattr(CONTRACTS[name], test)()


def test_the_contract_says_what_is_wrong() -> None:
    """Not only that something is: who writes a searcher reads this first."""

    def not_in_json(self: Any, number: int, pending: Any) -> Any:
        proposal = sound(self, number, pending)
        return proposal and Proposal(proposal.assignment, note={"value": float("nan")})

    def an_assignment(self: Any, number: int, pending: Any) -> Any:
        proposal = sound(self, number, pending)
        return proposal and proposal.assignment

    said = {
        "is that of trial 0, which was given as pending": CONTRACTS["forgets what is pending"],
        "trial 0: what is proposed is no architecture of the space": CONTRACTS["nonsense"],
        "trial 0: the note of its proposal cannot be written as JSON": broken(not_in_json),
        "trial 0: expected a Proposal or None, but ask gave {": broken(an_assignment),
    }
    for words, contract in said.items():
        with pytest.raises(Exception) as raised:  # noqa: PT011 (whatever a broken searcher raises)
            getattr(contract, NEW)()
        assert words in "\n".join([str(raised.value), *getattr(raised.value, "__notes__", [])])


@pytest.mark.parametrize("happens", ["all fail", "the first fail", "all are stopped early"])
def test_what_happened_is_in_the_error(happens: str) -> None:
    """Each of these alone is enough to fail a searcher that takes all trials to be done."""
    contract = CONTRACTS["all were done"]
    end = ways_to_end(contract.done)[happens]
    with pytest.raises(KeyError):
        contract.study(next(contract.problems()), end).run(12)


def test_the_contract_passes_what_is_sound() -> None:
    contract = CONTRACTS["random"]
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert NEW in tests
    for test in tests:
        getattr(contract, test)()


def test_what_a_searcher_does_not_refuse_is_noticed() -> None:
    """A searcher that says that it takes no Real, no endless space, or one objective has to refuse them."""

    class TakesAll(SearcherContract):
        searcher = Random()
        takes_several = False
        num_spaces = 0

    with pytest.raises(AssertionError, match="several objectives: expected a UsageError"):
        TakesAll().test_three_objectives()
    for attribute, what in (("takes_reals", "a Real"), ("takes_endless", "no end")):
        contract = TakesAll()
        setattr(contract, attribute, False)
        with pytest.raises(AssertionError, match=f"a space with {what}: expected a UsageError"):
            contract.test_what_it_cannot_search_is_refused_at_the_start()


def test_random_spaces_are_what_they_say() -> None:
    """Built of every word of the language, within their sizes, and each is a network that can be built."""
    words: set[str] = set()
    for space in first_random_spaces(40, 3, True) + first_random_spaces(40, 3, False):
        size = space.size()
        small = size <= SMALL
        assert isinstance(size, int)
        assert small is (space in first_random_spaces(40, 3, True))
        words.update(kinds(space.describe()))
        for i in range(3):
            assert space.sample(random.Random(i)).parameters >= 0
        if small and not space.where:
            assert len({arch.id for arch in space.enumerate()}) == size
    assert {"Choice", "Optional", "Repeat", "Permute", "Subset", "Graph", "Lazy", "Scope", "Shared", "Integer"} <= words


def kinds(described: Any) -> set[str]:
    if isinstance(described, dict):
        inside = set().union(*[kinds(value) for value in described.values()])
        return inside | ({described["kind"]} if isinstance(described.get("kind"), str) else set())
    return set().union(*[kinds(item) for item in described]) if isinstance(described, list) else set()


def test_random_spaces_are_the_same_for_a_seed() -> None:
    first = [space.describe() for space in itertools.islice(random_spaces(5), 8)]
    assert first == [space.describe() for space in itertools.islice(random_spaces(5), 8)]
    assert first != [space.describe() for space in itertools.islice(random_spaces(6), 8)]


@pytest.mark.parametrize("searcher", [Random(), Evolution(population=4, sample=2), NSGA2(population=4), LocalSearch()])
def test_constraints_that_refuse_thousands_of_draws_now_and_then(
    searcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study would end there, and there again whenever it is gone on with, as its draws are the same."""
    monkeypatch.setattr("archsearch.spaces.sampling.MAX_REFUSALS", 30)
    space = Space({"n": Integer(1, 1_000), "x": Real(0.0, 1.0)}, where=lambda arch: arch["n"] <= 40)
    with pytest.raises(Infeasible):
        space.sample(random.Random(0), 30)
    search = searcher.start(problem(space, seed=1))
    for number in range(30):
        proposal = search.ask(number, [])
        assert proposal is not None
        score = {"accuracy": float(proposal.assignment["n"])}
        search.tell(Told(number, proposal.assignment, "done", score, score, 0.0))
    never = Space({"x": Real(0.0, 1.0)}, where=lambda arch: False)
    with pytest.raises(Infeasible):
        searcher.start(problem(never)).ask(0, [])
