"""Finding the axes of a model whose family is not known: the feed-forwards and attention heads of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archsearch.elastic.axes import Axes, Axis
from archsearch.elastic.declare import attribute_of, axes, axis, tensors_of
from archsearch.elastic.exchange import evaluating, example, failure, outputs
from archsearch.elastic.readings import GROUPS, HEADS, HIDDEN, Layer, Reading, linear_sizes
from archsearch.errors import ElasticError
from archsearch.spaces.tensor import Tensor

KINDS = ("ffn", "heads")
ABSENT = "the rule for unknown families looks for `ffn` and `heads` only; declare the axis"


@dataclass(frozen=True)
class Found:
    """What was found in a model; `str(found)` says it.

    Attributes:
        axes: groups `ffn` and `heads`, as far as there is one reading of them.
        says: in words what the axes are, each with their names.
        left_out: in words what was not taken, each with the places.
        tried: whether the axes were tried on inputs.
    """

    axes: Axes
    says: Mapping[str, Sequence[str]]
    left_out: Mapping[str, Sequence[str]]
    tried: bool

    def __str__(self) -> str:
        tried = "tried: units can be exchanged, and left out" if self.tried else "not tried: give inputs= to try it"
        lines = [f"found by shape and name ({tried}):" if self.says else "found neither feed-forwards nor heads:"]
        lines += [f"  {gathered(names)}: {words}" for words, names in self.says.items()]
        lines += [f"  left out {gathered(names)}: {words}" for words, names in self.left_out.items()]
        return "\n".join(lines)


def gathered(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)})"


def discover(model: nn.Module, inputs: Mapping[str, Tensor] | None = None) -> Found:
    """Look for the feed-forward and the attention heads in every layer of a model's lists of layers.

    Args:
        model: any; with its weights, where it is to be tried.
        inputs: what it takes, without the batch. With them each kind of axis is tried on random inputs once; without,
            what has two readings (queries, keys and values in one matrix) is left out.

    Raises:
        ElasticError: the model does not run on such inputs.
    """
    lists = layer_lists(model)
    settler = Settler(model, inputs)
    found: list[Axis] = []
    says: dict[str, list[str]] = {}
    left_out: dict[str, list[str]] = {}
    for path, names in lists.items():
        for index, name in enumerate(names):
            layer = Layer(model, name)
            for where, why in layer.doubts:
                left_out.setdefault(why, []).append(where)
            for kind in KINDS:
                label = f"{kind}.{index}" if len(lists) == 1 else f"{kind}.{path}.{index}"
                things = [readings for readings in layer.readings if readings and readings[0].kind == kind]
                made, why = settler.settle(label, name, things)
                if made is not None:
                    found.append(made[0])
                    says.setdefault(made[1].says, []).append(label)
                elif things:
                    left_out.setdefault(why, []).append(label)
    missing = [kind for kind in KINDS if kind not in {axis.group for axis in found}]
    for kind in missing:
        left_out.setdefault(f"no {kind} can be cut", []).append("all layers")
    absent = dict.fromkeys(("width", "layers"), ABSENT)
    absent |= dict.fromkeys(missing, "; ".join(f"{gathered(where)}: {why}" for why, where in left_out.items()))
    return Found(axes(model, found, absent), says, left_out, settler.given is not None)


def layer_lists(model: nn.Module) -> dict[str, list[str]]:
    """The outermost lists of layers that have linear layers of their own, by path: the paths of their layers.

    An nn.Sequential is one where its modules are of one class, so that a stack of other things is looked into.
    """
    found: dict[str, list[str]] = {}
    for path, module in model.named_modules():
        if any(f"{path}.".startswith(f"{outer}.") for outer in found) or not path:
            continue
        children = list(module.named_children())
        alike = len({type(child) for _, child in children}) == 1
        if isinstance(module, nn.ModuleList) or (isinstance(module, nn.Sequential) and alike):
            layers = [f"{path}.{key}" for key, _ in children if len(linear_sizes(model, f"{path}.{key}")) > 1]
            if layers and len(layers) == len(children):
                found[path] = layers
    return found


class Settler:
    """Which reading of some modules holds.

    Args:
        model: whose modules they are.
        inputs: to try readings on; without any, only what has one reading holds.
    """

    def __init__(self, model: nn.Module, inputs: Mapping[str, Tensor] | None) -> None:
        self.model = model
        tensors = list(tensors_of(model).values())
        meta = any(tensor.is_meta for tensor in tensors)
        device = tensors[0].device if tensors else torch.device("cpu")
        self.given = example(inputs, device) if inputs and not meta else None
        if self.given is not None:
            with evaluating(model):
                try:
                    outputs(model, {}, self.given)
                except Exception as error:  # whatever a model raises on inputs that are not its own
                    shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in self.given.items())
                    raise ElasticError(
                        f"{type(model).__name__} does not run on inputs={shapes}: {type(error).__name__}: {error}"
                    ) from error
        self.known: dict[Any, tuple[int | None, str]] = {}

    def settle(
        self, name: str, layer: str, things: Sequence[Sequence[Reading]]
    ) -> tuple[tuple[Axis, Reading] | None, str]:
        """The axis and the reading that hold of the things found in a layer, otherwise the reason why none does."""
        if len(things) != 1:
            return None, f"{len(things)} in one layer: {'; '.join(readings[0].says for readings in things)}"
        (readings,) = things
        says = readings[0].says.partition(" (")[0] if len(readings) > 1 else readings[0].says
        if readings[0].units == 1:
            return None, f"{says}: one unit alone cannot be cut"
        if self.given is None and (len(readings) > 1 or readings[0].doubt):
            doubt = readings[0].doubt or "there are two ways to lie in one matrix"
            return None, f"{says}: {doubt}, and no inputs= to try it on"
        try:
            made = [self.axis(name, layer, reading) for reading in readings]
        except ElasticError as error:
            return None, f"{says}: {error}"
        if self.given is None:
            return (made[0], readings[0]), ""
        key = tuple(repr(reading).replace(layer, "") for reading in readings)
        if key not in self.known:
            failures = [failure(self.model, one, self.given) for one in made]
            holding = [i for i, why in enumerate(failures) if why is None]
            self.known[key] = (holding[0], "") if len(holding) == 1 else (None, why_not(failures, holding))
        index, why = self.known[key]
        return (None, f"{says}: {why}") if index is None else ((made[index], readings[index]), "")

    def axis(self, name: str, layer: str, reading: Reading) -> Axis:
        """The axis that a reading says."""
        keys = {"ffn": (HIDDEN,), "heads": (HEADS, GROUPS)}[reading.kind]
        settings = attribute_of(self.model, "config")
        of = {key: getattr(settings, key, None) for names in keys for key in names}
        heads = [key for key, value in of.items() if isinstance(value, int) and not value % reading.units]
        return axis(
            self.model,
            name,
            reading.units,
            outputs=reading.outputs,
            inputs=reading.inputs,
            counts=reading.counts,
            config=[key for key in heads if reading.kind == "heads" or of[key] == reading.units],
            group=reading.kind,
            layer=layer,
        )


def why_not(failures: Sequence[str | None], holding: Sequence[int]) -> str:
    if holding:
        return "two readings, both of which hold when tried"
    return "; or ".join(dict.fromkeys(why for why in failures if why is not None))
