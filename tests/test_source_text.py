"""What files of architectures look like."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_checks import HERE, ROOT, Worker, X, check, linear, running

import archsearch as A
from archsearch import nn
from archsearch.spaces import convnet
from archsearch.spaces.resolved import Chain, Part, Skip
from archsearch.spaces.settle import settle
from archsearch.spaces.source_text import Atom, Each, Expression, Group, call, lay_out, quoted


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    yield from running(tmp_path_factory.mktemp("files"))


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
    pytest.importorskip("ruff")
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
