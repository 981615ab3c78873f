"""Graphs: settled sizes against the built model, what is remembered, and what errors say."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import (
    FAMILIES,
    IMAGE,
    VECTOR,
    Constant,
    Oracle,
    agrees_with_running,
    cell,
    constant,
    dags,
    everything,
    network,
    output,
    tensors,
    vertex,
)
from random_networks import Layers, at
from torch.nn import functional

import archsearch as A
from archsearch import nn
from archsearch.errors import BuildError, ShapeError
from archsearch.spaces import measure
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Choice, Lazy, Optional, Sequential, Shared, Subset
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Link, Once, Part, Skip
from archsearch.spaces.settle import settle
from archsearch.spaces.settled import Settled, describe
from archsearch.spaces.sized import number
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor


@pytest.mark.parametrize(("layers", "tensor"), FAMILIES.values(), ids=FAMILIES)
def test_random_graphs_are_what_settling_and_an_oracle_say(layers: Layers, tensor: Tensor) -> None:
    built = 0

    @settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
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
    assert built >= 20


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
        place: str,
        names: Sequence[str],
        outputs: Sequence[str] = ("",),
        order: int = 1,
        dim: int | None = None,
        reads: str = "",
    ) -> int | None:
        x, a, b = names
        ends = tuple([Joint(name, f"{place}.o", (Link(b, None), Link(x, None)), "concat", dim) for name in outputs])
        links = (Link(x, at(f"{place}.{b}.{x}", nn.Linear(8))), Link(reads or a, None))[::order]
        first = Joint(a, f"{place}.{a}", (Link(x, None),), "add", None, at(f"{place}.{a}.op", nn.Tanh()))
        return number(Dag(place, (x,), (first, Joint(b, f"{place}.{b}", links, "add", None)), ends))

    same = graph("p", "xab")
    assert same == graph("q", "stu") == graph("p", "xab")
    others = [graph("p", "xab", ("a",)), graph("p", "xab", ("b",)), graph("p", "xab", ("a", "b"))]
    others += [graph("p", "xab", order=-1), graph("p", "xab", dim=1), graph("p", "xab", reads="x")]
    assert len({same, *others}) == 7


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
        "c.op": "Constant(size=[1, 8])",
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
        graph(vertex("g.a", op=Leaf("g.a.op", Constant, {"size": [2, 8]}, {}))),
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


def wired(
    dim: int = 1,
    merge: str = "add",
    op: Part = None,
    reads: tuple[str, ...] = ("a", "b"),
    names: tuple[str, str] = ("a", "b"),
) -> Once:
    a, b = names
    joints = (
        vertex(f"g.{a}", "x", "x", merge="concat", dim=dim),
        vertex(f"g.{b}", a),
        vertex("g.c", *reads, merge=merge, op=op),
    )
    return Once("k", graph(*joints))


OTHERS: dict[str, Once] = {
    "dim": wired(dim=2),
    "merge": wired(merge="mul"),
    "operation": wired(op=at("g.c.op", nn.Tanh())),
    "number": wired(reads=("a", "b", "b")),
    "source": wired(reads=("a", "a")),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_one_module_is_wired_in_one_way(other: Once) -> None:
    def both(second: Once) -> Settled:
        return settle(Branches("", (wired(), second), Leaf("merge", first_of, {}, {})), [Tensor(4, 4)])

    assert both(wired(reads=("s", "t"), names=("s", "t"))).output == Tensor(8, 4)
    with pytest.raises(BuildError, match=r"'k'.*(put together in one way at g and in another at g|absent at g)"):
        both(other)


def first_of(*values: torch.Tensor) -> torch.Tensor:
    return values[0]


def test_named_outputs_at_the_end_of_a_model() -> None:
    part = Chain("", (fc("[0]", 4), Chain("[1]", (Once("k", named("[1][0]")),))))
    settled = settle(part, [VECTOR])
    assert settled.output == {"one": Tensor(4), "two": Tensor(4)}
    agrees_with_running(settled)


def operations() -> Choice:
    return Choice({"fc": nn.Linear(8), "tanh": nn.Tanh(), "two": Sequential(nn.Linear(16), nn.Linear(8))})


def build_all(space: Space, count: int) -> set[str]:
    """Architectures of a space, each as settling says; the names of their weights."""
    rng = random.Random(0)
    names: set[str] = set()
    for _ in range(count):
        names |= set(agrees_with_running(space.sample(rng).settled).state_dict())
    return names


def test_a_space_with_every_kind_of_source() -> None:
    lazy = Lazy(lambda n: nn.Linear(8), n=Choice([1, 2]))
    graph = Graph(
        {
            "c": Vertex(module(Constant, size=[1, 8]), inputs=[]),
            "a": Vertex(inputs={"x": Optional(nn.Linear(8)), "c": operations()}),
            "b": Vertex(lazy, inputs=[(Choice(["x", "a"]), lazy), ("x", nn.Linear(8)), ("x", nn.Tanh())]),
            "d": Vertex(nn.LayerNorm(), inputs=Subset(["x", "a", "b"], 1, 2)),
        },
        inputs="x",
        outputs={"one": ("d", nn.Linear(3)), "two": ["b", "a"]},
        dead="prune",
    )
    found = {
        name.removesuffix(".weight") for name in build_all(Space(graph, input_shape=(8,)), 40) if "bias" not in name
    }
    assert found == {
        "c.op.value",
        "a.x.present",
        "a.c.fc",
        "a.c.two.0",
        "a.c.two.1",
        "b.inputs.0.op(1)",
        "b.inputs.0.op(2)",
        "b.inputs.1.op",
        "b.op(1)",
        "b.op(2)",
        "d.op",
        "outputs.one.d",
    }


@pytest.mark.parametrize("weights", [False, True])
def test_a_space_of_nasnets_cells(weights: bool) -> None:
    def state() -> tuple[Choice, Choice]:
        return Choice(["h0", "h1"]), operations()

    inside = Graph(
        {"a": Vertex(inputs=[state(), state()]), "b": Vertex(inputs=[state(), ("a", operations())])},
        inputs=("h0", "h1"),
        outputs=[],
        unused="concat",
        merge="concat",
    )
    cell = Shared(Sequential(inside, nn.Linear(8)), name="cell", weights=weights)
    graph = Graph(
        {"c1": Vertex(merge=cell, inputs=["x", "x"]), "c2": Vertex(merge=cell, inputs=["x", "c1"])},
        inputs="x",
        outputs="c2",
    )
    space = Space(Sequential(nn.Linear(8), graph, nn.Linear(3)), input_shape=(5,))
    names = build_all(space, 20)
    assert {name.split(".")[1] for name in names if name.count(".") > 1} == ({"c1"} if weights else {"c1", "c2"})
    assert {"1.c1.merge.1.weight", "1.c1.merge.0.a.inputs.0.op.two.1.weight", "1.c1.merge.0.b.a.fc.weight"} <= names


def test_sizes_that_follow_from_the_input_inside_a_graph() -> None:
    wide = nn.Linear(A.input.features * 2)
    graph = Graph({"a": Vertex(wide, inputs="x"), "b": Vertex(wide, inputs="a")}, inputs="x", outputs="b")
    space = Space(Sequential(graph, graph), input_shape=(3,))
    arch = space.sample(random.Random(0))
    assert arch.settled.output == Tensor(48)
    agrees_with_running(arch.settled)
    assert number(arch.values) is None


def test_a_graph_of_several_inputs_takes_those_of_the_space() -> None:
    graph = Graph(
        {"a": Vertex(inputs={"ids": nn.Embedding(7, 4), "mask": nn.Identity()}, merge="mul")},
        inputs=("ids", "mask"),
        outputs="a",
    )
    inputs = {"ids": Tensor(5, dtype="int64", below=7), "mask": Tensor(5, 4)}
    arch = Space(graph, inputs=inputs).sample(random.Random(0))
    model = arch.build()
    ids, mask = torch.randint(7, (2, 5)), torch.randn(2, 5, 4)
    torch.testing.assert_close(model(ids, mask), functional.embedding(ids, model.get_parameter("a.ids.weight")) * mask)
    with pytest.raises(ShapeError, match=r"^root: the graph takes 2 inputs \(ids, mask\), but 1 reaches it"):
        _ = Space(graph, input_shape=(5,)).sample(random.Random(0)).parameters
