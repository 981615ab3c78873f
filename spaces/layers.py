"""The few torch modules of ours that a built model may hold. Everything else in it is plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Zero(nn.Module):
    """Zeros of the input's shape."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Chain(nn.Sequential):
    """A chain whose first module takes several inputs (torch.nn.Sequential takes one)."""

    def forward(self, *inputs: Tensor) -> Tensor:
        first, *rest = self
        x: Tensor = first(*inputs)
        for module in rest:
            x = module(x)
        return x


class Residual(nn.Module):
    """x + body(x), or project(x) + body(x).

    Args:
        body, project: the name and the module; no projection where the shapes are equal.
    """

    def __init__(self, body: tuple[str, nn.Module], project: tuple[str, nn.Module] | None = None) -> None:
        super().__init__()
        self.add_module(*body)
        if project is not None:
            self.add_module(*project)

    def forward(self, x: Tensor) -> Tensor:
        body, *project = self._modules.values()
        assert body is not None
        y: Tensor = body(x)
        for module in project:
            assert module is not None
            x = module(x)
        return x + y


class Items(nn.Module):
    """Several branches that stand at one place (of a Repeat, Permute or Subset): all their outputs."""

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, module in branches.items():
            self.add_module(name, module)

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        return [output for module in self._modules.values() for output in outputs(module, inputs)]


def outputs(module: nn.Module | None, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """A branch's output, or those of the items that stand in its place."""
    assert module is not None
    output = module(*inputs)
    return output if isinstance(module, Items) else [output]


def merged(found: Sequence[Tensor], how: str, dim: int) -> Tensor:
    """The sum or product of tensors, or them side by side along `dim`."""
    if how == "concat":
        return torch.cat(list(found), dim)
    total = found[0]
    for output in found[1:]:
        total = total + output if how == "add" else total * output
    return total


class Parallel(nn.Module):
    """Branches over the same inputs, merged.

    Args:
        branches: by name; `Items` count as so many branches.
        merge: "add", "mul", "concat", or the name and module that takes all outputs.
        dim: the dimension of torch.cat, for "concat".
    """

    def __init__(self, branches: Mapping[str, nn.Module], merge: str | tuple[str, nn.Module], dim: int = 1) -> None:
        super().__init__()
        for name, module in branches.items():
            self.add_module(name, module)
        self._merge_by = merge if isinstance(merge, str) else ""
        self._dim = dim
        if not isinstance(merge, str):
            self.add_module(*merge)

    def forward(self, *inputs: Tensor) -> Tensor:
        modules = list(self._modules.values())
        merge = None if self._merge_by else modules.pop()
        found = [output for module in modules for output in outputs(module, inputs)]
        if merge is not None:
            output: Tensor = merge(*found)
            return output
        return merged(found, self._merge_by, self._dim)

    def extra_repr(self) -> str:
        return f"merge={self._merge_by!r}" + (f", dim={self._dim}" if self._merge_by == "concat" else "")


class Function(nn.Module):
    """A function of what reaches it, with its arguments; those that are modules are registered here."""

    def __init__(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self._function = function
        self._arguments = {k: v for k, v in arguments.items() if not isinstance(v, nn.Module)}
        self._held = [k for k, v in arguments.items() if isinstance(v, nn.Module)]
        for name in self._held:
            self.add_module(name, arguments[name])

    def forward(self, *inputs: Tensor) -> Any:
        modules = {name: self._modules[name] for name in self._held}
        return self._function(*inputs, **self._arguments, **modules)

    def extra_repr(self) -> str:
        arguments = [f"{name}={value!r}" for name, value in self._arguments.items()]
        return ", ".join([getattr(self._function, "__name__", repr(self._function)), *arguments])


class Alias(nn.Module):
    """A further place of a module that is registered elsewhere in the same model (`Shared(weights=True)`).

    It holds the module in a tuple, where torch does not look for children: state_dict, parameters() and
    apply() meet the module once, at its first place. deepcopy and pickle of the model keep it one.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._shared = (module,)

    def forward(self, *inputs: Tensor) -> Any:
        return self._shared[0](*inputs)

    def extra_repr(self) -> str:
        return type(self._shared[0]).__name__


class RNN(nn.RNN):
    """torch.nn.RNN that returns the sequence of outputs alone, so that it fits in a chain."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


class GRU(nn.GRU):
    """torch.nn.GRU that returns the sequence of outputs alone, so that it fits in a chain."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


class LSTM(nn.LSTM):
    """torch.nn.LSTM that returns the sequence of outputs alone, so that it fits in a chain."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


class MultiheadAttention(nn.MultiheadAttention):
    """torch.nn.MultiheadAttention that returns its output alone; of one input it is self-attention."""

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None
    ) -> Tensor:
        key = query if key is None else key
        return super().forward(query, key, key if value is None else value, need_weights=False)[0]
