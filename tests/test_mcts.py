"""Monte Carlo tree search: what it learns from, what it does not, and that it is better than chance."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from archsearch.errors import UsageError
from archsearch.searchers.contract import Limit, Pending, Problem, Search, Searcher, Told
from archsearch.searchers.mcts import MCTS, MCTSSearch
from archsearch.searchers.random import Random
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.nodes import Boolean, Choice, Integer, Real, Repeat
from archsearch.spaces.space import Space

PLAIN = MCTS(bisection=False, shared=0, rollouts="random")
KINDS = [MCTS(), PLAIN, MCTS(rollouts="random"), MCTS(rollouts="surrogate")]
SPACE = Space(
    {
        "kind": Choice({"flat": None, "deep": {"width": Integer(1, 40), "act": Choice(["relu", "gelu", "silu"])}}),
        "rate": Real(1e-4, 1e-1, log=True),
        "steps": Integer(1, 10**6, log=True),
        "bias": Boolean(),
    }
)

Score = Callable[[Mapping[str, Any]], float]


def score(assignment: Mapping[str, Any]) -> float:
    """From 0, larger is better; wide deep networks with a rate near 1e-3 win."""
    value: float = 10 - abs(math.log10(assignment["rate"]) + 3) + 0.5 * assignment["bias"]
    if assignment["kind"] == "deep":
        value += assignment["kind.deep.width"] / 10 + (assignment["kind.deep.act"] == "silu")
    return value


def tell(search: Search, number: int, assignment: Mapping[str, Any], value: float | None) -> None:
    values = {} if value is None else {"score": value}
    search.tell(Told(number, assignment, "failed" if value is None else "done", values, values, 0.0))


def run(
    searcher: Searcher,
    trials: int,
    value: Callable[[Mapping[str, Any]], float | None] = score,
    direction: Any = "maximize",
    space: Space = SPACE,
    seed: int = 0,
) -> list[Mapping[str, Any]]:
    search = searcher.start(Problem(space, {"score": direction}, (), seed))
    asked = []
    for number in range(trials):
        proposal = search.ask(number, [])
        assert proposal is not None
        asked.append(proposal.assignment)
        tell(search, number, proposal.assignment, value(proposal.assignment))
    return asked


@pytest.mark.parametrize("searcher", KINDS)
def test_neither_scale_nor_direction_changes_a_proposal(searcher: MCTS) -> None:
    trials = 18 if searcher.rollouts == "surrogate" else 40
    expected = run(searcher, trials)
    assert run(searcher, trials, lambda a: 1e6 * score(a) - 5e7) == expected
    assert run(searcher, trials, lambda a: math.exp(score(a))) == expected
    assert run(searcher, trials, lambda a: 3 - 1e-3 * score(a), "minimize") == expected


def test_the_exploration_constant_does() -> None:
    assert run(MCTS(exploration=0.1), 30) != run(MCTS(exploration=3.0), 30)


def test_failures_count_as_the_worst_and_no_worse() -> None:
    """Trials that fail, and the same ones with a value below all others, teach the same."""
    failing = run(MCTS(), 40, lambda a: None if a["bias"] else score(a))
    assert run(MCTS(), 40, lambda a: -1e9 if a["bias"] else score(a)) == failing
    assert sum([a["bias"] for a in failing[20:]]) < 8  # of 20
    pruned = MCTS().start(Problem(SPACE, {"score": "maximize"}))
    for number, assignment in enumerate(failing):
        proposal = pruned.ask(number, [])
        assert proposal is not None
        assert proposal.assignment == assignment
        value = {"score": score(assignment)}
        state: Any = "pruned" if assignment["bias"] else "done"
        pruned.tell(Told(number, assignment, state, {} if assignment["bias"] else value, value, 0.0))


def test_a_trial_that_breaks_a_limit_is_worse_than_any_that_does_not() -> None:
    problem = Problem(SPACE, {"score": "maximize"}, constraints={"latency": Limit(maximum=20.0)})
    search = MCTS().start(problem)
    late = []
    for number in range(60):
        proposal = search.ask(number, [])
        assert proposal is not None
        width = proposal.assignment.get("kind.deep.width", 0)
        value = {"score": score(proposal.assignment)}
        search.tell(Told(number, proposal.assignment, "done", value, {**value, "latency": float(width)}, 0.0))
        late.append(width)
    assert sum([width > 20 for width in late[30:]]) <= 8  # half of what is wide, without the limit nearly all
    free = [a.get("kind.deep.width", 0) for a in run(MCTS(), 60)[30:]]
    assert sum([width > 20 for width in free]) >= 22


def test_it_does_not_settle_on_what_keeps_a_limit_and_is_poor() -> None:
    """Small ones keep the limit and are best if long; of the middle size, which is better, short ones alone keep it."""
    layers = [f"x{i}" for i in range(8)]
    space = Space({"size": Choice([1, 2, 4]), "length": Choice([10, 11, 12]), **{x: Choice([1, 2, 3]) for x in layers}})
    limits = {"time": Limit(maximum=25.0)}

    def leaves_the_small(seed: int) -> bool:
        search = MCTS().start(Problem(space, {"score": "maximize"}, seed=seed, constraints=limits))
        sizes = []
        for number in range(25):
            proposal = search.ask(number, [])
            assert proposal is not None
            answers = proposal.assignment
            length = answers["length"] + statistics.mean([answers[x] for x in layers])
            value, time = {"score": 10.0 * answers["size"] + length}, answers["size"] * length
            search.tell(Told(number, answers, "done", value, {**value, "time": time}, 0.0))
            sizes += [answers["size"]] if time <= 25 else []
        return 2 in sizes

    # 27; 17 were one of those that break it alone ranked with those that keep it, 6 if none.
    assert sum([leaves_the_small(seed) for seed in range(30)]) >= 23


@pytest.mark.parametrize("searcher", [MCTS(rollouts="random"), MCTS()])
def test_what_is_under_way_is_left_for_others(searcher: MCTS) -> None:
    """Virtual losses: asked again with its own last proposals under way, it goes elsewhere, and comes back after."""
    space = Space({"first": Choice(list("abcde")), "second": Choice(list(range(1_000)))})
    search = searcher.start(Problem(space, {"score": "maximize"}))
    for number, first in enumerate("abcdea"):
        tell(search, number, {"first": first, "second": number}, 5.0 if first == "a" else float(number))
    pending: list[Pending] = []
    firsts = []
    for number in range(6, 46):
        proposal = search.ask(number, pending)
        assert proposal is not None
        firsts.append(proposal.assignment["first"])
        pending.append(Pending(number, proposal.assignment))
    assert firsts[0] == "a"
    assert len(set(firsts)) == 5
    again = search.ask(6, [])
    assert again is not None
    assert again.assignment["first"] == "a"


def test_a_worker_that_hangs_does_not_draw_the_search_to_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the best half is tried but what one worker never ends: each ask is done with it in a few simulations."""
    simulations = 0
    simulate = MCTSSearch.simulate

    def counted(self: MCTSSearch, *given: Any) -> dict[str, Any]:
        nonlocal simulations
        simulations += 1
        return simulate(self, *given)

    monkeypatch.setattr(MCTSSearch, "simulate", counted)
    space = Space(Choice({"good": Choice(list("abcdefgh"), name="how"), "bad": Choice(list(range(200)), name="which")}))
    search = MCTS().start(Problem(space, {"score": "maximize"}))
    *ended, hung = [arch.assignment for arch in itertools.islice(space.enumerate(), 8)]
    for number, assignment in enumerate(ended):
        tell(search, number, assignment, 10.0 + number)
    for number in range(8, 88):
        proposal = search.ask(number, [Pending(7, hung)])
        assert proposal is not None
        assert proposal.assignment != hung
        tell(search, number, proposal.assignment, -float(number % 7))
    assert simulations < 3 * 80


