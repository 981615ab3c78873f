"""Write spaces/nn.py, the typed mirror of torch.nn, from the signatures of the installed torch.

    python tools/generate_nn.py          writes it
    python tools/generate_nn.py --check  exits with 1 where it would change

Every class of torch.nn that maps tensors to a tensor gets a function of the same name and parameters, without
`device` and `dtype`; sizes that follow from the input stand last, by keyword only.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archsearch.spaces.targets import INFERRED, parameters, second_features, signatures

PATH = Path(__file__).resolve().parent.parent / "spaces" / "nn.py"

# Losses, containers and lazy classes are left out by kind; these by name, with the reason.
LEFT_OUT = {
    "Container": "a container",
    "CrossMapLRN2d": "LocalResponseNorm says the same",
    "DataParallel": "a wrapper of models",
    "LSTMCell": "gives two tensors",
    "MaxUnpool1d": "needs the indices of a pooling",
    "MaxUnpool2d": "needs the indices of a pooling",
    "MaxUnpool3d": "needs the indices of a pooling",
    "Module": "the base of all",
    "ModuleDict": "a container",
    "ModuleList": "a container",
    "ParameterDict": "a container",
    "ParameterList": "a container",
    "RNNBase": "a base class",
    "RNNCellBase": "a base class",
    "Sequential": "archsearch.Sequential",
    "SyncBatchNorm": "torch makes it of BatchNorm when training is distributed",
}

# `device` and `dtype` are `build`'s matter; one tensor is passed on, so no indices.
DROPPED = {"device", "dtype", "return_indices"}

# Ours, in archsearch.spaces.layers: torch's class, returning the one tensor that a chain passes on.
OURS = {"GRU", "LSTM", "MultiheadAttention", "RNN", "Zero"}

ALIASES = {int: "Int", float: "Float", bool: "Bool", str: "Str"}

# What torch leaves without annotations.
UNTYPED = {
    "custom_decoder": "Node | None",
    "custom_encoder": "Node | None",
    "decoder_layer": "Node",
    "encoder_layer": "Node",
    "norm": "Node | None",
    "activation": "Str | Callable[..., Any]",
    "embed_dim": "Int",
    "num_heads": "Int",
    "kdim": "Int | None",
    "vdim": "Int | None",
    "input_size": "Int",
    "normalized_shape": "Int | list[Int] | tuple[Int, ...]",
    "unflattened_size": "tuple[Int, ...] | list[Int]",
}

HEADER = '''"""The layers of torch.nn as descriptions.

Written by tools/generate_nn.py from torch {version}, not by hand.

Each function has the parameters of torch's class. What the caller gives is kept; all else stays torch's default.
A size that follows from the input stands last, by keyword, and is inferred where it is not given; so is what
order the batch comes in. `device` and `dtype` are left out. Nothing here imports torch.

