"""Classes and functions as a user has them, in a module without archsearch that files may import from."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Constant(nn.Module):
    """A learnt tensor that needs no input."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.randn(size))

    def forward(self) -> Tensor:
        return self.value


def mean(*values: Tensor) -> Tensor:
    return torch.stack(values).mean(0)


def scale(x: Tensor, by: float) -> Tensor:
    return x * by


def keep(x: Tensor, function: nn.Module, arguments: nn.Module) -> Tensor:
    result: Tensor = function(x) + arguments(x)
    return result


def tied(x: Tensor, embedding: nn.Embedding) -> Tensor:
    return nn.functional.linear(x, embedding.weight)


def joined(x: Tensor, y: Tensor, by: float) -> Tensor:
    return torch.cat([x, by * y], 1)


class Mode(enum.Enum):
    PLAIN = "plain"
    TWICE = "twice"


class Wrap(nn.Module):
    """Holds modules that it is given, however they come."""

    def __init__(self, first: nn.Module, others: Any = (), by_name: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        self.first = first
        self.others = nn.ModuleList(others)
        self.by_name = nn.ModuleDict(by_name)

    def forward(self, x: Tensor) -> Tensor:
        for module in (self.first, *self.others, *self.by_name.values()):
            x = module(x)
        return x


class Everything(nn.Module):
    """Keeps whatever it is given."""

    def __init__(self, in_features: int, mode: Mode, activation: Callable[[Tensor], Tensor], **others: Any) -> None:
        super().__init__()
        self.inner = nn.Linear(in_features, in_features, dtype=others.get("dtype"))
        self.mode = mode
        self.activation = activation
        self.others = others
        self.register_buffer("seen", torch.tensor(len(repr(sorted(others)))))

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.inner(x))
        return y if self.mode is Mode.PLAIN else y + y


class Residual(nn.Module):
    """Has the name of one that files carry."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class Outer:
    """Holds a class."""

    class Inner(Residual):
        pass
