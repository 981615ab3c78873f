"""The command line as a whole: what it loads, its help, and its exit statuses."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from archsearch.cli import main, parser

HEAVY = ("torch", "ray", "skopt", "sklearn", "pydantic", "numpy", "pandas", "yaml", "rich", "sqlite_utils")


def loaded_by(code: str) -> str:
    """The heavy packages that are in `sys.modules` after this code ran in a fresh interpreter."""
    probe = f"{code}\nimport sys\nprint('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_the_probe_sees_what_is_loaded() -> None:
    assert loaded_by("import yaml") == "loaded: ['yaml']"


@pytest.mark.parametrize(
    "code",
    [
        "import archsearch",
        "from archsearch.cli import main\nmain([])",
        "from archsearch.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from archsearch.cli import main\ntry:\n    main(['run', '--help'])\nexcept SystemExit:\n    pass",
    ],
)
def test_import_and_help_load_nothing_heavy(code: str) -> None:
    assert loaded_by(code) == "loaded: []"


def test_the_installed_command_is_this_one() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("archsearch"), "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"archsearch {metadata.version('archsearch')}\n"


def test_python_m_runs_it_too() -> None:
    done = subprocess.run([sys.executable, "-m", "archsearch", "walk"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "archsearch: no 'walk'; there is run, studies, show, best, space, extract\n"


def test_without_a_command_it_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == parser().format_help()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["spac", "x"], "no 'spac'; did you mean 'space'?"),
        (["run", "x.py", "--trails", "3"], "unknown argument '--trails'; did you mean '--trials'?"),
        (["run", "x.py", "--trials=3", "--worker=2"], "unknown argument '--worker=2'; did you mean '--workers'?"),
        (["run", "x.py", "y.py"], "unknown argument 'y.py' (see `archsearch run --help`)"),
        (
            ["run", "x.py", "--trials", "few"],
            "argument --trials: invalid int value: 'few' (see `archsearch run --help`)",
        ),
        (["run", "x.py", "--seed"], "argument --seed: expected one argument (see `archsearch run --help`)"),
        (["space", "x.py", "cout"], "no 'cout'; did you mean 'count'?"),
    ],
)
def test_a_wrong_word_gets_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"archsearch: {said}\n")


def test_flags_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    """An abbreviation that works today would mean something else once a second flag begins like it."""
    assert main(["run", "x.py", "--tri", "3"]) == 2
    assert "did you mean '--trials'?" in capsys.readouterr().err


def test_every_flag_says_what_it_does() -> None:
    commands = next(action for action in parser()._actions if action.dest == "command").choices
    assert commands is not None
    for name in commands:
        command = dict(commands)[name]
        assert all(action.help for action in command._actions), name
        assert re.search(rf"^usage: archsearch {name}", command.format_help())
