"""Declaring an axis of a model in a line or two: which modules give its units, and which take them.

    ffn = axis(model, "ffn.0", 256, outputs=["layers.0.up"], inputs=["layers.0.down"], layer="layers.0")

Sizes and offsets follow from the shapes: 8 units that 512 outputs belong to have 64 each. The attributes in which torch
and transformers keep a layer's sizes (`out_features`, `nf`, `normalized_shape`, ...) are found by the layer's class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from archsearch.elastic.axes import Axes, Axis, Count, Layers, Run
from archsearch.elastic.cut import check_axes
from archsearch.errors import ElasticError, did_you_mean


@dataclass(frozen=True)
class Blocks:
    """A module whose outputs (or inputs) are several blocks, each of which has all units: a fused matrix.

    Attributes:
        module: its name.
        sizes: of the blocks, one after the other; together all outputs. An int: so many blocks of one size.
        only: which of the blocks the axis governs; all by default.
    """

    module: str
    sizes: int | tuple[int, ...]
    only: tuple[int, ...] | None = None

    def offsets(self, length: int) -> Iterator[tuple[int, int]]:
        """Offset and size of every governed block of a dimension."""
        sizes = self.sizes
        if isinstance(sizes, int):
            if length % sizes:
                raise ElasticError(f"{self.module}: {length} indices are not {sizes} blocks of one size")
            sizes = (length // sizes,) * sizes
        if sum(sizes) != length:
            raise ElasticError(
                f"{self.module}: blocks of {sizes} are {sum(sizes)} indices together, but there are {length}"
            )
        start = 0
        for i, size in enumerate(sizes):
            if self.only is None or i in self.only:
                yield start, size
            start += size


Piece: TypeAlias = str | Blocks

# The sides of a module: by tensor the dimension, and the attribute that has its size.
Side: TypeAlias = tuple[Mapping[str, int], str | None]

# By the name of the class, so that transformers need not be there: `Conv1D` is its transposed linear layer.
OUTPUTS: dict[str, Side] = {
    "Linear": ({"weight": 0, "bias": 0}, "out_features"),
    "Conv1D": ({"weight": 1, "bias": 0}, "nf"),
    "Conv1d": ({"weight": 0, "bias": 0}, "out_channels"),
    "Conv2d": ({"weight": 0, "bias": 0}, "out_channels"),
    "Embedding": ({"weight": 1}, "embedding_dim"),
}
INPUTS: dict[str, Side] = {
    "Linear": ({"weight": 1}, "in_features"),
    "Conv1D": ({"weight": 0}, "nx"),
    "Conv1d": ({"weight": 1}, "in_channels"),
    "Conv2d": ({"weight": 1}, "in_channels"),
}


def axis(
    model: nn.Module,
    name: str,
    units: int,
    *,
    outputs: Iterable[Piece] = (),
    inputs: Iterable[Piece] = (),
    counts: Iterable[str] = (),
    config: Iterable[str] = (),
    fixed: Mapping[str, int] | None = None,
    group: str | None = None,
    layer: str = "",
) -> Axis:
    """An axis of a model.

    Args:
        model: which it is an axis of.
        name: such as `ffn.3`.
        units: how many there are.
        outputs: the modules whose outputs the units are: linear and convolution layers (rows and biases), embeddings,
            normalisations (a weight for each), or parameters and buffers by name (their last dimension).
        inputs: the modules that take the units as inputs.
        counts: attributes that grow with the units, with their path: `layers.3.attn.num_heads`.
        config: keys of `model.config` that do.
        fixed: keys of `model.config` that would follow from the size that is cut, with the values that they keep.
        group: axes of one group are decided alike where one decision is taken for all; the name up to its last dot.
        layer: the path of the layer that the axis belongs to.

    Raises:
        ElasticError: there is no such module, attribute or key, or its size is no multiple of the units.
    """
    if units < 1:
        raise ElasticError(f"{name}: an axis has at least one unit, but got {units}")
    runs: list[Run] = []
    found: list[Count] = []
    for pieces, sides in ((outputs, OUTPUTS), (inputs, INPUTS)):
        for piece in pieces:
            blocks = Blocks(piece, 1) if isinstance(piece, str) else piece
            for tensor, dim, length, attribute in governed(model, blocks.module, sides):
                parts = list(blocks.offsets(length))
                if any(size % units for _, size in parts):
                    raise ElasticError(
                        f"{name}: {parts[0][1]} indices of {tensor} cannot belong to {units} units evenly"
                    )
                runs += [Run(tensor, dim, size // units, offset) for offset, size in parts]
                if attribute is not None:
                    found.append(Count(attribute, sum(size for _, size in parts) // units))
    found += [Count(path, per_unit(name, path, attribute_of(model, path), units)) for path in counts]
    settings = getattr(model, "config", None)
    keys = [Count(key, per_unit(name, f"config.{key}", attribute_of(settings, key), units)) for key in config]
    group = group or name.rpartition(".")[0] or name
    return Axis(
        name, group, units, layer, tuple(runs), tuple(dict.fromkeys(found)), tuple(keys), tuple((fixed or {}).items())
    )


def layers(
    model: nn.Module,
    path: str,
    *,
    name: str = "layers",
    order: Sequence[int] = (),
    config: Iterable[str] = (),
    lists: Iterable[str] = (),
) -> Layers:
    """The axis of the modules of a list, such as the layers of a transformer.

    Args:
        model: which it is an axis of.
        path: of its `nn.ModuleList` (or `nn.Sequential`).
        name: of the axis.
        order: the layers, most important first; by default the first ones stay.
        config: keys of `model.config` that count the layers.
        lists: keys of `model.config` that hold one entry for each layer; absent ones are left out.

    Raises:
        ElasticError: there is no such list, or the order is not one of its layers.
    """
    found = submodule(model, path)
    if not isinstance(found, nn.ModuleList | nn.Sequential):
        raise ElasticError(f"{path} is a {type(found).__name__}; expected an nn.ModuleList or nn.Sequential of layers")
    units = len(found)
    if order and sorted(order) != list(range(units)):
        raise ElasticError(f"order must name each of the {units} layers of {path} once, but got {list(order)}")
    settings = getattr(model, "config", None)
    keys = [Count(key, per_unit(name, f"config.{key}", attribute_of(settings, key), units)) for key in config]
    present = [key for key in lists if isinstance(getattr(settings, key, None), list | tuple)]
    return Layers(name, name, units, "", (), (), tuple(keys), (), path, tuple(order), tuple(present))


def axes(model: nn.Module, declared: Iterable[Axis], absent: Mapping[str, str] | None = None) -> Axes:
    """The axes of a model, checked against its tensors.

    Args:
        model: which they are of.
        declared: the axes.
        absent: groups that cannot be cut in this model, each with the reason.

    Raises:
        ElasticError: they do not fit; see `check_axes`.
    """
    found = Axes(declared, tied_names(model), absent)
    check_axes(found, shapes_of(model))
    return found


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of all parameters and buffers by name, tied ones under each of their names."""
    return {name: tuple(tensor.shape) for name, tensor in tensors_of(model).items()}


