"""Parameters and FLOPs of sub-networks as sums over layers.

What a layer adds follows from what is kept of its own axes and of those outside of layers. So it is counted once and
remembered: a sub-network whose layers have all been seen is a sum, which a search that filters by size needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from archsearch.elastic.axes import Axes
from archsearch.elastic.cut import Cut


def layer_paths(axes: Axes) -> list[str]:
    """The paths of all layers: those of the list that layers can be dropped from, and those that axes belong to."""
    listed = [f"{axes.layers.path}.{i}" for i in range(axes.layers.units)] if axes.layers else []
    return list(dict.fromkeys([*listed, *[axis.layer for axis in axes if axis.layer]]))


def apart(axes: Axes, layers: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The names of the axes that are each layer's own, and of those outside, but for that of the layers themselves.

    An axis that reaches out of its layer, such as a part of the residual stream, is outside: others follow from it.
    """
    own: dict[str, list[str]] = {layer: [] for layer in layers}
    outside: list[str] = []
    for axis in axes:
        if axis is not axes.layers:
            inside = axis.layer and all(run.tensor.startswith(f"{axis.layer}.") for run in axis.runs)
            (own[axis.layer] if inside else outside).append(axis.name)
    return own, outside


class LayerSums:
    """A number of every sub-network, of which each layer has its part.

    Args:
        axes: of the super-network.
        layers: the paths of its layers.
        count: the parts of a cut: by the path of the layer in the super-network, and under "" all else.
    """

    def __init__(self, axes: Axes, layers: Iterable[str], count: Callable[[Cut], Mapping[str, int]]) -> None:
        self.axes = axes
        self.count = count
        self.own, self.outside = apart(axes, layers)
        self._known: dict[Any, int] = {}
        self._stay: dict[int | None, tuple[str, ...]] = {}

    def of(self, kept: Mapping[str, int]) -> int:
        """The number of the sub-network that keeps so many units.

        Args:
            kept: by axis; each time the same axes are named, of those that stay.
        """
        known, get = self._known, kept.get
        depth = get(self.axes.layers.name) if self.axes.layers else None
        stay = self._stay.get(depth)
        if stay is None:
            dropped = self.axes.dropped(kept)
            stay = self._stay[depth] = tuple(layer for layer in self.own if layer not in dropped)
        outside = tuple([get(name) for name in self.outside])
        keys: dict[str, Any] = {layer: (layer, outside, *map(get, self.own[layer])) for layer in stay}
        keys[""] = ("", outside, depth)
        try:
            return sum([known[key] for key in keys.values()])
        except KeyError:
            parts = self.count(Cut.of(self.axes, kept))
            known.update({key: parts[layer] for layer, key in keys.items()})
            return sum([known[key] for key in keys.values()])
