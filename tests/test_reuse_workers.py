"""A study evaluates a network once: on Ray's workers, and through kill -9 of the driver and of a worker."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reuse_studies import query

from archsearch import nn
from archsearch.ray_cluster import start, stop
from archsearch.spaces.nodes import Choice
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    module, owned = start(None, 2, [])
    assert owned
    yield module
    stop()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


RELU, TANH, GELU = nn.ReLU(), nn.Tanh(), nn.GELU()


def space_of(*networks: Any) -> Space:
    """A network for each trial of an exhaustive search."""
    return Space(Choice({f"label{i}": network for i, network in enumerate(networks)}))


def rows(store: Path) -> list[tuple[int, str, int | None, int]]:
    """(number, state, the trial that answered it, attempts) of every trial."""
    attempts = "(SELECT count(*) FROM attempts WHERE attempts.number = trials.number)"
    return query(store, f"SELECT number, state, reused_from, {attempts} FROM trials ORDER BY number")


def until(store: Path, sql: str) -> None:
    """Wait until a query gives a row."""
    while True:
        with contextlib.closing(sqlite3.connect(store)) as connection:
            if connection.execute(sql).fetchall():
                return
        time.sleep(0.002)


def test_with_two_workers_as_with_one(ray: Any, tmp_path: Path) -> None:
    """Whatever finishes first, every network is evaluated once, and all its trials have what that gave."""
    space = space_of(*[RELU, TANH, RELU, GELU, TANH] * 6)
    for workers in (1, 2):
        store = tmp_path / f"{workers}.db"
        study = Study(space, lambda trial: trial.number, searcher="exhaustive", store=store)
        study.run(trials=30, workers=workers)
        assert study.verify() == 30
        first: dict[str, int] = {}
        for trial in study.trials:
            source = first.setdefault(trial.arch.canonical_id, trial.number)
            assert trial.reused_from == (None if source == trial.number else source)
            assert (trial.state, trial.metrics) == ("done", {"accuracy": source})
        assert sorted(t.finish or 0 for t in study.trials) == list(range(1, 31))
        assert query(store, "SELECT number FROM attempts ORDER BY number") == [(0,), (1,), (3,)]


def test_a_trial_waits_and_does_not_take_the_budget(ray: Any, store: Path) -> None:
    """Trial 0 is under way until trials 1 and 3 wait for it and the other worker is done with trial 2."""
    path = store

    def evaluate(trial: Trial) -> float:
        if trial.number == 0:
            until(path, "SELECT 1 FROM trials WHERE number = 2 AND state = 'done'")
            until(path, "SELECT 1 FROM trials WHERE number = 3")
        return trial.number

    study = Study(space_of(RELU, RELU, TANH, *[RELU] * 7), evaluate, searcher="exhaustive", store=store)
    study.run(trials=10, workers=2, timeout=60)
    assert rows(store) == [
        (0, "done", None, 1),
        (1, "done", 0, 0),
        (2, "done", None, 1),
        *[(n, "done", 0, 0) for n in range(3, 10)],
    ]
    assert study.trials[2].pending == (0, 1)
    # With two that wait, for two workers, nothing more was proposed until the outcome was there.
    assert [trial.heard for trial in study.trials] == [0, 0, 0, 1, *range(4, 10)]
    assert study.verify() == 10


@pytest.mark.parametrize("failure", ["exception", "timeout", "lost"])
def test_where_the_evaluation_fails_the_next_trial_is_evaluated(ray: Any, store: Path, failure: str) -> None:
    """Trial 0 fails once trial 1 waits for it; then trial 1 is evaluated, and answers trial 2."""
    path = store

    def evaluate(trial: Trial) -> float:
        until(path, "SELECT 1 FROM trials WHERE number = 1")
        if trial.number == 0:
            if failure == "lost":
                os.kill(os.getpid(), signal.SIGKILL)
            while failure == "timeout":
                time.sleep(0.01)
            raise ValueError("no")
        return trial.number

    study = Study(space_of(RELU, RELU, RELU), evaluate, searcher="exhaustive", store=store)
    study.run(trials=3, workers=2, timeout=5 if failure == "timeout" else 60)
    assert rows(store) == [(0, "failed", None, 3 if failure == "lost" else 1), (1, "done", None, 1), (2, "done", 1, 0)]
    assert study.trials[0].kind == failure
    assert study.verify() == 3


def test_who_waits_goes_on_waiting_while_a_lost_worker_is_replaced(ray: Any, store: Path) -> None:
    path = store

    def evaluate(trial: Trial) -> float:
        until(path, "SELECT 1 FROM trials WHERE number = 1")
        if trial.attempt < 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return trial.number

    study = Study(space_of(RELU, RELU), evaluate, searcher="exhaustive", store=store)
    study.run(trials=2, workers=2)
    assert rows(store) == [(0, "done", None, 3), (1, "done", 0, 0)]
    assert study.verify() == 2


# Thirty answers, five networks, of which the trials 0, 2, 4, 6 and 7 are the first. From the trial HOLD on evaluations
# wait until they are killed.
SCRIPT = """
import os
import sys
import time
from pathlib import Path

from archsearch import nn
from archsearch.spaces.nodes import Choice
from archsearch.spaces.space import Space
from archsearch.study import Study

FOLDER = Path(sys.argv[1])
HOLD = int(sys.argv[2])

parts = [nn.ReLU(), nn.Tanh(), nn.GELU(), nn.ReLU(), nn.SiLU(), nn.Sigmoid()]
order = [0, 3, 1, 0, 2, 1, 4, 5, 4, 3] * 3
space = Space(Choice({f"label{i}": parts[k] for i, k in enumerate(order)}))


