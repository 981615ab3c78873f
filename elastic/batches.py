"""Batches: where they come from, and how a model takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import torch

from archsearch.errors import ElasticError

# A function of the number of the batch, or an iterable. A batch is what the model takes: a tensor, a mapping of named
# arguments, or a pair of inputs and targets.
Batches: TypeAlias = Callable[[int], Any] | Iterable[Any]


def call(module: Any, batch: Any) -> Any:
    """A module's output for a batch: the inputs of a pair, named arguments, or the batch itself."""
    if isinstance(batch, Mapping):
        return module(**batch)
    return module(batch[0]) if isinstance(batch, tuple | list) else module(batch)


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch with its tensors on a device."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {name: to_device(value, device) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return tuple(to_device(value, device) for value in batch)
    return batch


def numbered(batches: Batches, used: int) -> Iterator[Any]:
    """The batches from number `used` on; those of an iterable again and again.

    Raises:
        ElasticError: this is one batch or something else, there are none, or no more of an iterator that can be gone
            through only once.
    """
    if isinstance(batches, torch.Tensor | Mapping | str) or not (callable(batches) or isinstance(batches, Iterable)):
        raise ElasticError(
            "batches: expected a function of the number of the batch, or an iterable of batches, but got one "
            f"{type(batches).__name__}; of a single batch make a list: [batch]"
        )
    return by_function(batches, used) if callable(batches) else again_and_again(batches, used)


def by_function(batches: Callable[[int], Any], used: int) -> Iterator[Any]:
    while True:
        yield batches(used)
        used += 1


def again_and_again(batches: Iterable[Any], used: int) -> Iterator[Any]:
    while True:
        number = 0
        for number, batch in enumerate(batches, 1):  # noqa: B007
            if used:
                used -= 1
            else:
                yield batch
        if not number:
            raise ElasticError("batches: there are none (left); an iterator can be gone through once, a list again")