def tensors_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """All parameters and buffers by name, tied ones under each of their names."""
    found: dict[str, torch.Tensor] = dict(model.named_parameters(remove_duplicate=False))
    found.update(model.named_buffers(remove_duplicate=False))
    return found


def tied_names(model: nn.Module) -> dict[str, str]:
    """The first name of every tensor that has several, by its other names."""
    first: dict[int, str] = {}
    tied = {}
    for name, tensor in tensors_of(model).items():
        if first.setdefault(id(tensor), name) != name:
            tied[name] = first[id(tensor)]
    return tied


def governed(model: nn.Module, name: str, sides: Mapping[str, Side]) -> Iterator[tuple[str, int, int, str | None]]:
    """The tensors of a module (or the one of this name) that one of its sides governs: name, dimension, length of it,
    and the attribute with its size."""
    tensors = tensors_of(model)
    if name in tensors:
        shape = tensors[name].shape
        yield name, len(shape) - 1, shape[-1], None
        return
    module = submodule(model, name)
    kind = next((base.__name__ for base in type(module).__mro__ if base.__name__ in sides), None)
    if kind is None and sides is INPUTS:
        raise ElasticError(
            f"{name} is a {type(module).__name__}, whose inputs are not known; name its parameter instead"
        )
    if kind is not None:
        dims, size = sides[kind]
    else:
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        vectors = {key: 0 for key, tensor in own if tensor.ndim == 1}
        if not vectors:
            raise ElasticError(
                f"{name} is a {type(module).__name__}, whose outputs are not known; name its parameter instead"
            )
        dims, size = vectors, next((key for key in ("normalized_shape", "num_features") if hasattr(module, key)), None)
    if getattr(module, "groups", 1) != 1:
        raise ElasticError(f"{name} is a convolution in groups, which an axis of units cannot cut")
    attribute = None if size is None else f"{name}.{size}"
    for key, dim in dims.items():
        tensor = getattr(module, key, None)
        if tensor is not None:
            yield f"{name}.{key}", dim, tensor.shape[dim], attribute


def submodule(model: nn.Module, name: str) -> nn.Module:
    """The module of this name.

    Raises:
        ElasticError: there is none; names the nearest.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if name not in modules:
        raise ElasticError(f"{type(model).__name__} has no module {name!r}{did_you_mean(name, modules)}")
    found: nn.Module = modules[name]
    return found


def attribute_of(owner: Any, path: str) -> Any:
    """What is at a path from an owner, through modules and lists; None where there is nothing."""
    for key in path.split(".") if path else ():
        owner = owner[int(key)] if isinstance(owner, list | tuple) else getattr(owner, key, None)
    return owner


def per_unit(axis: str, name: str, value: Any, units: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value % units:
        raise ElasticError(f"{axis}: expected {name} to be a multiple of its {units} units, but it is {value!r}")
    return value // units
