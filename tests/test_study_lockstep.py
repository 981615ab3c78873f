"""Lockstep: a study with several workers is the same whichever trial finishes first, and wherever it is killed."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reuse_studies import twins

from archsearch.cli import main
from archsearch.errors import StudyError
from archsearch.evaluation import Evaluator
from archsearch.job import Job, Outcome
from archsearch.loop import go_on
from archsearch.searchers.evolution import Evolution
from archsearch.searchers.exhaustive import Exhaustive
from archsearch.searchers.random import Random
from archsearch.spaces.nodes import Boolean, Choice, Integer, Real
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial

SPACE = Space({"n": Integer(1, 30), "lr": Real(0.0, 1.0), "b": Choice({"no": None, "yes": {"c": Boolean()}})})
FINITE = Space({"n": Integer(1, 4), "b": Boolean()})
# Several answers for each network: trials wait for one another.
TWINS = Space({"model": twins().root["model"], "lr": Choice([0.1, 0.2, 0.3]), "n": Integer(1, 2)})


class Crash(Exception):
    """The driver ends here."""


class Shuffled:
    """Evaluates jobs, ends them in any order, loses some, and crashes after so many outcomes."""

    def __init__(self, evaluator: Evaluator, workers: int, rng: random.Random, crash_after: float) -> None:
        self.evaluator, self.workers, self.rng, self.left = evaluator, workers, rng, crash_after
        self.jobs: list[Job] = []

    @property
    def free(self) -> int:
        return self.workers - len(self.jobs)

    def submit(self, job: Job) -> None:
        assert len(self.jobs) < self.workers
        self.jobs.append(job)

    def wait(self, patient: bool = True) -> list[Outcome]:
        assert self.jobs or not patient, "nothing is under way, and yet the study goes on"
        ended: list[Outcome] = []
        for _ in range(self.rng.randint(0, len(self.jobs))):
            if self.left <= 0:
                raise Crash
            self.left -= 1
            job = self.jobs.pop(self.rng.randrange(len(self.jobs)))
            if job.attempt == 1 and self.rng.random() < 0.1:
                ended.append(Outcome(job.number, job.attempt, "lost", 0.1, {}))
            else:
                ended.append(self.evaluator.run(job, lambda report: None, has_storage=False))
        return ended

    def close(self) -> None:
        self.jobs = []


def score(trial: Trial) -> float:
    """Depends on the architecture alone; one in six fails."""
    value = int(trial.arch.canonical_id[:6], 16)
    if value % 6 == 0:
        raise ValueError("six")
    return value / 2**24


COLUMNS = "number, state, assignment, metrics, finish, heard, heard_reports, pending, note, reused_from"


def rows(store: Path, columns: str = COLUMNS) -> list[Any]:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        return connection.execute(f"SELECT {columns} FROM trials ORDER BY number").fetchall()


def run(make: Callable[[], Study], workers: int, trials: int, seed: int, pieces: int) -> list[Any]:
    """A study that finishes its trials in some order, and crashes several times on the way."""
    rng = random.Random(seed)
    for piece in range(pieces, -1, -1):
        study = make()
        driver = study.driver(workers)
        evaluator = Evaluator(study.space, score, study.objectives)
        crash_after = rng.randrange(trials) if piece else float("inf")
        with contextlib.suppress(Crash):
            go_on(driver, trials, Shuffled(evaluator, workers, rng, crash_after))
        assert study.verify() == driver.num_trials
        study.close()
    return rows(study.store)


@pytest.mark.parametrize(
    ("space", "searcher"),
    [
        (SPACE, Evolution(population=4, sample=2)),
        (SPACE, Random()),
        (TWINS, Evolution(population=4, sample=3)),
        (TWINS, Exhaustive()),
        (FINITE, Evolution(population=3, sample=2)),
    ],
    ids=["evolution", "random", "networks", "networks in order", "used up"],
)
@settings(max_examples=8, deadline=None)
@given(workers=st.integers(1, 5), seeds=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), ahead=st.booleans())
def test_the_order_of_finishing_changes_nothing(
    space: Space, searcher: Any, workers: int, seeds: tuple[int, int], ahead: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for seed, pieces in ((seeds[0], 0), (seeds[1], 3)):

            def make(seed: int = seed) -> Study:
                study = Study(space, score, searcher=searcher, store=Path(folder) / f"{seed}-{pieces}.db", seed=5)  # noqa: B023
                if ahead:
                    study.enqueue(*list(some(space)))
                return study

            found.append(run(make, workers, 25, seed, pieces))
    assert found[0] == found[1]
    for number, _, _, _, finish, heard, heard_reports, pending, _, _ in found[0]:
        first = max(0, number - workers + 1)
        assert (finish, heard, heard_reports) == (number + 1, first, 0)
        assert pending == str(list(range(first, number))).replace(" ", "")


def some(space: Space) -> list[Any]:
    return [space.sample(random.Random(seed)) for seed in range(3)]


def test_without_lockstep_the_order_counts(tmp_path: Path) -> None:
    """What the test above would see if outcomes were told as they come."""
    found = []
    for seed in range(6):
        study = Study(SPACE, score, searcher=Evolution(population=4, sample=2), store=tmp_path / f"{seed}.db")
        driver = study.driver()
        go_on(driver, 25, Shuffled(Evaluator(study.space, score, study.objectives), 3, random.Random(seed), 10**9))
        assert study.verify() == 25
        study.close()
        found.append(rows(study.store, "assignment"))
    assert any(other != found[0] for other in found)


def test_one_worker_in_lockstep_is_the_study_itself(tmp_path: Path) -> None:
    plain, turns = (Study(SPACE, score, searcher=Evolution(4, 2), store=tmp_path / f"{n}.db") for n in "ab")
    plain.run(trials=20)
    turns.run(trials=7, lockstep=True)
    turns.run(trials=20, lockstep=True)
    assert rows(plain.store) == rows(turns.store)


def test_a_study_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    def study(name: str) -> Study:
        return Study(SPACE, score, store=tmp_path / "runs.db", name=name)

    study("turns").run(trials=2, lockstep=True)
    study("plain").run(trials=2)
    said = "was begun in lockstep with 1 worker, and now goes on"
    with pytest.raises(StudyError, match=f"{said} with 2 workers: use run.lockstep=True, workers=1"):
        study("turns").run(trials=3, lockstep=True, workers=2)
    with pytest.raises(StudyError, match=f"{said} without lockstep"):
        study("turns").run(trials=3)
    with pytest.raises(StudyError, match=f"{said} without lockstep"):
        study("turns").ask()
    with pytest.raises(StudyError, match="was begun without lockstep, so it cannot go on in it"):
        study("plain").run(trials=3, lockstep=True)
    asked = study("asked")
    asked.ask()
    with pytest.raises(StudyError, match="open for ask and tell, which know no lockstep"):
        asked.run(trials=3, lockstep=True)


@pytest.mark.parametrize("change", ["heard = heard + 1", "heard_reports = 1", "pending = '[]'", "finish = 100"])
def test_a_record_out_of_step_does_not_verify(tmp_path: Path, change: str) -> None:
    def make() -> Study:
        return Study(SPACE, score, store=tmp_path / "runs.db")

    run(make, 3, 10, 0, 0)
    with contextlib.closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
        connection.execute(f"UPDATE trials SET {change} WHERE number = 6")
    with pytest.raises(StudyError, match="trial 6 of study 'study': in lockstep with 3 workers its proposal hears"):
        make().verify()


FILE = """
import archsearch as A

