"""Graphs: settled sizes against the built model, the built model against the same network written by hand."""

from __future__ import annotations

import copy
import io
import pickle
import re
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_networks import Layers, at, networks
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from archsearch import nn
from archsearch.errors import BuildError, ShapeError
from archsearch.spaces import measure
from archsearch.spaces.build import build
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Link, Once, Part, Skip
from archsearch.spaces.settle import settle
from archsearch.spaces.settled import Settled, describe
from archsearch.spaces.sized import number
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

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.randn(shape))

    def forward(self) -> torch.Tensor:
        return self.value


def constant(place: str, *shape: int) -> Leaf:
    return Leaf(place, Constant, {"shape": [1, *shape]}, {})


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


# Random graphs: several inputs, nested graphs on edges, in operations and in merges, sources, named outputs.

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


@pytest.mark.parametrize(("layers", "tensor"), FAMILIES.values(), ids=FAMILIES)
def test_random_graphs_are_what_settling_and_an_oracle_say(layers: Layers, tensor: Tensor) -> None:
    built = 0

    @settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data: st.DataObject) -> None:
        nonlocal built
        num_inputs = data.draw(st.integers(1, 2))
        part = data.draw(dags(layers, tensor.shape, "", num_inputs, 2, data.draw(st.booleans())))
        try:
            settled = settle(part, [tensor] * num_inputs)
        except (ShapeError, BuildError) as error:
            with pytest.raises((ShapeError, BuildError), match=f"^{re.escape(str(error))}$"):
                settle(part, [tensor] * num_inputs)
            return
        module = agrees_with_running(settled)
        built += 1
        inputs = tensors(settled, 2)
        with torch.no_grad():
            torch.testing.assert_close(module(*inputs), Oracle(module)(part, *inputs))

    check()
    assert built >= 30


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data(), st.booleans())
def test_random_graphs_are_plain_torch(data: st.DataObject, named: bool) -> None:
    part = data.draw(dags(VECTORS, (8,), "", 1, 1, named))
    try:
        settled = settle(part, [VECTOR])
    except (ShapeError, BuildError):
        assume(False)
    module = build(settled, seed=0).eval()
    (x,) = tensors(settled, 2)
    expected = module(x)
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(again(x), expected, rtol=0, atol=0)
    other = build(settled, seed=1).eval()
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other(x), expected, rtol=0, atol=0)
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
    assert set(exported.state_dict) <= set(module.state_dict())
    (y,) = tensors(settled, 5)
    torch.testing.assert_close(exported.module()(y), module(y))
    torch.testing.assert_close(traced(module, x)(y), module(y))


def traced(module: torch.nn.Module, x: torch.Tensor) -> Any:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        # Strict refuses a dict of outputs.
        return torch.jit.trace(module, (x,), strict=False)


# The same networks written by hand.


class Block(torch.nn.Sequential):
    """ReLU, convolution, batch normalisation."""

    def __init__(self, channels: int, kernel: int) -> None:
        conv = torch.nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        super().__init__(torch.nn.ReLU(), conv, torch.nn.BatchNorm2d(channels))


