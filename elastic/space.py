"""The space of a super-network's sub-networks, with exact parameter and FLOP counts before anything runs."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from archsearch.elastic.axes import Axes, Axis, Layers
from archsearch.elastic.cut import Cut
from archsearch.elastic.layer_sums import LayerSums, layer_paths
from archsearch.errors import BuildError, ElasticError
from archsearch.spaces.nodes import Choice, Integer, Node, Repeat
from archsearch.spaces.space import Architecture, Space
from archsearch.spaces.tensor import Tensor

if TYPE_CHECKING:
    from torch import nn

# A granularity given as a float, such as 1/3, is the fraction nearest to it with at most this denominator.
MAX_DENOMINATOR = 65_536


@dataclass(frozen=True)
class Decision:
    """What is decided about the axes of one group.

    Attributes:
        group: of axes, or the axis of layers.
        granularities: the shares of the units that can be kept, ascending.
        per_layer: whether every layer decides for itself.
    """

    group: str
    granularities: tuple[Fraction, ...]
    per_layer: bool = False

    @classmethod
    def of(
        cls, axes: Axes, group: str, granularities: Iterable[float | Fraction], *, per_layer: bool = False
    ) -> Decision:
        """The decision on a group of axes.

        Args:
            granularities: shares of the units, such as 1/8, of which 1 is all; or numbers of units: where one of them
                is an integer above 1, all integers are.

        Raises:
            ElasticError: there is no such group, or a share is no whole number of units; says what is nearest.
        """
        groups = axes.groups()
        if group not in groups:
            why = f": {axes.absent[group]}" if group in axes.absent else ""
            raise ElasticError(f"the model has no axes {group!r}{why}; there is {', '.join(groups)}")
        given = list(granularities) if isinstance(granularities, Iterable) else []
        if not given:
            got = "none" if isinstance(granularities, Iterable) else repr(granularities)
            raise ElasticError(f"{group}: expected granularities, such as [1/4, 1/2, 1], but got {got}")
        counted = any(isinstance(value, int) and value > 1 for value in given)
        shares = sorted({share_of(group, value, groups[group], counted=counted) for value in given})
        return cls(group, tuple(shares), per_layer)

    def to_json(self) -> dict[str, Any]:
        """As plain data; see `from_json`."""
        return {
            "group": self.group,
            "granularities": [str(share) for share in self.granularities],
            "per_layer": self.per_layer,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """The decision that `to_json` wrote."""
        return cls(str(data["group"]), tuple(map(Fraction, data["granularities"])), bool(data["per_layer"]))


def share_of(group: str, value: float | Fraction, axes: Sequence[Axis], *, counted: bool = False) -> Fraction:
    """A granularity as an exact share of the units of all of these axes; where they are counted, 1 is one unit."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise ElasticError(f"{group}: a granularity is a share such as 1/4, or a number of units, but got {value!r}")
    units = axes[0].units
    if isinstance(value, int) and (counted or value > 1):
        share: Fraction | None = Fraction(value, units)
    else:
        share = Fraction(value).limit_denominator(MAX_DENOMINATOR) if -1 <= value <= 1 else None
    if share is None or not 0 < share <= 1:
        raise ElasticError(f"{group}: a granularity is a share in (0, 1], or from 1 to {units} units, but got {value}")
    for axis in axes:
        kept = share * axis.units
        if kept.denominator != 1:
            near = sorted({max(1, int(kept)), int(kept) + 1})
            texts = " or ".join(f"{Fraction(n, axis.units)} ({n} unit{'s' * (n > 1)})" for n in near)
            raise ElasticError(
                f"{axis.name} has {axis.units} units, of which {share} would be {float(kept):g}; nearest: {texts}"
            )
    return share


