"""Noise that stands for data, and labels for a classifier's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from archsearch.errors import UsageError
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor as Declared

Inputs: TypeAlias = Tensor | Sequence[Tensor]
"""What a network reads, the batch first; several in the order of the space's inputs."""


def random_inputs(space: Space, size: int, seed: int) -> list[Tensor]:
    """A batch of noise for a space's networks.

    Standard normal numbers; integers uniform below the input's `below`, or 0 and 1 where it has none.

    Args:
        space: with inputs.
        size: of the batch.
        seed: of the noise; torch's global generators are neither read nor moved.

    Raises:
        UsageError: the space does not say what its networks read.
    """
    if not space.inputs:
        raise UsageError("a batch is drawn from the space's inputs: give Space(input_shape=...) or Space(inputs={...})")
    generator = torch.Generator().manual_seed(seed)
    return [noise(declared, size, generator) for declared in space.inputs.values()]


def noise(declared: Declared, size: int, generator: torch.Generator) -> Tensor:
    shape, dtype = (size, *declared.shape), getattr(torch, declared.dtype)
    if dtype.is_floating_point or dtype.is_complex:
        kind = torch.complex64 if dtype.is_complex else torch.float32
        return torch.randn(shape, generator=generator, dtype=kind, device="cpu").to(dtype)
    return torch.randint(declared.below or 2, shape, generator=generator, device="cpu").to(dtype)


def random_labels(output: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A classifier's logits as torch's cross_entropy takes them, and uniformly random classes for them.

    Classes are the last dimension of (B, K) and of sequences (B, T, K), the second of images (B, K, H, W).

    Raises:
        UsageError: the output is not a classifier's.
    """
    if not isinstance(output, Tensor):
        raise UsageError(
            f"cross-entropy takes one output, but the network gives a {type(output).__name__}; give a loss of it"
        )
    if output.dim() not in (2, 3, 4) or not output.is_floating_point():
        raise UsageError(
            f"cross-entropy takes logits (B, K), (B, T, K) or (B, K, H, W), but the network gives {output.dtype} of "
            f"shape {tuple(output.shape)}; give a loss"
        )
    logits = output.movedim(-1, 1) if output.dim() == 3 else output
    if logits.shape[1] < 2:
        raise UsageError(
            f"cross-entropy takes two classes or more, but the network gives shape {tuple(output.shape)}; give a loss"
        )
    shape = (logits.shape[0], *logits.shape[2:])
    classes = torch.randint(logits.shape[1], shape, generator=generator, device="cpu")
    return logits, classes.to(logits.device)
