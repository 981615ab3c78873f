"""Constraints of a study: on what follows from an architecture, and on what an evaluation measures."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch import nn
from archsearch.cli import main
from archsearch.constraints import by_metric, constrained, parsed, words, written
from archsearch.errors import AssignmentError, BuildError, Infeasible, StudyError
from archsearch.searchers.contract import Limit, Problem, Search
from archsearch.searchers.random import Random
from archsearch.snapshot import Snapshot
from archsearch.spaces.nodes import Choice, Integer, Real, Repeat, Sequential
from archsearch.spaces.pool import Pool
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial, TrialRecord

SPACE = Space({"n": Integer(1, 10**6), "lr": Real(0.0, 1.0)})
LAYERS = Space(Sequential(nn.Linear(Integer(1, 40)), nn.Linear(2)), input_shape=(4,))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def test_bounds_are_read() -> None:
    bounds = parsed({"parameters": "<= 2e6", "latency_ms": [">=1", " <= 20.5 "]})
    assert bounds == {"latency_ms": {"<=": 20.5, ">=": 1.0}, "parameters": {"<=": 2e6}}
    assert list(bounds) == ["latency_ms", "parameters"]
    assert words(bounds) == "latency_ms <= 20.5, latency_ms >= 1, parameters <= 2000000"
    assert by_metric(["latency_ms <= 20", "top 5>=0.5", "latency_ms >= 1"]) == {
        "latency_ms": ["<= 20", ">= 1"],
        "top 5": [">=0.5"],
    }


@given(st.dictionaries(st.sampled_from("abc"), st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_what_is_written_is_read_again(values: dict[str, float]) -> None:
    bounds = parsed({metric: f">= {value!r}" for metric, value in values.items()})
    assert parsed(written(bounds)) == bounds == {metric: {">=": value} for metric, value in sorted(values.items())}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": "< 3"}, """constraint on 'a': expected "<= NUMBER" or ">= NUMBER", but got '< 3'; did you mean '<='?"""),
        ({"a": "=> 3"}, "but got '=> 3'; did you mean '>='?"),
        ({"a": "== 3"}, "but got '== 3'"),
        ({"a": "<= many"}, "but got '<= many'"),
        ({"a": "<= inf"}, "but got '<= inf'"),
        ({"a": "20"}, "but got '20'"),
        ({"a": 20}, "but got 20"),
        ({"a": []}, "but got []"),
        ({"a": ["<= 3", "<= 4"]}, "constraint on 'a': <= is given twice"),
        ({"a": [">= 5", "<= 4"]}, "constraint on 'a': no number satisfies a >= 5, a <= 4"),
        ({"": "<= 3"}, "expected the name of a metric, but got ''"),
        ("a <= 3", """expected {metric: "<= NUMBER"}, but got 'a <= 3'"""),
    ],
)
def test_what_is_no_constraint(given: Any, said: str) -> None:
    with pytest.raises(StudyError) as raised:
        Study(SPACE, constraints=given)
    assert said in str(raised.value)


@pytest.mark.parametrize("searcher", ["exhaustive", "evolution"])
def test_what_is_too_large_is_not_proposed(store: Path, searcher: str) -> None:
    """4n + n + 2n + 2 parameters; the evaluation need not know of the constraint."""
    study = Study(
        LAYERS, lambda t: 0.5, searcher=searcher, store=store, constraints={"parameters": [">= 50", "<= 142"]}
    )
    study.run(trials=100)
    assert sorted(7 * trial.arch.values.parts[0].arguments["out_features"] + 2 for trial in study.trials) == [
        7 * n + 2 for n in range(7, 21)
    ]
    assert study.verify() == 14
    assert study.best.metrics == {"accuracy": 0.5}


def test_the_space_of_the_study_has_the_constraints() -> None:
    study = Study(LAYERS, constraints={"flops": "<= 100"})
    (free,) = study.space.where
    assert repr(free) == "flops <= 100"
    assert LAYERS.where == ()
    assert constrained(study.space, study.constraints) is study.space
    assert constrained(study.space, {}).where == ()
    again = pickle.loads(pickle.dumps(study.space))
    assert [arch.id for arch in again.enumerate()] == [arch.id for arch in LAYERS.enumerate() if arch.flops <= 100]
    large = list(LAYERS.enumerate())[-1]
    with pytest.raises(AssignmentError, match=r"where\[0\] \(flops <= 100\) does not allow"):
        study.space.architecture(large.assignment)
    kept = Space(LAYERS.root, input_shape=(4,), where=[lambda arch: arch.parameters % 2 == 0], require=[])
    where = Study(kept, constraints={"parameters": "<= 60"}).space
    assert {arch.parameters for arch in where.enumerate()} == {16, 30, 44, 58}


def test_a_pool_keeps_its_members_and_its_constraints(store: Path) -> None:
    pool = Pool(LAYERS, [{"[0].out_features": n} for n in (3, 8, 30)])
    study = Study(pool, lambda t: 0.5, store=store, constraints={"parameters": "<= 60"})
    study.run(trials=5)
    assert sorted(trial.arch.parameters for trial in study.trials) == [7 * 3 + 2, 7 * 8 + 2]
    assert study.verify() == 2


def test_constraints_that_nothing_satisfies(store: Path) -> None:
    for searcher, said in (
        ("random", "where= refused .* parameters <= 5"),
        ("exhaustive", "satisfies parameters <= 5"),
    ):
        study = Study(LAYERS, lambda t: 0.5, searcher=searcher, store=store, constraints={"parameters": "<= 5"})
        with pytest.raises(Infeasible, match=said):
            study.run(trials=3)
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT * FROM studies").fetchall() == []
    for space, said in ((SPACE, "no module to build"), (Space(LAYERS.root), "sizes follow from the input")):
        with pytest.raises(BuildError, match=f"the constraint parameters <= 5 cannot be checked: .*{said}"):
            Study(space, lambda t: 0.5, store=store, constraints={"parameters": "<= 5"}).run(trials=1)


@pytest.mark.parametrize("searcher", ["random", "exhaustive", "evolution", "mcts", "smbo"])
def test_what_cannot_be_built_satisfies_none(store: Path, searcher: str) -> None:
    """A search that came to it would otherwise end there, whenever the study is gone on with."""
    convolutions = Repeat(nn.Conv2d(2, Choice([3, 5])), Integer(1, 3))  # 9 pixels, less 2 or 4 by each
    space = Space(Sequential(convolutions, nn.Flatten(), nn.Linear(2)), input_shape=(1, 9, 9))
    study = Study(space, lambda t: -t.arch.parameters, searcher=searcher, store=store, constraints={"flops": ">= 0"})
    study.run(trials=30)
    assert [trial.state for trial in study.trials] == ["done"] * (2 + 4 + 4)  # of three, one 5 at the most
    assert study.verify() == 10


@dataclass(frozen=True)
class Noting:
    """Random search that shows what it was started with."""

    def start(self, problem: Problem) -> Search:
        problems.append(problem)
        return Random().start(problem)


problems: list[Problem] = []


def test_searchers_see_limits_on_what_is_measured(store: Path) -> None:
    problems.clear()
    given = {"latency_ms": "<= 20", "parameters": "<= 142", "accuracy": [">= 0.1", "<= 0.9"]}
    study = Study(LAYERS, searcher=Noting(), store=store, constraints=given)
    study.ask()
    study.close()
    assert problems[0].constraints == {"accuracy": Limit(0.1, 0.9), "latency_ms": Limit(maximum=20.0)}
    assert problems[0].space is study.space


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ({"accuracy": 0.5}, "the constrained metric 'latency_ms' is not there; evaluate returned ['accuracy']"),
        ({"accuracy": 0.5, "latency": 3}, "'latency_ms' is not there; did you mean 'latency'?"),
        (0.5, "there are several metrics to measure: return a dict with accuracy, latency_ms"),
    ],
)
def test_a_constrained_metric_must_be_measured(store: Path, returned: Any, said: str) -> None:
    study = Study(SPACE, lambda trial: returned, store=store, constraints={"latency_ms": "<= 20"})
    study.run(trials=1)
    assert study.trials[0].kind == "exception"
    assert said in str(study.trials[0].message)
    trial = study.ask()
    assert trial is not None
    with pytest.raises(StudyError) as raised:
        study.tell(trial, returned)
    assert said in str(raised.value)
    study.close()


def test_one_metric_may_be_returned_as_a_number(store: Path) -> None:
    study = Study(
        LAYERS, lambda t: 0.1 * t.number, {"parameters": "minimize"}, store=store, constraints={"a": ">= 0.1"}
    )
    study.run(trials=3)
    assert [trial.metrics["a"] for trial in study.trials] == [0.0, 0.1, 0.2]
    assert study.best.number in (1, 2)


@pytest.mark.parametrize("objectives", [("a",), ("a", "b")])
def test_best_and_pareto_are_of_those_within_the_limits(store: Path, objectives: tuple[str, ...]) -> None:
    """Against the definition, and against the views of the record; what is not finite is outside."""
    directions = dict(zip(objectives, ("maximize", "minimize"), strict=False))
    seen: list[Snapshot] = []

    def evaluate(trial: Trial) -> dict[str, float]:
        digest = hashlib.sha256(str(trial.number).encode()).digest()
        if trial.number % 11 == 5:
            raise ValueError
        return {"a": digest[0] % 5, "b": digest[1] % 5, "c": math.nan if trial.number % 7 == 0 else digest[2] % 9}

    constraints = {"a": "<= 3", "c": [">= 2", "<= 5"], "parameters": ">= 0"}
    space = Space({"model": nn.Linear(2), "n": Integer(1, 10**6)}, input_shape=(3,))
    study = Study(space, evaluate, directions, store=store, constraints=constraints)
    study.run(trials=80, progress=seen.append)
    done = [trial for trial in study.trials if trial.state == "done"]
    assert sum(trial.metrics["c"] is None for trial in done) > 5

    def feasible(trial: TrialRecord) -> bool:
        a, c = trial.metrics["a"], trial.metrics["c"]
        return a is not None and c is not None and a <= 3 and 2 <= c <= 5

    def loss(trial: TrialRecord) -> list[float]:
        return [float(trial.metrics[n] or 0) * (1 if d == "minimize" else -1) for n, d in directions.items()]

    def beats(one: TrialRecord, other: TrialRecord) -> bool:
        pairs = list(zip(loss(one), loss(other), strict=True))
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    within = [trial for trial in done if feasible(trial)]
    front = {trial.number for trial in within if not any(beats(other, trial) for other in within)}
    assert 0 < len(within) < len(done) / 2
    assert min(loss(trial) for trial in done) < min(loss(trial) for trial in within)
    assert {trial.number for trial in study.pareto} == front
    with closing(sqlite3.connect(store)) as connection:
        assert {number for (number,) in connection.execute("SELECT number FROM pareto")} == front
        best = dict(connection.execute("SELECT objective, number FROM best").fetchall())
        outside = {number for (number,) in connection.execute("SELECT DISTINCT number FROM violations")}
    assert outside == {trial.number for trial in done} - {trial.number for trial in within}
    for i, name in enumerate(objectives):
        assert best[name] == min(within, key=lambda trial: (loss(trial)[i], trial.number)).number
    if len(objectives) == 1:
        assert study.best.number == best["a"]
        assert seen[-1].best == (study.best.number, study.best.metrics["a"])
    assert study.verify() == 80


def slow(trial: Trial) -> dict[str, float]:
    return {"accuracy": trial.number / 10, "latency_ms": 30 - trial.number}


def test_where_nothing_is_within_the_limits_the_nearest_is_named(store: Path, capsys: Any) -> None:
    study = Study(SPACE, slow, store=store, constraints={"latency_ms": "<= 20", "accuracy": ">= 0"}, name="digits")
    study.run(trials=4)
    said = "no trial satisfies accuracy >= 0, latency_ms <= 20; trial 3 comes nearest, with accuracy=0.3, latency_ms=27"
    with pytest.raises(StudyError) as raised:
        _ = study.best
    assert said in str(raised.value)
    assert study.pareto == []
    assert main(["show", "--store", str(store)]) == 0
    shown = capsys.readouterr().out
    assert f"best:      {said}" in shown
    assert "within:    accuracy >= 0, latency_ms <= 20" in shown
    assert shown.splitlines()[-1].split() == ["3", "done", "0.3", "27", "0.0", "outside", "the", "constraints"]
    assert main(["best", "--store", str(store)]) == 2
    assert said in capsys.readouterr().err
    study.run(trials=12)
    assert study.best.number == 11
    main(["best", "--store", str(store), "--json"])
    assert json.loads(capsys.readouterr().out)["trial"] == 11
    main(["show", "--store", str(store)])
    assert capsys.readouterr().out.splitlines()[-1].split()[-1] == "best"


def test_constraints_are_part_of_the_study(store: Path) -> None:
    given = {"latency_ms": "<= 20", "n": [">= 1", "<= 2e6"]}

    def evaluate(trial: Trial) -> dict[str, float]:
        return {"accuracy": 0.5, "latency_ms": 3.0, "n": trial["n"]}

    Study(SPACE, evaluate, store=store, constraints=given).run(trials=1)
    same = {"n": ["<= 2000000", ">=1.0"], "latency_ms": ["<= 20.0"]}
    Study(SPACE, evaluate, store=store, constraints=same).run(trials=2)
    for other in (None, {"latency_ms": "<= 20"}, {**given, "latency_ms": "<= 21"}):
        with pytest.raises(StudyError, match="was begun with constraints"):
            Study(SPACE, evaluate, store=store, constraints=other).run(trials=3)
        with pytest.raises(StudyError, match="was begun with constraints"):
            _ = Study(SPACE, store=store, constraints=other).trials


FILE = """
import archsearch as A
from archsearch import nn