@dataclass(frozen=True)
class Blueprint:
    """All of a super-network but its weights: enough to count any sub-network, and light enough to travel.

    Attributes:
        model: the super-network on torch's meta device.
        axes: of it.
        shapes: of its parameters by name.
        inputs: what it takes, for FLOPs.
        saved: the `folder` that it was saved to or loaded from, and a hash of its `weights`; empty where it was not.
    """

    model: nn.Module
    axes: Axes
    shapes: Mapping[str, tuple[int, ...]]
    inputs: Mapping[str, Tensor]
    saved: Mapping[str, str] = field(default_factory=dict)

    def parameters(self, cut: Cut) -> int:
        """The parameters of a sub-network; tied ones count once."""
        return cut.numel(self.shapes)

    def parameters_by_layer(self, cut: Cut) -> dict[str, int]:
        """The same in parts: by the path of each layer that stays, and under "" those outside of layers."""
        dropped = self.axes.dropped(cut.kept)
        inside = {layer: cut.numel(shapes) for layer, shapes in self.shapes_by_layer.items() if layer not in dropped}
        return {**inside, "": self.parameters(cut) - sum(inside.values())}

    @cached_property
    def shapes_by_layer(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """The shapes of the parameters of each layer."""
        return {
            layer: {name: shape for name, shape in self.shapes.items() if name.startswith(f"{layer}.")}
            for layer in self.layers
        }

    @property
    def layers(self) -> list[str]:
        """The paths of all layers."""
        return layer_paths(self.axes)

    def flops(self, cut: Cut) -> int:
        """The floating-point operations of one forward pass of one example, as torch's FLOP counter counts.

        Raises:
            BuildError: the inputs are not known.
        """
        return sum(self.flops_by_layer(cut).values())

    def flops_by_layer(self, cut: Cut) -> dict[str, int]:
        """The same in parts: by the path of each layer that stays, and under "" those outside of layers.

        Raises:
            BuildError: the inputs are not known.
        """
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from archsearch.elastic.skeleton import skeleton

        if not self.inputs:
            raise BuildError('FLOPs follow from the input: give inputs={"name": A.Tensor(...)} with the super-network')
        made: Any = skeleton(self.model, cut).eval()
        for module in made.modules():
            if hasattr(module, "warn_if_padding_and_no_attention_mask"):  # of transformers: it looks at the tokens
                module.warn_if_padding_and_no_attention_mask = lambda *_: None
        given = {
            name: torch.zeros((1, *tensor.shape), dtype=getattr(torch, tensor.dtype), device="meta")
            for name, tensor in self.inputs.items()
        }
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), warnings.catch_warnings(action="ignore"), counter, torch.device("meta"):
            made(*given.values()) if len(given) == 1 else made(**given)
        # By module: `LlamaForCausalLM.model.layers.0`, and all of it under "Global".
        counts = {name: sum(by_operation.values()) for name, by_operation in counter.get_flop_counts().items()}
        inside = {
            layer: int(counts.get(f"{type(made).__name__}.{name}", 0))
            for layer in self.layers
            if (name := cut.name(layer)) is not None
        }
        return {**inside, "": int(counter.get_total_flops()) - sum(inside.values())}


