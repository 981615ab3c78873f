"""Graphs for tests: random ones, one of NAS-Bench-201, one with everything; and an oracle that runs them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from random_networks import Layers, at, networks
from torch.utils.flop_counter import FlopCounterMode

from archsearch import nn
from archsearch.spaces.build import build
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Link, Once, Part, Skip
from archsearch.spaces.settle import settle
from archsearch.spaces.settled import Settled
from archsearch.spaces.tensor import Tensor

VECTOR = Tensor(8)


IMAGE = Tensor(4, 6, 6)


def vertex(
    place: str, *links: str | tuple[str, Part], merge: Part | str = "add", dim: int | None = None, op: Part = None
) -> Joint:
    """A joint at its place, called by the last step of it."""
    made = tuple([Link(link, None) if isinstance(link, str) else Link(*link) for link in links])
    name = place.rpartition(".")[2] if place.rpartition(".")[2] != "outputs" else ""
    return Joint(name, place, made, merge, dim, op)


def output(place: str, *links: str | tuple[str, Part], merge: Part | str = "concat", dim: int | None = None) -> Joint:
    return vertex(place, *links, merge=merge, dim=dim)


class Constant(torch.nn.Module):
    """A learned tensor that needs no input."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.randn(size))

    def forward(self) -> torch.Tensor:
        return self.value


def constant(place: str, *shape: int) -> Leaf:
    return Leaf(place, Constant, {"size": [1, *shape]}, {})


def mean(*values: torch.Tensor) -> torch.Tensor:
    return torch.stack(values).mean(0)


def tensors(settled: Settled, batch: int, device: str = "cpu") -> list[torch.Tensor]:
    return [torch.randn((batch, *tensor.shape), device=device) for tensor in settled.inputs]


def counted(settled: Settled) -> int:
    with FlopCounterMode(display=False) as counter:
        build(settled, device="meta").eval()(*tensors(settled, 1, "meta"))
    return int(counter.get_total_flops())


def agrees_with_running(settled: Settled) -> torch.nn.Module:
    """Shapes, parameters and FLOPs are those of the built model."""
    module = build(settled, seed=0).eval()
    result = module(*tensors(settled, 3))
    expected = settled.output
    if isinstance(expected, dict):
        assert {name: tuple(value.shape) for name, value in result.items()} == {
            name: (3, *tensor.shape) for name, tensor in expected.items()
        }
        assert list(result) == list(expected)
    else:
        assert tuple(result.shape) == (3, *expected.shape)
    assert settled.parameters == sum(p.numel() for p in module.parameters())
    assert settled.flops == counted(settled)
    return module


def name_of(place: str) -> str:
    return re.sub(r"\[(\w+)\]", r".\1", place).lstrip(".")


