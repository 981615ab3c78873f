"""Many sub-networks on the same input: layers that they begin with in common run once.

Two sub-networks that keep the same in their first layers have the same activations there. Walked in the order of their
choices, layer by layer, each runs from the first layer on in which it differs from the one before. Of all 4^4 choices
in four layers that is 340 visits to layers instead of 1,024. The outputs are those of separate runs, bit for bit, as
the same operations run on the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.func import functional_call

from archsearch.elastic.cut import Cut
from archsearch.elastic.layer_sums import apart, layer_paths
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.elastic.skeleton import skeleton
from archsearch.errors import ElasticError

# A layer and what is kept of its own axes, and of those outside of layers.
Choice: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Member:
    """A sub-network.

    Attributes:
        number: its place among those that were given.
        cut: what it keeps.
        choices: of its layers, in their order.
    """

    number: int
    cut: Cut
    choices: tuple[Choice, ...]


class Trie:
    """Sub-networks that are evaluated together.

    What is outside of layers runs for each of them. Layers must follow from their inputs and their own weights alone,
    and run once each, one after the other. No gradients are kept, and dropout is off.

    Args:
        net: the super-network.
        subs: sub-networks of it.

    Attributes:
        visits: how many layers ran so far.
    """

    def __init__(self, net: Elastic, subs: Iterable[SubNetwork]) -> None:
        self.net = net
        self.visits = 0
        own, outside = apart(net.axes, layer_paths(net.axes))
        depth = [net.axes.layers.name] if net.axes.layers else []
        self._groups: dict[Choice, list[Member]] = {}
        self._layers: dict[Choice, tuple[nn.Module, dict[str, torch.Tensor]]] = {}
        for number, sub in enumerate(subs):
            cut = net.cut(sub)
            kept: dict[str, Any] = dict(cut.key)
            common = tuple([kept.get(name) for name in [*depth, *outside]])
            stay = [layer for layer in own if cut.name(layer) is not None]
            choices = tuple([(layer, common, *[kept[name] for name in own[layer]]) for layer in stay])
            self._groups.setdefault(common, []).append(Member(number, cut, choices))
            if any([choice not in self._layers for choice in choices]):
                self._add_layers(cut, choices)
        for members in self._groups.values():
            members.sort(key=lambda member: [repr(choice) for choice in member.choices])

    def _add_layers(self, cut: Cut, choices: Iterable[Choice]) -> None:
        made = skeleton(self.net.model, cut).eval()
        tensors = {name: tensor.detach() for name, tensor in self.net.tensors(cut).items()}
        for choice in choices:
            path = str(cut.name(choice[0]))
            weights = {
                name.removeprefix(f"{path}."): tensor for name, tensor in tensors.items() if name.startswith(f"{path}.")
            }
            self._layers.setdefault(choice, (made.get_submodule(path), weights))

    def outputs(self, x: Any) -> Iterator[tuple[int, Any]]:
        """The output of every sub-network for an input, with its place among those given; in an order of their own.

        Args:
            x: see `Elastic.forward`.

        Raises:
            ElasticError: layers did not run one after the other, or one was changed in place.
        """
        args = () if isinstance(x, Mapping) else (x,)
        named = dict(x) if isinstance(x, Mapping) else {}
        for members in self._groups.values():
            first = members[0]
            host = skeleton(self.net.model, first.cut).eval()
            tensors = self.net.tensors(first.cut)
            path = Path(self._run)
            for depth, choice in enumerate(first.choices):
                host.get_submodule(str(first.cut.name(choice[0]))).forward = path.layer(depth)
            for member in members:
                path.begin(member.choices)
                with torch.no_grad():
                    output = functional_call(host, tensors, args, named)
                path.end()
                yield member.number, output

    def _run(self, choice: Choice, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.visits += 1
        module, weights = self._layers[choice]
        return functional_call(module, weights, args, kwargs)


class Path:
    """The way to a leaf: what each layer on it gave.

    Args:
        run: the output of a layer, by choice and inputs.
    """

    def __init__(self, run: Callable[[Choice, tuple[Any, ...], dict[str, Any]], Any]) -> None:
        self.run = run
        self.choices: tuple[Choice, ...] = ()
        self.outputs: list[Any] = []
        self.versions: list[list[int]] = []
        self.position = 0

    def begin(self, choices: tuple[Choice, ...]) -> None:
        """Go to another leaf; what both ways have in common stays."""
        same = 0
        while same < len(self.outputs) and self.choices[same] == choices[same]:
            same += 1
        del self.outputs[same:], self.versions[same:]
        self.choices = choices
        self.position = 0

    def end(self) -> None:
        if self.position != len(self.choices):
            raise ElasticError(f"Trie: {self.position} of {len(self.choices)} layers ran; evaluate them one by one")

    def layer(self, depth: int) -> Callable[..., Any]:
        """The forward function of the layer at a depth: what it gave before, where nothing has changed up to it."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            if self.position != depth:
                raise ElasticError(
                    f"Trie: layer {depth} ran as number {self.position}, so layers do not follow one another; evaluate "
                    "the sub-networks one by one"
                )
            self.position += 1
            if depth == len(self.outputs):
                self.outputs.append(self.run(self.choices[depth], args, kwargs))
                self.versions.append(versions(self.outputs[depth]))
            if versions(self.outputs[depth]) != self.versions[depth]:
                raise ElasticError(
                    f"Trie: what layer {depth} gave was changed in place; evaluate the sub-networks one by one"
                )
            return self.outputs[depth]

        return forward


def versions(output: Any) -> list[int]:
    """How often the tensors of an output were written to."""
    items = output if isinstance(output, tuple | list) else [output]
    return [item._version for item in items if isinstance(item, torch.Tensor)]
