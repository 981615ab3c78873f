"""Studies on Ray's workers: one Ray for all tests of this file, except where starting it is what is tested."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archsearch import nn
from archsearch.errors import StudyError
from archsearch.ray_cluster import start, stop
from archsearch.snapshot import Snapshot
from archsearch.spaces.nodes import Choice, Integer, Real, Sequential
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial

SPACE = Space({"n": Integer(1, 10**6), "lr": Real(1e-4, 1e-1, log=True), "pair": Choice([(1, 2), (3, 4)])})


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    module, owned = start(None, 2, [])
    assert owned
    yield module
    stop()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def query(store: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        return connection.execute(sql).fetchall()


def test_the_same_study_as_in_this_process(ray: Any, tmp_path: Path) -> None:
    """Random search proposes the same whatever finishes first; with one worker the whole record is the same."""

    def evaluate(trial: Trial) -> dict[str, float]:
        if trial.number % 4 == 1:
            raise ValueError(f"no {trial.number}")
        return {"accuracy": trial["lr"], "first": trial["pair"][0]}

    studies = []
    for name, options in (("here", {}), ("one", {"executor": "ray"}), ("two", {"workers": 2})):
        study = Study(SPACE, evaluate, store=tmp_path / f"{name}.db")
        study.run(trials=12, **options)
        assert study.verify() == 12
        studies.append(study)
    here, one, two = (
        [(t.number, t.state, t.assignment, t.metrics, t.kind, t.message) for t in s.trials] for s in studies
    )
    assert here == one == two
    assert [t.heard for t in studies[1].trials] == list(range(12))
    assert all(len(t.pending) <= 1 for t in studies[2].trials)
    traceback = studies[2].trials[1].traceback
    assert traceback is not None
    assert "raise ValueError" in traceback
    assert "evaluation.py" not in traceback


def test_as_many_trials_run_at_a_time_as_there_are_workers(ray: Any, store: Path) -> None:
    """Each of the first two waits until both are running, which one worker after the other never are."""
    folder = store.parent

    def evaluate(trial: Trial) -> float:
        (folder / str(trial.number)).touch()
        while trial.number < 2 and not ((folder / "0").exists() and (folder / "1").exists()):
            time.sleep(0.001)
        return 1.0

    Study(SPACE, evaluate, store=store).run(trials=4, workers=2, timeout=60)
    assert len({worker for (worker,) in query(store, "SELECT worker FROM attempts")}) == 2


def test_modules_are_built_and_files_recorded(ray: Any, store: Path) -> None:
    space = Space(Sequential(nn.Linear(Choice([3, 5])), nn.Linear(2)), input_shape=(4,))

    def evaluate(trial: Trial) -> float:
        (trial.directory / "weights.txt").write_text(str(next(trial.build().parameters()).sum().item()))
        return 1.0

    objective = {"accuracy": "maximize", "parameters": "minimize"}
    study = Study(space, evaluate, objective, "exhaustive", store, storage=store.parent / "files")
    study.run(trials=2, workers=2)
    assert [trial.metrics["parameters"] for trial in study.trials] == [
        sum(p.numel() for p in trial.arch.build().parameters()) for trial in study.trials
    ]
    for number, path in query(store, "SELECT number, path FROM files"):
        seed = stream_seed(number)
        weights = next(study.trials[number].arch.build(seed=seed).parameters())
        assert Path(path).read_text() == str(weights.sum().item())
    assert len(query(store, "SELECT * FROM files")) == 2


def stream_seed(number: int) -> int:
    from archsearch.searchers.contract import stream

    return stream(0, number).getrandbits(32)


def test_reports_arrive_while_the_trial_runs(ray: Any, store: Path) -> None:
    """The trial waits until its first report is in the record, which it can see only if reports do not wait for it."""
    path = str(store)

    def evaluate(trial: Trial) -> float:
        trial.report(1, loss=0.5)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            while not connection.execute("SELECT 1 FROM reports WHERE number = ?", (trial.number,)).fetchall():
                time.sleep(0.001)
        trial.report(2, loss=0.25)
        return 1.0

    study = Study(SPACE, evaluate, store=store)
    study.run(trials=4, workers=2, timeout=60)
    assert [trial.state for trial in study.trials] == ["done"] * 4
    rows = query(store, "SELECT sequence, number, step FROM reports ORDER BY sequence")
    assert [sequence for sequence, *_ in rows] == list(range(1, 9))
    assert sorted((number, step) for _, number, step in rows) == [(n, s) for n in range(4) for s in (1, 2)]


def test_a_lost_worker_is_replaced_and_its_trial_evaluated_again(ray: Any, store: Path) -> None:
    """Trial 1 takes its worker with it once, trial 3 always."""
    marks = store.parent

    def evaluate(trial: Trial) -> float:
        if trial.number == 3 or (trial.number == 1 and not (marks / "once").exists()):
            (marks / "once").touch()
            trial.report(trial.attempt, alive=1)
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    seen: list[Snapshot] = []
    study = Study(SPACE, evaluate, store=store)
    study.run(trials=6, workers=2, progress=seen.append)
    trials = study.trials
    assert [trial.attempts for trial in trials] == [1, 2, 1, 3, 1, 1]
    assert [trial.kind for trial in trials] == [None, None, None, "lost", None, None]
    assert sorted(trial.finish or 0 for trial in trials) == [1, 2, 3, 4, 5, 6]
    assert trials[3].message
    assert "\x1b" not in trials[3].message
    assert seen[-1].num_lost == 4
    assert seen[-1].failures == {"lost": 1}
    assert query(store, "SELECT number, state FROM attempts WHERE state <> 'done' ORDER BY 1") == [
        (1, "lost"),
        (3, "lost"),
        (3, "lost"),
        (3, "lost"),
    ]
    assert study.verify() == 6


def test_a_timeout_ends_the_worker_and_not_the_study(ray: Any, store: Path) -> None:
    def evaluate(trial: Trial) -> float:
        if trial.number == 1:
            threading.Event().wait()
        return 1.0

    study = Study(SPACE, evaluate, store=store)
    study.run(trials=4, workers=2, timeout=3)
    assert [trial.kind for trial in study.trials] == [None, "timeout", None, None]
    assert [trial.attempts for trial in study.trials] == [1, 1, 1, 1]
    assert study.trials[1].message == "TimedOut: took longer than 3 seconds"


def test_an_interrupt_in_user_code_is_a_failure_there(ray: Any, store: Path) -> None:
    def evaluate(trial: Trial) -> float:
        if trial.number == 0:
            raise KeyboardInterrupt
        sys.exit(4)

    study = Study(SPACE, evaluate, store=store)
    study.run(trials=2, executor="ray")
    assert [trial.message for trial in study.trials] == ["KeyboardInterrupt", "SystemExit: 4"]


def test_what_cannot_travel_is_named(ray: Any, store: Path) -> None:
    lock = threading.Lock()

    def inner(trial: Trial) -> float:
        with lock:
            return 1.0

    def evaluate(trial: Trial) -> float:
        return inner(trial)

    study = Study(SPACE, evaluate, store=store)
    with pytest.raises(StudyError, match=r"'lock', a _thread.lock that evaluate uses, cannot travel to a worker"):
        study.run(trials=1, workers=2)
    study = Study(SPACE, lambda trial: 1.0, objective="other", store=store)
    study.run(trials=1)  # the refused run has left no trial, so the name is free


class Unloadable:
    """Pickles well, and cannot be loaded."""

    def __reduce__(self) -> Any:
        return int, ("not a number",)


def test_what_cannot_be_loaded_ends_the_run(ray: Any, store: Path) -> None:
    thing = Unloadable()

    def evaluate(trial: Trial) -> float:
        return float(thing is not None)

    study = Study(SPACE, evaluate, store=store)
    with pytest.raises(StudyError, match="cannot be loaded on a worker: ValueError: invalid literal for int"):
        study.run(trials=3, workers=2)
    assert study.trials == []


def test_more_gpus_than_there_are(ray: Any, store: Path) -> None:
    gpus = int(ray.cluster_resources().get("GPU", 0))
    study = Study(SPACE, lambda trial: 1.0, store=store)
    with pytest.raises(StudyError, match=f"asked for {gpus + 1} GPUs, but Ray has {gpus}"):
        study.run(trials=1, gpus_per_worker=gpus + 1)
    with pytest.raises(StudyError, match="a fraction of one or a whole number"):
        study.run(trials=1, gpus_per_worker=1.5)


def test_ray_that_ran_before_runs_on(ray: Any, store: Path) -> None:
    Study(SPACE, lambda trial: 1.0, store=store).run(trials=2, workers=2)
    assert ray.is_initialized()


SCRIPT = """
import os
import sys
from archsearch.spaces.nodes import Integer
from archsearch.spaces.space import Space
from archsearch.study import Study

def evaluate(trial):
    print("a worker speaks")
    if (trial.number, trial.attempt) == (2, 1):
        os.kill(os.getpid(), 9)
    return float(trial["n"])

if __name__ == "__main__":
    study = Study(Space({"n": Integer(1, 1000)}), evaluate, store=sys.argv[1])
    study.run(trials=4, workers=2)
    import ray
    print([trial.attempts for trial in study.trials], ray.is_initialized())
"""


def test_ray_of_its_own_is_silent_and_stopped(store: Path) -> None:
    script = store.parent / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script), str(store)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 1, 2, 1] False\n", "")


def test_no_cluster_at_the_address(store: Path) -> None:
    code = SCRIPT.replace("workers=2", "workers=2, address='127.0.0.1:1'")
    script = store.parent / "script.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script), str(store)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "archsearch.errors.StudyError: no Ray cluster at '127.0.0.1:1'" in done.stderr
