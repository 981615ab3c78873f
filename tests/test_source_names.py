"""What a file imports, what it copies from a script, and what it cannot be written for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import user_layers
from source_checks import Worker, X, check, leaf, running, same
from torch.nn import functional

from archsearch import loading
from archsearch.errors import BuildError
from archsearch.spaces.resolved import Leaf
from archsearch.spaces.settle import settle
from archsearch.spaces.source import source


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    yield from running(tmp_path_factory.mktemp("files"))


SCRIPT = '''"""A script with classes of its own."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn as layers

import archsearch as A
from archsearch import nn
from neighbour import double

SLOPE = 0.25
WIDTHS = (8, 16)
unused = A.Choice([1, 2])


def bend(x: torch.Tensor, power: float = math.pi) -> torch.Tensor:
    """Bends."""
    return double(F.leaky_relu(x, SLOPE) * power)


@torch.no_grad()
def start(weight: torch.Tensor) -> None:
    weight.fill_(1 / WIDTHS[0])


class Base(layers.Module):
    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.weight = layers.Parameter(torch.empty(in_features))
        start(self.weight)


class Bent(Base):
    """Has all that it needs beside it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        unused = bend(x * self.weight)
        return -unused


model = A.Sequential(A.module(Bent), nn.Linear(A.Choice([8, 16])), A.module(bend, power=2.0), A.module(Bent))
space = A.Space(model, input_shape=(4,))


def evaluate(trial: A.Trial) -> float:
    return 0.0


if __name__ == "__main__":
    arch = space.architecture({"[1].out_features": 16})
    torch.save(arch.build(seed=0).state_dict(), sys.argv[1])
    print(arch.source())
'''


def write_script(folder: Path) -> Path:
    (folder / "neighbour.py").write_text("def double(x):\n    return 2 * x\n")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return script


def test_what_a_script_defines_is_copied(tmp_path: Path, worker: Worker) -> None:
    script = write_script(tmp_path)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "weights.pt")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.rstrip() + "\n"
    assert "torch and neighbour" in text
    assert "unused = A" not in text
    assert "model =" not in text
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    x = torch.randn(3, 4)
    found = worker.run(text, weights, [x], [tmp_path])
    assert same(found["initial"], weights)
    first = -2 * torch.pi * functional.leaky_relu(x * weights["0.weight"], 0.25)
    second = 4.0 * functional.leaky_relu(functional.linear(first, weights["1.weight"], weights["1.bias"]), 0.25)
    third = -2 * torch.pi * functional.leaky_relu(second * weights["3.weight"], 0.25)
    torch.testing.assert_close(found["eval"][""], third)


def test_a_study_file_is_copied_as_it_was_set(tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = loading.load(write_script(tmp_path), {"SLOPE": 0.5})
    arch = file["space"].architecture({"[1].out_features": 8})
    text = check(arch.settled, worker, arch.source(), path=[tmp_path])
    assert "\nSLOPE = 0.5\n" in text
    assert "\nWIDTHS = (8, 16)\n" in text


def closure(size: int) -> type[torch.nn.Module]:
    class Inner(torch.nn.Linear):
        def __init__(self) -> None:
            super().__init__(size, size)

    return Inner


class Holder:
    """No module, and no literal."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x


ERRORS: dict[str, tuple[Leaf, str]] = {
    "a lambda": (leaf("body[1]", lambda x: x), r"^body\[1\]: <lambda> cannot be .* it is a lambda; put it at the top"),
    "a class of a function": (leaf("body", closure(4)), r"^body: Inner cannot be .* defined inside a function; put it"),
    "a lambda as an argument": (
        leaf("act", user_layers.Everything, in_features=4, mode=user_layers.Mode.PLAIN, activation=lambda x: x),
        r"^act: <lambda> cannot be written",
    ),
    "an object": (
        leaf("act", user_layers.Everything, in_features=4, mode=user_layers.Mode.PLAIN, activation=Holder()),
        r"^act: activation=<.*Holder object.*> cannot be written into a file: a Holder has no literal",
    ),
    "an object in a list": (
        leaf(
            "act",
            user_layers.Everything,
            in_features=4,
            mode=None,
            activation=functional.relu,
            some=[1, {"a": object()}],
        ),
        r"^act: some=<object object.*> cannot be written into a file",
    ),
    "a tensor": (
        leaf("act", user_layers.Everything, in_features=4, mode=None, activation=functional.relu, some=torch.ones(2)),
        r"^act: some=tensor.* cannot be written into a file: a Tensor has no literal",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_written(name: str) -> None:
    part, message = ERRORS[name]
    settled = settle(part, [X])
    with pytest.raises(BuildError, match=message):
        source(settled, {"input": X}, {})


STUDY_FILES = {
    "defined twice": (
        "class Bent(torch.nn.ReLU):\n    pass\n\n\nclass Bent(torch.nn.ReLU):\n    pass\n",
        "archsearch_study_file defines Bent 2 times",
    ),
    "a constant that is computed": (
        "SLOPE = float('1')\n\n\nclass Bent(torch.nn.ReLU):\n    slope = SLOPE\n",
        "archsearch_study_file has no class, function or plain constant SLOPE of its own",
    ),
    "a part of archsearch": (
        "from archsearch import nn\n\n\nclass Bent(torch.nn.ReLU):\n    inner = nn.ReLU()\n",
        "it needs archsearch.nn, which the file does without",
    ),
    "a name of archsearch": (
        "from archsearch import Space\n\n\nclass Bent(torch.nn.ReLU):\n    made = Space\n",
        "archsearch has no class, function or plain constant Space of its own",
    ),
    "archsearch": (
        "class Bent(torch.nn.ReLU):\n    inner = A.Choice([1, 2])\n",
        "it needs archsearch, which the file does without",
    ),
}


@pytest.mark.parametrize("name", STUDY_FILES)
def test_what_cannot_be_copied(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    definition, message = STUDY_FILES[name]
    file = tmp_path / "study.py"
    space = "space = A.Space(A.Sequential(A.module(Bent)), input_shape=(4,))"
    file.write_text(f"import torch\nimport archsearch as A\n\n{definition}\n\n{space}\n")
    arch = loading.load(file)["space"].architecture({})
    with pytest.raises(BuildError) as raised:
        arch.source()
    assert str(raised.value) == (
        f"[0]: Bent cannot be written into a file of its own: {message}; put it at the top level of a module that can "
        "be imported"
    )
