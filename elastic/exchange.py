"""Trying an axis: units that are exchanged with each other change no output, and without some of them the model runs.

This tells apart what shapes cannot: queries, keys and values one after the other or group by group, halves or
neighbours, heads that are alike or have a bias of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from archsearch.elastic.axes import Axis, Run
from archsearch.elastic.cut import Cut
from archsearch.elastic.declare import axes as axes_of
from archsearch.elastic.declare import tensors_of
from archsearch.elastic.skeleton import skeleton
from archsearch.errors import ElasticError
from archsearch.spaces.tensor import Tensor

# What exchanging units may change by rounding, as a share of what exchanging half of their weights changes.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
COARSE = 0.1


def example(inputs: Mapping[str, Tensor], device: torch.device, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random inputs, two of a batch."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, tensor in inputs.items():
        dtype, shape = getattr(torch, tensor.dtype), (2, *tensor.shape)
        if dtype.is_floating_point:
            made[name] = torch.randn(shape, generator=generator).to(device, dtype)
        else:
            made[name] = torch.randint(tensor.below or 2, shape, generator=generator).to(device, dtype)
    return made


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode, without gradients; every module's mode comes back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def failure(model: nn.Module, axis: Axis, given: Mapping[str, torch.Tensor]) -> str | None:
    """Why an axis is none; None where it is one.

    Args:
        model: of the axis, with numbers in it.
        axis: at least two units.
        given: the model's inputs.
    """
    shared = tensors_of(model)
    try:
        found = axes_of(model, [axis])
        cut = Cut.of(found, {axis.name: 1})
        with evaluating(model):
            made = skeleton(model, cut).eval()
            outputs(made, cut.tensors(shared), given)
            generator = torch.Generator().manual_seed(0)
            runs = {name: [run for _, run in runs] for name, runs in found.runs.items()}
            drawn = {name: noise(shared[name], generator) for name in runs}
            order = torch.arange(axis.units).roll(1)
            moved = {name: exchanged(tensor, runs[name], order) for name, tensor in drawn.items()}
            half = {**moved, **{run.tensor: drawn[run.tensor] for run in axis.runs[-1:]}}
            before, after, other = (outputs(model, tensors, given) for tensors in (drawn, moved, half))
    except (ElasticError, RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
        return f"without some of them it does not run: {type(error).__name__}: {str(error).splitlines()[0][:160]}"
    changed, by_half = (max(float((a - b).abs().max()) for a, b in zip(before, x, strict=True)) for x in (after, other))
    if not by_half > 0:
        return "they do not change what comes out"
    if changed > TOLERANCE.get(before[0].dtype, COARSE) * by_half:
        return "what comes out changes where two of them are exchanged"
    return None


def noise(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random weights of a tensor's kind, so that zeros and ones of a fresh model hide nothing."""
    if not tensor.is_floating_point():
        return tensor
    fan = max(1, tensor.shape[-1]) if tensor.ndim > 1 else 1
    drawn = torch.randn(tensor.shape, generator=generator) / math.sqrt(fan)
    return drawn.to(tensor.device, tensor.dtype)


def exchanged(tensor: torch.Tensor, runs: list[Run], order: torch.Tensor) -> torch.Tensor:
    """A tensor whose units come in another order."""
    for run in runs:
        index = torch.arange(tensor.shape[run.dim])
        places = index[run.offset : run.offset + run.size * len(order)].view(-1, run.size)
        index[run.offset : run.offset + run.size * len(order)] = places[order].flatten()
        tensor = tensor.index_select(run.dim, index.to(tensor.device))
    return tensor


def outputs(
    model: nn.Module, tensors: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]
) -> list[torch.Tensor]:
    """The floating-point outputs of a model with some of its tensors replaced."""
    args, named = (tuple(given.values()), {}) if len(given) == 1 else ((), dict(given))
    return list(floats(functional_call(model, dict(tensors), args, named)))


def floats(value: Any) -> Iterator[torch.Tensor]:
    """The floating-point tensors in a model's outputs."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from floats(item)
