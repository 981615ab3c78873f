"""kill -9 of the driver and of a worker, at points that the record shows: real processes, no guessed moments."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import StudyLocked
from archsearch.study import Study

TRIALS = 30

# Every evaluation is written down before it begins and after it ended; from the trial HOLD on evaluations wait, so that
# the study stands still where it is to be killed, until there is a file `go`.
SCRIPT = """
import os
import sys
import time
from pathlib import Path

from archsearch.spaces.nodes import Boolean, Choice, Integer, Real
from archsearch.spaces.space import Space
from archsearch.study import Study

FOLDER = Path(sys.argv[1])
HOLD = int(sys.argv[2])

branch = Choice({"x": None, "y": {"b": Boolean()}})
space = Space({"n": Integer(1, 10**6), "lr": Real(1e-4, 1e-1, log=True), "a": branch})


def evaluate(trial):
    with open(FOLDER / "evaluated", "a") as file:
        file.write(f"{trial.number} {trial.attempt} {os.getpid()}\\n")
    trial.report(0, n=trial["n"])
    while trial.number >= HOLD and not (FOLDER / "go").exists():
        time.sleep(0.01)
    if trial.number % 7 == 3:
        raise ValueError("seven")
    return {"accuracy": trial["lr"], "n": trial["n"]}


study = Study(space, evaluate, store=FOLDER / "runs.db", name="digits", seed=11)

if __name__ == "__main__":
    study.run(trials=30, workers=int(sys.argv[3]))
"""


class Run:
    """A study in a process of its own.

    Args:
        folder: of the script and the record.
        hold: the first trial whose evaluation waits.
        workers: on Ray where there are several.
    """

    def __init__(self, folder: Path, hold: int, workers: int) -> None:
        self.folder = folder
        (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
        words = [sys.executable, str(folder / "script.py"), str(folder), str(hold), str(workers)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def until(self, sql: str, value: int) -> None:
        """Wait until a query of the record gives a number, or more."""
        deadline = time.monotonic() + 120
        while query_or_nothing(self.folder, sql) < value:
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, f"{sql} did not reach {value}"

    def finish(self) -> None:
        with self:
            output, _ = self.process.communicate(timeout=180)
        assert (self.process.returncode, output) == (0, "")


def query_or_nothing(folder: Path, sql: str) -> int:
    """The number that a query gives; 0 before there is a record."""
    time.sleep(0.002)
    try:
        return int(query(folder, sql)[0][0])
    except sqlite3.OperationalError:
        return 0


def query(folder: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'runs.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


FINISHED = "SELECT count(*) FROM trials WHERE state <> 'running'"
NEVER = 10**9


def check_record(folder: Path) -> None:
    """Every trial once, nothing lost, nothing doubled, and every proposal the one of its history."""
    assert query(folder, "SELECT number FROM trials ORDER BY number") == [(n,) for n in range(TRIALS)]
    assert query(folder, "SELECT finish FROM trials ORDER BY finish") == [(n,) for n in range(1, TRIALS + 1)]
    ended = query(folder, "SELECT number, count(*) FROM attempts WHERE state IN ('done', 'exception') GROUP BY number")
    assert ended == [(n, 1) for n in range(TRIALS)]
    assert query(folder, "SELECT count(*) FROM attempts WHERE state = 'running'") == [(0,)]
    assert query(folder, "SELECT sequence FROM reports ORDER BY sequence") == [
        (n + 1,) for n in range(query(folder, "SELECT count(*) FROM reports")[0][0])
    ]
    assert query(folder, "PRAGMA integrity_check") == [("ok",)]
    for number, state, kind in query(
        folder,
        "SELECT number, trials.state, attempts.state FROM trials JOIN attempts USING (study, number)"
        " WHERE attempts.state NOT IN ('interrupted', 'lost')",
    ):
        assert (state, kind) == (("failed", "exception") if number % 7 == 3 else ("done", "done"))
    assert study_of(folder).verify() == TRIALS


def study_of(folder: Path) -> Study:
    names: dict[str, Any] = {"__name__": "script"}
    before = sys.argv
    try:
        sys.argv = ["script.py", str(folder), str(NEVER), "1"]
        exec(compile((folder / "script.py").read_text(), folder / "script.py", "exec"), names)
    finally:
        sys.argv = before
    study: Study = names["study"]
    return study


ROWS = "SELECT number, state, architecture, assignment, metrics, finish, heard, pending FROM trials ORDER BY number"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The rows of the study that nobody killed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    Run(folder, NEVER, 1).finish()
    check_record(folder)
    return query(folder, ROWS)


def evaluations(folder: Path) -> Counter[int]:
    """How often each trial's evaluation began."""
    return Counter(int(line.split()[0]) for line in (folder / "evaluated").read_text().splitlines())


