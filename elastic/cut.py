"""One cut through the axes: what of every tensor of the super-network stays, as views, copies or slices of a file.

Nothing here knows a model: names, shapes and axes are enough, so that a file on disk is cut without its model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TypeVar

import torch

from archsearch.elastic.axes import Axes, Axis, Kept, Layers, Run, Segments
from archsearch.errors import ElasticError

T = TypeVar("T")


@dataclass(frozen=True)
class Cut:
    """What a sub-network keeps.

    Attributes:
        axes: of the super-network.
        kept: the units that stay, for every axis that stays; `Axes.settle` gives them.
    """

    axes: Axes
    kept: Mapping[str, tuple[int, ...]]

    def __repr__(self) -> str:
        """How many units stay where not all do, and not which: there can be thousands."""
        whole = {axis.name: axis.units for axis in self.axes}
        cut = [f"{name}: {len(kept)} of {whole[name]}" for name, kept in self.kept.items() if len(kept) < whole[name]]
        return f"Cut({', '.join(cut) or 'whole'})"

    @classmethod
    def of(cls, axes: Axes, kept: Kept) -> Cut:
        """The cut of given numbers of units, or units.

        Raises:
            ElasticError: they are not of these axes.
        """
        return cls(axes, axes.settle(kept))

    @cached_property
    def key(self) -> tuple[tuple[str, int | tuple[int, ...]], ...]:
        """Equal where the same is kept; short where the first units are."""
        return tuple(sorted((name, len(kept) if is_prefix(kept) else kept) for name, kept in self.kept.items()))

    @property
    def layers(self) -> tuple[int, ...] | None:
        """The layers that stay, where layers are an axis."""
        return self.kept[self.axes.layers.name] if self.axes.layers else None

    def name(self, tensor: str) -> str | None:
        """What a tensor, a module or an attribute of the super-network is called in the sub-network; None where it
        leaves with its layer."""
        axis = self.axes.layers
        if axis is None or not tensor.startswith(f"{axis.path}."):
            return tensor
        index, dot, rest = tensor[len(axis.path) + 1 :].partition(".")
        if not index.isdecimal():
            return tensor
        stay = self.kept[axis.name]
        return f"{axis.path}.{stay.index(int(index))}{dot}{rest}" if int(index) in stay else None

    def segments(self, tensor: str, shape: Sequence[int]) -> tuple[Segments | None, ...]:
        """The ranges of indices that stay in each dimension of a tensor; None where all do."""
        runs: dict[int, list[tuple[Axis, Run]]] = {}
        for axis, run in self.axes.runs.get(self.axes.tied.get(tensor, tensor), ()):
            if axis.name in self.kept and len(self.kept[axis.name]) < axis.units:
                runs.setdefault(run.dim % len(shape), []).append((axis, run))
        return tuple(
            kept_ranges(shape[dim], [(run, axis.units, self.kept[axis.name]) for axis, run in runs[dim]])
            if dim in runs
            else None
            for dim in range(len(shape))
        )

    def shape(self, tensor: str, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape that stays of a tensor."""
        found = self.segments(tensor, shape)
        return tuple(n if s is None else length(s) for n, s in zip(shape, found, strict=True))

    def take(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """What stays of a tensor: a view of it where that is one block, otherwise put together by copies.

        Gradients flow back into the tensor; what was left out gets zeros.
        """
        for dim, segments in enumerate(self.segments(name, tensor.shape)):
            if segments is not None:
                pieces = [tensor.narrow(dim, start, stop - start) for start, stop in segments]
                tensor = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim)
        return tensor

    def tensors(self, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What stays of the super-network's tensors, by the names in the sub-network; tied ones by their first."""
        return {
            name: self.take(old, tensor)
            for old, tensor in given.items()
            if old not in self.axes.tied and (name := self.name(old)) is not None
        }

    def numel(self, shapes: Mapping[str, Sequence[int]]) -> int:
        """How many numbers stay of tensors with these shapes; tied ones count once."""
        return sum(
            prod(self.shape(name, shape))
            for name, shape in shapes.items()
            if self.axes.tied.get(name, name) == name and self.name(name) is not None
        )

    def rest(self, shapes: Mapping[str, Sequence[int]]) -> Axes:
        """The axes of the sub-network, so that it can be cut further.

        Args:
            shapes: of the super-network's tensors.
        """
        tied = {}
        for name, first in self.axes.tied.items():
            new, new_first = self.name(name), self.name(first)
            if new is not None and new_first is not None:
                tied[new] = new_first
        return Axes([self._axis(axis, shapes) for axis in self.axes if axis.name in self.kept], tied, self.axes.absent)

    def _axis(self, axis: Axis, shapes: Mapping[str, Sequence[int]]) -> Axis:
        def renamed(items: Iterable[T], name: Callable[[T], str], new: Callable[[T, str], T]) -> tuple[T, ...]:
            return tuple(new(item, found) for item in items if (found := self.name(name(item))) is not None)

        stay = self.kept[axis.name]
        moved = tuple(self._run(run, shapes[run.tensor]) for run in axis.runs)
        changed = replace(
            axis,
            name=self.axis_name(axis),
            units=len(stay),
            layer=self.name(axis.layer) or "",
            runs=renamed(moved, lambda run: run.tensor, lambda run, name: replace(run, tensor=name)),
            counts=renamed(axis.counts, lambda count: count.name, lambda count, name: replace(count, name=name)),
            config=tuple(replace(count, name=self.config_key(count.name)) for count in axis.config),
        )
        if isinstance(changed, Layers):
            changed = replace(changed, order=tuple(stay.index(i) for i in changed.order if i in stay))
        return changed

    def axis_name(self, axis: Axis) -> str:
        """The name of an axis in the sub-network: where layers leave, those of later layers move up."""
        old, new = axis.layer.rpartition(".")[2], (self.name(axis.layer) or "").rpartition(".")[2]
        if not axis.layer or old == new or not axis.name.endswith(f".{old}"):
            return axis.name
        return f"{axis.name.removesuffix(old)}{new}"

    def config_key(self, key: str) -> str:
        """A key of the configuration in the sub-network: the entry of a list moves up with its layer."""
        axis = self.axes.layers
        owner, _, index = key.rpartition(".")
        if axis is None or owner not in axis.lists:
            return key
        return f"{owner}.{self.kept[axis.name].index(int(index))}"

    def _run(self, run: Run, shape: Sequence[int]) -> Run:
        segments = self.segments(run.tensor, shape)[run.dim % len(shape)]
        if segments is None:
            return run
        return replace(run, offset=sum(min(stop, run.offset) - start for start, stop in segments if start < run.offset))


def kept_ranges(size: int, runs: Iterable[tuple[Run, int, tuple[int, ...]]]) -> Segments:
    """The ranges of 0 to `size` that stay: what no run governs, and of each run the kept units.

    Args:
        size: of the dimension.
        runs: each with the number of units of its axis and those that are kept.
    """
    found: list[tuple[int, int]] = []
    position = 0
    for run, units, kept in sorted(runs, key=lambda item: item[0].offset):
        found.append((position, run.offset))
        blocks = [(0, len(kept))] if is_prefix(kept) else [(u, u + 1) for u in kept]
        found += [(run.offset + start * run.size, run.offset + stop * run.size) for start, stop in blocks]
        position = run.offset + units * run.size
    found.append((position, size))
    return joined(found)


def is_prefix(kept: Sequence[int]) -> bool:
    """Whether ascending units are the first ones."""
    return kept[-1] == len(kept) - 1


def joined(ranges: Iterable[tuple[int, int]]) -> Segments:
    """Ascending ranges without the empty ones, those that touch made one."""
    found: list[tuple[int, int]] = []
    for start, stop in ranges:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], stop)
        elif start < stop:
            found.append((start, stop))
    return tuple(found)


