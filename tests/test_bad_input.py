"""Bad input gets one clear line, a non-zero exit, and leaves nothing behind."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.cli import main
from archsearch.schema import VERSION

GOOD = """
import archsearch as A

WIDTH = 2
space = A.Space({"x": A.Integer(0, 9), "width": A.Choice([WIDTH, 8])})
objective = "score"

def evaluate(trial):
    return trial["x"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.py").write_text(GOOD, encoding="utf-8")
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command that must fail says, without the prefix; it is one line, and nothing else is said."""
    status = main(list(words))
    out, err = capsys.readouterr()
    assert status in (1, 2)
    assert out == ""
    assert err.startswith("archsearch: ")
    assert err.count("\n") == 1
    return err.removeprefix("archsearch: ").removesuffix("\n")


def studies(path: Path) -> list[tuple[str, int]]:
    """Name and number of trials of every study in a record, if there is one."""
    if not path.exists():
        return []
    with sqlite3.connect(path) as connection:
        return connection.execute(
            "SELECT name, (SELECT count(*) FROM trials WHERE study = studies.id) FROM studies"
        ).fetchall()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no file stud.py"),
        ("x = [1,\n", "stud.py:1: does not parse: '[' was never closed"),
        (
            "\nimport missing_package_of_mine\n",
            "stud.py:2: raises ModuleNotFoundError: No module named 'missing_package",
        ),
        ("def f():\n    return 1 / 0\nf()\n", "stud.py:2: raises ZeroDivisionError: division by zero"),
        ("x = 1\n", "stud.py defines no study: expected `study`, or `space` and `evaluate`, but there is no 'space'"),
        (
            GOOD.replace("def evaluate", "def evalute"),
            "there is no 'evaluate' (it has 'space'); did you mean 'evalute'?",
        ),
        (GOOD.replace('"score"', '{"score": "maximise"}'), "objective 'score': expected 'maximize' or 'minimize'"),
        (GOOD + 'searcher = "rndom"\n', "no searcher 'rndom'; did you mean 'random'?"),
        (GOOD + "study = 3\n", "stud.py: expected `study` to be an archsearch.Study, but it is 3"),
        (GOOD + "study = A.Study(space)\n", "stud.py: the study has no `evaluate`, so there is nothing to run"),
    ],
)
def test_a_study_file(folder: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str) -> None:
    if text is not None:
        (folder / "stud.py").write_text(text, encoding="utf-8")
    assert said in refusal(capsys, "run", "stud.py", "--trials", "2")
    assert not (folder / "runs.db").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file: good.py\ntrails: 3\n", "run.yaml:2: unknown key 'trails'; did you mean 'trials'?"),
        ("file: good.py\n\ntrials: many\n", "run.yaml:3: trials: expected a whole number, 1 or more, but got 'many'"),
        ("file: good.py\nset: {WIDHT: 3}\n", "good.py has no setting 'WIDHT'; did you mean 'WIDTH'?"),
        (
            "file: good.py\nset: {WIDTH: wide}\n",
            "setting 'WIDTH' is 2 in the file; expected a whole number, but got 'wide'",
        ),
        ("file: good.py\nsearcher: exhaustiv\n", "no searcher 'exhaustiv'; did you mean 'exhaustive'?"),
        ("trials: 3\n", "run needs a study file: `archsearch run FILE`, or `file:` in the configuration"),
        ("file: goood.py\n", "no file goood.py; did you mean 'good.py'?"),
        ("trials: [\n", "run.yaml:2: not YAML: "),
    ],
)
def test_a_configuration(folder: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    (folder / "run.yaml").write_text(text, encoding="utf-8")
    assert said in refusal(capsys, "run", "--config", "run.yaml")
    assert not (folder / "runs.db").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--searcher", "randon"], "no searcher 'randon'; did you mean 'random'?"),
        (["--set", "WIDTH"], "--set expects KEY=VALUE, such as --set EPOCHS=3, but got 'WIDTH'"),
        (["--set", "DEPTH=3"], "good.py has no setting 'DEPTH'; did you mean 'WIDTH'?"),
        (["--trials", "-1"], "--trials: expected a whole number, 1 or more, but got -1"),
        (["--timeout", "never"], "timeout: expected seconds, or a duration like 90s, 30m or 2h, but got 'never'"),
        (["--store", "nowhere/runs.db"], "cannot make "),
        (["--store", "."], " is a folder"),
        (["--config", "none.yaml"], "cannot read the configuration none.yaml: No such file or directory"),
    ],
)
def test_a_flag(folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str) -> None:
    assert said in refusal(capsys, "run", "good.py", *flags)
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["good.py"]


def test_a_store_that_is_something_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "notes.txt").write_text("not a database\n" * 100, encoding="utf-8")
    with sqlite3.connect(folder / "other.db") as connection:
        connection.execute("CREATE TABLE accounts (name)")
    before = {name: (folder / name).read_bytes() for name in ("notes.txt", "other.db")}
    for name in before:
        for words in (["run", "good.py"], ["studies"], ["show"], ["best"]):
            assert name in refusal(capsys, *words, "--store", name)
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_store_that_is_read_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "good.py", "--trials", "2", "--quiet"]) == 0
    (folder / "runs.db").chmod(0o444)
    assert "runs.db is read-only" in refusal(capsys, "run", "good.py", "--trials", "3")
    assert main(["studies"]) == 0
    assert studies(folder / "runs.db") == [("good", 2)]


def test_a_store_from_a_newer_version(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "good.py", "--trials", "2", "--quiet"]) == 0
    with sqlite3.connect(folder / "runs.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    for words in (["run", "good.py", "--trials", "3"], ["studies"], ["best"]):
        assert f"has schema version 99, but this archsearch knows {VERSION}" in refusal(capsys, *words)
    assert studies(folder / "runs.db") == [("good", 2)]


def test_the_same_name_with_another_space_seed_or_searcher(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "good.py", "--trials", "2", "--quiet"]) == 0
    said = refusal(capsys, "run", "good.py", "--set", "WIDTH=4")
    assert "study 'good'" in said
    assert "width" in said
    assert "2" in said.partition("width")[2]
    assert "4" in said.partition("width")[2]
    assert "seed" in refusal(capsys, "run", "good.py", "--seed", "1")
    assert "searcher" in refusal(capsys, "run", "good.py", "--searcher", "exhaustive")
    assert studies(folder / "runs.db") == [("good", 2)]


def test_an_evaluate_that_cannot_travel(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD.replace(
        "def evaluate(trial):\n", "import threading\nlock = threading.Lock()\n\ndef evaluate(trial):\n    lock\n"
    )
    (folder / "locked.py").write_text(text, encoding="utf-8")
    said = refusal(capsys, "run", "locked.py", "--workers", "2")
    assert "cannot travel to a worker" in said
    assert "lock" in said
    assert "inside evaluate" in said
    assert studies(folder / "runs.db") == []


def test_more_gpus_than_there_are(folder: Path) -> None:
    words = [sys.executable, "-m", "archsearch", "run", "good.py", "--gpus-per-worker", "64"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "64" in line
    assert "GPU" in line
    assert "--gpus-per-worker" in line
    assert studies(folder / "runs.db") == []


def test_an_error_of_evaluate_is_a_trial_that_failed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.py").write_text(GOOD.replace('return trial["x"]', "return 1 / 0"), encoding="utf-8")
    assert main(["run", "bad.py", "--trials", "2"]) == 1
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert err.splitlines()[-1] == (
        "archsearch: 2 of 2 trials failed (2 exception), the last with ZeroDivisionError: division by zero; "
        "once that is mended give another --name, as this study tries none of them again; "
        "see: archsearch show bad --store runs.db --trial 1"
    )
    assert main(["show", "bad", "--trial", "1"]) == 0
    assert "return 1 / 0" in capsys.readouterr().out


def test_a_metric_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.py").write_text(GOOD.replace('return trial["x"]', 'return {"scor": 1}'), encoding="utf-8")
    assert main(["run", "bad.py", "--trials", "1"]) == 1
    assert "'score'" in capsys.readouterr().err
