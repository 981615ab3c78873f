"""`archsearch studies`, `show` and `best`, on a record made by hand."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import archsearch as A
from archsearch.cli import main
from archsearch.loading import load, space_of
from archsearch.reports import table
from archsearch.study import Study

FILE = """
import archsearch as A
from archsearch import nn

WIDTH = 4
space = A.Space(A.Sequential(nn.Linear(A.Choice([WIDTH, 2 * WIDTH])), A.Optional(nn.ReLU())), input_shape=(3,))
"""
WIDTH, RELU = "[0].out_features", "[1]"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two studies; `begun` has one running trial, `tiny` has four trials: 0.25, failed, 0.75, running."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(FILE, encoding="utf-8")
    space = space_of(load("tiny.py", {"WIDTH": 8}))
    path = tmp_path / "runs.db"
    with closing(Study(space, store=path, name="begun")) as begun:
        assert begun.ask() is not None
    study = Study(space, searcher="exhaustive", store=path, name="tiny", seed=7)
    study.driver().record.event("settings", json.dumps({"WIDTH": 8}))
    for outcome in (0.25, ValueError("no data"), 0.75):
        trial = study.ask()
        assert trial is not None
        study.tell(trial, outcome)
    assert study.ask() is not None
    study.close()
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(list(words))
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(list(words))
    out, err = capsys.readouterr()
    assert status != 0
    assert out == ""
    assert err.startswith("archsearch: ")
    assert err.count("\n") == 1
    return err.removeprefix("archsearch: ").removesuffix("\n")


def test_studies(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "studies").splitlines()
    assert lines[1].split()[:7] == ["begun", "1", "0", "0", "0", "1", "-"]
    assert lines[2].split()[:6] == ["tiny", "4", "2", "0", "1", "1"]
    assert lines[2].split()[6:12] == ["accuracy", "0.75", "(trial", "2)", "Exhaustive", "7"]


def test_show_a_study(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "show", "tiny")
    assert "objective: maximize accuracy" in text
    assert "settings:  WIDTH=8" in text
    assert "trials:    2 done, 1 failed, 1 running" in text
    assert "failures:  1 exception" in text
    trials = [line.split() for line in text.splitlines()[-4:]]
    assert [[*row[:3], *row[4:]] for row in trials] == [
        ["0", "done", "0.25"],
        ["1", "exception", "-", "ValueError:", "no", "data"],
        ["2", "done", "0.75", "best"],
        ["3", "running", "-"],
    ]


def test_show_a_trial_that_failed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "show", "tiny", "--trial", "1")
    assert "trial:     1 (failed: exception)" in text
    assert [line.split() for line in text.splitlines() if line.startswith("[")] == [[WIDTH, "8"], [RELU, "True"]]
    assert "error:     ValueError: no data" in text
    assert "Traceback (most recent call last):" in text
    assert text.endswith("ValueError: no data\n")


def test_best_as_text_and_as_json(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "best", "tiny")
    assert text.startswith("trial 2: accuracy=0.75\n")
    assert [line.split() for line in text.splitlines()[2:]] == [[WIDTH, "16"], [RELU, "False"]]
    document = json.loads(run(capsys, "best", "tiny", "--json"))
    assert document["assignment"] == {WIDTH: 16, RELU: False}
    assert (document["study"], document["trial"], document["metrics"]) == ("tiny", 2, {"accuracy": 0.75})


def test_best_with_the_file_shows_the_network_under_the_settings_of_the_run(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer 16 exists only with WIDTH=8, which is what the run had."""
    text = run(capsys, "best", "tiny", "--file", "tiny.py")
    assert "Linear(out_features=16)\n" in text
    (store.parent / "tiny.py").write_text(FILE.replace("WIDTH, 2 * WIDTH", "WIDTH, 3 * WIDTH"), encoding="utf-8")
    assert "tiny.py does not define the space of trial 2: [0].out_features" in refused(
        capsys, "best", "tiny", "--file", "tiny.py"
    )


def test_best_exports_what_space_show_reads(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "best", "tiny", "--out", "out/found")
    found = store.parent / "out" / "found"
    assert sorted(file.name for file in found.iterdir()) == ["architecture.json", "architecture.txt"]
    assert (found / "architecture.txt").read_text() == text
    assert json.loads((found / "architecture.json").read_text())["assignment"] == {WIDTH: 16, RELU: False}
    (store.parent / "tiny.py").write_text(FILE.replace("WIDTH = 4", "WIDTH = 8"), encoding="utf-8")
    shown = run(capsys, "space", "tiny.py", "show", "--assignment", str(found / "architecture.json"))
    assert "Linear(out_features=16)" in shown


def test_several_objectives_give_the_pareto_front(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = [(0.9, 100), (0.8, 10), (0.7, 50), (0.95, 200)]
    space = A.Space({"x": A.Integer(0, 3)})
    objective = {"accuracy": "maximize", "size": "minimize"}
    with closing(Study(space, objective=objective, searcher="exhaustive", store=store, name="two")) as study:
        for accuracy, size in points:
            trial = study.ask()
            assert trial is not None
            study.tell(trial, {"accuracy": accuracy, "size": size})
    assert [document["trial"] for document in json.loads(run(capsys, "best", "two", "--json"))] == [0, 1, 3]
    assert "3 on the Pareto front" in run(capsys, "show", "two")
    run(capsys, "best", "two", "--out", "front")
    assert sorted(folder.name for folder in (store.parent / "front").iterdir()) == ["trial-0", "trial-1", "trial-3"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show"], "runs.db holds 2 studies, so give a name: begun, tiny"),
        (["show", "tinny"], "runs.db has no study 'tinny'; did you mean 'tiny'?"),
        (["show", "zzz"], "runs.db has no study 'zzz'; it has begun, tiny"),
        (["show", "tiny", "--trial", "4"], "study 'tiny' has no trial 4; it has 4, from 0"),
        (["best", "begun"], "study 'begun' has no finished trial yet; see `archsearch show begun`"),
        (["best", "tiny", "--out", "tiny.py"], "cannot write tiny.py: File exists"),
        (["studies", "--store", "none.db"], "no record none.db: run a study first, or give --store"),
        (["studies", "--store", "tiny.py"], "tiny.py is not an SQLite file; choose another store"),
    ],
)
def test_what_is_not_there(store: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, *words).replace(f"{store.parent}/", "") == said


def test_reading_changes_nothing(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def content() -> list[str]:
        with sqlite3.connect(store) as connection:
            return list(connection.iterdump())

    before = content()
    for words in (["studies"], ["show", "tiny"], ["best", "tiny"]):
        run(capsys, *words)
    assert content() == before


def test_a_table_keeps_whole_words() -> None:
    rows = [["name", "n"], ["a" * 200, "1"], ["b", "12"]]
    assert table(rows).splitlines()[2] == "b" + " " * 201 + "12"
    assert table([]) == ""
