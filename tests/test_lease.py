"""One driver writes a study; who is alive is decided by real processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archsearch import lease as lease_module
from archsearch.driver import Driver
from archsearch.errors import StudyLocked
from archsearch.lease import is_alive, process_start
from archsearch.spaces.nodes import Integer
from archsearch.spaces.space import Space
from archsearch.store import Store
from archsearch.study import Study

HOLDER = """
import sys
from archsearch.spaces.nodes import Integer
from archsearch.spaces.space import Space
from archsearch.study import Study
study = Study(Space({"n": Integer(1, 1000)}), store=sys.argv[1], name="digits")
print(study.ask().number, flush=True)
sys.stdin.read()
"""


def study(store: Path) -> Study:
    return Study(Space({"n": Integer(1, 1000)}), lambda trial: 1.0, store=store, name="digits")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def holder(store: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the study."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_driver_is_refused_until_the_first_is_dead(store: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(StudyLocked, match=f"being run by process {holder.pid} on "):
        study(store).run(trials=3)
    assert len(study(store).trials) == 1
    holder.kill()
    holder.wait()
    study(store).run(trials=3)
    assert [(trial.state, trial.attempts) for trial in study(store).trials] == [("done", 2), ("done", 1), ("done", 1)]


def test_a_dead_process_that_nobody_waited_for_is_dead(store: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    study(store).run(trials=1)
    assert [(trial.state, trial.attempts) for trial in study(store).trials] == [("done", 2)]


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    me: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}
    start = process_start(os.getpid())
    assert start is not None
    assert is_alive({**me, "process": start}, 0.0)
    assert not is_alive({**me, "process": str(int(start) - 1)}, time.time() + 60)


def held_elsewhere(store: Path, expires: float) -> None:
    """Make the record say that a driver on another machine holds the study."""
    holder = json.dumps({"host": "elsewhere", "pid": 7, "process": "1", "token": "t"})
    with Store(store) as opened, opened.transaction() as db:
        db.execute("UPDATE studies SET holder = ?, expires = ?", (holder, expires))


def test_a_driver_elsewhere_is_believed_until_its_lease_expires(store: Path) -> None:
    study(store).run(trials=1)
    held_elsewhere(store, time.time() + 60)
    with pytest.raises(StudyLocked, match="process 7 on elsewhere"):
        study(store).run(trials=2)
    held_elsewhere(store, time.time() - 1)
    study(store).run(trials=2)


def test_a_driver_that_lost_its_lease_writes_nothing_more(store: Path) -> None:
    sleeper = study(store)
    trial = sleeper.ask()
    assert trial is not None
    held_elsewhere(store, time.time() + 60)
    for write in (lambda: sleeper.tell(trial, 1.0), lambda: trial.report(1, loss=0.5), sleeper.ask):
        with pytest.raises(StudyLocked, match="process 7 on elsewhere"):
            write()
    sleeper.close()
    with Store(store) as opened:
        (row,) = opened.query("SELECT holder, (SELECT count(*) FROM trials WHERE state = 'running') AS n FROM studies")
        assert (json.loads(row["holder"])["host"], row["n"]) == ("elsewhere", 1)
        assert opened.query("SELECT * FROM reports") == []


def test_the_heartbeat_renews_the_lease(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_SECONDS", 0.01)
    one = study(store)
    driver: Driver = one.driver()
    one.ask()  # a study without trials would be dropped when it is let go
    query = "SELECT expires FROM studies"
    first = driver.record.store.query(query)[0]["expires"]
    deadline = time.monotonic() + 20
    while driver.record.store.query(query)[0]["expires"] <= first:
        assert time.monotonic() < deadline, "no heartbeat"
    one.close()
    assert Store(store).query("SELECT holder, expires FROM studies") == [{"holder": None, "expires": None}]
