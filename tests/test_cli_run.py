"""`archsearch run`: a study from a file, and going on with it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.cli import main, parser
from archsearch.cli_run import again

FILE = """
import archsearch as A

HIGH = 9
BAD = 3
space = A.Space({"x": A.Integer(0, HIGH)})
objective = "score"
searcher = "exhaustive"

def evaluate(trial):
    with open("evaluated", "a") as file:
        print(trial["x"], file=file)
    if trial["x"] == BAD:
        raise ValueError("three is\\nnot allowed")
    return trial["x"] / 4
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(FILE, encoding="utf-8")
    return tmp_path


def evaluated(folder: Path) -> list[int]:
    path = folder / "evaluated"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def query(folder: Path, sql: str, store: str = "runs.db") -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / store) as connection:
        return connection.execute(sql).fetchall()


def test_it_runs_goes_on_and_does_nothing_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.py", "--trials", "3"]) == 0
    assert evaluated(folder) == [0, 1, 2]
    assert main(["run", "tiny.py", "--trials", "3"]) == 0
    assert evaluated(folder) == [0, 1, 2]
    assert main(["run", "tiny.py", "--trials", "6"]) == 0
    assert evaluated(folder) == [0, 1, 2, 3, 4, 5]
    out = capsys.readouterr().out
    assert out.endswith("study 'tiny' in runs.db: 5 done, 1 failed\nbest: trial 5: score=1.25\nx: 5\n")


def test_a_space_that_is_used_up_ends_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.py", "--trials", "500"]) == 0
    assert evaluated(folder) == list(range(10))
    assert "archsearch: warning: nothing is left to propose after 10 of 500 trials\n" in capsys.readouterr().err


def test_what_it_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "tiny.py", "--trials", "5"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "settings: HIGH=9, BAD=3"
    assert lines[1] == "0/5 trials · 1 running"
    assert lines[-2] == "5/5 trials · best score 1 (trial 4) · failed: 1 exception"
    assert lines[-1] == (
        "archsearch: 1 of 5 trials failed (1 exception), the last with ValueError: three is not allowed; "
        "see: archsearch show tiny --store runs.db --trial 3"
    )
    assert main(shlex.split(lines[-1].rpartition("see: archsearch ")[2])) == 0
    assert 'raise ValueError("three is' in capsys.readouterr().out


def test_quiet_says_nothing_but_that_trials_failed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.py", "--trials", "3", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["run", "tiny.py", "--trials", "4", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_when_every_trial_fails_so_does_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.py", "--set", "BAD=0", "--trials", "1"]) == 1
    assert "1 of 1 trials failed" in capsys.readouterr().err


def test_settings_reach_the_space_and_the_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.py", "--trials", "3", "--set", "HIGH=1", "--set", "BAD=-1"]) == 0
    assert evaluated(folder) == [0, 1]
    assert "settings: HIGH=1, BAD=-1" in capsys.readouterr().err
    main(["show", "tiny"])
    assert "settings:  HIGH=1, BAD=-1" in capsys.readouterr().out


def test_other_settings_than_before_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "tiny.py", "--trials", "1"])
    main(["run", "tiny.py", "--trials", "1"])
    assert "warning" not in capsys.readouterr().err
    main(["run", "tiny.py", "--trials", "2", "--set", "BAD=7"])
    expected = "archsearch: warning: study 'tiny' was run under other settings before: BAD was 3 and is 7\n"
    assert expected in capsys.readouterr().err
    assert len(query(folder, "SELECT * FROM events WHERE kind = 'settings'")) == 2


def test_a_configuration_and_flags_over_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "conf").mkdir()
    (folder / "conf" / "run.yaml").write_text(
        "file: ../tiny.py\ntrials: 4\nstore: other.db\nname: mine\nseed: 5\nset: {BAD: 2, HIGH: 5}\n", encoding="utf-8"
    )
    assert main(["run", "--config", "conf/run.yaml", "--trials", "3", "--set", "BAD=9"]) == 0
    assert evaluated(folder) == [0, 1, 2]
    assert query(folder, "SELECT name, seed FROM studies", "other.db") == [("mine", 5)]
    assert "settings: HIGH=5, BAD=9" in capsys.readouterr().err


