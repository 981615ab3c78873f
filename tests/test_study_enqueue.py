"""Architectures that are tried before the searcher is asked."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from archsearch.cli import main
from archsearch.errors import AssignmentError, SpaceChanged, StudyError
from archsearch.searchers.evolution import Evolution
from archsearch.spaces.nodes import Boolean, Choice, Integer
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial

SPACE = Space({"n": Integer(1, 1000), "pair": Choice([(1, 2), (3, 4)]), "b": Boolean()})
FIRST = {"n": 7, "pair": (1, 2), "b": True}
SECOND = {"n": 9, "pair": (3, 4), "b": False}
THIRD = {"n": 11, "pair": (3, 4), "b": False}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def value_of(trial: Trial) -> float:
    return float(trial["n"])


def study_in(store: Path, **options: Any) -> Study:
    return Study(SPACE, value_of, **{"store": store, **options})


def queued(study: Study) -> list[bool]:
    return [trial.note == {"enqueued": True} for trial in study.trials]


def query(store: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(sql).fetchall()


def test_they_are_tried_first_in_their_order(store: Path) -> None:
    study = study_in(store)
    assert study.enqueue(SPACE.architecture(SECOND), json.loads(json.dumps(FIRST))) == 2
    assert study.trials == []
    study.run(trials=5)
    assert [dict(trial.assignment) for trial in study.trials[:2]] == [SECOND, FIRST]
    assert queued(study) == [True, True, False, False, False]
    assert study.verify() == 5
    # The searcher goes on as it would have: what trial 2 is follows from its number.
    other = study_in(store, name="other")
    other.run(trials=5)
    assert [t.assignment for t in study.trials[2:]] == [t.assignment for t in other.trials[2:]]
    assert list(study.frame()["note"])[1:3] == [{"enqueued": True}, {}]


def test_they_wait_in_the_record(store: Path) -> None:
    """Enqueued by another object and by another process; tried by whoever runs next; told to the searcher."""
    assert study_in(store).enqueue(FIRST) == 1
    script = (
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, 'tests')\n"
        "import test_study_enqueue as t\nprint(t.study_in(Path(sys.argv[1])).enqueue(t.SECOND))"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script, str(store)], capture_output=True, text=True, cwd=root)
    assert (done.stdout, done.stderr) == ("1\n", "")
    study_in(store).run(trials=1)
    study_in(store).enqueue(THIRD)
    study = study_in(store)
    study.run(trials=4)
    assert [dict(trial.assignment) for trial in study.trials[:3]] == [FIRST, SECOND, THIRD]
    assert queued(study) == [True, True, True, False]
    assert [trial.heard for trial in study.trials] == [0, 1, 2, 3]
    assert study.verify() == 4


def test_the_searcher_hears_of_them(store: Path) -> None:
    """Among a population of three, the enqueued ones are the parents of what follows."""
    study = study_in(store, searcher=Evolution(population=3, sample=3))
    study.enqueue({**FIRST, "n": 1000}, FIRST, SECOND)
    study.run(trials=4)
    assert study.trials[3].note == {"mutated": 0}
    assert study.verify() == 4


def test_one_is_tried_once_however_often_it_is_enqueued(store: Path) -> None:
    """A program that enqueues and runs is started again, and does what it would have done in one go."""

    def program(trials: int, store: Path) -> list[int]:
        study = study_in(store)
        counts = [study.enqueue(FIRST, SECOND, FIRST), study.enqueue(SECOND)]
        study.run(trials=trials)
        assert study.verify() == trials
        return counts

    assert program(1, store) == [2, 0]
    assert program(1, store) == [0, 0]
    assert program(4, store) == [0, 0]
    assert program(4, store.with_name("whole.db")) == [2, 0]
    rows = "SELECT number, assignment, note FROM trials ORDER BY number"
    assert query(store, rows) == query(store.with_name("whole.db"), rows)


def test_what_failed_is_not_tried_again_but_without_reuse_everything_is(store: Path) -> None:
    study = Study(SPACE, lambda trial: 1 / 0, store=store)
    study.enqueue(FIRST)
    study.run(trials=1)
    assert study.enqueue(FIRST) == 0
    again = study_in(store, reuse=False)
    assert again.enqueue(FIRST, FIRST, SECOND) == 3
    again.run(trials=5)
    assert [trial.assignment["n"] for trial in again.trials[:4]] == [7, 7, 7, 9]
    assert [trial.state for trial in again.trials] == ["failed"] + ["done"] * 4
    assert queued(again) == [True] * 4 + [False]
    assert again.verify() == 5


def test_what_the_searcher_tried_meanwhile_is_passed_over(store: Path) -> None:
    """Enqueued while a study runs: one that is under way then, and one that has just been tried."""
    space = Space({"n": Integer(0, 5)})
    study = Study(space, store=store, searcher="exhaustive")
    first = study.ask()
    assert first is not None
    other = Study(space, store=store, searcher="exhaustive")
    assert other.enqueue({"n": 0}, {"n": 4}, {"n": 1}) == 2
    second, third = study.ask(), study.ask()
    assert second is not None
    assert third is not None
    assert [trial.arch["n"] for trial in (first, second, third)] == [0, 4, 1]
    assert other.enqueue({"n": 1}, {"n": 2}) == 1
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE enqueued SET number = NULL WHERE place = 2")  # as if another study had been faster
    study.close()
    again = Study(space, lambda trial: 1.0, store=store, searcher="exhaustive")
    again.run(trials=6)
    assert [trial.arch["n"] for trial in again.trials] == [0, 4, 1, 2, 3, 5]
    assert query(store, "SELECT place, number FROM enqueued ORDER BY place") == [(1, 1), (2, 2), (3, 3)]
    assert again.verify() == 6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": 7, "pair": (1, 2)}, "b: no answer given"),
        ({**FIRST, "n": 0}, "n: "),
        ({**FIRST, "m": 0}, "m: is not a decision of the space"),
        ("n=7", "an assignment maps paths to answers, but got 'n=7'"),
        (3, "an assignment maps paths to answers, but got 3"),
    ],
)
def test_what_is_no_architecture_is_refused_at_once(store: Path, given: Any, said: str) -> None:
    study = study_in(store)
    with pytest.raises(AssignmentError) as raised:
        study.enqueue(FIRST, given)
    assert said in str(raised.value)
    assert str(raised.value).startswith("architecture 1: ")
    study.run(trials=1)
    assert queued(study) == [False]


def test_constraints_and_other_studies_are_respected(store: Path) -> None:
    from archsearch import nn

    space = Space(nn.Linear(Integer(1, 9)), input_shape=(3,))
    study = Study(space, lambda trial: 0.5, store=store, constraints={"parameters": "<= 20"})
    with pytest.raises(AssignmentError, match="parameters <= 20"):
        study.enqueue({"out_features": 6})
    assert study.enqueue({"out_features": 5}) == 1
    with pytest.raises(SpaceChanged, match="was begun on another space"):
        study_in(store).enqueue(FIRST)
    with pytest.raises(SpaceChanged, match="was begun on another space"):
        study_in(store).run(trials=1)
    with pytest.raises(SpaceChanged, match=r"enqueued at place 1 is no architecture of the space .*parameters <= 19"):
        Study(space, lambda trial: 0.5, store=store, constraints={"parameters": "<= 19"}).run(trials=1)
    # Without a trial yet, another searcher may run it.
    Study(space, lambda trial: 0.5, searcher="exhaustive", store=store).run(trials=1)
    with pytest.raises(StudyError, match="was begun with searcher"):
        Study(space, lambda trial: 0.5, store=store).enqueue({"out_features": 6})


def test_a_record_that_says_so_falsely_does_not_verify(store: Path) -> None:
    study = study_in(store)
    study.enqueue(FIRST)
    study.run(trials=3)
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE trials SET note = '{\"enqueued\":true}' WHERE number = 2")
    with pytest.raises(StudyError, match=r"trial 2 .* says that it was enqueued"):
        study.verify()


FILE = """
import archsearch as A

