"""A super-network: a model, its axes, and what is decided about them."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from torch import nn
from torch.func import functional_call

from archsearch.elastic.axes import Axes, Axis, Kept
from archsearch.elastic.cut import Cut
from archsearch.elastic.declare import axes as axes_of
from archsearch.elastic.declare import tensors_of
from archsearch.elastic.skeleton import extracted, skeleton
from archsearch.elastic.space import Blueprint, Decision, SubNetworks, share_of
from archsearch.elastic.tensor_files import MAX_SHARD
from archsearch.errors import ElasticError
from archsearch.spaces.pool import Pool
from archsearch.spaces.space import Architecture
from archsearch.spaces.tensor import Tensor

# How a sub-network is named: an architecture of `net.space()`, one granularity for all that is decided, or the units
# that are kept (their number, which ones, or a share of them) by axis or group of axes.
SubNetwork: TypeAlias = Architecture | float | Fraction | Mapping[str, float | Fraction | Sequence[int]] | Cut | None

# Modules of the sub-networks that ran lately are kept; with a choice for each layer there is no end of them.
MAX_SKELETONS = 128


class Elastic(nn.Module):
    """A super-network; `MatFormer` and `SortedNet` make them.

    A sub-network is a function of the weights and the architecture: it runs on views of the weights, and nothing in the
    model says which one ran last. Outputs equal those of the extracted model.

    Args:
        model: the trained (or to be trained) model; it is wrapped, not copied.
        axes: its axes; by default those of its family (see `archsearch.elastic.families`).
        decisions: what is decided about which group of axes.
        inputs: what it takes, without the batch, for FLOPs; by default as the family says.
    """

    def __init__(
        self,
        model: nn.Module,
        axes: Axes | Iterable[Axis],
        decisions: Sequence[Decision],
        inputs: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.axes = axes if isinstance(axes, Axes) else axes_of(model, axes)
        self.decisions = tuple(decisions)
        self.inputs = dict(inputs or {})
        self.saved: dict[str, str] = {}  # the folder and a hash of the weights, when it was saved or loaded
        self._skeletons: OrderedDict[Any, nn.Module] = OrderedDict()

    def space(self, steps: Mapping[str, int] | None = None) -> SubNetworks:
        """The space of its sub-networks.

        Args:
            steps: by group of axes, such as `{"ffn": 64}`: decide on every multiple of so many units from the smallest
                granularity on, as sizes between the trained ones are usable too. By default on the granularities alone.

        Raises:
            ElasticError: a step does not divide the units, or its group is not decided.
        """
        for group in steps or {}:
            if group not in [decision.group for decision in self.decisions]:
                known = ", ".join(decision.group for decision in self.decisions)
                raise ElasticError(f"nothing is decided about {group!r} here; steps can be given for {known}")
        return SubNetworks(self.blueprint(), self.decisions, steps or {})

    def blueprint(self) -> Blueprint:
        """All of the super-network but its weights."""
        shapes = {name: tuple(p.shape) for name, p in self.model.named_parameters(remove_duplicate=False)}
        return Blueprint(skeleton(self.model, self.cut(None)), self.axes, shapes, self.inputs, dict(self.saved))

    def cut(self, sub: SubNetwork) -> Cut:
        """What a sub-network keeps.

        Raises:
            ElasticError: there is no such sub-network.
        """
        if isinstance(sub, Cut):
            return sub
        if sub is None:
            return Cut.of(self.axes, {})
        if isinstance(sub, Architecture):
            space = sub.space.base if isinstance(sub.space, Pool) else sub.space
            if not isinstance(space, SubNetworks) or space.blueprint.axes != self.axes:
                raise ElasticError("this architecture is of another space; expected one of net.space()")
            return space.cut(sub)
        if isinstance(sub, Mapping):
            return Cut.of(self.axes, self._by_axis(sub))
        groups = self.axes.groups()
        kept: dict[str, int] = {}
        for decision in self.decisions:
            share = share_of(decision.group, sub, groups[decision.group])
            kept |= {axis.name: int(share * axis.units) for axis in groups[decision.group]}
        dropped = self.axes.dropped(kept)
        return Cut.of(self.axes, {n: k for n, k in kept.items() if self.axes.by_name[n].layer not in dropped})

    def _by_axis(self, given: Mapping[str, float | Fraction | Sequence[int]]) -> Kept:
        """The units that are kept by axis, where groups of axes and shares may be given."""
        groups = self.axes.groups()
        kept: dict[str, int | Sequence[int]] = {}
        by_group: set[str] = set()
        for name, value in given.items():
            of = [self.axes.by_name[name]] if name in self.axes.by_name else groups.get(name, [])
            if not of:
                Cut.of(self.axes, {name: 1})  # unknown: says what there is
            share = share_of(name, value, of) if isinstance(value, float | Fraction) else None
            for axis in of:
                kept[axis.name] = int(share * axis.units) if share is not None else cast("int | Sequence[int]", value)
            by_group |= {axis.name for axis in of if name not in self.axes.by_name}
        dropped = self.axes.dropped(kept)
        return {n: k for n, k in kept.items() if n not in by_group or self.axes.by_name[n].layer not in dropped}

    def forward(self, x: Any, sub: SubNetwork = None, /, **kwargs: Any) -> Any:
        """Run a sub-network on the shared weights.

        Args:
            x: what the model takes: its first argument, or a mapping of named ones.
            sub: an architecture of `space()`; or one granularity for all decisions, the kept units (or a share of them)
                by axis or group of axes, or None for the whole network.
            kwargs: further arguments of the model.
        """
        cut = self.cut(sub)
        args = () if isinstance(x, Mapping) else (x,)
        named = {**x, **kwargs} if isinstance(x, Mapping) else kwargs
        return functional_call(self.skeleton(cut), self.tensors(cut), args, named)

    def tensors(self, sub: SubNetwork) -> dict[str, torch.Tensor]:
        """The weights and buffers of a sub-network by name, as views of the shared ones."""
        return self.cut(sub).tensors(tensors_of(self.model))

    def skeleton(self, sub: SubNetwork) -> nn.Module:
        """The module of a sub-network without weights, for `torch.func.functional_call` with `tensors(sub)`."""
        cut = self.cut(sub)
        made = self._skeletons.get(cut.key)
        if made is None:
            made = self._skeletons[cut.key] = skeleton(self.model, cut)
            if len(self._skeletons) > MAX_SKELETONS:
                self._skeletons.popitem(last=False)
        self._skeletons.move_to_end(cut.key)
        if made.training != self.model.training:
            made.train(self.model.training)
        return made

    def extract(self, sub: SubNetwork) -> nn.Module:
        """The sub-network as a module of its own, of the model's own classes, with copies of the weights."""
        return extracted(self.model, self.cut(sub))

    def save(self, folder: str | Path, max_shard_size: int = MAX_SHARD) -> None:
        """Write the super-network into a folder: weights (safetensors), configuration and axes (JSON).

        `archsearch.elastic.load` reads it, `archsearch extract` cuts it, and of a transformers model it is a plain
        checkpoint as well. A folder that holds a super-network is replaced, all of it or nothing.

        Args:
            folder: where to.
            max_shard_size: bytes of a weights file before the next one is begun.

        Raises:
            ElasticError: the folder holds something else, or cannot be written.
        """
        from archsearch.elastic.saving import save

        save(self, folder, max_shard_size)

    def __deepcopy__(self, memo: dict[int, Any]) -> Elastic:
        made = type(self).__new__(type(self))
        Elastic.__init__(made, copy.deepcopy(self.model, memo), self.axes, self.decisions, self.inputs)
        return made
