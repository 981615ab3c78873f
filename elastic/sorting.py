"""Putting the units that matter first, in a model that was trained without an order.

    order = sort(net, by_activation(net, batches) | by_removal(net, batches))

The model computes the same function afterwards, in another order of its sums. (What a model without a head gives are
channels: they come in their new order.) That is so where units differ in their weights alone, and not in their place,
as heads with ALiBi do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from archsearch.elastic.axes import Axes, Layers
from archsearch.elastic.declare import tensors_of
from archsearch.elastic.network import Elastic
from archsearch.errors import ElasticError, did_you_mean


def sort(net: Elastic, scores: Mapping[str, torch.Tensor | Sequence[float]]) -> dict[str, tuple[int, ...]]:
    """Reorder units in place so that the highest scores come first.

    Layers stay where they are: the axis of layers gets the order in which they are kept instead. It is a step before
    training; what an optimiser remembers of the weights is not reordered with them, so make it afterwards.

    Args:
        net: the super-network; its weights are permuted, and its axes get the order of the layers.
        scores: by axis, one for each unit; see `archsearch.elastic.importance`. Units of equal score keep their order,
            and axes that are not named keep theirs.

    Returns:
        By axis, the former places of the units, most important first; `permute` takes them.

    Raises:
        ElasticError: an axis is unknown, or has other scores than one number for each unit. Nothing is changed then.
    """
    order = {}
    for name, given in scores.items():
        values = torch.as_tensor(given, dtype=torch.float64).cpu()
        units = net.axes.by_name[name].units if name in net.axes.by_name else None
        if units is not None and (values.shape != (units,) or bool(values.isnan().any())):
            shown = f"{values.tolist()!r:.100}"
            raise ElasticError(f"{name}: expected a score for each of its {units} units, but got {shown}")
        order[name] = tuple(values.argsort(descending=True, stable=True).tolist())
    permute(net, order)
    return order


def permute(net: Elastic, order: Mapping[str, Sequence[int]]) -> None:
    """Reorder units in place: unit u of an axis becomes what unit `order[axis][u]` was.

    Args:
        net: the super-network.
        order: by axis, all of its units; of the axis of layers, in which order they are kept.

    Raises:
        ElasticError: an axis is unknown, or these are not its units. Nothing is changed then.
    """
    for name, units in order.items():
        if name not in net.axes.by_name:
            raise ElasticError(f"no axis {name!r}{did_you_mean(name, net.axes.by_name)}; there is {net.axes!r}")
        number = net.axes.by_name[name].units
        if sorted(units) != list(range(number)):
            raise ElasticError(f"{name}: expected each of its {number} units once, but got {list(units)!r:.100}")
    tensors = tensors_of(net.model)
    with torch.no_grad():
        for name, units in order.items():
            axis = net.axes.by_name[name]
            for run in axis.runs:
                part = tensors[run.tensor].narrow(run.dim, run.offset, run.size * axis.units)
                dim = run.dim % part.ndim
                index = torch.as_tensor(units, device=part.device)
                moved = part.unflatten(dim, (axis.units, run.size)).index_select(dim, index)
                part.copy_(moved.flatten(dim, dim + 1))
    if net.axes.layers is not None and net.axes.layers.name in order:
        net.axes = ordered(net.axes, order[net.axes.layers.name])


def ordered(axes: Axes, order: Sequence[int]) -> Axes:
    """The same axes with another order of the layers."""
    changed: list[Any] = [replace(a, order=tuple(order)) if isinstance(a, Layers) else a for a in axes]
    return Axes(changed, axes.tied, axes.absent)


def inverse(order: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """What undoes a permutation of units."""
    return {name: tuple(sorted(range(len(units)), key=units.__getitem__)) for name, units in order.items()}
