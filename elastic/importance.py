"""How much the units of a trained model matter, so that the first ones are made those that matter most.

    sort(net, by_activation(net, batches) | by_removal(net, batches))

A model that was not trained nested has its units in no order, and a cut that keeps the first ones throws good ones
away. What is computed here from a few batches says which to keep; `sort` puts them first. All functions give a score
for every unit of every axis by name, of which only the order within an axis is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archsearch.elastic.axes import Axis, Layers, Run
from archsearch.elastic.batches import call, to_device
from archsearch.elastic.consistency import Evaluating
from archsearch.elastic.declare import INPUTS, tensors_of
from archsearch.elastic.evaluate import inputs_of
from archsearch.elastic.losses import default_loss, logits_of
from archsearch.elastic.network import Elastic
from archsearch.errors import ElasticError

# By axis, a score for each unit: [units], float64.
Scores = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Part:
    """What a module has of the units of an axis.

    Attributes:
        axis: the axis.
        run: where they stand in a tensor, by its first name.
        module: the name of a module that has the tensor; one for each of the names of a tied one.
        reads: whether they are inputs of the module, and not what it gives or scales.
    """

    axis: Axis
    run: Run
    module: str
    reads: bool


def parts_of(net: Elastic) -> Iterator[Part]:
    """What the modules have of the units of all axes."""
    modules = dict(net.model.named_modules(remove_duplicate=False))
    tensors = tensors_of(net.model)
    names: dict[str, list[str]] = {name: [name] for name in tensors}
    for other, first in net.axes.tied.items():
        names[first].append(other)
    for axis in net.axes:
        for run in axis.runs:
            for name in names[run.tensor]:
                module, _, key = name.rpartition(".")
                kind = next((base.__name__ for base in type(modules[module]).__mro__ if base.__name__ in INPUTS), "")
                dims = INPUTS[kind][0] if kind else {}
                yield Part(axis, run, module, dims.get(key) == run.dim % tensors[run.tensor].ndim)


def by_unit(tensor: torch.Tensor, part: Part, dim: int | None = None) -> torch.Tensor:
    """What belongs to each unit in a tensor, as rows: [units, ...].

    Args:
        tensor: that of the part, or one that has its units in another dimension.
        part: whose units.
        dim: that dimension.
    """
    dim = part.run.dim if dim is None else dim
    own = tensor.narrow(dim, part.run.offset, part.run.size * part.axis.units)
    return own.movedim(dim, 0).reshape(part.axis.units, -1)


def by_magnitude(net: Elastic) -> Scores:
    """The norm of the weights that make a unit, times the norm of those that read it.

    A unit that is not made or not read has none, and what scales the one and divides the other changes nothing.
    (Once-for-All, arXiv:1908.09791, sorts by the second factor, in the L1 norm.) Needs no data.
    """
    tensors = tensors_of(net.model)
    squares: dict[tuple[str, bool], torch.Tensor] = {}
    for part in parts_of(net):
        weights = by_unit(tensors[part.run.tensor].detach(), part).double()
        key = part.axis.name, part.reads
        squares[key] = squares.get(key, 0) + weights.square().sum(1).cpu()
    scores: Scores = {}
    for (axis, _), total in squares.items():
        scores[axis] = scores.get(axis, 1) * total.sqrt()
    return scores


def by_activation(net: Elastic, batches: Iterable[Any]) -> Scores:
    """The mean of a unit's absolute value where it is read: |x_u| over examples, positions and what it consists of.

    As Nemotron Elastic (arXiv:2511.16664) ranks neurons, heads and channels. An axis is left out where no linear or
    convolution layer is called with its units. Padding counts as any other position.

    Args:
        net: the super-network.
        batches: a few, as in training.

    Raises:
        ElasticError: there are no batches, or nothing is seen to be read.
    """
    scores: Scores = {}
    count = 0
    with torch.no_grad(), Evaluating(net), watching(net, scores):
        for batch in batches:
            call(net.model, to_device(batch, device_of(net)))
            count += 1
    return averaged(scores, count)


@contextmanager
def watching(net: Elastic, scores: Scores) -> Iterator[None]:
    """Add what is read to scores, whenever the model runs."""
    last: dict[str, Any] = {}  # of each axis, what was read last

    def hook(part: Part) -> Callable[..., None]:
        def add(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            (x,) = (*args, *named.values())
            # Queries, keys and values read one tensor: it counts once.
            if last.get(part.axis.name) is x:
                return
            last[part.axis.name] = x
            dim = -len(module.kernel_size) - 1 if isinstance(module, nn.Conv1d | nn.Conv2d) else -1
            seen = by_unit(x.abs(), part, dim)
            mean = seen.mean(1, dtype=torch.float64).cpu()
            scores[part.axis.name] = scores.get(part.axis.name, 0) + mean

        return add

    hooks = [
        net.model.get_submodule(part.module).register_forward_pre_hook(hook(part), with_kwargs=True)
        for part in parts_of(net)
        if part.reads
    ]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


def by_gradient(
    net: Elastic, batches: Iterable[Any], loss: Callable[[Any, Any], torch.Tensor] = default_loss
) -> Scores:
    """How much the loss changes without a unit, to first order: |sum of w dL/dw| over its weights in a module.

    These are summed over modules, and averaged over batches, as DynaBERT (arXiv:2004.04037) does for neurons.

    Args:
        net: the super-network. Gradients that it has are left alone.
        batches: a few, as in training.
        loss: of the model's output and the batch, as in training.

    Raises:
        ElasticError: there are no batches, or no weight of an axis has a gradient.
    """
    tensors = {name: t for name, t in net.model.named_parameters() if t.requires_grad}
    # A tied tensor counts once: its gradient is that of all of its uses.
    parts = {(part.axis.name, part.run): part for part in parts_of(net) if part.run.tensor in tensors}
    scores: Scores = {}
    count = 0
    with torch.enable_grad(), Evaluating(net):
        for batch in batches:
            batch = to_device(batch, device_of(net))
            value = loss(call(net.model, batch), batch)
            found = torch.autograd.grad(value, list(tensors.values()), allow_unused=True)
            slopes = {name: slope for name, slope in zip(tensors, found, strict=True) if slope is not None}
            sums: dict[tuple[str, str], torch.Tensor] = {}
            for part in parts.values():
                name, key = part.run.tensor, (part.axis.name, part.module)
                if name in slopes:
                    weight, slope = (by_unit(t.detach(), part) for t in (tensors[name], slopes[name]))
                    sums[key] = sums.get(key, 0) + (weight.double() * slope).sum(1).cpu()
            for (axis, _), total in sums.items():
                scores[axis] = scores.get(axis, 0) + total.abs()
            count += 1
    return averaged(scores, count)


def by_removal(net: Elastic, batches: Iterable[Any], loss: Callable[[Any, Any], torch.Tensor] | None = None) -> Scores:
    """The order in which layers are removed, each time the one without which the output changes least.

    The change is the normalised squared error of the logits, |z - z'|^2 / |z|^2 (Nemotron Elastic), or how much a loss
    rises. Every removal is tried after those before it, as of two layers that do the same only one can be spared. L
    layers take L (L + 1) / 2 passes over the batches.

    Args:
        net: the super-network, with an axis of layers.
        batches: a few, as in training.
        loss: of the model's output and the batch.

    Returns:
        For the axis of layers, the round in which each was removed: the first got 0.

    Raises:
        ElasticError: the model has no axis of layers, or there are no batches.
    """
    axis = net.axes.layers
    if axis is None:
        raise ElasticError(f"by_removal ranks layers, but the axes have none that are elastic: {net.axes!r}")
    given = list(batches)
    stay = list(range(axis.units))
    removed: list[int] = []
    with torch.no_grad(), Evaluating(net):
        while len(stay) > 1:
            rises = removals(net, axis, stay, given, loss)
            removed.append(stay.pop(int(rises.argmin())))
    order = [*removed, *stay]
    return {axis.name: torch.tensor([order.index(i) for i in range(axis.units)], dtype=torch.float64)}


def removals(
    net: Elastic, axis: Layers, stay: list[int], batches: list[Any], loss: Callable[[Any, Any], torch.Tensor] | None
) -> torch.Tensor:
    """How much the output changes (from that of the whole network) without each of the layers that are left."""
    totals = torch.zeros(len(stay), dtype=torch.float64)
    size = 0.0
    for batch in batches:
        batch = to_device(batch, device_of(net))
        x = inputs_of(batch)
        whole = logits_of(call(net.model, batch)).double() if loss is None else torch.zeros(())
        size += float(whole.square().sum())
        for i, layer in enumerate(stay):
            output = net(x, {axis.name: [other for other in stay if other != layer]})
            if loss is None:
                totals[i] += float((logits_of(output).double() - whole).square().sum())
            else:
                totals[i] += float(loss(output, batch))
    if not batches:
        raise ElasticError("importance is measured on batches, but there are none")
    return totals / (size or 1.0)


def averaged(scores: Scores, count: int) -> Scores:
    if not count:
        raise ElasticError("importance is measured on batches, but there are none")
    if not scores:
        raise ElasticError("nothing could be measured: no unit of any axis is read by a layer, or has a gradient")
    return {name: total / count for name, total in scores.items()}


def device_of(net: Elastic) -> torch.device:
    return next(net.parameters()).device
