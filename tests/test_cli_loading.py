"""Study files: what counts as a setting, what replaces one, and where an error is."""

from __future__ import annotations

import ast
import pickle
import sys
from pathlib import Path

import pytest

from archsearch.errors import UsageError
from archsearch.loading import MODULE, StudyFile, declarations, definitions, load, ready_made, travel_by_value

FILE = '''
"""A study."""
from __future__ import annotations
import archsearch as A

EPOCHS = 6
RATE: float = 0.5
NAME = "small"
FAST = False
SHIFT = -1
TWICE = 2 * EPOCHS
_PRIVATE = 1
CHANGED = 1
CHANGED = 2
GROWN = 1
GROWN += 1
A1 = B1 = 3
PAIR = (1, 2)
objective = "score"
space = A.Space({"width": A.Choice([EPOCHS, TWICE])})

def evaluate(trial):
    return trial["width"] * RATE
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "study_of_mine.py"
    file.write_text(FILE, encoding="utf-8")
    return file


def refusal(path: Path, settings: dict[str, object] | None = None) -> str:
    with pytest.raises(UsageError) as raised:
        load(path, settings)
    return str(raised.value).replace(f"{path.parent}/", "")


def test_settings_are_plain_constants_assigned_once(path: Path) -> None:
    assert dict(load(path).settings) == {"EPOCHS": 6, "RATE": 0.5, "NAME": "small", "FAST": False, "SHIFT": -1}


def test_what_is_computed_from_a_setting_follows_it(path: Path) -> None:
    file = load(path, {"EPOCHS": "9", "RATE": "2", "NAME": "7", "FAST": "True", "SHIFT": "-3"})
    assert [file[name] for name in ("EPOCHS", "TWICE", "RATE", "NAME", "FAST", "SHIFT")] == [9, 18, 2.0, "7", True, -3]
    assert type(file["RATE"]) is float
    assert file["space"].size() == 2
    assert dict(file.settings) == {"EPOCHS": 9, "RATE": 2.0, "NAME": "7", "FAST": True, "SHIFT": -3}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"EPOCH": "9"}, "study_of_mine.py has no setting 'EPOCH'; did you mean 'EPOCHS'?"),
        ({"zzz": "9"}, "study_of_mine.py has no setting 'zzz'; its settings: EPOCHS, RATE, NAME, FAST, SHIFT"),
        ({"EPOCHS": "2.5"}, "setting 'EPOCHS' is 6 in the file; expected a whole number, but got 2.5"),
        ({"EPOCHS": True}, "setting 'EPOCHS' is 6 in the file; expected a whole number, but got True"),
        ({"RATE": "fast"}, "setting 'RATE' is 0.5 in the file; expected a number, but got 'fast'"),
        ({"FAST": "1"}, "setting 'FAST' is False in the file; expected true or false, but got '1'"),
        ({"NAME": 3}, "setting 'NAME' is 'small' in the file; expected a string, but got 3"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(path: Path, settings: dict[str, object], said: str) -> None:
    path.write_text(FILE + f"\nopen({str(path.with_name('ran'))!r}, 'w')\n", encoding="utf-8")
    assert refusal(path, settings) == said
    assert not path.with_name("ran").exists()


@pytest.mark.parametrize("statement", ["for X in range(3): pass", "def X(): pass", "import os as X", "X = 1\ndel X"])
def test_a_name_that_something_else_binds_too_is_no_setting(statement: str) -> None:
    assert "X" not in declarations(ast.parse(f"X = 5\n{statement}\n"))


def test_the_module_is_found_by_name_and_its_neighbours_import(path: Path) -> None:
    path.with_name("neighbour_of_mine.py").write_text("VALUE = 41\n", encoding="utf-8")
    path.write_text(
        "from dataclasses import dataclass\nfrom neighbour_of_mine import VALUE\n"
        "@dataclass\nclass Point:\n    x: int = VALUE\n",
        encoding="utf-8",
    )
    file = load(path)
    assert sys.modules[MODULE] is file.module
    assert pickle.loads(pickle.dumps(file["Point"]())) == file["Point"](41)
    assert file["absent"] is None


def test_what_it_defines_travels_by_value(path: Path) -> None:
    from ray import cloudpickle

    file = load(path)
    travel_by_value(file)
    blob = cloudpickle.dumps(file["evaluate"])
    del sys.modules[MODULE]  # a worker has no such module
    assert cloudpickle.loads(blob)({"width": 4}) == 2.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (\n", "bad.py:1: does not parse: '(' was never closed"),
        ("x = 1\n\n  y = 2\n", "bad.py:3: does not parse: unexpected indent"),
        ("\n\nraise ValueError('no\\ndata')\n", "bad.py:3: raises ValueError: no data"),
        (
            "import nothing_of_this_name\n",
            "bad.py:1: raises ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
        ("def f():\n    return {}['a']\n\nf()\n", "bad.py:2: raises KeyError: 'a'"),
        ("import json\njson.loads('{')\n", "bad.py:2: raises JSONDecodeError: "),
        ("import sys\nsys.exit(3)\n", "bad.py:2: raises SystemExit: 3"),
        ("x = 1\0\n", "bad.py"),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(text, encoding="utf-8")
    message = refusal(bad)
    assert said in message
    assert "\n" not in message


def test_an_error_of_ours_is_told_by_its_own_words(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import archsearch as A\n\nspace = A.Space(A.Choice([1, 1]))\n", encoding="utf-8")
    assert refusal(bad).startswith("bad.py:3: ")


def test_missing_folder_and_binary(tmp_path: Path) -> None:
    (tmp_path / "digits.py").touch()
    assert refusal(tmp_path / "digit.py") == "no file digit.py; did you mean 'digits.py'?"
    assert "is a folder; expected a Python file" in refusal(tmp_path)
    (tmp_path / "weights.py").write_bytes(b"\x89PNG\xff\xfe")
    assert "weights.py" in refusal(tmp_path / "weights.py")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            "defines no study: expected `study`, or `space` and `evaluate`, but there is no 'space' and no 'evaluate'",
        ),
        ("def evaluate(t): return 1\n", "but there is no 'space' (it has 'evaluate')"),
        (
            "import archsearch as A\nspace = A.Space(A.Choice([1, 2]))\ndef evaluat(t): return 1\n",
            "but there is no 'evaluate' (it has 'space'); did you mean 'evaluat'?",
        ),
        ("space = 1\ndef evaluate(t): return 1\n", "expected `space` to be an archsearch.Space, but it is a int"),
        (
            "import archsearch as A\nspace = A.Space(A.Choice([1, 2]))\nevaluate = 3\n",
            "expected `evaluate` to be a function, but it is a int",
        ),
    ],
)
def test_what_defines_no_study_is_told_what_is_missing(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "half.py"
    path.write_text(text, encoding="utf-8")
    file: StudyFile = load(path)
    with pytest.raises(UsageError) as raised:
        definitions(file)
    assert said in str(raised.value)


def test_ready_made_spaces_are_those_with_a_function_space() -> None:
    assert "nasbench_macro" in ready_made()
    assert "space" not in ready_made()