def length(segments: Segments) -> int:
    return sum(stop - start for start, stop in segments)


def check_axes(axes: Axes, shapes: Mapping[str, Sequence[int]]) -> None:
    """Whether axes fit tensors of these shapes.

    Raises:
        ElasticError: a tensor is missing or too small, or two runs govern the same indices; says which.
    """
    for tensor, runs in axes.runs.items():
        if tensor not in shapes:
            raise ElasticError(f"{runs[0][0].name} governs {tensor}, which the model does not have")
        shape = shapes[tensor]
        taken: dict[int, list[tuple[int, int, str]]] = {}
        for axis, run in runs:
            if not -len(shape) <= run.dim < len(shape):
                raise ElasticError(
                    f"{axis.name} governs dimension {run.dim} of {tensor}, which has shape {tuple(shape)}"
                )
            stop = run.offset + run.size * axis.units
            if run.offset < 0 or run.size < 1 or stop > shape[run.dim]:
                raise ElasticError(
                    f"{axis.name} governs {run.offset} to {stop} of dimension {run.dim} of {tensor}, which has shape "
                    f"{tuple(shape)}"
                )
            taken.setdefault(run.dim % len(shape), []).append((run.offset, stop, axis.name))
        for dim, ranges in taken.items():
            for (_, stop, one), (start, _, other) in zip(sorted(ranges), sorted(ranges)[1:], strict=False):
                if start < stop:
                    raise ElasticError(f"{one} and {other} both govern index {start} of dimension {dim} of {tensor}")