@pytest.mark.parametrize("searcher", KINDS)
def test_parallel_asks_differ(searcher: MCTS) -> None:
    search = searcher.start(Problem(SPACE, {"score": "maximize"}))
    for number, assignment in enumerate(run(searcher, 15)):
        tell(search, number, assignment, score(assignment))
    pending: list[Pending] = []
    for number in range(15, 25):
        proposal = search.ask(number, pending)
        assert proposal is not None
        pending.append(Pending(number, proposal.assignment))
    assert len({answers_id(trial.assignment) for trial in pending}) == 10


@pytest.mark.parametrize("searcher", KINDS)
def test_a_small_space_is_searched_to_its_end(searcher: MCTS) -> None:
    space = Space({"a": Integer(1, 7), "b": Choice({"no": None, "yes": Choice(["x", "y", "z"])})})
    search = searcher.start(Problem(space, {"score": "maximize"}))
    found = set()
    for number in range(28):
        proposal = search.ask(number, [])
        assert proposal is not None
        found.add(answers_id(proposal.assignment))
        tell(search, number, proposal.assignment, float(proposal.assignment["a"]))
    assert len(found) == 28
    assert search.ask(28, []) is None


def test_without_scores_that_differ_it_draws_as_the_space_does() -> None:
    """Five standard errors of the share of each option, prior and logarithm included."""
    space = Space({"a": Choice(["x", "y", "z"], prior=[0.6, 0.3, 0.1]), "n": Integer(1, 10**9, log=True)})
    search = MCTS(exploration=0.0).start(Problem(space, {"score": "maximize"}))
    tell(search, 0, space.sample(random.Random(0)).assignment, 1.0)
    asked = [search.ask(number, []) for number in range(1, 1_001)]
    answers = [proposal.assignment for proposal in asked if proposal is not None]
    for option, share in (("x", 0.6), ("y", 0.3), ("z", 0.1)):
        assert abs([a["a"] for a in answers].count(option) - 1_000 * share) < 5 * (1_000 * share * (1 - share)) ** 0.5
    assert abs(sum([a["n"] < 31_623 for a in answers]) - 500) < 5 * 250**0.5