def test_a_killed_driver_goes_on_as_if_nothing_had_been(tmp_path: Path, uninterrupted: list[Any]) -> None:
    """One worker, killed three times inside an evaluation: the rows are those of the uninterrupted study."""
    for hold, began in ((4, 1), (4, 2), (17, 1)):
        with Run(tmp_path, hold, 1) as run:
            run.until(f"SELECT count(*) FROM reports WHERE number = {hold}", began)
            with pytest.raises(StudyLocked, match=f"process {run.process.pid} on"):
                study_of(tmp_path).run(trials=TRIALS)
        assert query(tmp_path, FINISHED) == [(hold,)]
    Run(tmp_path, NEVER, 1).finish()
    check_record(tmp_path)
    assert query(tmp_path, ROWS) == uninterrupted
    again = {n: count for n, count in evaluations(tmp_path).items() if count > 1}
    assert again == {4: 3, 17: 2}
    assert query(tmp_path, "SELECT state FROM attempts WHERE number = 4 ORDER BY attempt") == [
        ("interrupted",),
        ("interrupted",),
        ("done",),
    ]


def test_a_driver_killed_at_any_moment(tmp_path: Path, uninterrupted: list[Any]) -> None:
    """Killed while it runs freely, again and again, wherever it just is in its loop."""
    kills = 0
    for finished in range(2, TRIALS, 3):
        with Run(tmp_path, NEVER, 1) as run:
            while query_or_nothing(tmp_path, FINISHED) < finished and run.process.poll() is None:
                pass
            kills += run.process.poll() is None  # else it was faster than we looked
    Run(tmp_path, NEVER, 1).finish()
    assert kills > 0
    check_record(tmp_path)
    assert query(tmp_path, ROWS) == uninterrupted


def test_a_killed_driver_of_ray_workers(tmp_path: Path, uninterrupted: list[Any]) -> None:
    """Killed while two evaluations run. Its workers end with it, and random search proposes what it would have."""
    with Run(tmp_path, 8, 2) as run:
        run.until("SELECT count(*) FROM reports WHERE number >= 8", 2)
        pids = {int(line.split()[2]) for line in (tmp_path / "evaluated").read_text().splitlines()}
        assert query(tmp_path, FINISHED) == [(8,)]
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "workers live on"
        time.sleep(0.05)
    Run(tmp_path, NEVER, 2).finish()
    check_record(tmp_path)
    columns = slice(0, 5)
    assert [row[columns] for row in query(tmp_path, ROWS)] == [row[columns] for row in uninterrupted]
    assert {n: count for n, count in evaluations(tmp_path).items() if count > 1} == {8: 2, 9: 2}


def test_a_killed_worker(tmp_path: Path, uninterrupted: list[Any]) -> None:
    """A worker is killed inside an evaluation; the driver replaces it, and the rest of the study notices nothing."""
    with Run(tmp_path, 12, 2) as run:
        run.until("SELECT count(*) FROM reports WHERE number >= 12", 2)
        lines = [line.split() for line in (tmp_path / "evaluated").read_text().splitlines()]
        (victim,) = [int(pid) for number, _, pid in lines if number == "12"]
        os.kill(victim, signal.SIGKILL)
        run.until("SELECT count(*) FROM reports WHERE number = 12", 2)
        attempts = "SELECT attempt, state FROM attempts WHERE number = 12 ORDER BY attempt"
        assert query(tmp_path, attempts) == [(1, "lost"), (2, "running")]
        (tmp_path / "go").touch()
        run.finish()
    check_record(tmp_path)
    columns = slice(0, 5)
    assert [row[columns] for row in query(tmp_path, ROWS)] == [row[columns] for row in uninterrupted]
    assert query(tmp_path, attempts) == [(1, "lost"), (2, "done")]
    assert {n: count for n, count in evaluations(tmp_path).items() if count > 1} == {12: 2}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