class SubNetworks(Space):
    """The sub-networks of a super-network, as a space.

    Its architectures have `parameters` and `flops`, and are run with the shared weights by `net(x, arch)`; `build` is
    `net.extract`, as the space itself has no weights.

    Args:
        blueprint: of the super-network.
        decisions: what is decided.
        steps: by group, decide on every multiple of so many units from the smallest granularity on, and not on the
            granularities alone.
    """

    def __init__(self, blueprint: Blueprint, decisions: Sequence[Decision], steps: Mapping[str, int]) -> None:
        self.blueprint = blueprint
        self.decisions = tuple(decisions)
        self.steps = dict(steps)
        super().__init__(root_of(blueprint.axes, decisions, steps))
        self._prepare()

    def _prepare(self) -> None:
        of = self.blueprint
        self._groups = of.axes.groups()
        self._parameters = LayerSums(of.axes, of.layers, of.parameters_by_layer)
        self._flops = LayerSums(of.axes, of.layers, of.flops_by_layer)

    def __getstate__(self) -> dict[str, Any]:
        return {
            **super().__getstate__(),
            "blueprint": self.blueprint,
            "decisions": self.decisions,
            "steps": self.steps,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        own = {name: state[name] for name in ("blueprint", "decisions", "steps")}
        super().__setstate__({name: value for name, value in state.items() if name not in own})
        self.blueprint, self.decisions, self.steps = own["blueprint"], own["decisions"], own["steps"]
        self._prepare()

    def describe(self) -> dict[str, Any]:
        """The description of the space, of which super-network it is, and under "saved" where that lies: a study goes
        on wherever that is, and `archsearch extract` finds it."""
        supernet = {
            "digest": self.blueprint.axes.digest(self.blueprint.shapes),
            "decisions": [decision.to_json() for decision in self.decisions],
            "steps": self.steps,
        }
        return {**super().describe(), "supernet": supernet, "saved": dict(self.blueprint.saved)}

    def kept(self, arch: Architecture) -> dict[str, int]:
        """How many units an architecture keeps of every axis that is decided and stays."""
        layers = self.blueprint.axes.layers
        values = arch.values
        kept: dict[str, int] = {}
        dropped: set[str] = set()
        if layers is not None and layers.name in values:
            kept[layers.name] = units_of(values[layers.name], layers.units)
            dropped = self.blueprint.axes.dropped(kept)
        for decision in self.decisions:
            if decision.group in kept:
                continue
            stay = self._groups[decision.group]
            if dropped:
                stay = [axis for axis in stay if axis.layer not in dropped]
            value = values[decision.group]
            each = value if isinstance(value, list) else [value] * len(stay)
            kept |= {axis.name: units_of(v, axis.units) for axis, v in zip(stay, each, strict=True)}
        return kept

    def cut(self, arch: Architecture) -> Cut:
        """What an architecture keeps."""
        return Cut.of(self.blueprint.axes, self.kept(arch))

    def parameters_of(self, arch: Architecture) -> int:
        return self._parameters.of(self.kept(arch))

    def flops_of(self, arch: Architecture) -> int:
        return self._flops.of(self.kept(arch))


@lru_cache(maxsize=4096, typed=True)  # the share 1.0 and one unit, 1, differ
def units_of(value: float, units: int) -> int:
    """The units that a value means: a share is a float, a number of units an int."""
    return value if isinstance(value, int) else int(Fraction(value).limit_denominator(MAX_DENOMINATOR) * units)


def root_of(axes: Axes, decisions: Sequence[Decision], steps: Mapping[str, int]) -> dict[str, Node]:
    """The description of the space: a decision for each group, and one for each layer where layers decide."""
    root: dict[str, Node] = {}
    groups = axes.groups()
    depth = next((d for d in decisions if isinstance(groups[d.group][0], Layers)), None)
    times: int | Node = 0
    if depth is not None:
        units = groups[depth.group][0].units
        times = Choice([int(share * units) for share in depth.granularities], name=depth.group)
        root[depth.group] = times
    for decision in decisions:
        if decision is depth:
            continue
        of = groups[decision.group]
        if decision.group not in steps:
            node: Node = Choice([float(share) for share in decision.granularities])
        else:
            node = stepped(decision, of, steps[decision.group])
        if decision.per_layer:
            node = Repeat(node, times if depth is not None and of[0].layer else len(of))
        root[decision.group] = node
    return root


def stepped(decision: Decision, axes: Sequence[Axis], step: int) -> Node:
    """Any multiple of `step` units from the smallest granularity to all units."""
    units = {axis.units for axis in axes}
    (most,) = units if len(units) == 1 else (0,)
    least = int(decision.granularities[0] * most)
    if not most or step < 1 or most % step or least % step:
        raise ElasticError(
            f"{decision.group}: steps of {step} units must divide the units, {sorted(units)}, and the smallest "
            f"granularity, {least or decision.granularities[0]}"
        )
    return Integer(least // step, most // step) * step
