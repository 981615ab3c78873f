"""Studies in this process: running, going on, failing, asking and telling."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import nn
from archsearch.errors import StudyError, StudyLocked, UsageError
from archsearch.searchers.evolution import Evolution
from archsearch.snapshot import Snapshot
from archsearch.spaces.nodes import Boolean, Choice, Integer, Real, Sequential
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial, TrialRecord

SPACE = Space({"x": Integer(1, 1_000_000), "lr": Real(1e-4, 1e-1, log=True), "pair": Choice([(1, 2), (3, 4)])})


def value_of(trial: Trial) -> float:
    return float(trial["lr"])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def outcomes(trials: list[TrialRecord]) -> list[Any]:
    """What must not differ between two runs of one study."""
    names = ("number", "state", "assignment", "metrics", "kind", "message", "finish", "heard", "pending")
    return [tuple(getattr(trial, name) for name in names) for trial in trials]


def test_nothing_is_opened_before_it_runs(store: Path) -> None:
    study = Study(SPACE, value_of, store=store)
    assert study.trials == []
    assert study.pareto == []
    assert study.verify() == 0
    with pytest.raises(StudyError, match="no trial of study 'study'"):
        _ = study.best
    study.run(trials=0)
    assert list(store.parent.iterdir()) == [store]


def test_a_study_has_as_many_trials_as_it_was_run_for(store: Path) -> None:
    study = Study(SPACE, value_of, store=store)
    for target, expected in ((3, 3), (3, 3), (2, 3), (7, 7)):
        study.run(trials=target)
        assert [trial.number for trial in study.trials] == list(range(expected))
    assert all(trial.state == "done" and trial.metrics == {"accuracy": trial["lr"]} for trial in study.trials)
    assert study.best.number == max(study.trials, key=lambda trial: trial["lr"]).number
    assert study.best.arch.assignment == study.best.assignment
    assert study.verify() == 7


def test_going_on_gives_the_same_study(tmp_path: Path) -> None:
    """One run, and the same in pieces by new objects, give the same rows; tuples come back as tuples."""
    whole = Study(SPACE, value_of, store=tmp_path / "whole.db", seed=3)
    whole.run(trials=9)
    for target in (1, 4, 4, 9):
        Study(SPACE, value_of, store=tmp_path / "pieces.db", seed=3).run(trials=target)
    pieces = Study(SPACE, value_of, store=tmp_path / "pieces.db", seed=3)
    assert outcomes(pieces.trials) == outcomes(whole.trials)
    assert {trial["pair"] for trial in pieces.trials} == {(1, 2), (3, 4)}
    other = Study(SPACE, value_of, store=tmp_path / "other.db", seed=4)
    other.run(trials=9)
    assert [trial.assignment for trial in other.trials] != [trial.assignment for trial in whole.trials]


def test_a_finite_space_ends(store: Path) -> None:
    space = Space({"a": Choice(["x", "y", "z"]), "b": Boolean()})
    for searcher in ("random", "exhaustive"):
        study = Study(space, lambda trial: 1.0, store=store, name=searcher, searcher=searcher)
        study.run(trials=100)
        assert sorted(trial.arch.id for trial in study.trials) == sorted(arch.id for arch in space.enumerate())
        assert study.verify() == 6


def raising(error: BaseException) -> float:
    raise error


def failing(trial: Trial) -> Any:
    kinds: dict[int, Callable[[], Any]] = {
        0: lambda: 1 / 0,
        1: lambda: math.nan,
        2: lambda: {"accuracy": math.inf, "other": 2},
        3: lambda: raising(MemoryError("no more")),
        4: lambda: raising(torch.OutOfMemoryError("CUDA out of memory. Tried")),
        5: lambda: {"acuracy": 0.5},
        6: lambda: "high",
        7: lambda: raising(SystemExit(3)),
        8: lambda: {"accuracy": np.float32(0.5), "steps": torch.tensor(3), "spread": math.nan},
    }
    return kinds[trial.number]()


def test_failures_are_data(store: Path) -> None:
    study = Study(SPACE, failing, store=store)
    study.run(trials=9)
    trials = study.trials
    kinds = ["exception", "nan", "nan", "oom", "oom", "exception", "exception", "exception", None]
    assert [trial.kind for trial in trials] == kinds
    assert [trial.state for trial in trials] == ["failed"] * 8 + ["done"]
    assert trials[0].message == "ZeroDivisionError: division by zero"
    assert trials[0].traceback is not None
    assert "1 / 0" in trials[0].traceback
    assert "evaluation.py" not in trials[0].traceback
    assert trials[2].metrics == {"accuracy": None, "other": 2}
    assert "did you mean 'acuracy'?" in str(trials[5].message)
    assert "'high'" in str(trials[6].message)
    assert trials[8].metrics == {"accuracy": 0.5, "steps": 3, "spread": None}
    assert study.best.number == 8
    assert study.verify() == 9
    with sqlite3.connect(store) as connection:
        rows = connection.execute("SELECT number, kind FROM failures ORDER BY number").fetchall()
    assert rows == [(i, kind) for i, kind in enumerate(kinds) if kind]


def test_free_metrics_are_those_of_the_architecture(store: Path) -> None:
    space = Space(Sequential(nn.Linear(Choice([3, 5, 7])), nn.Linear(2)), input_shape=(4,))
    objective = {"accuracy": "maximize", "parameters": "minimize"}
    study = Study(space, lambda trial: 0.5, objective, "exhaustive", store)
    study.run(trials=3)
    for trial in study.trials:
        built = trial.arch.build()
        assert trial.metrics["parameters"] == sum(p.numel() for p in built.parameters())
    assert [trial.number for trial in study.pareto] == [0]
    only = Study(space, lambda trial: None, {"parameters": "minimize"}, "exhaustive", store, name="only")
    only.run(trials=3)
    assert only.best.metrics == {"parameters": 4 * 3 + 3 + 3 * 2 + 2}


def test_a_number_for_several_objectives_is_refused(store: Path) -> None:
    study = Study(SPACE, lambda trial: 0.5, {"a": "maximize", "b": "minimize"}, store=store)
    study.run(trials=1)
    assert "return a dict with a, b" in str(study.trials[0].message)


@pytest.mark.parametrize("objectives", [("a",), ("a", "b"), ("a", "b", "c")])
def test_best_and_pareto_agree_with_the_definition_and_with_sql(store: Path, objectives: tuple[str, ...]) -> None:
    """Against the definition of domination, pair by pair; and the view of the record says the same."""
    directions = dict(zip(objectives, ("maximize", "minimize", "maximize"), strict=False))

    def evaluate(trial: Trial) -> dict[str, float]:
        digest = hashlib.sha256(str(trial.number).encode()).digest()
        if trial.number % 11 == 5:
            raise ValueError
        return {name: digest[i] % 5 for i, name in enumerate(objectives)}

    study = Study(SPACE, evaluate, directions, store=store)
    study.run(trials=60)
    done = [trial for trial in study.trials if trial.state == "done"]

    def loss(trial: TrialRecord) -> list[float]:
        return [float(trial.metrics[n] or 0) * (1 if d == "minimize" else -1) for n, d in directions.items()]

    def beats(a: TrialRecord, b: TrialRecord) -> bool:
        pairs = list(zip(loss(a), loss(b), strict=True))
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    front = {trial.number for trial in done if not any(beats(other, trial) for other in done)}
    assert {trial.number for trial in study.pareto} == front
    with sqlite3.connect(store) as connection:
        assert {number for (number,) in connection.execute("SELECT number FROM pareto")} == front
        best = dict(connection.execute("SELECT objective, number FROM best").fetchall())
    for i, name in enumerate(objectives):
        assert best[name] == min(done, key=lambda trial: (loss(trial)[i], trial.number)).number
    if len(objectives) == 1:
        assert study.best.number == best["a"]
    else:
        with pytest.raises(StudyError, match=r"study\.pareto"):
            _ = study.best


def test_reports_and_files_are_recorded(store: Path) -> None:
    def evaluate(trial: Trial) -> float:
        for epoch in range(3):
            trial.report(epoch, accuracy=epoch / 2, loss=math.nan)
        (trial.directory / "weights").mkdir()
        (trial.directory / "weights" / "a.bin").write_bytes(bytes([trial.number] * 7))
        return 1.0

    study = Study(SPACE, evaluate, store=store, name="a/b")
    study.run(trials=2)
    with sqlite3.connect(store) as connection:
        reports = connection.execute("SELECT sequence, number, step, metrics FROM reports ORDER BY sequence").fetchall()
        files = connection.execute("SELECT number, path, bytes, blake2b FROM files ORDER BY number").fetchall()
    assert [(sequence, number, step) for sequence, number, step, _ in reports] == [
        (3 * number + epoch + 1, number, epoch) for number in range(2) for epoch in range(3)
    ]
    assert json.loads(reports[2][3]) == {"accuracy": 1.0, "loss": None}
    for number, path, size, digest in files:
        content = Path(path).read_bytes()
        assert content == bytes([number] * 7)
        assert (size, digest) == (7, hashlib.blake2b(content, digest_size=20).hexdigest())
        assert Path(path).is_relative_to(store.parent / "runs.db.files" / "a%2Fb")
    assert len(files) == 2


def test_a_trial_builds_the_same_weights_again(store: Path) -> None:
    space = Space(Sequential(nn.Linear(Choice([3, 5]))), input_shape=(4,))
    seen: list[torch.Tensor] = []

    def evaluate(trial: Trial) -> float:
        first, second = (next(trial.build().parameters()).detach() for _ in range(2))
        assert torch.equal(first, second)
        seen.append(first.flatten()[:3])
        return 0.0

    Study(space, evaluate, store=store, searcher="exhaustive").run(trials=2)
    assert len(seen) == 2
    assert not torch.equal(*seen)


def test_ask_and_tell(store: Path) -> None:
    study = Study(SPACE, store=store, objective="score")
    first, second = study.ask(), study.ask()
    assert first is not None
    assert second is not None
    second.report(1, score=0.25)
    study.tell(second, 0.5)
    with pytest.raises(StudyError, match="trial 1 of study 'study' is not running"):
        study.tell(second, 0.5)
    with pytest.raises(StudyError, match="did you mean 'scores'"):
        study.tell(first, {"scores": 1.0})
    study.tell(first, ValueError("no data"))
    assert [(t.state, t.finish, t.pending) for t in study.trials] == [("failed", 2, ()), ("done", 1, (0,))]
    with pytest.raises(StudyError, match="no evaluate function"):
        study.run(trials=3)
    left = study.ask()
    assert left is not None
    study.close()
    again = Study(SPACE, store=store, objective="score")
    same = again.ask()
    assert same is not None
    assert (same.number, same.arch, same.attempt) == (2, left.arch, 2)
    again.tell(same, {"score": 1.0})
    again.close()
    assert again.verify() == 3


def test_asking_ends_with_the_space(store: Path) -> None:
    study = Study(Space({"a": Boolean()}), store=store)
    assert [study.ask() is None for _ in range(3)] == [False, False, True]
    study.close()


def test_what_was_asked_for_stays_with_who_asked(store: Path) -> None:
    """run() beside an asked trial neither evaluates it nor forgets it."""
    study = Study(SPACE, value_of, store=store)
    mine = study.ask()
    assert mine is not None
    study.run(trials=3)
    assert [trial.state for trial in study.trials] == ["running", "done", "done"]
    study.tell(mine, 0.0)
    study.close()
    assert [trial.finish for trial in study.trials] == [3, 1, 2]
    assert study.verify() == 3


def test_progress(store: Path) -> None:
    seen: list[Snapshot] = []
    study = Study(SPACE, lambda trial: 1 / (trial.number % 2), store=store)
    study.run(trials=2)
    study.run(trials=6, progress=seen.append)
    assert [s.finished for s in seen] == [2, 3, 4, 5, 6]
    assert seen[0].running == (2,)
    last = seen[-1]
    assert (last.target, last.finished_here, last.failures, last.best) == (6, 4, {"exception": 3}, (1, 1.0))
    assert last.seconds_left == 0


def test_frame(store: Path) -> None:
    study = Study(SPACE, value_of, store=store)
    study.run(trials=3)
    frame = study.frame()
    assert list(frame["accuracy"]) == list(frame["lr"]) == [trial["lr"] for trial in study.trials]


def test_a_tampered_record_does_not_verify(store: Path) -> None:
    study = Study(SPACE, value_of, store=store)
    study.run(trials=5)
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE trials SET assignment = json_set(assignment, '$.x', 7) WHERE number = 3")
    with pytest.raises(StudyError, match="trial 3 of study 'study': the record has"):
        study.verify()


def test_a_second_study_object_is_refused(store: Path) -> None:
    first, second = (Study(SPACE, value_of, store=store) for _ in range(2))
    assert first.ask() is not None
    with pytest.raises(StudyLocked, match="another Study object of this process"):
        second.run(trials=3)
    assert len(second.trials) == 1  # reading is free
    first.close()
    second.run(trials=3)
    assert [trial.state for trial in second.trials] == ["done"] * 3


def test_studies_of_other_names_are_free(store: Path) -> None:
    one = Study(SPACE, value_of, store=store, name="one")
    assert one.ask() is not None
    Study(SPACE, value_of, store=store, name="two").run(trials=2)
    one.close()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, "was begun with seed 0, and is now given 1"),
        (
            {"objective": {"accuracy": "minimize"}},
            "was begun with objectives maximize accuracy, and is now given minimize accuracy",
        ),
        ({"constraints": {"n": "<= 3"}}, r"was begun with constraints \(none\), and is now given n <= 3"),
        (
            {"searcher": Evolution(population=12)},
            r"searcher Random\(uniform='decisions'\), and is now given Evolution\(population=12, sample=10\); give it",
        ),
    ],
)
def test_another_definition_is_refused(store: Path, changed: dict[str, Any], said: str) -> None:
    Study(SPACE, value_of, store=store).run(trials=1)
    with pytest.raises(StudyError, match=said):
        Study(SPACE, value_of, **{"store": store, **changed}).run(trials=2)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: Study({"x": 1}), StudyError, "expected a Space"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, 3), StudyError, "expected a function"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, objective={}), StudyError, "expected a metric"),
        (lambda: Study(SPACE, objective={"a": "maximise"}), StudyError, "did you mean 'maximize'"),
        (lambda: Study(SPACE, searcher="randm"), UsageError, "did you mean 'random'"),
        (lambda: Study(SPACE, objective={"a": ["maximize"]}), StudyError, r"objective 'a': .*got \['maximize'\]"),  # type: ignore[dict-item]
        (lambda: Study(SPACE, searcher="MCTS"), UsageError, "did you mean 'mcts'"),
        (lambda: Study(SPACE, searcher=Evolution), StudyError, r"the class Evolution; did you mean Evolution\(\)"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, searcher={"name": "mcts"}), StudyError, r'name such as "auto".*got {.name.: .mcts.}'),  # type: ignore[arg-type]
        (lambda: Study(SPACE, seed=2**63), StudyError, "at most 64 bits, but got 9223372036854775808"),
        (lambda: Study(SPACE, store=5), StudyError, "the path of a file, but got 5"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, storage=5), StudyError, "a folder, but got 5"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, storage="s3://bucket"), StudyError, "the URL"),
        (lambda: Study(SPACE).tell(0, 1.0), StudyError, "a trial that ask gave, but got 0"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, value_of).run(trials=-1), StudyError, "trials: expected"),
        (lambda: Study(SPACE, value_of).run(trials=1, workers=0), StudyError, "workers: expected"),
        (lambda: Study(SPACE, value_of).run(trials=1, executor="rya"), StudyError, "did you mean 'ray'"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, value_of).run(trials=1, workers=2, executor="inline"), StudyError, "one trial at a time"),
        (lambda: Study(SPACE, value_of).run(trials=1, executor=3), StudyError, "'ray' or 'inline', but got 3"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, value_of).run(trials=1, gpus_per_worker="1"), StudyError, "of GPUs.*got '1'"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, value_of).run(trials=1, gpus_per_worker=-1), StudyError, "of GPUs.*got -1"),
        (lambda: Study(SPACE, value_of).run(trials=1, lockstep="no"), StudyError, "True or False, but got 'no'"),  # type: ignore[arg-type]
        (lambda: Study(SPACE, value_of).run(trials=1, timeout="soon"), UsageError, "timeout"),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], said: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        make()
    assert list(tmp_path.iterdir()) == []


def test_another_searcher_of_the_same_name_is_told_apart(store: Path) -> None:
    own = type("Evolution", (Evolution,), {"__module__": "mine"})
    Study(SPACE, value_of, searcher=Evolution(), store=store).run(trials=1)
    with pytest.raises(StudyError, match=r"archsearch.searchers.evolution:Evolution.* now given .*mine:Evolution"):
        Study(SPACE, value_of, searcher=own(), store=store).run(trials=2)


def test_what_failed_is_said_where_nothing_is_done(store: Path) -> None:
    def evaluate(trial: Trial) -> float:
        return {"acc": 1.0}["accuracy"]

    study = Study(SPACE, evaluate, store=store)
    with pytest.raises(StudyError, match=r"no trial of study 'study' in .* is done$"):
        _ = study.best
    study.run(trials=3)
    with pytest.raises(StudyError, match="is done: 3 of 3 failed, the last with KeyError: 'accuracy'"):
        _ = study.best


def test_what_is_missing_is_said_first(store: Path) -> None:
    """In 80 characters, which is what `archsearch show` has place for."""
    metrics = dict.fromkeys([f"a_metric_of_many_{i}" for i in range(20)], 0.5)
    study = Study(SPACE, lambda trial: metrics if trial.number else None, store=store)
    study.run(trials=2)
    first, second = [str(trial.message)[:80] for trial in study.trials]
    assert "evaluate returned None: return the value of 'accuracy'" in first
    assert "the objective 'accuracy' is not there; evaluate returned" in second


def test_a_free_metric_misspelt_is_said(store: Path) -> None:
    study = Study(SPACE, lambda trial: {"accuracy": 0.5}, store=store, constraints={"params": "<= 3"})
    study.run(trials=1)
    assert "metric 'params' is not there; did you mean 'parameters'?" in str(study.trials[0].message)


def test_a_timeout_ends_a_trial_in_this_process(store: Path) -> None:
    def evaluate(trial: Trial) -> float:
        while trial.number == 0:
            try:
                time.sleep(0.001)
            except Exception:  # what user code catches does not catch it
                continue
        return 1.0

    study = Study(SPACE, evaluate, store=store)
    study.run(trials=2, timeout=0.2)
    assert [trial.kind for trial in study.trials] == ["timeout", None]
    assert study.trials[0].message == "TimedOut: took longer than 0.2 seconds"


def test_ctrl_c_leaves_a_record_to_go_on_from(store: Path) -> None:
    """Interrupted in the middle of an evaluation; the trial is evaluated again, as it was."""
    interrupted = itertools.count()

    def evaluate(trial: Trial) -> float:
        if trial.number == 2 and next(interrupted) == 0:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        return value_of(trial)

    handler = signal.getsignal(signal.SIGINT)
    study = Study(SPACE, evaluate, store=store)
    with pytest.raises(KeyboardInterrupt):
        study.run(trials=5)
    assert signal.getsignal(signal.SIGINT) is handler
    assert [trial.state for trial in study.trials] == ["done", "done", "running"]
    before = study.trials[2]
    study.run(trials=5)
    assert [trial.attempts for trial in study.trials] == [1, 1, 2, 1, 1]
    assert study.trials[2].assignment == before.assignment
    with sqlite3.connect(store) as connection:
        states = connection.execute("SELECT state FROM attempts WHERE number = 2 ORDER BY attempt").fetchall()
        events = connection.execute("SELECT kind FROM events").fetchall()
    assert states == [("interrupted",), ("done",)]
    assert events == [("interrupted",)]
    assert study.verify() == 5
