"""What README.md says is so: its commands, its files, its Python, its picture."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlparse
from xml.etree import ElementTree

import archsearch
from archsearch import nn
from archsearch.cli import parser
from archsearch.spaces import nodes

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of README.md in one language, in order."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no {language} block"
    return found


def commands() -> list[list[str]]:
    """Every shell command of README.md as words; those joined by `&&` one by one."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [shlex.split(command, comments=True) for line in lines for command in line.split("&&") if command.strip()]


def test_it_is_short_with_one_picture() -> None:
    assert len(README.splitlines()) <= 150
    assert len(re.findall(r"!\[[^\]]+\]\(", README)) == 1


def test_linked_files_exist() -> None:
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)", README) if not urlparse(t).scheme]
    assert "docs/archsearch.svg" in targets
    assert [t for t in targets if not (ROOT / t).is_file()] == []


def test_the_picture_is_self_contained() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "archsearch.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    named = {element.tag.rpartition("}")[2] for element in picture.iter()}
    assert "title" in named, "screen readers need a title"
    assert named.isdisjoint({"script", "image", "foreignObject"})


def test_the_two_installations() -> None:
    """One runs the main job and one the tests; both make their environment and install exact versions."""
    installing = [line for line in "\n".join(blocks("bash")).splitlines() if "pip install" in line]
    assert len(installing) == 2
    for line in installing:
        assert line.startswith("python3 -m venv .venv && ")
        assert " -c constraints.txt " in line
    assert installing[0].endswith(".venv/bin/python examples/digits.py")
    assert ".venv/bin/python -m pytest" in installing[1]


def test_extras_and_files_of_the_commands_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for command in commands():
        for word in command:
            wanted = re.fullmatch(r"\.\[([\w,-]+)\]", word)
            assert wanted is None or set(wanted[1].split(",")) <= set(extras), word
            if word.endswith((".py", ".txt")):
                assert (ROOT / word).is_file(), word


def test_the_commands_of_archsearch_parse() -> None:
    ours = [command[1:] for command in commands() if command[0] == "archsearch"]
    given = [parser().parse_args(words).command for words in ours]
    assert given == ["space", "run", "studies", "show", "best", "extract"]


def test_ci_reads_its_test_command_here() -> None:
    """The marker that `.ci/run` looks for stands before the block with the tests."""
    (after,) = README.split("<!-- tests -->\n")[1:]
    assert after.startswith("```bash\n")
    assert "pytest" in after.split("```")[1]


def test_sessions_give_what_they_show() -> None:
    names = {"A": archsearch, "nn": nn}
    for block in blocks("pycon"):
        session = doctest.DocTestParser().get_doctest(block, names, "README.md", "README.md", 0)
        failed, attempted = doctest.DocTestRunner().run(session)
        assert attempted
        assert not failed


def test_the_program_runs(tmp_path: Path) -> None:
    """A user's file in a process of its own, with a `train` that trains nothing; the second run has no trial left."""
    calls = tmp_path / "calls"
    train = f"def train(network, lr):\n    print(lr, file=open({str(calls)!r}, 'a'))\n    return lr\n\n\n"
    (tmp_path / "mine.py").write_text(train + "\n".join(blocks("python")), encoding="utf-8")
    shown = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout)
        assert len(calls.read_text().splitlines()) == 20
    best = max(float(line) for line in calls.read_text().splitlines())
    assert all(f"lr: {best!r}" in text for text in shown)


def test_every_word_of_the_language_is_mentioned() -> None:
    words = set(nodes.__all__) & set(archsearch.__all__)
    assert "Sequential" in words
    assert [word for word in sorted(words) if not re.search(rf"\b{word}\b", README)] == []