class Oracle:
    """Runs a description by torch's functions, with the leaves of a built model, found by their places."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.first: dict[str, Part] = {}

    def __call__(self, part: Part, *inputs: torch.Tensor) -> Any:
        match part:
            case None:
                return inputs[0]
            case Leaf():
                return self.model.get_submodule(name_of(part.place))(*inputs)
            case Once():
                # The weights are those of the first place.
                return self(self.first.setdefault(part.key, part.part), *inputs)
            case Chain():
                for inside in part.parts:
                    inputs = (self(inside, *inputs),)
                return inputs[0]
            case Skip():
                body = self(part.body, *inputs)
                if body.shape == inputs[0].shape:
                    return inputs[0] + body
                return self.model.get_submodule(name_of(f"{part.place}.project"))(inputs[0]) + body
            case Branches():
                return merge(part.merge, part.dim, [self(branch, *inputs) for branch in branches(part.parts)])
            case Dag():
                return self.dag(part, inputs)

    def dag(self, dag: Dag, inputs: tuple[torch.Tensor, ...]) -> Any:
        found = dict(zip(dag.inputs, inputs, strict=True))

        def value(joint: Joint) -> torch.Tensor:
            if not joint.links:
                alone: torch.Tensor = self(joint.op)
                return torch.cat([alone] * len(inputs[0]))
            values = [self(link.part, found[link.source]) for link in joint.links]
            if joint.merge is not None and not isinstance(joint.merge, str):
                values = [self(joint.merge, *values)]
            one: torch.Tensor = self(joint.op, merge(joint.merge, joint.dim, values))
            return one

        for joint in dag.vertices:
            found[joint.name] = value(joint)
        ends = {joint.name: value(joint) for joint in dag.outputs}
        return ends.get("", ends)


def branches(parts: Sequence[Part]) -> list[Part]:
    found: list[Part] = []
    for part in parts:
        found.extend(branches(part.parts) if isinstance(part, Chain) and part.items else [part])
    return found


def merge(how: Any, dim: int | None, values: list[torch.Tensor]) -> torch.Tensor:
    if len(values) == 1:
        return values[0]
    if how == "concat":
        return torch.cat(values, 1 if dim is None else dim)
    total = torch.stack(values)
    return total.sum(0) if how == "add" else total.prod(0)


VECTORS: Layers = [
    lambda draw: nn.Linear(8),
    lambda draw: nn.LayerNorm(),
    lambda draw: nn.Tanh(),
    lambda draw: nn.Linear(draw(st.sampled_from([4, 8, 8, 8]))),
]


IMAGES: Layers = [
    lambda draw: nn.Conv2d(4, draw(st.sampled_from([1, 3])), padding="same"),
    lambda draw: nn.BatchNorm2d(),
    lambda draw: nn.AvgPool2d(3, 1, 1),
    lambda draw: nn.Zero(),
]


FAMILIES: dict[str, tuple[Layers, Tensor]] = {"vectors": (VECTORS, VECTOR), "images": (IMAGES, IMAGE)}


@st.composite
def parts(draw: st.DrawFn, layers: Layers, shape: tuple[int, ...], place: str, depth: int) -> Part:
    if depth and draw(st.integers(0, 3)) == 0:
        return draw(dags(layers, shape, place, 1, depth - 1))
    return draw(networks(layers, place, draw(st.sampled_from([0, 0, 1]))))


@st.composite
def dags(
    draw: st.DrawFn,
    layers: Layers,
    shape: tuple[int, ...],
    place: str,
    num_inputs: int,
    depth: int,
    named: bool = False,
) -> Dag:
    def below(step: str) -> str:
        return f"{place}.{step}".lstrip(".")

    inputs = tuple([f"x{i}" for i in range(num_inputs)])
    known = list(inputs)

    def joint(name: str, here: str, minimum: int) -> Joint:
        sources = draw(st.lists(st.sampled_from(known), min_size=minimum, max_size=3))
        if not sources:
            return Joint(name, here, (), "add", None, constant(f"{here}.op", *shape))
        links = []
        for i, source in enumerate(sources):
            step = source if sources.count(source) < 2 else f"inputs[{i}].op"
            links.append(Link(source, draw(st.none() | parts(layers, shape, f"{here}.{step}", depth))))
        how = draw(st.sampled_from(["add", "add", "add", "mul", "mean", "graph", "concat"]))
        merge: Part | str = how
        if how == "graph" and depth:
            merge = draw(dags(layers, shape, f"{here}.merge", len(sources), depth - 1))
        elif how in ("mean", "graph"):
            merge = Leaf(f"{here}.merge", mean, {}, {})
        dim = draw(st.sampled_from([None, 1, -1])) if how == "concat" else None
        op = draw(st.none() | parts(layers, shape, f"{here}.op", depth)) if name and not name.startswith("o") else None
        return Joint(name, here, tuple(links), merge, dim, op)

    vertices = []
    for i in range(draw(st.integers(0, 3))):
        vertices.append(joint(f"v{i}", below(f"v{i}"), draw(st.sampled_from([0, 1, 1, 1]))))
        known.append(f"v{i}")
    if not named:
        return Dag(place, inputs, tuple(vertices), (joint("", below("outputs"), 1),))
    ends = tuple([joint(f"o{i}", below(f"outputs.o{i}"), 1) for i in range(draw(st.integers(1, 2)))])
    return Dag(place, inputs, tuple(vertices), ends)


def block(place: str, channels: int, kernel: int) -> Chain:
    conv = nn.Conv2d(channels, kernel, padding=kernel // 2, bias=False)
    layers = (nn.ReLU(), conv, nn.BatchNorm2d())
    return Chain(place, tuple([at(f"{place}[{i}]", layer) for i, layer in enumerate(layers)]))


def cell(place: str, channels: int) -> Dag:
    def edge(vertex: str, source: str, op: Any = None, kernel: int = 0) -> tuple[str, Part]:
        here = f"{place}.{vertex}.{source}".lstrip(".")
        return source, block(here, channels, kernel) if kernel else at(here, op)

    def below(name: str) -> str:
        return f"{place}.{name}".lstrip(".")

    return Dag(
        place,
        ("n0",),
        (
            vertex(below("n1"), edge("n1", "n0", kernel=3)),
            vertex(below("n2"), edge("n2", "n0", nn.Identity()), edge("n2", "n1", kernel=1)),
            vertex(
                below("n3"),
                edge("n3", "n0", nn.AvgPool2d(3, 1, 1)),
                edge("n3", "n1", nn.Zero()),
                edge("n3", "n2", kernel=3),
            ),
        ),
        (output(below("outputs"), "n3"),),
    )


def network(cells: int, channels: int = 8) -> Chain:
    stem = Chain("stem", (at("stem[0]", nn.Conv2d(channels, 3, padding=1)),))
    body = Chain("body", tuple([cell(f"body[{i}]", channels) for i in range(cells)]), items=True)
    head = Chain(
        "head", (at("head[0]", nn.AdaptiveAvgPool2d(1)), at("head[1]", nn.Flatten()), at("head[2]", nn.Linear(10)))
    )
    return Chain("", (stem, body, head))


def everything() -> Settled:
    """Nested graphs, a module in two places, a source, a concat over another dimension, a merge of many inputs."""
    inner = Dag(
        "b.op",
        ("x",),
        (vertex("b.op.a", "x", ("x", Once("k", at("b.op.a.inputs[1].op", nn.Linear(8)))), merge="mul"),),
        (output("b.op.outputs", "a", "x", merge=Leaf("b.op.outputs.merge", mean, {}, {})),),
    )
    part = Dag(
        "",
        ("x",),
        (
            vertex("a", ("x", Once("k", at("a.x", nn.Linear(8)))), op=at("a.op", nn.LayerNorm())),
            vertex("b", "a", "x", op=inner),
            vertex("c", op=constant("c.op", 8), merge=Leaf("c.merge", mean, {}, {})),
            vertex("d", "b", "c", merge="concat", dim=-1),
        ),
        (output("outputs", "d", "x"),),
    )
    return settle(part, [VECTOR])
