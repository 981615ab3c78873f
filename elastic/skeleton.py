"""The module of a sub-network: of the super-network's own classes, every size and attribute as the cut leaves it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from archsearch.elastic.axes import Axis, Count
from archsearch.elastic.cut import Cut
from archsearch.elastic.declare import attribute_of, tensors_of
from archsearch.errors import ElasticError


def skeleton(model: nn.Module, cut: Cut) -> nn.Module:
    """The sub-network's module with its tensors on torch's meta device: sizes, and no numbers.

    Args:
        model: the super-network; it is not changed, and its weights are not copied.
        cut: what stays.

    Raises:
        ElasticError: an attribute that counts units is not there.
    """
    return rebuilt(model, cut, {})


def rebuilt(model: nn.Module, cut: Cut, tensors: dict[str, torch.Tensor]) -> nn.Module:
    """The sub-network's module with given tensors, by their names in the super-network; the others on the meta device.

    A copy of the model is made with every tensor replaced before it is copied, so that tied ones stay tied and nothing
    of the weights is copied on the way.
    """
    memo: dict[int, Any] = {}
    keep = tensors_of(model)  # alive as long as `memo` goes by their ids
    for name, tensor in keep.items():
        if id(tensor) in memo:
            continue
        if name in tensors:
            new = tensors[name]
        elif cut.name(name) is None:
            new = torch.empty(0, device="meta")
        else:
            new = torch.empty(cut.shape(name, tensor.shape), dtype=tensor.dtype, device="meta")
        if isinstance(tensor, nn.Parameter) and not isinstance(new, nn.Parameter):
            new = nn.Parameter(new, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = new
    made: nn.Module = copy.deepcopy(model, memo)
    for axis in cut.axes:
        if axis.name in cut.kept and axis is not cut.axes.layers:
            for count in axis.counts:
                set_count(made, count, len(cut.kept[axis.name]), axis)
    keep_layers(made, cut)
    set_config(getattr(made, "config", None), cut)
    return made


def set_count(made: nn.Module, count: Count, kept: int, axis: Axis) -> None:
    """Set an attribute that counts the units of an axis; of a tuple, such as a shape, the last entry."""
    path, _, name = count.name.rpartition(".")
    owner = attribute_of(made, path)
    old = getattr(owner, name, None)
    value = count.size * kept
    if isinstance(old, tuple):
        setattr(owner, name, (*old[:-1], value))
    elif isinstance(old, int):
        setattr(owner, name, value)
    else:
        raise ElasticError(f"{axis.name} counts its units in {count.name}, expected a number there, but found {old!r}")


def keep_layers(made: nn.Module, cut: Cut) -> None:
    """Take the layers that leave out of their list, and give those that stay their new indices."""
    axis, stay = cut.axes.layers, cut.layers
    if axis is None or stay is None or len(stay) == axis.units:
        return
    path, _, last = axis.path.rpartition(".")
    owner = attribute_of(made, path)
    old = getattr(owner, last)
    stayed = [old[i] for i in stay]
    setattr(owner, last, type(old)(stayed) if isinstance(old, nn.ModuleList) else type(old)(*stayed))
    for new_index, layer in enumerate(getattr(owner, last)):
        for module in layer.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                module.layer_idx = new_index


def set_config(config: Any, cut: Cut) -> None:
    """Set the keys of the configuration that count units: the entry of a list (`hidden.3`) by its own axis, other keys
    by the largest of the group, so that they follow from what is kept and not from the way there; and those that would
    follow from what is cut, as they stay."""
    if config is None:
        return
    for axis in cut.axes:
        if axis.name in cut.kept and len(cut.kept[axis.name]) < axis.units:
            for key, number in axis.fixed:
                put(config, key, number)
    for axes in cut.axes.groups().values():
        stay = [axis for axis in axes if axis.name in cut.kept]
        most = max((len(cut.kept[axis.name]) for axis in stay), default=0)
        for axis in stay:
            for count in axis.config:
                key, dot, index = count.name.rpartition(".")
                if dot:
                    value = count.size * len(cut.kept[axis.name])
                    old = getattr(config, key)
                    put(config, key, type(old)(value if i == int(index) else n for i, n in enumerate(old)))
                else:
                    put(config, count.name, count.size * most)
    depth, left = cut.axes.layers, cut.layers
    if depth is not None and left is not None:
        for key in depth.lists:
            old = getattr(config, key)
            put(config, key, type(old)(old[i] for i in left))


def put(config: Any, key: str, value: Any) -> None:
    """Set a key of a configuration. It is the sub-network's own copy, so that a frozen dataclass may be set as well."""
    parameters = getattr(config, "__dataclass_params__", None)
    (object.__setattr__ if parameters is not None and parameters.frozen else setattr)(config, key, value)


def is_uniform(cut: Cut) -> bool:
    """Whether all axes of every group are cut alike, or have entries of their own in the configuration, so that it says
    all of the sizes."""
    return all(
        len({len(cut.kept[axis.name]) for axis in axes if axis.name in cut.kept}) <= 1
        or all(axis.config and all("." in count.name for count in axis.config) for axis in axes)
        for axes in cut.axes.groups().values()
    )


def extracted(model: nn.Module, cut: Cut) -> nn.Module:
    """The sub-network as a module of its own, with copies of the weights: dense, contiguous, tied where they were."""
    tensors = {}
    for name, tensor in tensors_of(model).items():
        if cut.name(name) is not None and cut.axes.tied.get(name, name) == name:
            part = cut.take(name, tensor.detach())
            tensors[name] = part.clone(memory_format=torch.contiguous_format)
    return rebuilt(model, cut, tensors)
