"""examples/digits.py: what it searches, what it never looks at, and the whole main job."""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from archsearch.cli import main
from archsearch.loading import StudyFile, definitions, load
from archsearch.study import Study

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits.py"


@pytest.fixture
def file() -> StudyFile:
    return load(EXAMPLE, {"EPOCHS": 1})


def test_its_space_uses_choice_repeat_residual_optional_and_a_learning_rate(file: StudyFile) -> None:
    space, _ = definitions(file)
    text = str(space.describe())
    assert all(f"'kind': '{kind}'" in text for kind in ("Choice", "Repeat", "Residual", "Optional", "Real"))
    assert space.sample(random.Random(0))["lr"] > 0


def test_the_parts_are_disjoint_hold_every_image_and_every_digit(file: StudyFile) -> None:
    parts = file["digits"]()
    images = torch.cat([part[0] for part in parts])
    assert images.shape == (1797, 1, 8, 8)
    assert len({image.numpy().tobytes() for image in images}) == 1797  # no image stands twice, so none in two parts
    assert all(torch.bincount(part[1], minlength=10).min() >= 25 for part in parts)


def test_the_search_never_sees_the_test_part(file: StudyFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    train, validation, _ = file["digits"]()
    monkeypatch.setattr(file.module, "digits", lambda: (train, validation, None))
    space, evaluate = definitions(file)
    study = Study(space, evaluate, store=tmp_path / "runs.db", seed=1)
    study.run(trials=1)
    assert study.best.metrics["accuracy"] is not None


def test_it_is_a_study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(EXAMPLE), "--trials", "2", "--set", "EPOCHS=1", "--quiet"]) == 0
    with sqlite3.connect("runs.db") as connection:
        ((name, accuracy),) = connection.execute("SELECT study, value FROM best").fetchall()
    assert name == "digits"
    assert 0.1 < accuracy <= 1


def test_the_main_job_finds_a_network_above_98_percent(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    accuracy = re.search(r"^test accuracy: ([\d.]+)%$", done.stdout, re.MULTILINE)
    assert accuracy is not None, done.stdout
    assert float(accuracy[1]) > 98
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        assert connection.execute("SELECT state, count(*) FROM trials GROUP BY state").fetchall() == [("done", 20)]