space = A.Space({"model": nn.Linear(A.Integer(1, 9)), "n": A.Boolean()}, input_shape=(1,))
constraints = {"latency_ms": "<= 20", "parameters": "<= 12"}
searcher = "exhaustive"

def evaluate(trial):
    width = trial.arch.parameters / 2
    return {"accuracy": width, "latency_ms": 4 * width + trial["n"]}
"""


def test_a_study_file_a_configuration_and_flags(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """Those of the file, and metric by metric the configuration's and the flags' in place of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "run.yaml").write_text("file: tiny.py\nconstraints: {latency_ms: ['>= 8', <= 17]}\n", encoding="utf-8")

    def constraints(name: str) -> Any:
        with closing(sqlite3.connect("runs.db")) as connection:
            (text,) = connection.execute("SELECT constraints FROM studies WHERE name = ?", (name,)).fetchone()
        return json.loads(text)

    assert main(["run", "tiny.py"]) == 0
    assert constraints("tiny") == {"latency_ms": {"<=": 20}, "parameters": {"<=": 12}}
    assert "12 done\nbest: trial 8: accuracy=5, latency_ms=20\n" in capsys.readouterr().out
    assert main(["run", "--config", "run.yaml", "--name", "yaml"]) == 0
    assert constraints("yaml") == {"latency_ms": {"<=": 17, ">=": 8}, "parameters": {"<=": 12}}
    assert main(["run", "--config", "run.yaml", "--name", "flag", "--constraint", "latency_ms<=1"]) == 0
    assert constraints("flag") == {"latency_ms": {"<=": 1}, "parameters": {"<=": 12}}
    assert "no trial satisfies latency_ms <= 1; trial 0 comes nearest, with latency_ms=4" in capsys.readouterr().out
    (tmp_path / "own.py").write_text(
        FILE + "study = A.Study(space, evaluate, searcher=searcher, constraints=constraints, name='own')\n",
        encoding="utf-8",
    )
    words = ["run", "own.py", "--constraint", "parameters <= 4", "--constraint", "accuracy >= 0.5"]
    assert main([*words, "--constraint", "accuracy <= 7"]) == 0
    assert constraints("own") == {
        "accuracy": {"<=": 7, ">=": 0.5},
        "latency_ms": {"<=": 20},
        "parameters": {"<=": 4},
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--constraint", "latency_ms"], "expected a constraint such as \"latency_ms <= 20\", but got 'latency_ms'"),
        (["--constraint", "<= 3"], "expected a constraint such as \"latency_ms <= 20\", but got '<= 3'"),
        (["--constraint", "a < 3"], "did you mean '<='?"),
        (
            ["--config", "run.yaml"],
            """run.yaml:2: constraint on 'a': expected "<= NUMBER" or ">= NUMBER", but got '3'""",
        ),
        (
            ["--config", "list.yaml"],
            "list.yaml:1: constraints: expected `metric: bound` lines, but got ['a <= 3'] (a list)",
        ),
        (
            ["--config", "number.yaml"],
            """number.yaml:3: constraints.a: expected "<= NUMBER" or ">= NUMBER", but got 3""",
        ),
    ],
)
def test_what_is_no_constraint_on_the_command_line(
    tmp_path: Path, monkeypatch: Any, capsys: Any, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "run.yaml").write_text("trials: 3\nconstraints: {a: '3'}\n", encoding="utf-8")
    (tmp_path / "list.yaml").write_text("constraints: ['a <= 3']\n", encoding="utf-8")
    (tmp_path / "number.yaml").write_text("trials: 3\nconstraints:\n  a: 3\n", encoding="utf-8")
    assert main(["run", "tiny.py", *words]) in (1, 2)
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