>>> Conv2d(16, 3, padding=1)
Conv2d(out_channels=16, kernel_size=3, padding=1)
"""

# mypy: disable-error-code="empty-body"
# ruff: noqa: N802, RUF022

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from archsearch.spaces.mirror import INFER, Bool, Float, Inferred, Int, Open, Str, always, layer
from archsearch.spaces.node import Node
from archsearch.spaces.nodes import Module
from archsearch.spaces.targets import second_features

'''


def classes() -> Iterator[tuple[str, type[nn.Module] | None]]:
    names = [n for n, c in vars(nn).items() if isinstance(c, type) and issubclass(c, nn.Module)]
    for name in sorted([*names, "Zero"]):
        if name not in LEFT_OUT and "Loss" not in name and not name.startswith("Lazy"):
            yield name, getattr(nn, name, None)


def arguments(cls: type[nn.Module]) -> list[inspect.Parameter]:
    """The parameters of the class, its bases' where it passes on what it gets."""
    found: dict[str, inspect.Parameter] = {}
    for signature in signatures(cls):
        named = [p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        for parameter in named:
            found.setdefault(parameter.name, parameter)
        if len(named) == len(signature.parameters):
            break
    if cls in (nn.RNN, nn.GRU, nn.LSTM):
        # What their common base needs and they do not.
        del found["mode"]
    if cls in (nn.RNN, nn.GRU):
        del found["proj_size"]
    if cls is nn.RNN:
        found["nonlinearity"] = inspect.Parameter("nonlinearity", inspect.Parameter.KEYWORD_ONLY, default="tanh")
    kept = [p for p in found.values() if p.name not in DROPPED]
    return [p for p in kept if not p.name.startswith("_")]


def text(annotation: Any, name: str, default: Any) -> str:
    """An annotation with nodes allowed where values stand."""
    if isinstance(annotation, str) or annotation is inspect.Parameter.empty or annotation is Any:
        if name in UNTYPED:
            return UNTYPED[name]
        return ALIASES.get(type(default), "Any")
    if name in UNTYPED:
        return UNTYPED[name]
    found = list(dict.fromkeys(pieces(annotation)))
    return " | ".join(found if default is not None or "None" in found else [*found, "None"])


def pieces(annotation: Any) -> Iterator[str]:
    origin = typing.get_origin(annotation)
    if annotation in ALIASES:
        yield ALIASES[annotation]
    elif annotation in (None, type(None)):
        yield "None"
    elif origin in (typing.Union, types.UnionType):
        parts = [piece for part in typing.get_args(annotation) for piece in pieces(part)]
        yield from sorted(parts, key=lambda piece: (piece == "None", piece.startswith("tuple")))
    elif origin is typing.Literal:
        yield f"Literal[{', '.join([quoted(value) for value in typing.get_args(annotation)])}] | Open"
    elif origin is tuple:
        inside = [("..." if a is Ellipsis else " | ".join(pieces(a))) for a in typing.get_args(annotation)]
        yield f"tuple[{', '.join(inside)}]"
    else:
        raise SystemExit(f"tools/generate_nn.py does not know how to write the type {annotation!r}")


def quoted(value: Any) -> str:
    if callable(value):
        return quoted(value.__name__)
    return f'"{value}"' if isinstance(value, str) else repr(value)


def rule(name: str) -> str:
    """The expression of an inferred size's rule."""
    found = INFERRED[name]
    return "second_features" if found is second_features else quoted(found)


def function(name: str, cls: type[nn.Module] | None) -> str:
    given = arguments(cls) if cls is not None and cls is not nn.Identity else []
    needed = set(parameters(cls).required) if cls is not None else set()
    follows = [p for p in given if p.name in INFERRED and (p.name in needed or (cls is nn.Transformer))]
    batch = [p for p in given if p.name == "batch_first"]
    rest = [p for p in given if p not in follows and p not in batch]
    # Nobody means BatchNorm2d(64) or GroupNorm(4, 64) to set eps.
    count = next(
        (i for i, p in enumerate(rest) if p.kind == p.KEYWORD_ONLY or (follows and p.name == "eps")), len(rest)
    )
    before, only = rest[:count], rest[count:]
    lines = [write(p) for p in before]
    if only or follows or batch:
        lines.append("*")
    lines += [write(p) for p in only]
    lines += [f"{p.name}: {text(p.annotation, p.name, p.default)} | Inferred = INFER" for p in follows]
    lines += ["batch_first: Bool | Inferred = INFER" for _ in batch]
    rules = ", ".join([f"{p.name}={rule(p.name)}" for p in follows] + ["batch_first=always" for _ in batch])
    module = "archsearch.spaces.layers" if name in OURS else "torch.nn"
    return (
        f'@layer("{module}:{name}"{", " + rules if rules else ""})\n'
        f"def {name}({', '.join(lines)}) -> Module:\n"
        f'    """{summary(name, cls)}"""\n'
    )


def write(parameter: inspect.Parameter) -> str:
    typed = f"{parameter.name}: {text(parameter.annotation, parameter.name, parameter.default)}"
    return typed if parameter.default is parameter.empty else f"{typed} = {quoted(parameter.default)}"


def summary(name: str, cls: type[nn.Module] | None) -> str:
    if name == "Zero":
        return "Zeros of the input's shape."
    if name == "MultiheadAttention":
        return "`torch.nn.MultiheadAttention`, its output alone; of one input it is self-attention."
    if name in OURS:
        return f"`torch.nn.{name}`, its sequence of outputs alone."
    return f"`torch.nn.{name}`."


def generate() -> str:
    """The whole file."""
    version = torch.__version__.partition("+")[0]
    found = [(name, function(name, cls)) for name, cls in classes()]
    names = "".join([f"    {quoted(name)},\n" for name, _ in found])
    body = "\n\n".join([source for _, source in found])
    header = HEADER.format(version=version)
    return formatted(f"{header}__all__ = [\n{names}]\n\n\n{body}")


def formatted(source: str) -> str:
    """As ruff writes it."""
    ruff = [sys.executable, "-m", "ruff", "format", "--line-length", "120", "--stdin-filename", "nn.py", "-"]
    return subprocess.run(ruff, input=source, capture_output=True, text=True, check=True).stdout


def main(report: Callable[[str], object] = print) -> int:
    source = generate()
    if "--check" in sys.argv[1:]:
        same = PATH.read_text() == source
        report("spaces/nn.py is up to date" if same else "spaces/nn.py differs; run tools/generate_nn.py")
        return 0 if same else 1
    PATH.write_text(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