def evaluate(trial):
    with open(FOLDER / "evaluated", "a") as file:
        file.write(f"{trial.number} {trial.attempt} {os.getpid()}\\n")
    trial.report(0, begun=1)
    while trial.number >= HOLD:
        time.sleep(0.01)
    return trial.number


study = Study(space, evaluate, searcher="exhaustive", store=FOLDER / "runs.db")

if __name__ == "__main__":
    study.run(trials=30, workers=int(sys.argv[3]))
"""

NEVER = 10**9
FINISHED = "SELECT count(*) FROM trials WHERE state <> 'running'"
ROWS = "SELECT number, state, assignment, metrics, finish, heard, pending, canonical_id, reused_from FROM trials"


class Run:
    """The script in a process of its own, which is killed where the `with` ends."""

    def __init__(self, folder: Path, hold: int, workers: int) -> None:
        self.store = folder / "runs.db"
        (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
        words = [sys.executable, str(folder / "script.py"), str(folder), str(hold), str(workers)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def count(self, sql: str) -> int:
        try:
            return int(query(self.store, sql)[0][0])
        except sqlite3.OperationalError:  # there is no record yet
            return 0

    def until(self, sql: str, value: int) -> None:
        while self.count(sql) < value:
            assert self.process.poll() is None
            time.sleep(0.002)

    def finish(self) -> None:
        with self:
            output, _ = self.process.communicate(timeout=120)
        assert (self.process.returncode, output) == (0, "")


def study_of(folder: Path) -> Study:
    names: dict[str, Any] = {"__name__": "script"}
    before, sys.argv = sys.argv, ["script.py", str(folder), str(NEVER), "1"]
    try:
        exec(compile((folder / "script.py").read_text(), folder / "script.py", "exec"), names)
    finally:
        sys.argv = before
    study: Study = names["study"]
    return study


def check_record(folder: Path) -> None:
    """Every trial done once, every network evaluated to its end once, and every proposal the one of its history."""
    study = study_of(folder)
    assert study.verify() == 30
    trials = study.trials
    assert [trial.state for trial in trials] == ["done"] * 30
    assert sorted(trial.finish or 0 for trial in trials) == list(range(1, 31))
    evaluated = {trial.arch.canonical_id: trial.number for trial in trials if trial.reused_from is None}
    assert len(evaluated) == sum(trial.reused_from is None for trial in trials) == 5
    for trial in trials:
        assert trial.reused_from in (None, evaluated[trial.arch.canonical_id])
        assert trial.metrics == {"accuracy": evaluated[trial.arch.canonical_id]}
    store = folder / "runs.db"
    done = query(store, "SELECT number FROM attempts WHERE state = 'done' ORDER BY number")
    assert done == [(number,) for number in sorted(evaluated.values())]
    assert query(store, "SELECT count(*) FROM attempts WHERE state = 'running'") == [(0,)]
    assert query(store, "SELECT count(*) FROM events WHERE kind = 'reused'") == [(25,)]
    assert query(store, "PRAGMA integrity_check") == [("ok",)]


def evaluations(folder: Path) -> Counter[int]:
    """How often each trial's evaluation began."""
    return Counter(int(line.split()[0]) for line in (folder / "evaluated").read_text().splitlines())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The rows of the study that nobody killed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    Run(folder, NEVER, 1).finish()
    check_record(folder)
    return query(folder / "runs.db", ROWS)


def test_a_killed_driver_goes_on_as_if_nothing_had_been(tmp_path: Path, uninterrupted: list[Any]) -> None:
    """Killed inside each evaluation but the first, and then wherever it just is among the answers."""
    holds = [number for number, *_, source in uninterrupted if source is None]
    assert holds == [0, 2, 4, 6, 7]
    for hold in holds[1:]:
        with Run(tmp_path, hold, 1) as run:
            run.until(f"SELECT count(*) FROM reports WHERE number = {hold}", 1)
        assert query(tmp_path / "runs.db", FINISHED) == [(hold,)]
    kills = 0
    for finished in range(holds[-1] + 1, 30, 4):
        with Run(tmp_path, NEVER, 1) as run:
            while run.count(FINISHED) < finished and run.process.poll() is None:
                time.sleep(0.0005)
            kills += run.process.poll() is None
    Run(tmp_path, NEVER, 1).finish()
    assert kills > 0
    check_record(tmp_path)
    assert query(tmp_path / "runs.db", ROWS) == uninterrupted
    again = evaluations(tmp_path)
    assert set(again) == set(holds)
    assert [again[number] for number in holds[:4]] == [1, 2, 2, 2]


def test_a_driver_of_ray_workers_killed_while_trials_wait(tmp_path: Path) -> None:
    """Both of what is evaluated and what waits goes on: the first again, the others answered by it."""
    waiting = "SELECT count(*) FROM trials AS t WHERE state = 'running' AND NOT EXISTS"
    waiting += " (SELECT 1 FROM attempts AS a WHERE a.number = t.number)"
    with Run(tmp_path, 0, 2) as run:
        run.until("SELECT count(*) FROM reports", 2)
        run.until(waiting, 1)
        before = {n for (n,) in query(tmp_path / "runs.db", waiting.replace("count(*)", "number"))}
    for pid in {int(line.split()[2]) for line in (tmp_path / "evaluated").read_text().splitlines()}:
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
            time.sleep(0.01)
    Run(tmp_path, NEVER, 2).finish()
    check_record(tmp_path)
    assert before
    assert all(trial.reused_from is not None for trial in study_of(tmp_path).trials if trial.number in before)
    assert sorted(evaluations(tmp_path).values()) == [1, 1, 1, 2, 2]
