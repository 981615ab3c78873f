"""Runs files of architectures beside the models that they are to be."""

from __future__ import annotations

import importlib.util
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import source_worker
import torch
from random_networks import at

from archsearch import nn
from archsearch.spaces.build import build
from archsearch.spaces.resolved import Dag, Leaf, Once, Part
from archsearch.spaces.settled import Settled, modules_in
from archsearch.spaces.sized import place_of
from archsearch.spaces.source import source
from archsearch.spaces.tensor import Tensor

HERE = Path(__file__).parent
ROOT = HERE.parent


def linear(place: str, out_features: int) -> Leaf:
    return at(place, nn.Linear(out_features))


def leaf(place: str, target: Any, **arguments: Any) -> Leaf:
    return Leaf(place, target, arguments, {})


X = Tensor(4)


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


def running(folder: Path) -> Iterator[Worker]:
    """A worker for the tests of one module, whose files are checked for tidiness at the end."""
    threads = torch.get_num_threads()
    # As in the other process: how sums are split decides about their last bits.
    torch.set_num_threads(1)
    worker = Worker(folder)
    yield worker
    worker.close()
    torch.set_num_threads(threads)
    check_tidy(folder)


def check_tidy(folder: Path) -> None:
    """All files that were run are as ruff wants them, where there is one."""
    if importlib.util.find_spec("ruff") is None:
        return
    files = sorted(folder.glob("*/model.py"))
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
