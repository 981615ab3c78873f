"""The modules that a source file carries where torch has none; each is copied into the files that use it."""

# mypy: disable-error-code="no-any-return, no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Chain(nn.Sequential):
    """A chain whose first module takes several inputs."""

    def forward(self, *inputs: Tensor) -> Tensor:
        first, *rest = self
        x = first(*inputs)
        for module in rest:
            x = module(x)
        return x


class Residual(nn.Sequential):
    """x + body(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class ProjectedResidual(nn.ModuleList):
    """project(x) + body(x)."""

    def __init__(self, body: nn.Module, project: nn.Module) -> None:
        super().__init__([body])
        self.project = project

    def forward(self, x: Tensor) -> Tensor:
        y = self[0](x)
        return self.project(x) + y


class Concat(nn.Sequential):
    """What its modules make of the same inputs, side by side."""

    def __init__(self, *modules: Any, dim: int = 1) -> None:
        super().__init__(*modules)
        self.dim = dim

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat([module(*inputs) for module in self], self.dim)


class Sum(nn.Sequential):
    """The sum of what its modules make of the same inputs."""

    def forward(self, *inputs: Tensor) -> Tensor:
        first, *rest = [module(*inputs) for module in self]
        for output in rest:
            first = first + output
        return first


class Product(nn.Sequential):
    """The product of what its modules make of the same inputs."""

    def forward(self, *inputs: Tensor) -> Tensor:
        first, *rest = [module(*inputs) for module in self]
        for output in rest:
            first = first * output
        return first


class Merge(nn.Sequential):
    """What its last module makes of what the others make of the same inputs."""

    def forward(self, *inputs: Tensor) -> Tensor:
        *branches, merge = self
        return merge(*[module(*inputs) for module in branches])


class Apply(nn.Module):
    """A function of what reaches it, with further arguments."""

    def __init__(self, function: Callable[..., Any], /, **arguments: Any) -> None:
        super().__init__()
        self.function = function
        self.arguments = arguments

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs, **self.arguments)


class ApplyWith(nn.Module):
    """A function of what reaches it, with further arguments; the modules among them are its children."""

    def __init__(self, function: Callable[..., Any], /, **arguments: Any) -> None:
        super().__init__()
        self._function = function
        self._arguments = {name: value for name, value in arguments.items() if not isinstance(value, nn.Module)}
        self._held = [name for name in arguments if name not in self._arguments]
        for name in self._held:
            self.add_module(name, arguments[name])

    def forward(self, *inputs: Tensor) -> Any:
        modules = {name: self.get_submodule(name) for name in self._held}
        return self._function(*inputs, **self._arguments, **modules)


class Again(nn.Module):
    """A module that stands elsewhere too: its parameters are listed there, and not here."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._module = (module,)

    def forward(self, *inputs: Tensor) -> Any:
        return self._module[0](*inputs)
