"""What `study.verify`, a study that goes on and the command line say of records that something else has changed."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from archsearch.cli import main
from archsearch.errors import ArchsearchError, StoreError, StudyError
from archsearch.spaces.nodes import Choice, Integer, Real
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial

SPACE = Space({"width": Choice([8, 16, 32]), "depth": Integer(1, 9), "lr": Real(1e-4, 1e-1, log=True)})


def evaluate(trial: Trial) -> float:
    if trial.number == 4:
        raise ValueError("bad luck")
    return float(trial["width"] * trial["lr"])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def study_in(store: Path, trials: int = 8) -> Study:
    """A study of so many trials, the last of which runs."""
    study = Study(SPACE, evaluate, searcher="evolution", store=store)
    study.run(trials=trials - 1)
    study.ask()
    study.close()
    assert study.verify() == trials
    return study


def change(store: Path, sql: str) -> None:
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.executescript(sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "SET assignment = json_set(assignment, '$.depth', 10) WHERE number = 3",
            r"trial 3 .* has depth=10, but a search that heard 3 outcomes with \[\] running proposes depth=\d; so",
        ),
        (
            "SET assignment = json_remove(assignment, '$.depth') WHERE number = 3",
            r"trial 3 .* has no more, but .* proposes depth=\d;",
        ),
        ("SET budget = 3 WHERE number = 2", r"trial 2 .* has budget=3.0, but .* proposes budget=None"),
        ("SET architecture = 'abc' WHERE number = 2", "trial 2 .* has architecture abc, but its answers are "),
        ("SET state = 'failed' WHERE number = 3", "trial 3 .* as failed, but its last attempt ended in no failure"),
        ("SET state = 'done' WHERE number = 4", "trial 4 .* as done, but its last attempt ended as exception"),
        ("SET state = 'running' WHERE number = 3", "trial 3 .* as running, but as outcome number 4"),
        ("SET metrics = '{}' WHERE number = 3", "trial 3 is recorded as done, but has no number for .* 'accuracy'"),
        ("SET metrics = '{\"accuracy\":null}' WHERE number = 3", "trial 3 is recorded as done, but has no number for"),
        ("SET heard = 1 WHERE number = 3", r"trial 3 .* that 1 outcomes were heard with \[\] running, which does not"),
        ("SET heard = 99 WHERE number = 3", "trial 3 .* that 99 outcomes were heard"),
        ("SET pending = '[2]' WHERE number = 3", r"trial 3 .* heard with \[2\] running, which does not go with"),
        ("SET pending = '[77]' WHERE number = 3", r"trial 3 .* heard with \[77\] running, which does not go with"),
        ("SET finish = 20 WHERE number = 3", "trial 4 .* as outcome 5, but there is no 4"),
    ],
)
def test_it_says_which_trial_and_what_differs(sql: str, said: str, store: Path) -> None:
    study = study_in(store)
    change(store, f"UPDATE trials {sql}")
    with pytest.raises(StudyError, match=said) as error:
        study.verify()
    assert len(str(error.value)) < 400


DAMAGE = {
    "SET metrics = 'x' WHERE number = 3": "trial 3 has 'x' as its metrics",
    "SET metrics = '[]' WHERE number = 3": "trial 3 has '[]' as its metrics, .*JSON object was expected",
    'SET metrics = \'{"accuracy":"high"}\' WHERE number = 3': "trial 3 has .*accuracy is no number",
    "SET assignment = 'x' WHERE number = 3": "trial 3 has 'x' as its assignment",
    "SET note = '3' WHERE number = 3": "trial 3 has '3' as its note",
    "SET pending = '{}' WHERE number = 3": "trial 3 has '{}' as its pending",
}


@pytest.mark.parametrize("sql", DAMAGE)
def test_what_is_not_as_archsearch_writes_it(sql: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = study_in(store)
    change(store, f"UPDATE trials {sql}")
    said = re.compile(DAMAGE[sql].replace("[]", r"\[\]").replace("{}", r"\{\}"))
    for use in (study.verify, lambda: study.run(trials=9), lambda: study.trials):
        with pytest.raises(StoreError, match=said):
            use()
    for command in ("show", "studies", "best"):
        assert main([command, "--store", str(store)]) == 1
        out, err = capsys.readouterr()
        assert not out
        assert said.search(err)
        assert err.startswith("archsearch: ")
        assert err.count("\n") == 1


@pytest.mark.parametrize("number", [3, 7])
def test_rows_that_were_removed(number: int, store: Path) -> None:
    """Deleting trials to have them done again is no way: what the search heard then is no longer there."""
    study = study_in(store)
    change(store, f"DELETE FROM trials WHERE number = {number}")
    for use in (study.verify, lambda: study.run(trials=9), lambda: study.ask()):
        with pytest.raises(StoreError, match=f"there is no trial {number}, but there are rows of trial 7"):
            use()


def test_a_done_trial_without_its_objective_is_an_error_and_not_the_best(store: Path) -> None:
    study = study_in(store)
    change(store, "UPDATE trials SET metrics = '{}' WHERE number = 3")
    with pytest.raises(StoreError, match="trial 3 is recorded as done, but has no number"):
        study.run(trials=9)
    assert main(["show", "--store", str(store)]) == 1
    with pytest.raises(ArchsearchError, match="trial 3"):
        _ = study.pareto
