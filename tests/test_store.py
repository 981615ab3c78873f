"""The record: a file that any SQLite tool reads, and what is said of one that is none."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from archsearch import schema
from archsearch import store as store_module
from archsearch.definition import Definition
from archsearch.driver import MAX_LOST, Driver
from archsearch.errors import StoreError
from archsearch.job import File, Job, Outcome, Report
from archsearch.searchers.contract import Problem
from archsearch.searchers.random import Random
from archsearch.spaces.nodes import Choice, Integer, Real
from archsearch.spaces.space import Space
from archsearch.store import Store
from archsearch.study import Study

SPACE = Space(
    {"a": Choice({"none": None, "deep": {"b": Integer(1, 10**6)}}), "c": Real(0.0, 1.0), "d": Choice([1, "1"])}
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def refusal(path: Path, trials: int = 1) -> str:
    """What is said, in one line, where a study cannot use a file."""
    with pytest.raises(StoreError) as raised:
        Study(SPACE, lambda trial: 1.0, store=path).run(trials=trials)
    message = str(raised.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_file_that_is_not_sqlite(path: Path) -> None:
    path.write_text("accuracy: 0.9\n" * 100)
    assert "is not an SQLite file" in refusal(path)
    assert path.read_text() == "accuracy: 0.9\n" * 100


def test_another_sqlite_file(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trials (x)")
    assert "not a record of archsearch" in refusal(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("trials",)]


def test_a_newer_schema(path: Path) -> None:
    Study(SPACE, lambda trial: 1.0, store=path).run(trials=1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    message = refusal(path, 2)
    assert f"schema version {schema.VERSION + 1}" in message
    assert "newer archsearch" in message


def test_a_read_only_file_can_be_read(path: Path) -> None:
    study = Study(SPACE, lambda trial: 1.0, store=path)
    study.run(trials=2)
    path.chmod(0o444)
    assert len(study.trials) == 2
    assert sorted(file.name for file in path.parent.iterdir()) == ["runs.db"]
    assert "is read-only" in refusal(path, 3)


def test_a_folder_and_a_missing_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "there is no folder" in refusal(tmp_path / "none" / "runs.db")


def test_a_file_that_stays_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Study(SPACE, lambda trial: 1.0, store=path).run(trials=1)
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "kept it locked" in refusal(path, 2)


def test_an_older_schema_is_migrated_at_once_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Study(SPACE, lambda trial: 1.0, store=path).run(trials=2)
    broken = "CREATE TABLE extra (x);\nCREATE TABLE studies (x);\n"
    for script in (broken, "CREATE TABLE extra (x);\nCREATE VIEW some AS SELECT x FROM extra;\n"):
        monkeypatch.setattr(store_module, "MIGRATIONS", (*schema.MIGRATIONS, script))
        monkeypatch.setattr(store_module, "VERSION", schema.VERSION + 1)
        if script is broken:
            assert "already exists" in refusal(path)
            with contextlib.closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
                assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
        else:
            with Store(path) as store:
                assert store.version() == schema.VERSION + 1
                assert len(store.query("SELECT * FROM trials")) == 2
                assert store.query("SELECT * FROM some") == []


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    Study(SPACE, lambda trial: 1.0, store=path).run(trials=1)
    insert = "INSERT INTO events (study, happened, kind, message) VALUES (?, '', '', '')"

    def write(store: Store, studies: list[int], error: type[BaseException] | None = None) -> None:
        with store.transaction() as db:
            for study in studies:
                db.execute(insert, (study,))
            if error:
                raise error

    with Store(path) as store:
        with pytest.raises(KeyboardInterrupt):
            write(store, [1], KeyboardInterrupt)
        with pytest.raises(StoreError, match="FOREIGN KEY"):
            write(store, [1, 2])
        assert store.query("SELECT * FROM events") == []
        write(store, [1, 1])
        assert len(store.query("SELECT * FROM events")) == 2


def test_the_view_of_decisions_is_the_assignment(path: Path) -> None:
    study = Study(SPACE, lambda trial: 1.0, store=path, name="some")
    study.run(trials=20)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT study, number, path, answer, type FROM decisions").fetchall()
    types = {str: "text", int: "integer", float: "real"}
    expected = [
        ("some", trial.number, path, answer, types[type(answer)])
        for trial in study.trials
        for path, answer in trial.assignment.items()
    ]
    # SQLite's JSON functions keep 15 digits of a real; the column itself holds all of them.
    assert [(s, n, p, round(a, 9) if t == "real" else a, t) for s, n, p, a, t in rows] == [
        (s, n, p, round(a, 9) if t == "real" else a, t) for s, n, p, a, t in expected
    ]
    assert len({len(trial.assignment) for trial in study.trials}) > 1


def test_a_reader_in_another_process_leaves_the_record_whole(path: Path) -> None:
    """The lease opens the file again and again while a study runs, and must not free it for others to tidy up."""
    study = Study(SPACE, store=path)
    first = study.ask()
    assert first is not None
    Store(path).close()  # as the lease does
    count = "SELECT count(*) FROM trials"
    read = f"import sqlite3; c = sqlite3.connect({str(path)!r}); print(*c.execute({count!r})); c.close()"
    for expected in ("(1,)", "(2,)"):
        done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (f"{expected}\n", "")
        assert path.with_name("runs.db-wal").exists()
        study.ask()
    study.tell(first, 1.0)
    study.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*), max(finish) FROM trials").fetchall() == [(3, 1)]


class RecordMachine(RuleBasedStateMachine):
    """A driver against a model in plain dicts, with crashes between any two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "runs.db"
        problem = Problem(SPACE, {"accuracy": "maximize"}, (), 0)
        self.definition = Definition("model", SPACE, problem.objectives, Random(), 0, ())
        self.trials: dict[int, dict[str, Any]] = {}
        self.reports: list[tuple[int, int, float]] = []
        self.jobs: dict[int, Job] = {}
        self.finished = 0
        self.driver = self.started()

    def started(self) -> Driver:
        return Driver(self.definition, self.definition.open(Store(self.path)), Path(self.folder.name))

    @rule()
    def crash(self) -> None:
        """The driver goes without a word; what it had not committed is gone."""
        lease = self.driver.record.lease
        assert lease is not None
        lease.stopped.set()
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("UPDATE studies SET holder = NULL")  # as if its process were dead
        self.driver.record.store.close()
        self.driver = self.started()
        assert sorted(self.driver.orphans) == sorted(self.jobs)
        self.jobs = {}
        for job in self.driver.adopt(len(self.driver.orphans)):
            self.jobs[job.number] = job
            assert job.attempt == self.trials[job.number]["attempts"] + 1
            assert job.assignment == self.trials[job.number]["assignment"]
            self.trials[job.number]["attempts"] += 1

    @rule(count=st.integers(1, 3))
    def propose(self, count: int) -> None:
        running = sorted(self.jobs)
        for i, job in enumerate(self.driver.propose(count)):
            self.jobs[job.number] = job
            self.trials[job.number] = {
                "assignment": dict(job.assignment),
                "state": "running",
                "attempts": 1,
                "lost": 0,
                "heard": self.finished,
                "pending": tuple(running + [job.number - k for k in range(i, 0, -1)]),
                "finish": None,
                "metrics": {},
            }

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), value=st.floats(allow_nan=False, allow_infinity=False))
    def report(self, data: Any, value: float) -> None:
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        self.driver.deliver([Report(job.number, job.attempt, len(self.reports), {"loss": value})])
        self.reports.append((job.number, job.attempt, value))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), kind=st.sampled_from(["done", "done", "exception", "lost", "timeout"]))
    def finish(self, data: Any, kind: Any) -> None:
        numbers = data.draw(st.lists(st.sampled_from(sorted(self.jobs)), min_size=1, unique=True))
        outcomes = []
        for number in numbers:
            metrics = {"accuracy": number / 3} if kind == "done" else {}
            files = (File(f"/x/{number}", 1, "00"),)
            job = self.jobs[number]
            outcomes.append(Outcome(number, job.attempt, kind, 0.5, metrics, None, None, files))
        again = {job.number: job for job in self.driver.finish(outcomes)}
        for number in numbers:
            trial = self.trials[number]
            trial["lost"] += kind == "lost"
            if kind == "lost" and trial["lost"] < MAX_LOST:
                trial["attempts"] += 1
                assert again[number].attempt == trial["attempts"]
                self.jobs[number] = again[number]
                continue
            assert number not in again
            del self.jobs[number]
            self.finished += 1
            trial["state"] = "done" if kind == "done" else "failed"
            trial["finish"] = self.finished
            trial["metrics"] = {"accuracy": number / 3} if kind == "done" else {}

    @invariant()
    def the_record_is_the_model(self) -> None:
        record = self.driver.record
        for trial in record.trials():
            model = self.trials[trial.number]
            assert list(trial.assignment.items()) == list(model["assignment"].items())
            for name in ("state", "attempts", "heard", "pending", "finish", "metrics"):
                assert getattr(trial, name) == model[name], name
        assert len(record.trials()) == len(self.trials)
        assert [(n, r["loss"]) for _, n, r in record.reports()] == [(n, value) for n, _, value in self.reports]
        assert [s for s, *_ in record.reports()] == list(range(1, len(self.reports) + 1))
        rows = record.store.query("SELECT number, attempt, state FROM attempts ORDER BY number, attempt")
        assert len(rows) == sum(trial["attempts"] for trial in self.trials.values())
        assert {row["number"] for row in rows if row["state"] == "running"} == set(self.jobs)
        assert record.store.query("PRAGMA foreign_key_check") == []
        assert set(self.driver.running) == set(self.jobs)
        done = [(trial["metrics"]["accuracy"], -n) for n, trial in self.trials.items() if trial["state"] == "done"]
        best = max(done, default=None)
        assert self.driver.best == (None if best is None else (-best[1], best[0]))

    def teardown(self) -> None:
        self.driver.close()
        self.folder.cleanup()


TestRecord = RecordMachine.TestCase
TestRecord.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)


def test_json_in_the_record_is_json_to_sqlite(path: Path) -> None:
    """Every column that holds JSON does so by SQLite's own rules."""

    def evaluate(trial: Any) -> dict[str, float]:
        trial.report(0, loss=float("inf"))
        return {"accuracy": 1.0, "odd": float("nan")}

    Study(SPACE, evaluate, store=path).run(trials=2)
    columns = {
        "trials": ("assignment", "metrics", "pending", "note"),
        "studies": ("objectives", "searcher", "space"),
        "reports": ("metrics",),
    }
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table, names in columns.items():
            for name in names:
                rows = connection.execute(f"SELECT json_valid({name}), {name} FROM {table}").fetchall()
                assert rows
                for valid, text in rows:
                    assert valid == 1
                    json.loads(text)
