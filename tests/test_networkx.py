"""networkx in and out: Graphs, spaces and architectures."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import networkx
import pytest
from drawn_spaces import SPACES, pattern
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import make_space

import archsearch as A
from archsearch import nn
from archsearch.errors import SpaceError
from archsearch.spaces.describe import describe_node
from archsearch.spaces.draw_show import leaves_in
from archsearch.spaces.text import list_decisions


def operation(kind: int) -> Any:
    made = [None, nn.ReLU(), nn.Linear(8), nn.Linear(A.Choice([4, 8])), A.Optional(nn.Tanh()), A.Sequential(nn.Tanh())]
    return made[kind]


@st.composite
def graphs(draw: st.DrawFn) -> A.Graph:
    """Graphs whose sources are fixed."""
    inputs = ["x", "y"][: draw(st.integers(1, 2))]
    known = list(inputs)
    vertices = {}
    for i in range(draw(st.integers(1, 6))):
        edges = draw(st.lists(st.tuples(st.sampled_from(known), st.integers(0, 5)), max_size=4))
        pairs: list[Any] = [(name, operation(kind)) if kind else name for name, kind in edges]
        form = draw(st.sampled_from(["list", "one", "dict"]))
        read: Any = pairs
        if form == "one" and len(pairs) == 1:
            (read,) = pairs
        elif form == "dict" and edges and all([kind for _, kind in edges]) and len(dict(edges)) == len(edges):
            read = dict(pairs)
        node = operation(draw(st.integers(0, 5))) if pairs else nn.ReLU()
        merge = draw(st.sampled_from(["add", "mul", "concat", nn.Bilinear(3)]))
        vertices[f"v{i}"] = A.Vertex(node, inputs=read, merge=merge, dim=1 if merge == "concat" else None)
        known.append(f"v{i}")
    last = f"v{len(vertices) - 1}"
    outputs = draw(
        st.sampled_from([last, [last, "v0"], [("v0", nn.ReLU()), last], {"logits": last, "aux": ["v0"]}, "v0"])
    )
    dead = draw(st.sampled_from(["reject", "prune"]))
    return A.Graph(
        vertices, inputs=tuple(inputs), outputs=outputs, dead=dead, max_edges=draw(st.sampled_from([None, 30]))
    )


@given(graphs())
@settings(deadline=None, max_examples=200)
def test_a_graph_comes_back_the_same(graph: A.Graph) -> None:
    made = graph.to_networkx()
    assert list(made) == [*graph.inputs, *graph.vertices]
    assert describe_node(A.Graph.from_networkx(made)) == describe_node(graph)
    edges = sum([len(list(reader.edges)) for reader in graph.readers[: len(graph.vertices)]])
    assert made.number_of_edges() == edges
    assert made.is_multigraph() == any([made.number_of_edges(a, b) > 1 for a, b in made.edges()])


@given(st.integers(2, 12), st.floats(0, 1), st.integers(0, 1_000))
@settings(deadline=None, max_examples=100)
def test_a_networkx_graph_comes_back_the_same(count: int, density: float, seed: int) -> None:
    drawn = networkx.gnp_random_graph(count, density, seed=seed, directed=True)
    graph = networkx.DiGraph()
    names = list(range(count))
    random.Random(seed).shuffle(names)
    graph.add_nodes_from(names)
    graph.add_edges_from([(a, b) for a, b in drawn.edges() if a < b])
    back = A.Graph.from_networkx(graph).to_networkx()
    renamed = networkx.relabel_nodes(graph, {i: f"n{i}" for i in range(count)})
    assert set(back) == set(renamed)
    assert set(back.edges()) == set(renamed.edges())
    order = list(back)
    assert all([order.index(a) < order.index(b) for a, b in back.edges()])
    sinks = {node for node in renamed if not renamed.out_degree(node)}
    assert set(back.graph["outputs"] if len(sinks) > 1 else [back.graph["outputs"]]) == sinks


def diamond() -> Any:
    graph = networkx.DiGraph()
    graph.add_node("a", node=nn.Linear(8))
    graph.add_node("b", node=nn.Linear(8), merge="mul", colour="red")
    graph.add_edge("x", "a")
    graph.add_edge("x", "b", node=nn.Linear(8))
    graph.add_edge("a", "b", weight=3)
    return graph


def test_attributes_become_operations_and_merges() -> None:
    made = A.Graph.from_networkx(diamond())
    by_hand = A.Graph(
        {
            "a": A.Vertex(nn.Linear(8), inputs="x"),
            "b": A.Vertex(nn.Linear(8), inputs=[("x", nn.Linear(8)), "a"], merge="mul"),
        },
        inputs="x",
        outputs="b",
    )
    assert describe_node(made) == describe_node(by_hand)
    space = A.Space(made, input_shape=(8,))
    assert space.sample(random.Random(0)).parameters == 3 * 72


def test_inputs_outputs_and_options_can_be_said() -> None:
    graph = diamond()
    made = A.Graph.from_networkx(graph, inputs=["x"], outputs={"deep": "b", "early": ("a", nn.ReLU())}, dead="prune")
    assert made.inputs == ("x",)
    assert made.dead == "prune"
    assert list(made.outputs) == ["deep", "early"]
    graph.graph["max_edges"] = 5
    assert A.Graph.from_networkx(graph).max_edges == 5
    assert A.Graph.from_networkx(graph, max_edges=4).max_edges == 4


def test_a_node_with_an_operation_that_nothing_reaches_is_a_source_of_its_own() -> None:
    graph = diamond()
    graph.add_node("start", node=nn.Linear(8))
    graph.add_edge("start", "b")
    made = A.Graph.from_networkx(graph)
    assert made.inputs == ("x",)
    assert made.vertices["start"].inputs == []


def test_edges_are_read_in_their_order() -> None:
    graph = networkx.DiGraph()
    graph.add_edge("x", "c", order=2)
    graph.add_edge("x", "b")
    graph.add_edge("b", "c", order=1)
    assert A.Graph.from_networkx(graph).vertices["c"].inputs == ["b", "x"]


def test_a_vertex_may_read_another_twice() -> None:
    graph = networkx.MultiDiGraph()
    graph.add_edge("x", "a", node=nn.ReLU())
    graph.add_edge("x", "a", node=nn.Tanh())
    made = A.Graph.from_networkx(graph)
    assert len(made.vertices["a"].inputs) == 2
    assert made.to_networkx().is_multigraph()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: networkx.DiGraph([("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")]), "cycle: a -> b -> c -> a"),
        (lambda: networkx.DiGraph([("x", "a"), ("a", "a")]), "the graph has a cycle: a -> a"),
        (lambda: networkx.Graph([("x", "a")]), "takes a networkx.DiGraph, but got"),
        (lambda: {"x": ["a"]}, "takes a networkx.DiGraph, but got {'x': ['a']}"),
        (lambda: networkx.DiGraph([("x", "3x3")]), "'3x3' cannot be a label of a Graph: not an identifier; 'conv3x3'"),
        (lambda: networkx.DiGraph([("x", ("a", 1))]), "a node of the graph is ('a', 1), but vertices are called by"),
        (lambda: networkx.DiGraph([(0, -1)]), "a node of the graph is -1"),
        (lambda: networkx.DiGraph([("n0", 1), (0, 1)]), "the nodes 'n0' and 0 of the graph would both be called 'n0'"),
        (lambda: networkx.DiGraph([("x", "op")]), "cannot be called 'op'"),
        (lambda: networkx.DiGraph(), "Graph needs an input"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_refused(make: Any, said: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(said)):
        A.Graph.from_networkx(make())


def test_wrong_inputs_are_refused() -> None:
    graph = diamond()
    with pytest.raises(SpaceError, match="'xx' is no node of the graph"):
        A.Graph.from_networkx(graph, inputs="xx")
    with pytest.raises(SpaceError, match="'b' is an input, but 'x' has an edge to it"):
        A.Graph.from_networkx(graph, inputs="b")
    graph.nodes["x"]["node"] = nn.ReLU()
    with pytest.raises(SpaceError, match="'x' is an input, so it cannot have the operation"):
        A.Graph.from_networkx(graph, inputs="x")


def test_decided_sources_are_all_there_and_cannot_be_read_back() -> None:
    graph = A.Graph({"a": A.Vertex(inputs="x"), "b": A.Vertex(inputs=A.Choice(["x", "a"]))}, inputs="x", outputs="b")
    made = graph.to_networkx()
    assert [(a, b) for a, b, decided in made.edges(data="decided") if decided] == [("x", "b"), ("a", "b")]
    with pytest.raises(SpaceError, match="'x' -> 'b' is one of several that a decision chooses from"):
        A.Graph.from_networkx(made)


def space_of(name: str) -> A.Space:
    if name in SPACES:
        return SPACES[name]()
    space = make_space(int(name.removeprefix("random")), depth=3)
    if space is None:
        pytest.skip("the language refuses this random space")
    return space


NAMES = [*SPACES, *[f"random{seed}" for seed in range(16)]]


@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_as_networkx(name: str) -> None:
    space = space_of(name)
    for seed in range(3):
        arch = space.sample(random.Random(seed))
        made = space.to_networkx(arch)
        assert networkx.is_directed_acyclic_graph(made)
        values = arch.values if isinstance(arch.values, dict) else {"": arch.values}
        parts = [value for value in values.values() if hasattr(value, "place") or hasattr(value, "key")]
        places = {leaf.place for part in parts for leaf in leaves_in(part)}
        modules = {made.nodes[node]["place"] for node in made if "module" in made.nodes[node]}
        assert modules >= places
        if "output" in made and len(parts) == 1:
            flowing = [node for node in made if made.nodes[node]["kind"] != "value"]
            assert networkx.ancestors(made, "output") | {"output"} == set(flowing)
        if name in ("cells", "sources", "wide", "deep", "many_cells"):
            assert sum([data.get("parameters", 0) for _, data in made.nodes(data=True)]) == arch.parameters


@pytest.mark.parametrize("name", NAMES)
def test_a_space_as_networkx(name: str) -> None:
    space = space_of(name)
    made = space.to_networkx()
    assert networkx.is_directed_acyclic_graph(made)
    found = {path: made.nodes[node]["decisions"][path] for node in made for path in made.nodes[node]["decisions"]}
    for block in made.graph["blocks"].values():
        found |= block["decisions"]
    known, _ = list_decisions(space.compiler)
    for one in known if "or more" not in made.graph["title"] else []:
        (shown,) = [decision for path, decision in found.items() if pattern(path).fullmatch(one.path)]
        if one.decision.kind == "choice":
            assert shown["options"] == json.loads(json.dumps(one.decision.options))
    for node in made:
        assert all([block in made.graph["blocks"] for block in made.nodes[node]["inside"]])


def test_edges_say_what_a_decision_settles() -> None:
    space = A.Space(
        A.Sequential(nn.Linear(8), A.Choice({"a": nn.Linear(A.Choice([8, 9])), "b": nn.Linear(A.Choice([8, 7]))})),
        input_shape=(8,),
    )
    made = space.to_networkx()
    assert dict(made.edges) == {
        ("input", "[0]"): {"decided": False},
        ("[0]", "[1].a"): {"decided": True},
        ("[0]", "[1].b"): {"decided": True},
        ("[1].a", "output"): {"decided": True},
        ("[1].b", "output"): {"decided": True},
    }
    assert made.nodes["[1].a"]["decisions"] == {"[1].a.out_features": {"kind": "choice", "options": [8, 9]}}
    assert made.graph["blocks"]["choice:[1]"]["decisions"]["[1]"]["options"] == ["a", "b"]


def test_several_inputs_reach_what_reads_them() -> None:
    space = SPACES["two_inputs"]()
    made = space.to_networkx(space.sample(random.Random(0)))
    assert made.nodes["image"]["output"] == (5,)
    assert list(made.successors("image")) == ["first"]
    assert list(made.successors("text")) == ["second"]
