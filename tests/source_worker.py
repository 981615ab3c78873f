"""Runs files that `Architecture.source()` wrote, in a process that cannot import archsearch.

Each line of its input is a folder with `model.py` and `given.pt`: weights, inputs, a seed and folders to import from.
It answers with a line: "ok" once `found.pt` is in the folder, or what went wrong.
"""

from __future__ import annotations

import importlib.abc
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn


class Refuse(importlib.abc.MetaPathFinder):
    """Finds no archsearch, however it is installed."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in ("archsearch", "spaces", "elastic", "searchers"):
            raise ImportError(f"{name} is not to be imported here")


def load(path: Path) -> type[nn.Module]:
    """The class `Model` of a file."""
    module = ModuleType("generated")
    sys.modules["generated"] = module
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    model: type[nn.Module] = module.__dict__["Model"]
    return model


def results(model: nn.Module, inputs: Sequence[torch.Tensor]) -> dict[str, Any]:
    """What a model gives in both modes from one seed, gradients, and its buffers afterwards."""
    model.eval()
    with torch.no_grad():
        evaluated = model(*inputs)
    model.train()
    torch.manual_seed(1)
    trained = model(*inputs)
    named = trained if isinstance(trained, dict) else {"": trained}
    total = sum([output.square().mean() for output in named.values()], torch.zeros(()))
    gradients = {}
    if total.requires_grad:
        total.backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    detached = {name: output.detach() for name, output in named.items()}
    return {
        "eval": evaluated if isinstance(evaluated, dict) else {"": evaluated},
        "train": detached,
        "gradients": gradients,
        "buffers": dict(model.named_buffers()),
    }


def answer(folder: Path) -> None:
    given = torch.load(folder / "given.pt", weights_only=True)
    sys.path[:0] = given["path"]
    try:
        torch.manual_seed(given["seed"])
        model = load(folder / "model.py")()
        initial = dict(model.state_dict())
        initial = {name: tensor.clone() for name, tensor in initial.items()}
        model.load_state_dict(given["weights"], strict=True)
        found = {"initial": initial, **results(model, given["inputs"])}
    finally:
        del sys.path[: len(given["path"])]
    assert not [name for name in sys.modules if name.partition(".")[0] == "archsearch"]
    torch.save(found, folder / "found.pt")


def main() -> None:
    sys.meta_path.insert(0, Refuse())
    torch.set_num_threads(1)
    for line in sys.stdin:
        try:
            answer(Path(line.strip()))
            print("ok", flush=True)
        except Exception:
            print(repr(traceback.format_exc()), flush=True)


if __name__ == "__main__":
    main()