space = A.Space({"n": A.Integer(1, 1000)})

def evaluate(trial):
    return trial["n"]
"""


def test_from_the_command_line(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "run.yaml").write_text("file: tiny.py\nlockstep: true\ntrials: 3\n", encoding="utf-8")
    assert main(["run", "tiny.py", "--lockstep", "--trials", "2"]) == 0
    assert main(["run", "--config", "run.yaml"]) == 0
    assert len(rows(tmp_path / "runs.db")) == 3
    capsys.readouterr()
    assert main(["run", "tiny.py", "--trials", "4"]) == 1
    assert "was begun in lockstep with 1 worker" in capsys.readouterr().err


# Evaluations take as long as chance has it, differently in every run.
SCRIPT = """
import os
import sys
import time
from pathlib import Path

from archsearch.searchers.evolution import Evolution
from archsearch.spaces.nodes import Boolean, Choice, Integer, Real
from archsearch.spaces.space import Space
from archsearch.study import Study

branch = Choice({"x": None, "y": {"b": Boolean()}})
space = Space({"n": Integer(1, 10**6), "lr": Real(1e-4, 1e-1, log=True), "a": branch})


def evaluate(trial):
    trial.report(0, n=trial["n"])
    time.sleep(os.urandom(1)[0] / 2000)
    if trial.number % 7 == 3:
        raise ValueError("seven")
    return {"accuracy": trial["lr"]}


study = Study(space, evaluate, searcher=Evolution(4, 2), store=Path(sys.argv[1]) / "runs.db", name="digits", seed=11)
study.run(trials=24, workers=2, lockstep=True)
assert study.verify() == 24
"""


def process(folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    words = [sys.executable, str(folder / "script.py"), str(folder)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(folder: Path) -> int:
    time.sleep(0.002)
    try:
        return sum(state != "running" for (state,) in rows(folder / "runs.db", "state"))
    except sqlite3.OperationalError:
        return 0


def test_killed_on_ray_workers_it_is_the_same_study(tmp_path: Path) -> None:
    """kill -9 of the driver while both workers evaluate; and a run that nobody killed."""
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    running = process(pieces)
    deadline = time.monotonic() + 120
    while finished(pieces) < 9:
        assert running.poll() is None, running.communicate()[0]
        assert time.monotonic() < deadline
    running.kill()
    running.communicate()
    assert finished(pieces) < 24
    for folder in (pieces, whole):
        running = process(folder)
        output, _ = running.communicate(timeout=240)
        assert (running.returncode, output) == (0, "")
    assert rows(pieces / "runs.db") == rows(whole / "runs.db")
    notes = [note for (note,) in rows(whole / "runs.db", "note")]
    assert sum("mutated" in note for note in notes) > 12