def test_an_answer_informs_wherever_it_is_asked() -> None:
    """The first decision means nothing, the second all: what was learnt of it under x holds under a y never tried."""
    space = Space({"a": Integer(1, 100), "b": Choice(["good", "bad", "worse"])})

    def goods(searcher: MCTS) -> int:
        search = searcher.start(Problem(space, {"score": "maximize"}))
        for number, (a, b) in enumerate(itertools.product((1, 2, 3), ("good", "bad", "worse"))):
            tell(search, number, {"a": a, "b": b}, float(b == "good"))
        asked = [search.ask(number, []) for number in range(9, 109)]
        return sum([p.assignment["b"] == "good" for p in asked if p is not None])

    assert goods(MCTS(rollouts="random")) < 50
    assert goods(MCTS()) > 85


def test_a_copy_of_a_decision_informs_the_others() -> None:
    """Of the third layer nothing is known but that its copies did well with one answer."""
    space = Space(Repeat(Choice(["good", "bad", "worse"]), Choice([2, 3])))
    search = MCTS(exploration=0.0).start(Problem(space, {"score": "maximize"}))
    for number, (a, b) in enumerate(itertools.product(("good", "bad", "worse"), repeat=2)):
        tell(search, number, {"root": 2, "[0]": a, "[1]": b}, float((a == "good") + (b == "good")))
    asked = [search.ask(number, []) for number in range(9, 309)]
    third = [p.assignment["[2]"] for p in asked if p is not None and p.assignment["root"] == 3]
    assert len(third) > 100
    assert third.count("good") > 0.45 * len(third)  # a third of them, had it learnt nothing


def best(asked: Sequence[Mapping[str, Any]], value: Score) -> float:
    return max([value(assignment) for assignment in asked])


LONG = Space({f"x{i}": Choice([0, 1, 2, 3]) for i in range(12)})


def right(assignment: Mapping[str, Any]) -> float:
    """How many decisions are right, and right beside a right one."""
    hits = [int(answer == int(path[1:]) % 4) for path, answer in assignment.items()]
    return float(sum(hits) + sum([a * b for a, b in itertools.pairwise(hits)]))


@pytest.mark.parametrize(("space", "value", "ahead"), [(SPACE, score, 0.2), (LONG, right, 3.0)])
def test_it_is_ahead_of_chance(space: Space, value: Score, ahead: float) -> None:
    def mean(searcher: Searcher) -> float:
        return statistics.mean([best(run(searcher, 60, value, space=space, seed=seed), value) for seed in range(12)])

    assert mean(MCTS()) > mean(Random()) + ahead


def test_the_surrogate_picks_among_rollouts() -> None:
    """The first ten are drawn as without it; then it sees which decisions act together."""
    first = run(MCTS(rollouts="surrogate"), 10, right, space=LONG)
    assert first == run(MCTS(), 10, right, space=LONG)

    def mean(searcher: Searcher) -> float:
        return statistics.mean([best(run(searcher, 30, right, space=LONG, seed=seed), right) for seed in range(3)])

    assert mean(MCTS(rollouts="surrogate")) > mean(Random()) + 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exploration": -0.1}, r"exploration=.*at least 0.*-0\.1"),
        ({"exploration": math.inf}, "exploration=.*inf"),
        ({"exploration": "1"}, "exploration=.*'1'"),
        ({"shared": True}, "shared=.*True"),
        ({"shared": math.nan}, "shared=.*nan"),
        ({"bisection": 1}, "bisection=.*True or False.*1"),
        ({"rollouts": "surogate"}, "rollouts=.*'surogate'.*surrogate"),
        ({"rollouts": None}, "rollouts=.*None"),
    ],
)
def test_options_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MCTS(**settings)


def test_several_objectives_are_refused() -> None:
    problem = Problem(SPACE, {"accuracy": "maximize", "latency": "minimize"})
    with pytest.raises(
        UsageError, match=r"MCTS is for one objective.*accuracy, latency; Random, Exhaustive, .* and Auto take several"
    ):
        MCTS().start(problem)
