"""Architectures as files: run without archsearch, they are the same model to the last bit."""

from __future__ import annotations

import functools
import importlib
import itertools
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import random_graphs
import source_worker
import torch
import user_layers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import FAMILIES, at, moved, networks
from torch.nn import functional

import archsearch as A
from archsearch import loading, nn
from archsearch.errors import BuildError, ShapeError
from archsearch.spaces import convnet
from archsearch.spaces.build import build
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Link, Once, Part, Skip
from archsearch.spaces.settle import settle
from archsearch.spaces.settled import Settled, modules_in
from archsearch.spaces.sized import place_of
from archsearch.spaces.source import source
from archsearch.spaces.source_text import Atom, Each, Expression, Group, call, lay_out, quoted
from archsearch.spaces.tensor import Tensor

HERE = Path(__file__).parent
ROOT = HERE.parent


class Worker:
    """A process that runs the files, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        command = [sys.executable, "-I", str(Path(source_worker.__file__))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(
        self, text: str, weights: Mapping[str, torch.Tensor], inputs: Sequence[torch.Tensor], path: Sequence[Path] = ()
    ) -> dict[str, Any]:
        """What the file's model gives.

        Args:
            text: of the file.
            weights: that it loads.
            inputs: that it gets.
            path: folders that it may import from.
        """
        self.number += 1
        folder = self.folder / str(self.number)
        folder.mkdir()
        (folder / "model.py").write_text(text)
        about = {"weights": dict(weights), "inputs": list(inputs), "seed": 0, "path": [str(p) for p in path]}
        torch.save(about, folder / "given.pt")
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(folder, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", f"{answer}\n{text}"
        found: dict[str, Any] = torch.load(folder / "found.pt", weights_only=True)
        return found

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    threads = torch.get_num_threads()
    # As in the other process: how sums are split decides about their last bits.
    torch.set_num_threads(1)
    running = Worker(tmp_path_factory.mktemp("files"))
    yield running
    running.close()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def tidy(worker: Worker) -> Iterator[None]:
    """All files that the tests of this module ran are as ruff wants them."""
    yield
    files = sorted(worker.folder.glob("*/model.py"))
    options = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for command in (["format", "--check", "--diff", *options], ["check", *options]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *map(str, files)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-5_000:]


def same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> bool:
    return list(found) == list(expected) and all(
        [torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(found.values(), expected.values(), strict=True)]
    )


def random_inputs(inputs: Sequence[Tensor]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(0, t.below or 5, (3, *t.shape), generator=generator)
        if t.dtype.startswith("int")
        else torch.randn(3, *t.shape, generator=generator, dtype=getattr(torch, t.dtype))
        for t in inputs
    ]


def parts_of(settled: Settled) -> Iterator[Part]:
    """All parts of a network, those in arguments too."""
    yield settled.part
    values = [inside for value in settled.arguments.values() for inside in modules_in(value)]
    for child in (*settled.children, *values):
        yield from parts_of(child)


def interleaves(part: Part) -> bool:
    """Whether a graph makes modules at ``.inputs`` of one joint, then others, then at ``.inputs`` again.

    A file makes those together: they stand in one nn.ModuleDict.
    """
    for joint in (*part.vertices, *part.outputs) if isinstance(part, Dag) else ():
        places = [place_of(link.part).removeprefix(joint.place) for link in joint.links if link.part is not None]
        runs = [name for name, _ in itertools.groupby([re.split(r"\W", place)[1] for place in places])]
        if len(set(runs)) < len(runs):
            return True
    return False


def check(
    settled: Settled,
    worker: Worker,
    text: str = "",
    inputs: Sequence[Tensor] = (),
    path: Sequence[Path] = (HERE,),
) -> str:
    """The file of a network, after it proved to be the same network.

    Args:
        text: of the file; written here by default.
        inputs: what reaches it, where more is to be known than the sizes.
        path: folders that the file may import from.
    """
    tensors = list(inputs) or list(settled.inputs)
    names = ["input"] if len(tensors) == 1 else [f"in{i}" for i in range(len(tensors))]
    text = text or source(settled, dict(zip(names, tensors, strict=True)), {})
    given = random_inputs(tensors)
    model = build(settled, seed=0)
    other = build(settled, seed=1)
    found = worker.run(text, other.state_dict(), given, path)
    initial = model.state_dict()
    assert list(found["initial"]) == list(initial)
    if "`torch.manual_seed(0)` gives" in text:
        assert same(found["initial"], initial)
    else:
        assert "in another order" in text
        assert any([isinstance(part, Once) or interleaves(part) for part in parts_of(settled)])
    expected = source_worker.results(other, given)
    for what in ("eval", "train", "gradients", "buffers"):
        assert same(found[what], expected[what]), (what, text)
    return text


# The smallest of each, so that a check takes no longer than it must.
READY_MADE: dict[str, dict[str, Any]] = {
    "deeparchitect": {"name": "logging_tutorial"},
    "nasbench_macro": {},
    "convnet": {},
    "transformer": {"length": 16, "vocabulary": 50},
    "llama": {"vocabulary": 60, "context": 12, "widths": (32, 48), "depths": (2, 3), "heads": (2, 4), "groups": (1, 2)},
    "ofa_mobilenetv3": {"classes": 10, "resolutions": (64,)},
    "nasbench201": {"channels": 4, "cells": 2},
    "nasbench101": {"channels": 8, "cells": 2},
    "nasnet": {"channels": 4, "cells": 1},
    "hierarchical": {"channels": 4},
    "darts": {"channels": 4, "cells": 3, "auxiliary": True},
    "genetic_cnn": {"channels": (4, 8, 16), "features": 32},
    "autoformer": {"image": 64, "embeds": (48, 64), "depths": (2, 3), "heads": (2,)},
}


@pytest.mark.parametrize("name", READY_MADE)
def test_ready_made_spaces(name: str, worker: Worker) -> None:
    space = importlib.import_module(f"archsearch.spaces.{name}").space(**READY_MADE[name])
    for seed in range(3):
        arch = space.sample(random.Random(seed))
        text = check(arch.settled, worker, arch.source(), list(space.inputs.values()))
        assert all([f"    {path} = {answer!r}\n" in text for path, answer in arch.assignment.items()])
        assert f"{arch.parameters:,} parameters" in text
        assert "torch alone" in text


def check_random(draw: Callable[[st.DataObject], tuple[Part, list[Tensor]]], worker: Worker, least: int = 20) -> None:
    """Check random networks, of which `least` must fit together."""
    checked = 0

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal checked
        part, inputs = draw(data)
        try:
            settled = settle(part, inputs)
        except (ShapeError, BuildError):
            return
        check(settled, worker)
        checked += 1

    run()
    assert checked >= least


@pytest.mark.parametrize("family", FAMILIES)
def test_random_networks(worker: Worker, family: str) -> None:
    layers, tensor = FAMILIES[family]
    check_random(lambda data: (data.draw(networks(layers)), [tensor]), worker)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_networks_that_repeat(worker: Worker, family: str) -> None:
    layers, tensor = FAMILIES[family]

    def draw(data: st.DataObject) -> tuple[Part, list[Tensor]]:
        kinds = [data.draw(networks(layers, "[0]", 2)) or linear("[0]", 8) for _ in range(2)]
        times = data.draw(st.integers(2, 6))
        copies = [moved(data.draw(st.sampled_from(kinds)), "[0]", f"[{i}]") for i in range(times)]
        return Chain("", tuple(copies)), [tensor]

    check_random(draw, worker, least=10)


@pytest.mark.parametrize("family", random_graphs.FAMILIES)
def test_random_graphs(worker: Worker, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layers, tensor = random_graphs.FAMILIES[family]
    # From where no archsearch is needed.
    monkeypatch.setattr(random_graphs, "Constant", user_layers.Constant)
    monkeypatch.setattr(random_graphs, "mean", user_layers.mean)

    def draw(data: st.DataObject) -> tuple[Part, list[Tensor]]:
        number = data.draw(st.integers(1, 2))
        named = data.draw(st.booleans())
        return data.draw(random_graphs.dags(layers, tensor.shape, "", number, 2, named)), [tensor] * number

    check_random(draw, worker)


def linear(place: str, out_features: int) -> Leaf:
    return at(place, nn.Linear(out_features))


def leaf(place: str, target: Any, **arguments: Any) -> Leaf:
    return Leaf(place, target, arguments, {})


X = Tensor(4)

NETWORKS: dict[str, tuple[Part, list[Tensor]]] = {
    "nothing": (None, [X]),
    "no part": (Chain("", ()), [X]),
    "an activation": (at("", nn.ReLU()), [X]),
    "a layer": (linear("", 3), [X]),
    "a function": (leaf("", user_layers.scale, by=2.5), [X]),
    "one shared": (Once("k", linear("[0]", 3)), [X]),
    "several inputs": (
        Chain("", (leaf("[0]", user_layers.joined, by=2.0), linear("[1]", 3), linear("head", 2))),
        [X, Tensor(5)],
    ),
    "several inputs by name": (
        Chain("", (leaf("join", user_layers.joined, by=2.0), linear("body", 3), linear("head", 2))),
        [X, Tensor(5)],
    ),
    "a merge of several inputs": (
        Branches("", (linear("a", 3), linear("b", 5)), Chain("merge", (at("merge[0]", nn.Bilinear(2)), None))),
        [X],
    ),
    "a merge that passes on": (Branches("", (linear("[0]", 3),), None), [X]),
    "one branch": (Branches("", (linear("[0]", 3),), "add"), [X]),
    "identities": (Branches("", (None, linear("[1]", 4), None, Chain("[3]", ())), "mul"), [X]),
    "items": (
        Branches(
            "", (linear("[0]", 4), Chain("[1]", (linear("[1][0]", 4), None, linear("[1][2]", 4)), items=True)), "add"
        ),
        [X],
    ),
    "items by name": (
        Branches(
            "",
            (
                Chain(
                    "[0]",
                    (Chain("[0].a", (linear("[0].a.present", 4),)), Chain("[0].b", (linear("[0].b.present", 4),))),
                    items=True,
                ),
                linear("[1]", 4),
            ),
            "mul",
        ),
        [X],
    ),
    "items of a merge": (
        Branches(
            "", (Chain("[0]", (linear("[0][0]", 4), linear("[0][1]", 4)), items=True),), leaf("merge", user_layers.mean)
        ),
        [X],
    ),
    "no items among branches": (Branches("", (Chain("[0]", (), items=True), linear("[1]", 4)), "concat"), [X]),
    "a projection of another name": (
        Skip("", Chain("[0]", (linear("[0](3,0.5)", 5),)), Chain("project", (linear("project(1)", 5),))),
        [X],
    ),
    "gaps and orders": (
        Chain(
            "",
            (
                Chain("[0]", (linear("[0][1]", 4), linear("[0][3]", 4))),
                Chain("[1]", (linear("[1][2]", 4), linear("[1][0]", 4))),
                Chain("[2]", (linear("[2][90]", 4),)),
                Chain("[3]", (linear("[3].lambda", 4), linear("[3].head", 4))),
            ),
        ),
        [X],
    ),
    "a tied head": (
        Chain(
            "",
            (
                Once("embed", at("embed", nn.Embedding(50, 8))),
                linear("body", 8),
                leaf("head", user_layers.tied, embedding=Once("embed", at("head.embedding", nn.Embedding(50, 8)))),
            ),
        ),
        [Tensor(6, dtype="int64", below=50)],
    ),
    "one block many times": (
        Chain(
            "",
            tuple(
                [
                    Skip(
                        f"[{i}]",
                        Chain(
                            f"[{i}][0]",
                            (
                                at(f"[{i}][0].norm", nn.LayerNorm()),
                                Once("mix", linear(f"[{i}][0].mix", 4)),
                                linear(f"[{i}][0].own", 4),
                            ),
                        ),
                    )
                    for i in range(6)
                ]
            ),
        ),
        [X],
    ),
    "shared inside shared": (
        Chain(
            "",
            (
                linear("[0]", 4),
                Once("outer", Chain("[1]", (linear("[1][0]", 4), Once("inner", linear("[1][1]", 4))))),
                Once("inner", linear("[2]", 4)),
                Once("outer", Chain("[3]", (linear("[3][0]", 4), Once("inner", linear("[3][1]", 4))))),
            ),
        ),
        [X],
    ),
    "first met as an argument": (
        Chain(
            "",
            (
                leaf("[0]", user_layers.Wrap, first=Once("k", linear("[0].first", 4))),
                Once("k", linear("[1]", 4)),
                leaf(
                    "[2]",
                    user_layers.keep,
                    function=Once("k", linear("[2].function", 4)),
                    arguments=linear("[2].arguments", 4),
                ),
            ),
        ),
        [X],
    ),
    "modules in arguments": (
        leaf(
            "",
            user_layers.Wrap,
            others=[linear("others[0]", 4), at("others[1]", nn.ReLU())],
            by_name={"one": linear("by_name.one", 4), "two": Chain("by_name.two", (linear("by_name.two[0]", 4), None))},
            first=at("first", nn.PReLU()),
        ),
        [X],
    ),
    "values of all kinds": (
        Leaf(
            "",
            user_layers.Everything,
            {
                "mode": user_layers.Mode.TWICE,
                "activation": functional.gelu,
                "dtype": torch.float32,
                "device": torch.device("cpu"),
                "text": "both \"quotes\" and 'these' and \\",
                "numbers": [1, -2.5, 1e-5, float("inf"), float("-inf"), True, None, 10**20],
                "pair": (3, (4,)),
                "sizes": torch.Size([1, 2]),
                "empty": [(), [], {}, set(), frozenset()],
                "table": {"a": [1, 2], 3: (None, ...)},
                "some": {"x", "y"},
                "frozen": frozenset({2, 1}),
                "made": functools.partial(user_layers.scale, by=2),
                "kind": torch.nn.LayerNorm,
                "format": torch.channels_last,
                "span": slice(None, 2),
                "steps": range(3),
                "raw": b"\x00a",
                "builtin": max,
                "lambda": 1,
                "long": list(range(60)),
            },
            {"in_features": "features"},
        ),
        [X],
    ),
    "classes of classes": (Chain("", (at("[0]", A.module(user_layers.Outer.Inner)), linear("[1]", 3))), [X]),
    "a class of a name that files use": (
        Chain("", (at("[0]", A.module(user_layers.Residual)), Skip("[1]", linear("[1][0]", 4)))),
        [X],
    ),
    "another dtype": (
        leaf("", "torch.nn:Linear", in_features=4, out_features=3, dtype=torch.float64),
        [Tensor(4, dtype="float64")],
    ),
    "our own layers": (
        Chain("", (at("rnn", nn.LSTM(6)), at("attend", nn.MultiheadAttention(2)), at("zero", nn.Zero()))),
        [Tensor(5, 4)],
    ),
    "dropout": (
        Skip("", Branches("[0]", (at("[0][0]", nn.Dropout(0.5)), at("[0][1]", nn.Dropout(0.5))), "add")),
        [X],
    ),
    "writing over values": (
        Dag(
            "",
            ("x",),
            (Joint("a", "a", (Link("x", None),), "add", None, linear("a.op", 4)),),
            (
                Joint(
                    "",
                    "outputs",
                    (
                        Link("a", None),
                        Link("x", linear("outputs.x", 4)),
                        Link("a", at("outputs.a", nn.ReLU(inplace=True))),
                    ),
                    "add",
                    None,
                ),
            ),
        ),
        [X],
    ),
}


@pytest.mark.filterwarnings("ignore:The tensor attribute")
@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_part(name: str, worker: Worker) -> None:
    part, inputs = NETWORKS[name]
    text = check(settle(part, inputs), worker, inputs=inputs)
    assert ("torch and user_layers" if "user_layers" in text else "torch alone") in text


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


def test_one_class_for_cells_that_are_alike(worker: Worker) -> None:
    def conv(channels: int, kernel: int) -> A.Sequential:
        return A.Sequential(nn.ReLU(), nn.Conv2d(channels, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d())

    def cell(channels: int) -> A.Graph:
        vertices = {
            "n1": A.Vertex(inputs={"n0": conv(channels, 3)}),
            "n2": A.Vertex(inputs={"n0": nn.AvgPool2d(3, 1, 1), "n1": conv(channels, 1)}),
            "n3": A.Vertex(inputs={"n0": nn.Identity(), "n1": nn.Zero(), "n2": conv(channels, 3)}),
        }
        return A.Graph(vertices, inputs="n0", outputs=["n2", "n3"], merge="add")

    def stage(channels: int) -> A.Sequential:
        down = A.Residual(A.Sequential(nn.Conv2d(channels, 3, stride=2, padding=1), nn.BatchNorm2d()))
        return A.Sequential(down=down, cells=A.Repeat(cell(channels), 5))

    head = A.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10))
    model = A.Sequential(stages=A.Sequential(*[stage(c) for c in (4, 8, 16)]), head=head)
    arch = A.Space(model, input_shape=(3, 16, 16)).architecture({})
    text = check(arch.settled, worker, arch.source())
    assert text.partition('"""\n\n')[2] == (HERE / "golden_source.txt").read_text()