def block(place: str, channels: int, kernel: int) -> Chain:
    conv = nn.Conv2d(channels, kernel, padding=kernel // 2, bias=False)
    layers = (nn.ReLU(), conv, nn.BatchNorm2d())
    return Chain(place, tuple([at(f"{place}[{i}]", layer) for i, layer in enumerate(layers)]))


class Cell(torch.nn.Module):
    """A cell of NAS-Bench-201, |nor_conv_3x3~0|+|skip~0|nor_conv_1x1~1|+|avg_pool~0|none~1|nor_conv_3x3~2|."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.n1 = torch.nn.ModuleDict({"n0": Block(channels, 3)})
        self.n2 = torch.nn.ModuleDict({"n1": Block(channels, 1)})
        self.n3 = torch.nn.ModuleDict({"n0": torch.nn.AvgPool2d(3, 1, 1), "n2": Block(channels, 3)})

    def forward(self, n0: torch.Tensor) -> torch.Tensor:
        n1 = self.n1["n0"](n0)
        n2 = n0 + self.n2["n1"](n1)
        result: torch.Tensor = self.n3["n0"](n0) + torch.zeros_like(n1) + self.n3["n2"](n2)
        return result


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


def by_hand(cells: int, channels: int = 8) -> torch.nn.Module:
    parts = {
        "stem": torch.nn.Sequential(torch.nn.Conv2d(3, channels, 3, padding=1)),
        "body": torch.nn.Sequential(*[Cell(channels) for _ in range(cells)]),
        "head": torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(channels, 10)),
    }
    model = torch.nn.Sequential()
    for name, part in parts.items():
        model.add_module(name, part)
    return model


def test_a_network_of_nasbench201_is_the_one_written_by_hand() -> None:
    settled = settle(network(2), [Tensor(3, 8, 8)])
    model, expected = build(settled, seed=0), by_hand(2)
    assert list(model.state_dict()) == list(expected.state_dict())
    expected.load_state_dict(model.state_dict())
    x = torch.randn(4, 3, 8, 8)
    # In training mode, so that every batch normalisation tells what reaches it.
    first, second = model(x), expected(x)
    torch.testing.assert_close(first, second)
    first.square().sum().backward()
    second.square().sum().backward()
    for (name, one), (_, other) in zip(model.named_parameters(), expected.named_parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    torch.testing.assert_close(dict(model.named_buffers()), dict(expected.named_buffers()))
    with FlopCounterMode(display=False) as counter:
        expected.eval()(x[:1])
    assert settled.flops == counter.get_total_flops()
    assert settled.parameters == sum(p.numel() for p in expected.parameters())


def test_several_inputs_outputs_and_a_merge_that_is_a_module() -> None:
    part = Dag(
        "",
        ("image", "vector"),
        (
            vertex("flat", ("image", at("flat.image", nn.Flatten()))),
            vertex("both", "flat", "vector", merge=at("both.merge", nn.Bilinear(5)), op=at("both.op", nn.Tanh())),
        ),
        (
            output("outputs.logits", ("both", at("outputs.logits.both", nn.Linear(3)))),
            output("outputs.raw", "both"),
            output("outputs.all", "flat", "vector", "both"),
        ),
    )
    settled = settle(part, [IMAGE, VECTOR])
    assert settled.output == {"logits": Tensor(3), "raw": Tensor(5), "all": Tensor(144 + 8 + 5)}
    module = agrees_with_running(settled)
    assert set(module.state_dict()) == {
        "both.merge.weight",
        "both.merge.bias",
        "outputs.logits.both.weight",
        "outputs.logits.both.bias",
    }
    image, vector = tensors(settled, 3)
    weights = dict(module.named_parameters())
    flat = image.flatten(1)
    both = functional.bilinear(flat, vector, weights["both.merge.weight"], weights["both.merge.bias"]).tanh()
    logits = functional.linear(both, weights["outputs.logits.both.weight"], weights["outputs.logits.both.bias"])
    expected = {"logits": logits, "raw": both, "all": torch.cat([flat, vector, both], 1)}
    torch.testing.assert_close(module(image, vector), expected)
    with pytest.raises(TypeError, match="the graph takes image, vector, but got 1"):
        module(image)


def test_a_graph_may_merge_a_vertex() -> None:
    # NASNet's cells: two inputs each, one module for all.
    def shared(place: str) -> Once:
        inside = Dag(
            place,
            ("h0", "h1"),
            (
                vertex(f"{place}.a", ("h0", at(f"{place}.a.h0", nn.Linear(8))), "h1"),
                vertex(f"{place}.b", "a", "h1", op=at(f"{place}.b.op", nn.Linear(8))),
            ),
            (output(f"{place}.outputs", "b", merge="concat"),),
        )
        return Once("cell", inside)

    part = Dag(
        "",
        ("x",),
        (
            vertex("c1", "x", "x", merge=shared("c1.merge")),
            vertex("c2", "x", "c1", merge=shared("c2.merge")),
            vertex("c3", "c1", "c2", merge=shared("c3.merge")),
        ),
        (output("outputs", "c3"),),
    )
    settled = settle(part, [VECTOR])
    module = agrees_with_running(settled)
    assert settled.parameters == 2 * 72
    assert settled.flops == 3 * 2 * 128
    assert list(module.state_dict()) == [f"c1.merge.{v}.{w}" for v in ("a.h0", "b.op") for w in ("weight", "bias")]
    (x,) = tensors(settled, 3)
    first, second = module.get_submodule("c1.merge.a.h0"), module.get_submodule("c1.merge.b.op")

    def run(h0: torch.Tensor, h1: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = second(first(h0) + h1 + h1)
        return result

    c1 = run(x, x)
    torch.testing.assert_close(module(x), run(c1, run(x, c1)))
    again = copy.deepcopy(module)
    torch.testing.assert_close(again(x), module(x))
    assert len(list(again.parameters())) == 4


def test_two_places_of_one_module_in_graphs_must_agree() -> None:
    def once(place: str) -> Once:
        return Once("k", at(place, nn.Linear(4)))

    part = Dag(
        "g",
        ("x",),
        (vertex("g.a", ("x", once("g.a.x"))), vertex("g.b", ("a", once("g.b.a")))),
        (output("g.outputs", "b"),),
    )
    with pytest.raises(BuildError, match=r"'k'.*in_features=8.* at g\.a\.x.*in_features=4.* at g\.b\.a"):
        settle(part, [VECTOR])


# Names.


def test_names_of_edges_operations_merges_and_outputs() -> None:
    def fc(place: str) -> Leaf:
        return at(place, nn.Linear(8))

    lazy = Chain("g.n4.n3", (fc("g.n4.n3(3,0.5)"),))
    part = Dag(
        "g",
        ("n0",),
        (
            vertex("g.n1", ("n0", fc("g.n1.n0")), op=fc("g.n1.op")),
            vertex("g.n2", ("n0", fc("g.n2.inputs[0].op")), ("n0", fc("g.n2.inputs[1].present.op"))),
            vertex("g.n3", ("n2", fc("g.n3.inputs.op")), "n1", merge=at("g.n3.merge", nn.Bilinear(8))),
            vertex("g.n4", ("n3", lazy)),
        ),
        (output("g.outputs", ("n4", fc("g.outputs.n4")), "n1", merge=at("g.outputs.merge", nn.Bilinear(8))),),
    )
    model = build(settle(Chain("", (part,)), [VECTOR]))
    assert [name.removesuffix(".weight") for name in model.state_dict() if name.endswith("weight")] == [
        "g.n1.n0",
        "g.n1.op",
        "g.n2.inputs.0.op",
        "g.n2.inputs.1.present.op",
        "g.n3.inputs.op",
        "g.n3.merge",
        "g.n4.n3(3,0_5)",
        "g.outputs.n4",
        "g.outputs.merge",
    ]


def test_two_modules_of_one_name_are_refused() -> None:
    twice = vertex("a", ("x", at("a.x", nn.Linear(8))), ("x", at("a.x", nn.Linear(8))))
    settled = settle(Dag("", ("x",), (twice,), (output("outputs", "a"),)), [VECTOR])
    with pytest.raises(BuildError, match=r"^a\.x: two modules would be called 'x' below a"):
        build(settled)


@pytest.mark.parametrize(
    "part",
    [
        Chain("", (at("_modules", nn.Linear(8)),)),
        Dag("", ("x",), (vertex("_modules", "x"),), (output("outputs", "_modules"),)),
    ],
)
def test_names_that_torch_uses_itself_are_refused(part: Part) -> None:
    with pytest.raises(BuildError, match=r"^_modules: a module cannot be called '_modules'"):
        build(settle(part, [VECTOR]))


def test_a_printed_model_shows_what_reads_what() -> None:
    part = Dag(
        "",
        ("x",),
        (
            vertex("a", ("x", at("a.x", nn.Linear(8)))),
            vertex("b", "x", ("a", at("b.inputs[1].op", nn.Tanh())), op=at("b.op", nn.Tanh())),
            vertex("c", op=constant("c.op", 8)),
        ),
        (output("outputs.one", "b"), output("outputs.two", "b", "c")),
    )
    model = build(settle(part, [VECTOR]))
    assert repr(model) == (
        "Graph(\n"
        "  x -> one=b, two=(outputs.two)\n"
        "  (a): Joint(\n"
        "    x via (x)\n"
        "    (x): Linear(in_features=8, out_features=8, bias=True)\n"
        "  )\n"
        "  (b): Joint(\n"
        "    x, a via (inputs.1.op); add; then (op)\n"
        "    (inputs): ModuleDict(\n"
        "      (1): ModuleDict(\n"
        "        (op): Tanh()\n"
        "      )\n"
        "    )\n"
        "    (op): Tanh()\n"
        "  )\n"
        "  (c): Source(\n"
        "    nothing; then (op)\n"
        "    (op): Constant()\n"
        "  )\n"
        "  (outputs): ModuleDict(\n"
        "    (two): Joint(b, c; concat over dim 1)\n"
        "  )\n"
        ")"
    )


# The built model is plain torch.


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


@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: saved(m)],
    ids=["deepcopy", "pickle", "save"],
)
def test_copies_are_their_own(again: Callable[[torch.nn.Module], torch.nn.Module]) -> None:
    module = build(everything(), seed=0)
    x = torch.randn(3, 8)
    expected = module(x)
    other = again(module)
    torch.testing.assert_close(other(x), expected, rtol=0, atol=0)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    torch.testing.assert_close(module(x), expected, rtol=0, atol=0)
    assert not torch.equal(other(x), expected)


def saved(module: torch.nn.Module) -> torch.nn.Module:
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    loaded: torch.nn.Module = torch.load(buffer, weights_only=False)
    return loaded


@pytest.mark.parametrize("strict", [False, True])
def test_export_trace_and_compile(strict: bool) -> None:
    module = agrees_with_running(everything())
    x, y = torch.randn(3, 8), torch.randn(7, 8)
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: batch},), strict=strict)
    assert set(exported.state_dict) == set(module.state_dict())
    torch.testing.assert_close(exported.module()(y), module(y))
    torch.testing.assert_close(traced(module, x)(y), module(y))
    torch.testing.assert_close(torch.fx.symbolic_trace(module)(y), module(y))
    torch.testing.assert_close(torch.compile(module, backend="eager", fullgraph=True)(y), module(y))


def test_on_meta_and_moved() -> None:
    meta = build(everything(), device="meta")
    assert meta(torch.empty(5, 8, device="meta")).shape == (5, 24)
    model = build(everything(), seed=0).double()
    assert model(torch.randn(5, 8, dtype=torch.float64)).dtype == torch.float64


def test_a_module_put_in_the_place_of_another_is_used() -> None:
    model = build(settle(network(1), [Tensor(3, 8, 8)])).eval()
    x = torch.randn(2, 8, 8, 8)
    body = model.get_submodule("body.0")
    n1 = body.get_submodule("n1")
    n1.n0 = torch.nn.Identity()
    n2 = x + body.get_submodule("n2.n1")(x)
    expected = functional.avg_pool2d(x, 3, 1, 1) + body.get_submodule("n3.n2")(n2)
    torch.testing.assert_close(body(x), expected)


def test_hooks_see_every_vertex() -> None:
    model = build(everything(), seed=0).eval()
    seen: dict[str, torch.Tensor] = {}
    for name in ("a", "b", "c", "d", "outputs"):
        model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.__setitem__(name, output)
        )
    x = torch.randn(3, 8)
    result = model(x)
    torch.testing.assert_close(seen["d"], torch.cat([seen["b"], seen["c"]], -1))
    torch.testing.assert_close(result, torch.cat([seen["d"], x], 1))
    assert seen["outputs"] is result


def test_a_value_is_let_go_after_its_last_reader() -> None:
    part = Dag(
        "",
        ("x",),
        (
            vertex("a", ("x", at("a.x", nn.Linear(8)))),
            vertex("b", ("a", at("b.a", nn.Linear(8)))),
            vertex("c", "a", ("b", at("c.b", nn.Linear(8)))),
            vertex("d", ("c", at("d.c", nn.Linear(8)))),
        ),
        (output("outputs", "d", "b"),),
    )
    model = build(settle(part, [VECTOR]))
    kept: dict[str, weakref.ref[torch.Tensor]] = {}
    alive: dict[str, set[str]] = {}

    def watch(name: str) -> None:
        def before(module: torch.nn.Module, args: Any) -> None:
            alive[name] = {key for key, value in kept.items() if value() is not None}

        def after(module: torch.nn.Module, args: Any, output: torch.Tensor) -> None:
            kept[name] = weakref.ref(output)

        model.get_submodule(name).register_forward_pre_hook(before)
        model.get_submodule(name).register_forward_hook(after)

    for name in ("a", "b", "c", "d", "outputs"):
        watch(name)
    with torch.no_grad():
        model(torch.randn(2, 8))
    assert alive == {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"b", "c"}, "outputs": {"b", "d"}}


# A vertex that reads nothing.


def test_what_a_source_gives_stands_for_every_member_of_the_batch() -> None:
    part = Dag(
        "",
        ("x",),
        (
            vertex("c", op=Chain("c.op", (constant("c.op[0]", 3), at("c.op[1]", nn.Linear(8))))),
            vertex("sum", "x", "c"),
        ),
        (output("outputs.sum", "sum"), output("outputs.joined", "x", "c"), output("outputs.alone", "c")),
    )
    settled = settle(part, [VECTOR])
    assert (settled.parameters, settled.flops) == (3 + 32, 2 * 3 * 8)
    module = agrees_with_running(settled)
    x = torch.randn(5, 8)
    c = module.get_submodule("c.op.1")(module.get_parameter("c.op.0.value")).expand(5, 8)
    torch.testing.assert_close(module(x), {"sum": x + c, "joined": torch.cat([x, c], 1), "alone": c})
    module(x)["alone"].sum().backward()
    torch.testing.assert_close(module.get_parameter("c.op.1.bias").grad, torch.full((8,), 5.0))


# Remembering.


def test_a_graph_met_again_asks_torch_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = measure.measure

    def counting(*arguments: Any) -> Any:
        asked.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(measure, "measure", counting)
    image = Tensor(3, 11, 13)
    one, many = settle(network(1, 7), [image]), settle(network(15, 7), [image])
    # The stem; of a cell the two convolutions, normalisation, activation, pool, zero and identity; the head.
    assert len(asked) == 1 + 7 + 3
    inside = settle(cell("", 7), [Tensor(7, 11, 13)])
    assert many.parameters - one.parameters == 14 * inside.parameters
    assert many.flops - one.flops == 14 * inside.flops
    assert len(asked) == 11


def test_the_names_of_vertices_do_not_matter_and_those_of_outputs_do() -> None:
    def graph(
        place: str, names: Sequence[str], outputs: Sequence[str] = ("",), order: int = 1, dim: int | None = None
    ) -> int | None:
        x, a, b = names
        ends = tuple([Joint(name, f"{place}.o", (Link(b, None), Link(x, None)), "concat", dim) for name in outputs])
        links = (Link(x, at(f"{place}.{b}.{x}", nn.Linear(8))), Link(a, None))[::order]
        first = Joint(a, f"{place}.{a}", (Link(x, None),), "add", None, at(f"{place}.{a}.op", nn.Tanh()))
        return number(Dag(place, (x,), (first, Joint(b, f"{place}.{b}", links, "add", None)), ends))

    same = graph("p", "xab")
    assert same == graph("q", "stu") == graph("p", "xab")
    others = [graph("p", "xab", ("a",)), graph("p", "xab", ("b",)), graph("p", "xab", ("a", "b"))]
    others += [graph("p", "xab", order=-1), graph("p", "xab", dim=1)]
    assert len({same, *others}) == 6


def test_what_is_inside() -> None:
    settled = everything()
    assert [child.place for child in settled.children] == ["a.x", "a.op", "b.op", "c.op"]
    assert [child.place for child in settled.children[2].children] == ["b.op.a.inputs[1].op", "b.op.outputs.merge"]
    assert settled.children[1].arguments == {"normalized_shape": 8}
    assert describe(settled) == {
        "a.x": "Linear(out_features=8, in_features=8)",
        "a.op": "LayerNorm(normalized_shape=8)",
        "b.op.a.inputs[1].op": "Linear(out_features=8, in_features=8)",
        "b.op.outputs.merge": "mean()",
        "c.op": "Constant(shape=[1, 8])",
    }


class Wrap(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x)
        return result


def test_a_graph_is_an_argument_of_a_module() -> None:
    inner = cell("w.inner", 4)
    settled = settle(Leaf("w", Wrap, {"inner": inner}, {}), [IMAGE])
    alone = settle(cell("", 4), [IMAGE])
    assert settled.arguments["inner"].output == settled.output == alone.output
    assert (settled.parameters, settled.flops) == (alone.parameters, alone.flops)
    agrees_with_running(settled)


# Errors.


def fc(place: str, width: int) -> Leaf:
    return at(place, nn.Linear(width))


def graph(*joints: Joint, inputs: tuple[str, ...] = ("x",), place: str = "g") -> Dag:
    """A graph whose output is the last vertex."""
    end = Joint("", f"{place}.outputs", (Link(joints[-1].name if joints else inputs[0], None),), "concat", None)
    return Dag(place, inputs, joints, (end,))


def named(place: str) -> Dag:
    return Dag(place, ("x",), (), (output(f"{place}.outputs.one", "x"), output(f"{place}.outputs.two", "x")))


ONE_END = r" gives several outputs by name \(one, two\), which nothing can read: such a graph is the end of a model"

ERRORS: dict[str, tuple[Part, list[Tensor], str]] = {
    "too few inputs": (
        graph(inputs=("c1", "c2")),
        [VECTOR],
        r"^g: the graph takes 2 inputs \(c1, c2\), but 1 reaches it \(\(8,\)\)",
    ),
    "too many inputs": (
        graph(),
        [VECTOR, IMAGE],
        r"^g: the graph takes 1 input \(x\), but 2 reach it \(\(8,\), \(4, 6, 6\)\)",
    ),
    "no inputs": (
        graph(vertex("g.a", op=graph(place="g.a.op"))),
        [VECTOR],
        r"^g\.a\.op: the graph takes 1 input \(x\), but none does",
    ),
    "add": (
        graph(vertex("g.a", ("x", fc("g.a.inputs[0].op", 4)), ("x", fc("g.a.inputs[1].op", 5)))),
        [VECTOR],
        r"^g\.a: merge='add' needs equal shapes, but g\.a\.inputs\[0\]\.op gives \(4,\) and g\.a\.inputs\[1\]\.op "
        r"gives \(5,\); put a module there",
    ),
    "mul of a plain edge": (
        graph(vertex("g.a", "x", ("x", fc("g.a.inputs[1].op", 5)), merge="mul")),
        [VECTOR],
        r"^g\.a: merge='mul' .*g\.a\.x gives \(8,\) and g\.a\.inputs\[1\]\.op gives \(5,\)",
    ),
    "concat": (
        graph(vertex("g.a", "x", ("x", at("g.a.inputs[1].op", nn.AvgPool2d(2))), merge="concat")),
        [IMAGE],
        r"^g\.a: merge='concat' over dim=1 .*g\.a\.x gives \(4, 6, 6\) and g\.a\.inputs\[1\]\.op gives "
        r"\(4, 3, 3\); put",
    ),
    "concat of sequences": (
        graph(vertex("g.a", "x", "x", merge="concat")),
        [Tensor(6, 8)],
        r"^g\.a: .*\(6, 8\) is not clear.*dim=1.*dim=2",
    ),
    "concat over the batch": (
        graph(vertex("g.a", "x", "x", merge="concat", dim=0)),
        [VECTOR],
        r"^g\.a: .*0 is the batch",
    ),
    "concat of a graph's output": (
        Dag("", ("x",), (), (output("outputs", "x", ("x", fc("outputs.x", 8))),)),
        [Tensor(6, 8)],
        r"^outputs: .*not clear",
    ),
    "dtypes": (
        graph(vertex("g.a", "x", "y"), inputs=("x", "y")),
        [VECTOR, Tensor(8, dtype="int64")],
        r"^g\.a: .*g\.a\.x gives \(8,\) and g\.a\.y gives \(8,\) \(dtypes float32 and int64\)",
    ),
    "a merge of too many": (
        graph(vertex("g.a", "x", "x", "x", merge=at("g.a.merge", nn.Bilinear(2)))),
        [VECTOR],
        r"^g\.a\.merge: .*",
    ),
    "an identity that merges": (graph(vertex("g.a", "x", "x", merge=None)), [VECTOR], r"^g\.a: 2 inputs reach it"),
    "nothing": (graph(vertex("g.a")), [VECTOR], r"^g\.a: nothing reaches it"),
    "a source that needs an input": (
        graph(vertex("g.a", op=fc("g.a.op", 8))),
        [VECTOR],
        r"^g\.a\.op: in_features follows from what reaches it, but nothing does; give in_features=",
    ),
    "a source that takes an input": (
        graph(vertex("g.a", op=at("g.a.op", nn.Tanh()))),
        [VECTOR],
        r"^g\.a\.op: Tanh\(\) cannot take no inputs",
    ),
    "a source of several": (
        graph(vertex("g.a", op=Leaf("g.a.op", Constant, {"shape": [2, 8]}, {}))),
        [VECTOR],
        r"^g\.a\.op: .*its first size is 1, but it makes \(2, 8\)",
    ),
    "an operation": (graph(vertex("g.a", "x", op=at("g.a.op", nn.Conv2d(4, 3)))), [VECTOR], r"^g\.a\.op: .*\(8,\)"),
    "an edge": (graph(vertex("g.a", ("x", at("g.a.x", nn.Conv2d(4, 3))))), [VECTOR], r"^g\.a\.x: .*\(8,\)"),
    "a module reads named outputs": (
        Chain("", (named("[0]"), fc("[1]", 8))),
        [VECTOR],
        r"^\[1\]: \[0\]" + ONE_END,
    ),
    "an edge's graph has named outputs": (
        graph(vertex("g.a", ("x", named("g.a.x")))),
        [VECTOR],
        r"^g\.a: g\.a\.x" + ONE_END,
    ),
    "an operation has named outputs": (
        graph(vertex("g.a", "x", op=named("g.a.op"))),
        [VECTOR],
        r"^g\.a: g\.a\.op" + ONE_END,
    ),
    "an output's graph has named outputs": (
        Dag("g", ("x",), (), (output("g.outputs", ("x", named("g.outputs.x"))),)),
        [VECTOR],
        r"^g\.outputs: g\.outputs\.x" + ONE_END,
    ),
    "a merge has named outputs": (
        graph(vertex("g.a", "x", merge=named("g.a.merge"))),
        [VECTOR],
        r"^g\.a: g\.a\.merge" + ONE_END,
    ),
    "branches read named outputs": (Branches("b", (named("b[0]"), None), "add"), [VECTOR], r"^b: b\[0\]" + ONE_END),
    "items read named outputs": (
        Branches("b", (Chain("b[0]", (named("b[0][0]"),), items=True),), "add"),
        [VECTOR],
        r"^b\[0\]: b\[0\]\[0\]" + ONE_END,
    ),
    "a residual reads named outputs": (Skip("r", named("r[0]")), [VECTOR], r"^r: r\[0\]" + ONE_END),
    "a chain inside": (
        Chain("", (Chain("[0]", (Once("k", named("[0][0]")),)), fc("[1]", 8))),
        [VECTOR],
        r"^\[1\]: \[0\]" + ONE_END,
    ),
}


@pytest.mark.parametrize(("part", "inputs", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(part: Part, inputs: list[Tensor], message: str) -> None:
    with pytest.raises((ShapeError, BuildError), match=message):
        settle(part, inputs)


def test_named_outputs_at_the_end_of_a_model() -> None:
    part = Chain("", (fc("[0]", 4), Chain("[1]", (Once("k", named("[1][0]")),))))
    settled = settle(part, [VECTOR])
    assert settled.output == {"one": Tensor(4), "two": Tensor(4)}
    agrees_with_running(settled)
