"""Axes: what can be cut out of a trained model, and what keeping some of it means for every tensor and every number.

An axis has ordered units: hidden units of one feed-forward layer, groups of attention heads, channels of the residual
stream, layers. It says which indices of which tensors belong to which unit (`Run`), and which attributes and
configuration values count its units (`Count`). Everything else (views, copies, parameter counts, the space of
sub-networks, reading a file in slices) follows from that, so a model is declared once. All of it is plain data: it goes
to JSON and back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from archsearch.errors import ElasticError, did_you_mean

# Units that are kept, by axis: so many of the first, or these. An axis that is not named is kept whole.
Kept: TypeAlias = Mapping[str, int | Sequence[int]]
# Ascending, disjoint, not touching: the half-open ranges of indices that stay.
Segments: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Run:
    """Where units stand in one dimension of one tensor: unit u has the `size` indices from `offset + u * size` on.

    Attributes:
        tensor: its name in the state dict; of tied ones the first.
        dim: the dimension.
        size: indices of a unit, such as the rows of an attention head.
        offset: of the first unit: a fused matrix has one run for each of its blocks.
    """

    tensor: str
    dim: int
    size: int = 1
    offset: int = 0


@dataclass(frozen=True)
class Count:
    """A number that grows with the units: `size` for each.

    Attributes:
        name: the attribute, with its path from the model (`layers.0.attn.num_heads`), or a key of the configuration
            (of a list with an entry for each layer, the entry: `hidden.3`).
        size: how much a unit adds.
    """

    name: str
    size: int = 1


@dataclass(frozen=True)
class Axis:
    """Ordered units, of which a sub-network keeps some (the first ones, where only their number is given).

    Attributes:
        name: such as `ffn.3`.
        group: axes decided alike where one decision is taken for all layers: `ffn`.
        units: how many there are.
        layer: the path of the layer that it belongs to, which it leaves with; "" outside of layers.
        runs: where the units stand.
        counts: attributes of modules.
        config: keys of the configuration; entries of lists are set by their axis, others where all axes of the group
            are cut alike.
        fixed: keys of the configuration that an uncut model leaves to follow from the size that is cut here, with their
            values (`head_dim`, from the width and the heads): they are written out, as they stay.
    """

    name: str
    group: str
    units: int
    layer: str = ""
    runs: tuple[Run, ...] = ()
    counts: tuple[Count, ...] = ()
    config: tuple[Count, ...] = ()
    fixed: tuple[tuple[str, int], ...] = ()

    def kept(self, given: int | Sequence[int]) -> tuple[int, ...]:
        """The units that stay, ascending.

        Raises:
            ElasticError: none is left, or they are not of this axis.
        """
        if isinstance(given, bool) or not isinstance(given, int | Sequence):
            raise ElasticError(f"{self.name}: expected a number of units or a list of them, but got {given!r}")
        number = given if isinstance(given, int) else len(given)
        if not 1 <= number <= self.units:
            raise ElasticError(f"{self.name} keeps from 1 to {self.units} units, but got {given!r}")
        units = tuple(range(given)) if isinstance(given, int) else tuple(given)
        if not all(isinstance(u, int) for u in units):
            raise ElasticError(f"{self.name}: expected a number of units or a list of them, but got {given!r}")
        if sorted(set(units)) != list(units) or units[0] < 0 or units[-1] >= self.units:
            raise ElasticError(
                f"{self.name} has units 0 to {self.units - 1}, each once and ascending, but got {given!r}"
            )
        return units


@dataclass(frozen=True)
class Layers(Axis):
    """An axis whose units are the modules of a list; a dropped one takes its tensors and its axes with it.

    Attributes:
        path: of the list: `model.layers`.
        order: the layers, most important first: keeping m keeps the first m of them, in the order of the network.
            Empty: the first m.
        lists: keys of the configuration that hold one entry for each layer.
    """

    path: str = ""
    order: tuple[int, ...] = ()
    lists: tuple[str, ...] = ()

    def kept(self, given: int | Sequence[int]) -> tuple[int, ...]:
        if isinstance(given, int) and self.order and 1 <= given <= self.units:
            return tuple(sorted(self.order[:given]))
        return super().kept(given)


class Axes:
    """The axes of one model.

    Args:
        axes: they govern disjoint indices.
        tied: canonical name by name, of tensors that have several.
        absent: groups that the model's family has and this model has not, each with the reason.

    Raises:
        ElasticError: two have one name.
    """

    def __init__(
        self,
        axes: Iterable[Axis],
        tied: Mapping[str, str] | None = None,
        absent: Mapping[str, str] | None = None,
    ) -> None:
        self.tied = dict(tied or {})
        self.absent = dict(absent or {})
        self.axes = tuple(replace(axis, runs=self._canonical(axis.runs)) for axis in axes)
        self.by_name = {axis.name: axis for axis in self.axes}
        if len(self.by_name) < len(self.axes):
            names = [axis.name for axis in self.axes]
            raise ElasticError(
                f"axes have names of their own, but {next(n for n in names if names.count(n) > 1)!r} is twice"
            )
        depth = [axis for axis in self.axes if isinstance(axis, Layers)]
        if len(depth) > 1:
            raise ElasticError(f"one axis of layers can be declared, but got {', '.join(a.name for a in depth)}")
        self.layers: Layers | None = depth[0] if depth else None
        self.runs: dict[str, list[tuple[Axis, Run]]] = {}
        for axis in self.axes:
            for run in axis.runs:
                self.runs.setdefault(run.tensor, []).append((axis, run))

    def _canonical(self, runs: Iterable[Run]) -> tuple[Run, ...]:
        return tuple(dict.fromkeys(replace(run, tensor=self.tied.get(run.tensor, run.tensor)) for run in runs))

    def __iter__(self) -> Any:
        return iter(self.axes)

    def __len__(self) -> int:
        return len(self.axes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axes) and self.axes == other.axes and self.tied == other.tied

    def __hash__(self) -> int:
        return hash(self.axes)

    def __repr__(self) -> str:
        return f"Axes({', '.join(f'{name}: {len(axes)} x {axes[0].units}' for name, axes in self.groups().items())})"

    def groups(self) -> dict[str, list[Axis]]:
        """The axes by group, in the order of their declaration."""
        found: dict[str, list[Axis]] = {}
        for axis in self.axes:
            found.setdefault(axis.group, []).append(axis)
        return found

    def settle(self, kept: Kept) -> dict[str, tuple[int, ...]]:
        """The units that stay, for every axis that stays.

        Raises:
            ElasticError: an axis is unknown or has no such units, or was dropped with its layer.
        """
        for name in kept:
            if name not in self.by_name:
                raise ElasticError(f"no axis {name!r}{did_you_mean(name, self.by_name)}; there is {self!r}")
        settled = {}
        dropped = self.dropped(kept)
        for axis in self.axes:
            if axis.layer and axis.layer in dropped:
                if axis.name in kept:
                    raise ElasticError(f"{axis.name}: its layer {axis.layer} is not kept, so nothing of it can be")
                continue
            settled[axis.name] = axis.kept(kept[axis.name]) if axis.name in kept else tuple(range(axis.units))
        return settled

    def dropped(self, kept: Kept) -> set[str]:
        """The paths of the layers that leave."""
        if self.layers is None or self.layers.name not in kept:
            return set()
        stay = self.layers.kept(kept[self.layers.name])
        return {f"{self.layers.path}.{i}" for i in range(self.layers.units) if i not in set(stay)}

    def digest(self, shapes: Mapping[str, Sequence[int]]) -> str:
        """A hash of the axes and the shapes of the parameters: what makes two super-networks alike in all but their
        weights."""
        text = json.dumps([self.to_json(), sorted((name, list(shape)) for name, shape in shapes.items())])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As plain data; see `from_json`."""
        return {"axes": [axis_to_json(axis) for axis in self.axes], "tied": self.tied, "absent": self.absent}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Axes:
        """The axes that `to_json` wrote.

        Raises:
            ElasticError: this is something else; says where.
        """
        try:
            return cls([axis_from_json(item) for item in data["axes"]], data["tied"], data["absent"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ElasticError(
                f"these are not axes as archsearch writes them: {type(error).__name__}: {error}"
            ) from error


def axis_to_json(axis: Axis) -> dict[str, Any]:
    data: dict[str, Any] = {"name": axis.name, "group": axis.group, "units": axis.units, "layer": axis.layer}
    data["runs"] = [[run.tensor, run.dim, run.size, run.offset] for run in axis.runs]
    data["counts"] = [[count.name, count.size] for count in axis.counts]
    data["config"] = [[count.name, count.size] for count in axis.config]
    data["fixed"] = [[key, value] for key, value in axis.fixed]
    if isinstance(axis, Layers):
        data |= {"path": axis.path, "order": list(axis.order), "lists": list(axis.lists)}
    return data


def axis_from_json(data: Mapping[str, Any]) -> Axis:
    common = (
        str(data["name"]),
        str(data["group"]),
        int(data["units"]),
        str(data["layer"]),
        tuple(Run(str(tensor), int(dim), int(size), int(offset)) for tensor, dim, size, offset in data["runs"]),
        tuple(Count(str(name), int(size)) for name, size in data["counts"]),
        tuple(Count(str(name), int(size)) for name, size in data["config"]),
        tuple((str(key), int(value)) for key, value in data["fixed"]),
    )
    if "path" in data:
        return Layers(*common, str(data["path"]), tuple(map(int, data["order"])), tuple(map(str, data["lists"])))
    return Axis(*common)
