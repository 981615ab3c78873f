"""A study evaluates a network once: answers from the record."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from old_records import downgrade
from random_spaces import make_space
from reuse_studies import Counting, Listed, ListedSearch, query, sources, twins

from archsearch import nn, schema
from archsearch.errors import SpaceError, StudyError
from archsearch.evaluation import Evaluator
from archsearch.executor import InlineExecutor
from archsearch.interrupts import Interrupts
from archsearch.job import Outcome
from archsearch.loop import go_on
from archsearch.reuse import carried_over
from archsearch.searchers.contract import Pending, Problem, Proposal, Told
from archsearch.searchers.exhaustive import ExhaustiveSearch
from archsearch.snapshot import Snapshot
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Choice, Derived, Integer, Optional, Parallel, Permute, Sequential
from archsearch.spaces.same_network import value_labels
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial, TrialRecord

SPACES: dict[str, Space] = {
    "labels": twins(),
    "order of a sum": Space(
        Parallel(*[Choice({"relu": nn.ReLU(), "tanh": nn.Tanh(), "id": nn.Identity()}) for _ in range(2)], merge="add")
    ),
    "identities": Space(Sequential(Optional(nn.Identity()), nn.ReLU(), Optional(nn.ReLU()))),
    "scalars": Space({"width": Choice({"small": 16, "little": 16, "large": 32}), "deep": Integer(1, 2)}),
    "derived": Space({"half": Derived(lambda n: n // 2, n=Integer(1, 9))}),
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def outcomes(trials: Sequence[TrialRecord]) -> list[Any]:
    names = ("number", "state", "assignment", "metrics", "finish", "heard", "pending", "canonical_id", "reused_from")
    return [tuple(getattr(trial, name) for name in names) for trial in trials]


@pytest.mark.parametrize("name", SPACES)
def test_a_network_is_evaluated_once(name: str, store: Path) -> None:
    space = SPACES[name]
    evaluate = Counting()
    study = Study(space, evaluate, searcher="exhaustive", store=store)
    study.run(trials=1_000)
    trials = study.trials
    first: dict[str, int] = {}
    for trial in trials:
        assert trial.canonical_id == trial.arch.canonical_id
        source = first.setdefault(trial.arch.canonical_id, trial.number)
        assert trial.state == "done"
        assert trial.reused_from == (None if source == trial.number else source)
        assert trial.metrics == {"accuracy": source / 7}
        assert (trial.attempts, trial.seconds == 0) == ((1, False) if trial.reused_from is None else (0, True))
        assert (trial.finish, trial.heard, trial.pending) == (trial.number + 1, trial.number, ())
    assert len(trials) == space.size()
    assert evaluate.numbers == list(first.values())
    assert len(evaluate.numbers) == space.distinct() < len(trials)
    assert study.verify() == len(trials)
    assert study.best.number == evaluate.numbers[-1]
    said = [f"trial {t.number} is the network of trial {t.reused_from}, and has its metrics" for t in trials]
    events = query(store, "SELECT message FROM events WHERE kind = 'reused' ORDER BY id")
    assert events == [(said[t.number],) for t in trials if t.reused_from is not None]
    assert query(store, "SELECT DISTINCT number FROM attempts") == [(number,) for number in evaluate.numbers]


def test_random_spaces(tmp_path: Path) -> None:
    """Against the canonical ids of what was proposed, in spaces of every kind of node."""
    seen = 0
    for seed in range(60):
        space = make_space(seed, graphs=True)
        if space is None or value_labels(space.root):
            continue
        study = Study(space, lambda trial: trial.number, store=tmp_path / "runs.db", name=str(seed), seed=seed)
        try:
            study.run(trials=12)
        except SpaceError:  # what was drawn has a graph without any architecture
            continue
        first: dict[str, int] = {}
        for trial in study.trials:
            source = first.setdefault(trial.arch.canonical_id, trial.number)
            assert trial.metrics == {"accuracy": source}
            assert trial.reused_from == (None if source == trial.number else source)
            seen += trial.reused_from is not None
        assert study.verify() == len(study.trials)
    assert seen > 5


def test_the_search_hears_of_what_was_not_evaluated(store: Path) -> None:
    heard: list[Told] = []

    class ListeningSearch(ExhaustiveSearch):
        def tell(self, told: Told) -> None:
            heard.append(told)
            super().tell(told)

    @dataclass(frozen=True)
    class Listening:
        def start(self, problem: Problem) -> Any:
            return ListeningSearch(problem.space)

    study = Study(twins(), Counting(), searcher=Listening(), store=store)
    study.run(trials=6)
    assert [told.number for told in heard] == list(range(6))
    for told, trial in zip(heard, study.trials, strict=True):
        assert (told.state, told.objectives, told.metrics) == ("done", trial.metrics, trial.metrics)
        assert (told.cost == 0) == (trial.reused_from is not None)
    assert sum(told.cost == 0 for told in heard) == 2


def test_a_free_worker_is_not_kept_waiting(store: Path) -> None:
    class Hands(InlineExecutor):
        def wait(self, patient: bool = True) -> list[Outcome]:
            waits.append(patient)
            return super().wait(patient)

    waits: list[bool] = []
    with contextlib.closing(Study(twins(), searcher="exhaustive", store=store)) as study:
        driver = study.driver()
        evaluator = Evaluator(study.space, lambda trial: 0.5, study.objectives)
        go_on(driver, 6, Hands(evaluator, None, driver.deliver, Interrupts()))
    assert waits == [True, True, False, False, True, True]


def test_going_on_is_the_same_study(tmp_path: Path) -> None:
    """What is known is read from the record: each network is evaluated once over all the pieces."""
    whole = Study(SPACES["order of a sum"], Counting(), store=tmp_path / "whole.db", seed=3)
    whole.run(trials=9)
    evaluate = Counting()
    for target in (1, 4, 4, 6, 9):
        Study(SPACES["order of a sum"], evaluate, store=tmp_path / "pieces.db", seed=3).run(trials=target)
    pieces = Study(SPACES["order of a sum"], store=tmp_path / "pieces.db", seed=3)
    assert outcomes(pieces.trials) == outcomes(whole.trials)
    assert len(evaluate.numbers) == 6
    assert pieces.verify() == 9


def test_it_can_be_switched_off_and_on(store: Path) -> None:
    def study(reuse: bool) -> Study:
        return Study(twins(), Counting(), searcher="exhaustive", store=store, reuse=reuse)

    study(False).run(trials=3)
    assert sources(study(True)) == [None] * 3
    study(True).run(trials=4)
    assert sources(study(True)) == [None, None, None, 1]
    study(False).run(trials=6)
    assert sources(study(True)) == [None, None, None, 1, None, None]
    assert study(True).verify() == 6
    with pytest.raises(StudyError, match=r"Study\(reuse\): expected True or False, but got 1"):
        Study(twins(), reuse=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("failure", [lambda: 1 / 0, lambda: math.nan, lambda: {"other": 1}])
def test_failures_answer_nothing(failure: Callable[[], Any], store: Path) -> None:
    """Four labels of one network: it fails twice, and the third evaluation answers the fourth trial."""
    space = Space(Choice({name: nn.ReLU() for name in "abcd"}))
    evaluate = Counting(lambda trial: failure() if trial.number < 2 else 0.5)
    study = Study(space, evaluate, searcher="exhaustive", store=store)
    study.run(trials=4)
    assert evaluate.numbers == [0, 1, 2]
    assert [trial.state for trial in study.trials] == ["failed", "failed", "done", "done"]
    assert sources(study) == [None, None, None, 2]
    assert study.verify() == 4


def test_another_budget_or_parent_is_another_evaluation(store: Path) -> None:
    given = ((None, None), (None, 1.0), (None, 3.0), (None, 1), (0, None), (0, 1.0), (0, None), (1, None), (None, None))
    study = Study(twins(), Counting(), searcher=Listed(given), store=store)
    for target in (4, len(given)):  # by what is in memory, and by what is in the record
        study.run(trials=target)
    assert sources(study) == [None, None, None, 1, None, None, 4, None, 0]
    assert study.verify() == len(given)


def test_labels_of_values_count(store: Path) -> None:
    """An evaluation reads `trial.arch.answers["optimizer"]`: the values are None twice and a dict twice."""
    same = {"beta": Choice([0.9, 0.99])}
    optimizer = Choice({"adam": None, "lion": None, "sgd": same, "rms": same})
    space = Space({"optimizer": optimizer, "model": Choice({"a": nn.ReLU(), "b": nn.ReLU()})})
    study = Study(space, Counting(), searcher="exhaustive", store=store)
    study.run(trials=100)
    by_model: dict[str, list[TrialRecord]] = {"a": [], "b": []}
    for trial in study.trials:
        by_model[trial.assignment["model"]].append(trial)
    assert [trial.reused_from for trial in by_model["a"]] == [None] * 6
    for a, b in zip(by_model["a"], by_model["b"], strict=True):
        assert b.reused_from == a.number
        assert {**b.assignment, "model": "a"} == a.assignment
    assert study.verify() == 12


def scaled(by: float) -> Callable[[Any], Any]:
    return lambda x: by * x


def test_functions_of_one_name_are_told_apart(store: Path) -> None:
    double, tripled = scaled(2), scaled(3)
    space = Space(
        Choice(
            {
                "twice": module(double),
                "twice_again": module(double),
                "triple": module(tripled),
                "magnitude": module(abs),
                "magnitude_again": module(abs),
            }
        )
    )
    study = Study(space, Counting(), searcher="exhaustive", store=store)
    study.run(trials=5)
    assert sources(study) == [None, 0, None, None, 3]
    order = Space(Permute(first=module(double), second=module(tripled), third=nn.ReLU()))
    study = Study(order, Counting(), searcher="exhaustive", store=store, name="order")
    study.run(trials=6)
    assert sources(study) == [None] * 6


@dataclass(frozen=True)
class Setting:
    by: int


class Private(Setting):
    """What pickle refuses, so that nothing but the place in memory tells it from another."""

    def __reduce__(self) -> Any:
        raise TypeError("private")


def test_closures_and_objects_that_are_computed(store: Path) -> None:
    """None that was made for another trial lives on, so that where one lies says nothing."""
    for name, make, expected in (
        ("closure", scaled, [None, 0, None]),
        ("object", Setting, [None, 0, None]),
        ("private", Private, [None] * 3),
    ):
        space = Space({"made": Derived(lambda by, make=make: make(by // 2), by=Choice([2, 3, 4]))})
        study = Study(space, Counting(), searcher="exhaustive", store=store, name=name)
        study.run(trials=3)
        assert sources(study) == expected, name
        assert study.verify() == 3


def test_ids_that_meet_by_chance_answer_nothing() -> None:
    relu, same, tanh = [{"model": label, "lr": 0.1} for label in ("relu", "same", "tanh")]
    assert carried_over(twins(), {"accuracy": 0.5}, relu, same, ()) == {"accuracy": 0.5}
    assert carried_over(twins(), {"accuracy": 0.5}, relu, tanh, ()) is None


def test_what_cannot_be_resolved_is_evaluated(store: Path) -> None:
    """A function of the space raises: only an evaluation that asks for the values meets it, and fails."""

    def checked(n: int) -> int:
        if n % 2:
            raise ValueError(f"{n} is odd")
        return 8

    space = Space({"n": Derived(checked, n=Integer(1, 6))})
    blind = Study(space, Counting(), searcher="exhaustive", store=store)
    blind.run(trials=6)
    assert sources(blind) == [None, None, None, 1, None, 1]
    assert [trial.canonical_id is None for trial in blind.trials] == [True, False] * 3
    seeing = Study(space, lambda trial: trial["n"], searcher="exhaustive", store=store, name="seeing")
    seeing.run(trials=6)
    assert [trial.kind for trial in seeing.trials] == ["exception", None] * 3
    assert seeing.verify() == blind.verify() == 6


def returning(metrics: dict[str, float], trial: Trial) -> dict[str, float]:
    return metrics


def test_free_metrics_are_those_of_the_architecture(store: Path) -> None:
    """What only reads zeros is not in the network, and yet its parameters are there; `evaluate` may count otherwise."""
    dead = Sequential(nn.Zero(), nn.Linear(Choice([5, 7])), nn.Linear(3))
    space = Space(Parallel(nn.Linear(3), dead, merge="add"), input_shape=(4,))
    objective = {"accuracy": "maximize", "parameters": "minimize"}
    counts = [arch.parameters for arch in space.enumerate()]
    assert counts[0] < counts[1]
    for name, returned, expected in (
        ("own", {"accuracy": 0.5, "loss": math.nan}, [{"parameters": n} for n in counts]),
        ("given", {"accuracy": 0.5, "loss": math.nan, "parameters": 7}, [{"parameters": 7}] * 2),
    ):
        evaluate = Counting(partial(returning, returned))
        study = Study(space, evaluate, objective, "exhaustive", store, name=name)
        study.run(trials=2)
        assert evaluate.numbers == [0]
        assert [trial.metrics for trial in study.trials] == [{"accuracy": 0.5, "loss": None, **own} for own in expected]
        assert study.verify() == 2


def test_a_proposal_that_is_no_architecture_fails_as_it_did(store: Path) -> None:
    """Its network is known, but it has an answer too many."""

    @dataclass(frozen=True)
    class Wrong(Listed):
        def start(self, problem: Problem) -> ListedSearch:
            search = ListedSearch(self)
            ask = search.ask

            def wrong(number: int, pending: Sequence[Pending]) -> Proposal | None:
                asked = ask(number, pending)
                return asked and (asked if number != 1 else Proposal({**asked.assignment, "extra": 1}))

            search.ask = wrong  # type: ignore[method-assign]
            return search

    study = Study(twins(), Counting(), searcher=Wrong(((None, None),) * 3), store=store)
    study.run(trials=3)
    assert [trial.state for trial in study.trials] == ["done", "failed", "done"]
    assert "extra" in str(study.trials[1].message)
    assert sources(study) == [None, None, 0]


def test_a_run_of_answers_can_be_interrupted(store: Path) -> None:
    def watch(snapshot: Snapshot) -> None:
        if snapshot.num_reused == 5:
            os.kill(os.getpid(), signal.SIGINT)

    study = Study(twins(), Counting(), searcher=Listed(((None, None),), endless=True), store=store)
    with pytest.raises(KeyboardInterrupt):
        study.run(trials=500, progress=watch)
    assert len(study.trials) == 6
    study.run(trials=9)
    assert study.verify() == 9


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trials SET metrics = '{\"accuracy\":1.0}' WHERE number = 2",
        "UPDATE trials SET reused_from = 1 WHERE number = 2",
        "UPDATE trials SET reused_from = 2 WHERE number = 3",
        "UPDATE trials SET reused_from = 2 WHERE number = 6",
        "UPDATE trials SET reused_from = 77 WHERE number = 2",
        "UPDATE trials SET budget = 2 WHERE number = 2",
        "UPDATE trials SET canonical_id = 'x' WHERE number = 2",
    ],
)
def test_a_tampered_answer_does_not_verify(change: str, store: Path) -> None:
    study = Study(twins(third=nn.ReLU()), Counting(), searcher="exhaustive", store=store)
    study.run(trials=8)
    assert sources(study) == [None, None, 0, 1, None, None, 0, 1]
    assert study.verify() == 8
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute(change)
    with pytest.raises(StudyError, match=r"trial \d of study 'study': the record says that its metrics are those of"):
        study.verify()


def test_a_record_of_version_1_goes_on(store: Path) -> None:
    """Its trials have no canonical id and answer nothing; those that follow do."""
    study = Study(twins(), Counting(), searcher="exhaustive", store=store)
    study.run(trials=2)
    downgrade(store, 1)
    study.run(trials=6)
    assert query(store, "PRAGMA user_version") == [(schema.VERSION,)]
    assert sources(study) == [None] * 6
    assert [trial.canonical_id is None for trial in study.trials] == [True] * 2 + [False] * 4
    assert study.verify() == 6


def test_a_record_of_version_2_goes_on(store: Path) -> None:
    """What its trials evaluated follows from their canonical ids: they answer later ones."""
    study = Study(twins(), Counting(), searcher="exhaustive", store=store)
    study.run(trials=2)
    before = [trial.evaluation for trial in study.trials]
    downgrade(store, 2)
    study.run(trials=6)
    assert [trial.evaluation for trial in study.trials][:2] == before
    assert None not in before
    assert sources(study) == [None, None, 0, 1, None, None]
    assert study.verify() == 6


def test_what_answers_is_looked_up_by_an_index(store: Path) -> None:
    """The record is all that knows what was evaluated; a scan of it for every proposal would grow with the study."""
    study = Study(twins(), Counting(), searcher="exhaustive", store=store)
    study.run(trials=6)
    asked: list[str] = []
    with contextlib.closing(study), study.record() as record:
        driver = study.driver()
        assert record is not None
        driver.record.store.db.conn.set_trace_callback(asked.append)
        evaluation = study.trials[0].evaluation
        assert evaluation is not None
        found = driver.record.evaluated(evaluation)
        driver.record.store.db.conn.set_trace_callback(None)
    assert found is not None
    assert found[0] == 0
    (plan,) = [row[3] for row in query(store, f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert plan == "SEARCH trials USING INDEX evaluations (study=? AND evaluation=?)"
