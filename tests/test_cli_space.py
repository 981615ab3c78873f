"""`archsearch space`: list, count, sample, show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archsearch.cli import main

FILE = """
import archsearch as A
from archsearch import nn

WIDTH = 16
width = A.Choice([WIDTH, 2 * WIDTH], name="width")
space = A.Space({
    "model": A.Sequential(nn.Flatten(), nn.Linear(width), A.Optional(nn.ReLU()), nn.Linear(10)),
    "momentum": A.Choice([0.0, 0.9]),
}, input_shape=(1, 8, 8))
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "tiny.py"
    path.write_text(FILE, encoding="utf-8")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(["space", *words])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(["space", *words])
    out, err = capsys.readouterr()
    assert status != 0
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_count(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, file, "count") == "8\n"


def test_count_of_a_ready_made_space(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "nasbench_macro", "count") == "6561\n"


def test_a_count_of_many_digits_and_one_without_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deep.py"
    path.write_text("import archsearch as A\nspace = A.Space(A.Repeat(A.Boolean(), 20_000))\n", encoding="utf-8")
    assert int(run(capsys, str(path), "count")) == 2**20_000
    path.write_text("import archsearch as A\nspace = A.Space({'lr': A.Real(0.1, 1)})\n", encoding="utf-8")
    assert run(capsys, str(path), "count") == "infinite\n"


def test_list_names_every_decision(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    listing = run(capsys, file)
    assert listing == run(capsys, file, "list")
    assert all(path in listing for path in ("width", "model[2]", "momentum"))


def test_sample_follows_the_seed(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = {seed: run(capsys, file, "sample", "--seed", seed) for seed in "01234567"}
    assert drawn["0"] == run(capsys, file, "sample")
    assert len(set(drawn.values())) > 1
    assert all("Linear" in text for text in drawn.values())


def test_a_sample_can_be_shown_again(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(run(capsys, file, "sample", "--seed", "5", "--json"), encoding="utf-8")
    assert run(capsys, file, "show", "--assignment", str(answers)) == run(capsys, file, "sample", "--seed", "5")
    answers.write_text(json.dumps({"assignment": json.loads(answers.read_text())}), encoding="utf-8")
    assert run(capsys, file, "show", "--assignment", str(answers)) == run(capsys, file, "sample", "--seed", "5")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ('{"width": 17, "model[2]": true, "momentum": 0.9}', "answers.json: width: "),
        ('{"widht": 16, "model[2]": true, "momentum": 0.9}', "answers.json: width: no answer given"),
        ("[1, 2]", "answers.json: expected an object of answers by path, but got list"),
        ('{"width": 16,\n\n', "answers.json:3: not JSON: "),
    ],
)
def test_show_refuses_what_is_no_architecture(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], document: str, said: str
) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(document, encoding="utf-8")
    assert said in refused(capsys, file, "show", "--assignment", str(answers))


def test_wrong_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'nasbench_macro'?" in refused(capsys, "nasbench_marco", "count")
    (tmp_path / "digits.py").write_text("spacee = 1\n", encoding="utf-8")
    assert "did you mean 'digits.py'?" in refused(capsys, str(tmp_path / "digit.py"))
    assert "defines no `space`; did you mean 'spacee'?" in refused(capsys, str(tmp_path / "digits.py"))
    (tmp_path / "digits.py").write_text("space = 3\n", encoding="utf-8")
    assert "expected `space` to be an archsearch.Space, but it is a int" in refused(capsys, str(tmp_path / "digits.py"))


def test_an_error_in_the_users_own_constraint_names_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(
        "import archsearch as A\n\ndef small(arch):\n    return 1 / 0\n\n"
        "space = A.Space({'a': A.Choice([1, 2])}, where=[small])\n",
        encoding="utf-8",
    )
    assert "broken.py:4: raises ZeroDivisionError: division by zero" in refused(capsys, str(path), "sample")