def test_a_file_with_a_study_of_its_own(folder: Path) -> None:
    (folder / "own.py").write_text(
        FILE + '\nstudy = A.Study(space, evaluate, {"score": "minimize"}, "exhaustive", "own.db", "owned", seed=3)\n',
        encoding="utf-8",
    )
    assert main(["run", "own.py", "--trials", "2"]) == 0
    assert query(folder, "SELECT name, seed, objectives FROM studies", "own.db") == [
        ("owned", 3, '{"score":"minimize"}')
    ]
    assert main(["run", "own.py", "--trials", "2", "--name", "new", "--seed", "4", "--searcher", "random"]) == 0
    ((seed, searcher),) = query(folder, "SELECT seed, searcher FROM studies WHERE name = 'new'", "own.db")
    assert seed == 4
    assert json.loads(str(searcher))["class"].endswith(":Random")


def test_several_objectives_show_the_pareto_front(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = FILE.replace('"score"', '{"score": "maximize", "x": "minimize"}')
    text = text.replace('return trial["x"] / 4', 'return {"score": min(trial["x"], 2), "x": trial["x"]}')
    (folder / "two.py").write_text(text, encoding="utf-8")
    assert main(["run", "two.py", "--trials", "10"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "study 'two' in runs.db: 9 done, 1 failed",
        "trial 0: score=0, x=0",
        "trial 1: score=1, x=1",
        "trial 2: score=2, x=2",
    ]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "archsearch", *words]


def test_ctrl_c_says_how_to_go_on_and_that_command_does(folder: Path) -> None:
    """The evaluation of x = 2 says that it has begun, and waits for ever the first time."""
    os.mkfifo(folder / "begun")
    wait = """
    import os, pathlib, threading
    if trial["x"] == 2 and not pathlib.Path("waited").exists():
        pathlib.Path("waited").touch()
        with open("begun", "w") as begun:
            begun.write("2")
        threading.Event().wait()
"""
    path = folder / "a tiny.py"
    path.write_text(FILE.replace("def evaluate(trial):\n", f"def evaluate(trial):{wait}"), encoding="utf-8")
    words = command("run", "a tiny.py", "--trials", "6", "--set", "BAD=8")
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with (folder / "begun").open() as begun:
        assert begun.read() == "2"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("archsearch: interrupted with 2 trials done; go on with: archsearch run ")
    assert query(folder, "SELECT number, state FROM trials") == [(0, "done"), (1, "done"), (2, "running")]
    onward = shlex.split(last.partition("go on with: archsearch ")[2])
    subprocess.run(command(*onward), check=True, capture_output=True)
    assert evaluated(folder) == [0, 1, 2, 3, 4, 5]


def test_the_command_to_go_on_with_is_the_one_that_was_given() -> None:
    words = shlex.split("run 'a file.py' --trials 3 --gpus-per-worker 0.5 --set A=1 --set 'B=x y' --no-reuse --quiet")
    given = parser().parse_args(words)
    parsed = parser().parse_args(shlex.split(again(given))[1:])
    assert {**vars(parsed), "parser": None} == {**vars(given), "parser": None}
    assert (parsed.set, parsed.reuse, parsed.quiet) == (["A=1", "B=x y"], False, True)


def test_on_ray_neighbour_files_import_and_ray_is_silent(folder: Path) -> None:
    (folder / "neighbour_of_tiny.py").write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
    text = FILE.replace("import archsearch as A", "import archsearch as A\nfrom neighbour_of_tiny import double")
    (folder / "sub").mkdir()
    (folder / "sub" / "tiny.py").write_text(text.replace('trial["x"] / 4', 'double(trial["x"])'), encoding="utf-8")
    (folder / "neighbour_of_tiny.py").rename(folder / "sub" / "neighbour_of_tiny.py")
    words = command("run", "sub/tiny.py", "--trials", "6", "--workers", "2", "--set", "BAD=-1")
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "study 'tiny' in runs.db: 6 done\nbest: trial 5: score=10\nx: 5\n"
    assert [line for line in done.stderr.splitlines() if "/6 trials" not in line] == ["settings: HIGH=9, BAD=-1"]