space = A.Space({"n": A.Integer(1, 1000), "pair": A.Choice([(1, 2), (3, 4)]), "b": A.Boolean()})

def evaluate(trial):
    return trial["n"]
"""


def test_from_the_command_line(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "one.json").write_text(json.dumps(FIRST), encoding="utf-8")
    (tmp_path / "conf").mkdir()
    listed = [{"assignment": SECOND, "trial": 3}, THIRD]
    (tmp_path / "conf" / "two.json").write_text(json.dumps(listed), encoding="utf-8")
    (tmp_path / "conf" / "run.yaml").write_text("file: ../tiny.py\nenqueue: two.json\ntrials: 4\n", encoding="utf-8")
    assert main(["run", "tiny.py", "--enqueue", "one.json", "--trials", "1"]) == 0
    assert main(["run", "--config", "conf/run.yaml"]) == 0
    study = Study(SPACE, name="tiny")
    assert [trial.assignment["n"] for trial in study.trials[:3]] == [7, 9, 11]
    assert queued(study) == [True, True, True, False]
    capsys.readouterr()
    main(["show", "tiny", "--trial", "1"])
    assert "note:      enqueued=True" in capsys.readouterr().out
    for text, said in (
        ('{"n": 7}', "bad.json: pair: no answer given"),
        ("[3]", "bad.json: expected an object of answers by path, but got int"),
        ("{", "bad.json:1: not JSON"),
    ):
        (tmp_path / "bad.json").write_text(text, encoding="utf-8")
        assert main(["run", "tiny.py", "--enqueue", "bad.json"]) == 2
        assert said in capsys.readouterr().err
    assert main(["run", "tiny.py", "--enqueue", "none.json"]) == 2
    assert "cannot read none.json: No such file" in capsys.readouterr().err
