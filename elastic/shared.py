"""Sub-networks as modules on the shared weights, for training.

`net(x, sub)` is differentiable as it stands, but the gradient of a slice is as large as the whole tensor, and zero
elsewhere. Here a sub-network is a module of its own whose parameters are views of the shared weights, each a leaf: its
gradients are as small as it is. `gather` brings them together where the optimiser wants them whole.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import torch
from torch import nn

from archsearch.elastic.axes import Segments
from archsearch.elastic.cut import Cut
from archsearch.elastic.declare import tensors_of
from archsearch.elastic.network import Elastic
from archsearch.elastic.skeleton import rebuilt

Region: TypeAlias = tuple[slice, ...]

# Modules of the sub-networks that ran lately are kept: all of those that are trained together, as a rule.
MAX_MODULES = 512


@dataclass(frozen=True)
class Part:
    """What a sub-network has of a parameter that it does not have whole.

    Attributes:
        name: of the parameter in the super-network.
        whole: the parameter.
        leaf: the part, a parameter of the sub-network's module: a view, or a copy where it is several blocks.
        regions: the blocks, where in the whole and where in the part.
    """

    name: str
    whole: nn.Parameter
    leaf: nn.Parameter
    regions: tuple[tuple[Region, Region], ...]

    @property
    def is_view(self) -> bool:
        return len(self.regions) == 1


@dataclass(frozen=True)
class SharedModule:
    """A sub-network's module and its parameters.

    Attributes:
        module: of the sub-network; parameters that it has whole are those of the super-network.
        parts: the others.
        run: the module, compiled where asked for.
    """

    module: nn.Module
    parts: tuple[Part, ...]
    run: Any


class Shared:
    """The sub-networks of a super-network as modules on its weights.

    Args:
        net: the super-network. Its parameters stay the same objects as long as this is used.
        compiled: whether modules are compiled with `torch.compile`, one graph for each sub-network.
    """

    def __init__(self, net: Elastic, *, compiled: bool = False) -> None:
        self.net = net
        self.compiled = compiled
        self._parameters = tuple(net.parameters())
        self._modules: OrderedDict[Any, SharedModule] = OrderedDict()
        self._buffers: dict[str, torch.Tensor] = {}
        self._touched: dict[str, list[Region]] = {}

    def module(self, cut: Cut) -> Any:
        """The module of a sub-network, ready to run."""
        shared = self._shared(cut)
        if shared.module.training != self.net.model.training:
            shared.module.train(self.net.model.training)
        for part in shared.parts:
            if not part.is_view:
                with torch.no_grad():
                    for big, small in part.regions:
                        part.leaf[small].copy_(part.whole[big])
        return shared.run

    def _shared(self, cut: Cut) -> SharedModule:
        found = self._modules.get(cut.key)
        if found is None:
            found = self._modules[cut.key] = self._make(cut)
            if len(self._modules) > MAX_MODULES:
                self._modules.popitem(last=False)
        self._modules.move_to_end(cut.key)
        return found

    def _make(self, cut: Cut) -> SharedModule:
        tensors: dict[str, torch.Tensor] = {}
        parts = []
        for name, tensor in tensors_of(self.net.model).items():
            if cut.name(name) is None or cut.axes.tied.get(name, name) != name:
                continue
            segments = cut.segments(name, tensor.shape)
            tensors[name] = tensor
            if any(s is not None for s in segments):
                tensors[name] = cut.take(name, tensor.detach())
                if isinstance(tensor, nn.Parameter):
                    leaf = tensors[name] = nn.Parameter(tensors[name], requires_grad=tensor.requires_grad)
                    parts.append(Part(name, tensor, leaf, tuple(regions(segments, tensor.shape))))
        module = rebuilt(self.net.model, cut, tensors)
        run = compiled(module) if self.compiled else module
        return SharedModule(module, tuple(parts), run)

    def parts(self, cut: Cut) -> tuple[Part, ...]:
        """What a sub-network has of the parameters that it does not have whole."""
        return self._shared(cut).parts

    def gather(self, cuts: Iterable[Cut]) -> None:
        """Add the gradients of the sub-networks' parts into those of the whole parameters, zero elsewhere."""
        with torch.no_grad():
            for cut in cuts:
                for part in self.parts(cut):
                    if part.leaf.grad is not None:
                        self._add(part, part.leaf.grad)
                        part.leaf.grad = None

    def _add(self, part: Part, grad: torch.Tensor) -> None:
        fresh = part.whole.grad is None
        if fresh:
            if part.name not in self._buffers:
                self._buffers[part.name] = torch.zeros_like(part.whole, memory_format=torch.preserve_format)
            part.whole.grad = self._buffers[part.name]
        whole = part.whole.grad
        assert whole is not None
        for big, small in part.regions:
            if fresh:
                whole[big].copy_(grad[small])
            else:
                whole[big].add_(grad[small])
            if whole is self._buffers.get(part.name):
                self._touched.setdefault(part.name, []).append(big)

    def clear(self, cuts: Sequence[Cut] = ()) -> None:
        """Forget all gradients, those of the parts of the sub-networks that ran too."""
        for parameter in self._parameters:
            parameter.grad = None
        for cut in cuts:
            for part in self.parts(cut):
                part.leaf.grad = None
        parts = [{part.name for part in self.parts(cut)} for cut in cuts]
        for name, touched in self._touched.items():
            # One that had the parameter whole has added to all of it.
            for region in touched if all(name in names for names in parts) else [()]:
                self._buffers[name][region].zero_()
        self._touched.clear()


def compiled(module: nn.Module) -> Callable[..., Any]:
    """A module that runs compiled, with a graph of its own.

    Modules of one class share their code, and torch runs code as it is after eight graphs unless it is told otherwise.
    """
    fast = torch.compile(module, dynamic=False)

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._dynamo.config.patch(recompile_limit=MAX_MODULES, accumulated_recompile_limit=MAX_MODULES):
            return fast(*args, **kwargs)

    return run


def regions(segments: Iterable[Segments | None], shape: Iterable[int]) -> Iterator[tuple[Region, Region]]:
    """The blocks that stay of a tensor: where they are in it, and where in what stays."""
    sides = []
    for found, size in zip(segments, shape, strict=True):
        position, side = 0, []
        for start, stop in found or ((0, size),):
            side.append((slice(start, stop), slice(position, position + stop - start)))
            position += stop - start
        sides.append(side)
    for block in product(*sides):
        yield tuple(big for big, _ in block), tuple(small for _, small in block)