def test_another_process_writes_the_same() -> None:
    script = (
        "import random; from archsearch.spaces import convnet as c; print(c.space().sample(random.Random(1)).source())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip() == convnet.space().sample(random.Random(1)).source().rstrip()


def test_what_is_nested_deep_is_taken_apart(worker: Worker) -> None:
    part: Part = linear("[0]" * 80, 4)
    for depth in range(79, -1, -1):
        place = "[0]" * depth
        own = linear(f"{place}[1]", 4)
        part = Chain(place, (part, own)) if depth % 2 else Skip(place, part)
    text = check(settle(part, [X]), worker)
    assert max([len(line) - len(line.lstrip()) for line in text.splitlines()]) <= 40
    assert len(text) < 30_000


def test_layout_is_that_of_the_formatter(tmp_path: Path) -> None:
    generator = random.Random(0)

    def expression(depth: int) -> Expression:
        kind = generator.randrange(4 if depth else 1)
        if kind == 0:
            return Atom(generator.choice(["x", "None", "some_name", quoted("text" * generator.randrange(9)), "(1, 2)"]))
        inside = [expression(depth - 1) for _ in range(generator.randrange(5))]
        if kind == 1:
            return Group("[", tuple([("", item) for item in inside]), "]")
        if kind == 2:
            return Group("{", tuple([(f'"{i}": ', item) for i, item in enumerate(inside)]), "}")
        repeated = [Each(expression(depth - 1), 5)] if generator.random() < 0.3 else []
        named = {"keyword" * generator.randrange(1, 4): expression(depth - 1)} if generator.random() < 0.5 else {}
        return call("function" * generator.randrange(1, 4), *inside, *repeated, **named)

    lines = [line for i in range(400) for line in lay_out(expression(5), 0, f"name_{i} = ")]
    file = tmp_path / "laid_out.py"
    file.write_text("\n".join([*lines, ""]))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "format",
            "--diff",
            "--no-cache",
            "--config",
            str(ROOT / "pyproject.toml"),
            str(file),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[:5_000]
