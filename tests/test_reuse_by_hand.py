"""Asking and telling by hand where different answers mean one network, and what is shown of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from reuse_studies import Counting, Listed, query, sources, twins

from archsearch import nn
from archsearch import study as study_module
from archsearch.cli import main
from archsearch.snapshot import Snapshot
from archsearch.spaces.nodes import Choice
from archsearch.spaces.space import Space
from archsearch.study import Study


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def test_asking_by_hand_passes_over_what_needs_no_evaluation(store: Path) -> None:
    """lr is asked last: trials 0 and 1 are relu, 2 and 3 the same networks, 4 and 5 tanh."""
    study = Study(twins(), searcher="exhaustive", store=store)
    given = []
    while (trial := study.ask()) is not None:
        given.append(trial.number)
        study.tell(trial, trial.number / 7)
    assert given == [0, 1, 4, 5]
    assert sources(study) == [None, None, 0, 1, None, None]
    assert study.verify() == 6
    study.close()


def test_by_hand_a_trial_waits_for_the_one_that_is_evaluated(store: Path) -> None:
    study = Study(Space(Choice({**{n: nn.ReLU() for n in "abc"}, "d": nn.Tanh()})), searcher="exhaustive", store=store)
    first, other = study.ask(), study.ask()
    assert first is not None
    assert other is not None
    assert (first.number, other.number, study.ask()) == (0, 3, None)
    assert [(t.state, t.attempts) for t in study.trials] == [("running", n) for n in (1, 0, 0, 1)]
    assert [trial.pending for trial in study.trials] == [(), (0,), (0, 1), (0, 1, 2)]
    study.tell(other, 0.25)
    assert [trial.finish for trial in study.trials] == [None, None, None, 1]
    study.tell(first, {"accuracy": 0.75, "loss": math.nan})
    assert [trial.finish for trial in study.trials] == [2, 3, 4, 1]
    assert [trial.metrics for trial in study.trials[:3]] == [{"accuracy": 0.75, "loss": None}] * 3
    assert sources(study) == [None, 0, 0, None]
    assert study.verify() == 4
    study.close()


def test_by_hand_a_failure_hands_the_next_one_out(store: Path) -> None:
    """And so it does where another process goes on."""
    study = Study(Space(Choice({name: nn.ReLU() for name in "abc"})), searcher="exhaustive", store=store)
    first = study.ask()
    assert first is not None
    assert study.ask() is None
    study.tell(first, RuntimeError("no luck"))
    second = study.ask()
    assert second is not None
    assert (second.number, second.attempt, study.ask()) == (1, 1, None)
    study.close()
    again = Study(Space(Choice({name: nn.ReLU() for name in "abc"})), searcher="exhaustive", store=store)
    second = again.ask()
    assert second is not None
    assert (second.number, second.attempt, again.ask()) == (1, 2, None)
    again.tell(second, 0.5)
    assert [trial.state for trial in again.trials] == ["failed", "done", "done"]
    assert sources(again) == [None, None, 1]
    assert again.verify() == 3
    again.close()


def test_asking_ends_where_nothing_new_comes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "MAX_KNOWN", 5)
    study = Study(twins(), searcher=Listed(((None, None),), endless=True), store=store)
    trial = study.ask()
    assert trial is not None
    assert study.ask() is None  # all wait
    study.tell(trial, 0.5)
    assert study.ask() is None  # all are answered
    assert [(t.state, t.reused_from) for t in study.trials] == [("done", None), *[("done", 0)] * 10]
    assert (
        query(store, "SELECT message FROM events WHERE kind = 'nothing new'")
        == [("5 proposals in a row needed no evaluation",)] * 2
    )
    study.close()


def test_a_run_beside_the_same_network_by_hand_ends(store: Path) -> None:
    """One worker, which could wait for ever; what it leaves is answered when that trial is told."""
    evaluate = Counting()
    study = Study(Space(Choice({**{n: nn.ReLU() for n in "abc"}, "d": nn.Tanh()})), evaluate, "accuracy", "exhaustive")
    study.store = store
    mine = study.ask()
    assert mine is not None
    study.run(trials=4)
    assert evaluate.numbers == [3]
    assert [trial.state for trial in study.trials] == ["running", "running", "running", "done"]
    study.tell(mine, ValueError("by hand"))
    study.run(trials=4)
    assert evaluate.numbers == [3, 1]
    assert sources(study) == [None, None, 1, None]
    assert study.verify() == 4
    study.close()


def test_waiting_trials_are_evaluated_where_it_is_switched_off(store: Path) -> None:
    space = Space(Choice({name: nn.ReLU() for name in "abc"}))
    study = Study(space, searcher="exhaustive", store=store)
    assert study.ask() is not None
    assert study.ask() is None
    study.close()
    evaluate = Counting()
    off = Study(space, evaluate, searcher="exhaustive", store=store, reuse=False)
    off.run(trials=3)
    assert evaluate.numbers == [0, 1, 2]
    assert off.verify() == 3


def test_it_is_said(store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots: list[Snapshot] = []
    study = Study(twins(), Counting(), searcher="exhaustive", store=store)
    study.run(trials=6, progress=snapshots.append)
    assert [s.num_reused for s in snapshots if s.finished == 6] == [2]
    frame = study.frame()
    assert [None if math.isnan(n) else n for n in frame["reused_from"]] == [None, None, 0, 1, None, None]
    monkeypatch.chdir(store.parent)
    main(["show"])
    shown = capsys.readouterr().out.splitlines()
    assert "reused:    2 of the done ones have the metrics of an earlier trial, of the same network" in shown
    rows = {line.split()[0]: line for line in shown[-6:]}
    assert rows["3"].endswith("network of trial 1")
    assert not rows["1"].endswith("network of trial 0")
    main(["show", "--trial", "3"])
    assert "reused:    metrics of trial 1, of the same network" in capsys.readouterr().out
    main(["studies"])
    assert capsys.readouterr().out.splitlines()[1].split()[:6] == ["study", "6", "6", "2", "0", "0"]


def test_what_waits_is_said(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = Study(twins(), searcher="exhaustive", store=store)
    while study.ask() is not None:
        pass
    study.close()
    main(["show", "--store", str(store)])
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[-6:]]
    assert [state for _, state in rows] == ["running", "running", "waiting", "waiting", "running", "running"]


FILE = """
import archsearch as A
from archsearch import nn

space = A.Space(A.Choice({"a": nn.ReLU(), "b": nn.ReLU(), "c": nn.ReLU()}))
study = A.Study(space, lambda trial: 0.5, searcher="exhaustive", store="own.db", reuse=False)
"""


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "run.yaml").write_text("file: own.py\nreuse: true\nname: yaml\n", encoding="utf-8")
    for words, evaluated in (
        (["own.py", "--name", "own"], 3),
        (["own.py", "--name", "flag", "--reuse"], 1),
        (["--config", "run.yaml"], 1),
        (["--config", "run.yaml", "--name", "both", "--no-reuse"], 3),
    ):
        assert main(["run", *words]) == 0
        out, err = capsys.readouterr()
        (name,) = query(tmp_path / "own.db", "SELECT name FROM studies ORDER BY id DESC LIMIT 1")[0]
        sql = f"SELECT count(*) FROM trials JOIN studies ON id = study WHERE name = '{name}' AND reused_from IS NULL"
        assert query(tmp_path / "own.db", sql) == [(evaluated,)]
        said = "reused: 2 of the done ones have the metrics of an earlier trial, of the same network"
        assert (said in out.splitlines()) == (" reused" in err) == (evaluated == 1)
