"""Imports point one way: errors, spaces, then searchers and elastic side by side, then the runtime."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("spaces", "searchers", "elastic")

# What a file may import of ours, by the longest prefix of its own name.
ALLOWED = {
    "archsearch": {"archsearch"},
    "archsearch.errors": set[str](),
    "archsearch.nn": {"archsearch.spaces"},
    "archsearch.testing": {
        "archsearch.errors",
        "archsearch.spaces",
        "archsearch.searchers",
        "archsearch.testing_spaces",
    },
    "archsearch.testing_spaces": {"archsearch.errors", "archsearch.spaces"},
    "archsearch.spaces": {"archsearch.errors", "archsearch.spaces"},
    "archsearch.searchers": {"archsearch.errors", "archsearch.spaces", "archsearch.searchers"},
    "archsearch.elastic": {"archsearch.errors", "archsearch.spaces", "archsearch.elastic"},
}

# Searchers know no tensors, no cluster, no database and no clock; the language and the weights no runtime.
FORBIDDEN = {
    "archsearch.spaces": {"ray", "sqlite3", "sqlite_utils", "skopt", "pydantic", "rich"},
    "archsearch.searchers": {"torch", "ray", "sqlite3", "sqlite_utils", "pydantic", "rich", "time", "datetime"},
    # A training run shows its progress by itself: nobody else stands by.
    "archsearch.elastic": {"ray", "sqlite3", "sqlite_utils", "skopt", "pydantic"},
}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def rule_for(module: str, rules: dict[str, set[str]]) -> set[str]:
    matching = [package for package in rules if within(module, package)]
    return rules[max(matching, key=len)] if matching else set()


def submodules(root: Path) -> set[str]:
    """Names that `from archsearch import ...` finds as modules."""
    return {path.stem for path in (root / "archsearch").glob("*.py")} | set(PARTS)


def imports(source: str, modules: set[str]) -> Iterator[tuple[int, str]]:
    """Every import of a file with its line, those inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module == "archsearch":
            for alias in node.names:
                yield node.lineno, f"archsearch.{alias.name}" if alias.name in modules else "archsearch"
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, str(node.module)


def faults(root: Path) -> list[str]:
    """Every import that points the wrong way, as file:line: name."""
    found = []
    modules = submodules(root)
    for folder in ("archsearch", *PARTS, "tests", "examples"):
        package = f"archsearch.{folder}" if folder in PARTS else folder
        for path in sorted((root / folder).glob("*.py" if folder == "archsearch" else "**/*.py")):
            own = package if path.stem == "__init__" else f"{package}.{path.stem}"
            for line, name in imports(path.read_text(encoding="utf-8"), modules):
                ours = within(name, "archsearch")
                free = folder in ("tests", "examples")
                if (
                    name.startswith(".")
                    or name.split(".")[0] in PARTS
                    or (ours and not free and not any(within(name, p) for p in rule_for(own, ALLOWED)))
                    or (not ours and name.split(".")[0] in rule_for(own, FORBIDDEN))
                ):
                    found.append(f"{path.relative_to(root)}:{line}: {name}")
    return found


def test_imports_point_one_way() -> None:
    assert faults(ROOT) == []


def test_every_part_is_read() -> None:
    for folder in ("archsearch", *PARTS):
        assert list((ROOT / folder).glob("*.py")), folder


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("spaces/x.py", "import archsearch", True),
        ("spaces/x.py", "from archsearch import Choice", True),
        ("spaces/x.py", "from archsearch import study", True),
        ("spaces/x.py", "from archsearch.searchers.random import Random", True),
        ("spaces/x.py", "def f():\n    import archsearch.study", True),
        ("spaces/x.py", "from . import nodes", True),
        ("spaces/x.py", "import ray", True),
        ("spaces/x.py", "from archsearch.spaces.nodes import Choice\nfrom archsearch.errors import SpaceError", False),
        ("searchers/x.py", "from archsearch.elastic import axes", True),
        ("searchers/x.py", "from archsearch import spaces", False),
        ("searchers/x.py", "import torch", True),
        ("searchers/x.py", "import numpy", False),
        ("elastic/x.py", "import archsearch.searchers.random", True),
        ("elastic/x.py", "import torch", False),
        ("archsearch/errors.py", "from archsearch.spaces import nodes", True),
        ("archsearch/x.py", "import archsearch.elastic", False),
        ("archsearch/x.py", "from spaces.nodes import Choice", True),
        ("tests/x.py", "import searchers", True),
        ("tests/x.py", "import archsearch.study", False),
    ],
)
def test_the_rules_can_fail(tmp_path: Path, file: str, line: str, wrong: bool) -> None:
    for folder in ("archsearch", *PARTS):
        (tmp_path / folder).mkdir()
    (tmp_path / "archsearch" / "study.py").touch()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(line)
    assert bool(faults(tmp_path)) is wrong


HEAVY = ("torch", "ray", "skopt", "sklearn", "scipy", "pandas")


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after `code`."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("code", "without"),
    [
        ("import archsearch", (*HEAVY, "numpy", "networkx", "pydantic", "yaml", "rich", "sqlite3", "asyncio")),
        (
            "from archsearch.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
            (*HEAVY, "numpy", "networkx", "pydantic", "yaml", "rich", "sqlite3", "asyncio"),
        ),
        (
            "import random, archsearch as A\nfrom archsearch import nn\n"
            "drop = A.module('timm.layers:DropPath')\n"
            "model = A.Sequential(nn.Conv2d(A.Choice([8, 16]), 3), A.Optional(nn.ReLU()), drop)\n"
            "space = A.Space({'model': model, 'lr': A.Integer(1, 3)}, input_shape=(1, 8, 8))\n"
            "assert space.size() == 12; space.sample(random.Random(0)); list(space.enumerate())",
            (*HEAVY, "numpy", "networkx", "pydantic", "rich", "sqlite3"),
        ),
        ("import archsearch as A\nA.searchers\nfrom archsearch.searchers import random", ("torch", "ray", "pandas")),
        ("import archsearch as A\nA.Study, A.Trial", ("torch", "ray", "skopt", "pandas")),
    ],
    ids=["import", "help", "describe", "searchers", "study"],
)
def test_light(code: str, without: tuple[str, ...]) -> None:
    assert loaded(code) & set(without) == set()


def test_loaded_can_see_a_module() -> None:
    assert "colorsys" in loaded("import colorsys")
