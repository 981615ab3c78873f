"""examples/elastic.py: what it searches, what it never looks at, and the whole way, hardly trained."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from archsearch.cli import main
from archsearch.loading import StudyFile, load

EXAMPLE = Path(__file__).parents[1] / "examples" / "elastic.py"
SHORT = {"STEPS": 3, "TRIALS": 2, "CONTEXT": 96, "BATCH": 4}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyFile:
    monkeypatch.chdir(tmp_path)
    return load(EXAMPLE, SHORT)


def test_the_parts_are_disjoint_and_hold_every_file(file: StudyFile) -> None:
    text = file["text"]()
    assert len({name: bytes(part.tolist()) for name, part in text.items()}) == 3
    assert min(len(part) for part in text.values()) > 100_000
    assert sum(len(part) for part in text.values()) > 2_000_000
    start = {name: bytes(part[:400].tolist()) for name, part in text.items()}
    for name, part in text.items():
        assert [other for other in start if start[other] in bytes(part.tolist())] == [name]


def test_a_batch_follows_from_its_number(file: StudyFile) -> None:
    data, batch = file["text"]()["train"], file["batch"]
    assert torch.equal(batch(data, 3), batch(data, 3))
    assert not torch.equal(batch(data, 3), batch(data, 4))
    assert batch(data, 0).shape == (4, 96)
    assert sum(len(some) for some in file["batches"]("test")) == 16 * 4


def test_the_search_never_sees_the_test_part(file: StudyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    text = {name: part for name, part in file["text"]().items() if name != "test"}
    monkeypatch.setattr(file.module, "text", lambda: text)
    assert file["evaluate"].of(1 / 8)["loss"] < 10


def test_what_its_comments_say_of_sizes(file: StudyFile) -> None:
    space, text = file["space"], EXAMPLE.read_text(encoding="utf-8")
    assert f"{space.size():,} models in one" in text
    sizes = [arch.parameters for arch in space.enumerate()]
    assert f"the smallest has {min(sizes):,}, the whole {max(sizes):,}" in text
    assert min(sizes) < file["BUDGET"] < max(sizes)


def test_it_is_a_study_file_for_several_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [word for name, value in SHORT.items() for word in ("--set", f"{name}={value}")]
    load(EXAMPLE, SHORT)["trained"]()
    command = ["run", str(EXAMPLE), "--trials", "3", "--workers", "2", "--searcher", "random", *settings, "--quiet"]
    assert main(command) == 0
    with sqlite3.connect("runs.db") as connection:
        ((name, loss),) = connection.execute("SELECT study, value FROM best").fetchall()
        states = connection.execute("SELECT state FROM trials").fetchall()
    assert (name, states) == ("elastic", [("done",)] * 3)
    assert 0 < loss < 10


def test_the_whole_way(tmp_path: Path) -> None:
    """As a process of its own: trained, searched, cut out, and run where archsearch cannot be imported."""
    script = f"from archsearch.loading import load\nload({str(EXAMPLE)!r}, {SHORT!r})['main']()\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    inside, alone = re.findall(r"^test loss .*: ([\d.]+)$", done.stdout, re.MULTILINE)
    assert inside == alone
    rows = re.findall(r"^ +(1/8|1/4|1/2|whole|the rule's|found) +([\d,]+)", done.stdout, re.MULTILINE)
    sizes = {name: int(size.replace(",", "")) for name, size in rows}
    assert sizes["1/8"] < sizes["1/4"] < sizes["1/2"] < sizes["whole"]
    assert max(sizes["found"], sizes["the rule's"]) <= 200_000
    assert {path.name for path in (tmp_path / "elastic-small").iterdir()} >= {"config.json", "model.py"}
