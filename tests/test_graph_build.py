"""Graphs built: the same networks written by hand, names, and what torch does with any module."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import (
    IMAGE,
    VECTOR,
    VECTORS,
    agrees_with_running,
    constant,
    dags,
    everything,
    network,
    output,
    tensors,
    vertex,
)
from random_networks import at
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from archsearch import nn
from archsearch.errors import BuildError, ShapeError
from archsearch.spaces.build import build
from archsearch.spaces.resolved import Chain, Dag, Leaf, Once, Part
from archsearch.spaces.settle import settle
from archsearch.spaces.tensor import Tensor


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


class Block(torch.nn.Sequential):
    """ReLU, convolution, batch normalisation."""

    def __init__(self, channels: int, kernel: int) -> None:
        conv = torch.nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        super().__init__(torch.nn.ReLU(), conv, torch.nn.BatchNorm2d(channels))


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
