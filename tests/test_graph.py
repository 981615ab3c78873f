"""What a Graph means: which decisions are asked, where, in which order, and what is live (LANGUAGE.md section 5)."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from archsearch.errors import AssignmentError, BuildError, Infeasible, ShapeError, SizeTooHard, SpaceError
from archsearch.spaces import nn
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import (
    Boolean,
    Choice,
    Derived,
    Integer,
    Lazy,
    Optional,
    Repeat,
    Require,
    Scope,
    Sequential,
    Shared,
    Subset,
)
from archsearch.spaces.resolved import Dag
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor


def conv(channels: Any = 4) -> Any:
    return nn.Conv2d(channels, 1)


def dag_of(space: Space, answers: dict[str, Any]) -> Dag:
    dag = space.architecture(answers).values
    assert isinstance(dag, Dag)
    return dag


def sources(dag: Dag) -> dict[str, list[str]]:
    return {joint.name: [link.source for link in joint.links] for joint in (*dag.vertices, *dag.outputs)}


def paths(space: Space) -> list[str]:
    return [line.split()[0] for line in str(space).splitlines()[1:]]


def test_paths_are_those_of_the_language() -> None:
    op = Choice({"conv": conv(Choice([4, 8])), "pool": nn.AvgPool2d(3, 1, 1)})
    graph = Graph(
        {
            "a": Vertex(op, inputs={"x": op, "y": Optional(op)}),
            "b": Vertex(inputs=Choice(["x", "a"])),
            "c": Vertex(inputs=[(Choice(["a", "b"]), op), Subset(["x", "y"], 1, 2)], merge=nn.Bilinear(Choice([1, 2]))),
        },
        inputs=("x", "y"),
        outputs={"one": ("c", op), "two": Choice(["b", "c"])},
        dead="prune",
    )
    assert paths(Space({"body": Repeat(graph, 2)}))[: len(EXPECTED_PATHS)] == [
        f"body[0].{path}" for path in EXPECTED_PATHS
    ]


EXPECTED_PATHS = [
    # First what settles which edges there are, for every vertex, then the outputs;
    "a.y",
    "b.inputs",
    "c.inputs[0]",
    "c.inputs[1][0]",
    "c.inputs[1][1]",
    "outputs.two",
    # then, of what is live and as declared: edges, merge, operation.
    "a.x",
    "a.x.conv.out_channels",
    "a.y.present",
    "a.y.present.conv.out_channels",
    "a.op",
    "a.op.conv.out_channels",
    "c.inputs[0].op",
    "c.inputs[0].op.conv.out_channels",
    "c.merge.out_features",
    "outputs.one.c",
    "outputs.one.c.conv.out_channels",
]


def test_an_operation_is_decided_only_where_it_is_live() -> None:
    graph = Graph(
        {
            "a": Vertex(conv(Choice([1, 2])), inputs=Subset(["x"])),
            "b": Vertex(conv(Choice([3, 4])), inputs=Subset(["x", "a"])),
        },
        inputs="x",
        outputs=Subset(["x", "a", "b"], 1),
        dead="prune",
    )
    space = Space(graph)
    edges = {
        "a.inputs[0]": True,
        "b.inputs[0]": False,
        "b.inputs[1]": True,
        "outputs[0]": False,
        "outputs[1]": True,
        "outputs[2]": False,
    }
    assert sources(dag_of(space, edges | {"a.op.out_channels": 1})) == {"a": ["x"], "": ["a"]}
    with pytest.raises(AssignmentError, match=r"b\.op\.out_channels: is not a"):
        space.architecture(edges | {"a.op.out_channels": 1, "b.op.out_channels": 3})
    both = edges | {"outputs[2]": True, "a.op.out_channels": 1, "b.op.out_channels": 3}
    assert sources(dag_of(space, both)) == {"a": ["x"], "b": ["a"], "": ["a", "b"]}


def subset_graph(dead: str, **options: Any) -> Space:
    vertices = {"a": Vertex(inputs=Subset(["x"])), "b": Vertex(inputs=Subset(["x", "a"]))}
    return Space(Graph(vertices, inputs="x", outputs=Subset(["x", "a", "b"]), dead=dead, **options))


def edges_of(*links: str) -> dict[str, bool]:
    known = {"xa": "a.inputs[0]", "xb": "b.inputs[0]", "ab": "b.inputs[1]"}
    known |= {"xo": "outputs[0]", "ao": "outputs[1]", "bo": "outputs[2]"}
    return {path: link in links for link, path in known.items()}


def test_dead_vertices_are_refused_or_pruned() -> None:
    reject, prune = subset_graph("reject"), subset_graph("prune")
    unread = edges_of("xa", "xb", "bo")
    assert sources(dag_of(prune, unread)) == {"b": ["x"], "": ["b"]}
    with pytest.raises(AssignmentError, match="'a' is dead: it has edges, but there is no way from it to an output"):
        reject.architecture(unread)
    unreached = edges_of("xb", "ab", "bo")
    assert sources(dag_of(prune, unreached)) == {"b": ["x"], "": ["b"]}
    with pytest.raises(AssignmentError, match="'a' is dead: it has edges, but there is no way from an input to it"):
        reject.architecture(unreached)
    absent = edges_of("xb", "bo")
    assert sources(dag_of(reject, absent)) == {"b": ["x"], "": ["b"]}
    for space in (reject, prune):
        with pytest.raises(AssignmentError, match="nothing reaches the output"):
            space.architecture(edges_of("xa"))


def test_unused_vertices_are_joined_to_the_output_as_declared() -> None:
    space = subset_graph("reject", unused="concat")
    assert sources(dag_of(space, edges_of("xa", "xb", "xo"))) == {"a": ["x"], "b": ["x"], "": ["x", "a", "b"]}
    assert sources(dag_of(space, edges_of("xa", "ab"))) == {"a": ["x"], "b": ["a"], "": ["b"]}
    assert sources(dag_of(space, edges_of("xo"))) == {"": ["x"]}
    with pytest.raises(AssignmentError, match="nothing reaches the output"):
        space.architecture(edges_of())


def test_max_edges_counts_the_edges_as_answered() -> None:
    space = subset_graph("prune", max_edges=2)
    space.architecture(edges_of("xb", "bo"))
    with pytest.raises(AssignmentError, match="3 edges are more than max_edges=2"):
        space.architecture(edges_of("xa", "xb", "bo"))


def test_a_vertex_without_inputs_is_a_source_of_its_own() -> None:
    graph = Graph(
        {"constant": Vertex(conv(), inputs=[]), "sum": Vertex(inputs=[Choice(["x", "constant"]), "x"])},
        inputs="x",
        outputs="sum",
    )
    space = Space(graph)
    assert sources(dag_of(space, {"sum.inputs[0]": "x"})) == {"sum": ["x", "x"], "": ["sum"]}
    assert "constant" in sources(dag_of(space, {"sum.inputs[0]": "constant"}))


def test_edges_from_one_source_each_have_a_place() -> None:
    query = Vertex(inputs=[("x", conv(Choice([1, 2]))), ("x", conv(Choice([1, 2])))])
    assert paths(Space(Graph({"a": query}, inputs="x", outputs="a"))) == [
        "a.inputs[0].op.out_channels",
        "a.inputs[1].op.out_channels",
    ]


def test_none_is_no_edge_on_an_edge_and_identity_in_a_vertex() -> None:
    graph = Graph(
        {"a": Vertex(Choice({"conv": conv(), "none": None}), inputs={"x": Choice({"conv": conv(), "none": None})})},
        inputs="x",
        outputs=["x", "a"],
    )
    space = Space(graph)
    # An absent vertex that is read is dead, so only the edge that is there is offered.
    assert {arch["a.x"] for arch in space.enumerate()} == {"conv"}
    assert space.size() == 2


def maybe_tanh(there: bool) -> Any:
    return nn.Tanh() if there else None


# Outputs of the graph x -> a whose source and operation are both decided, with the answers that there are.
PAIRS: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "the source may be None": (
        ["a", (Choice(["x", "a", None]), nn.Dropout(Choice([0.1, 0.2])))],
        [
            *[{"outputs[1]": source, "outputs[1].op.p": p} for source in ("x", "a") for p in (0.1, 0.2)],
            {"outputs[1]": None},
        ],
    ),
    "the operation may be None": (
        (Choice(["x", "a"]), Choice({"none": None, "skip": nn.Identity(), "layer": nn.Linear(8)})),
        [{"outputs": source, "outputs.op": op} for source in ("x", "a") for op in ("skip", "layer")],
    ),
    "a Lazy may give None": (
        (Choice(["x", "a"]), Lazy(maybe_tanh, there=Boolean())),
        [{"outputs": source, "outputs.op.there": True} for source in ("x", "a")],
    ),
    "the operation is certain": (
        (Choice(["x", "a"]), nn.Dropout(Choice([0.1, 0.2]))),
        [{"outputs": source, "outputs.op.p": p} for source in ("x", "a") for p in (0.1, 0.2)],
    ),
    # Without a source there is no edge, whatever its operation: it is not asked.
    "both may be None": (
        ["a", (Choice(["x", None]), Optional(nn.Dropout(Choice([0.1, 0.2]))))],
        [
            {"outputs[1]": "x", "outputs[1].op": False},
            *[{"outputs[1]": "x", "outputs[1].op": True, "outputs[1].op.present.p": p} for p in (0.1, 0.2)],
            {"outputs[1]": None},
        ],
    ),
    "the only source is None": (["a", (Choice([None]), Optional(nn.Tanh()))], [{}]),
    "both may be None, together": (
        [
            "a",
            (Choice(["x", None], name="same"), Optional(nn.Tanh(), name="on")),
            (Choice(["x", None], name="same"), Optional(nn.ELU(), name="on")),
        ],
        [{"same": "x", "on": False}, {"same": "x", "on": True}, {"same": None}],
    ),
}


@pytest.mark.parametrize(("outputs", "expected"), PAIRS.values(), ids=PAIRS)
def test_an_operation_is_asked_once_and_only_where_there_is_a_source(
    outputs: Any, expected: list[dict[str, Any]]
) -> None:
    space = Space(Graph({"a": Vertex(inputs="x")}, inputs="x", outputs=outputs, dead="prune"), input_shape=(8,))
    archs = list(space.enumerate())
    assert sorted([dict(arch.assignment) for arch in archs], key=repr) == sorted(expected, key=repr)
    assert space.size() == len(expected)
    ids = {arch.id for arch in archs}
    for uniform in ("decisions", "architectures"):
        drawn = space.sample(random.Random(0), 100, uniform=uniform)
        assert {arch.id for arch in drawn} == ids
    assert all([sources(arch.values)[""] for arch in archs])


@pytest.mark.parametrize("outputs", [(Choice(["x", "a"]), nn.Linear(8)), {"y": (Choice(["x", "a"]), nn.Linear(8))}])
def test_an_operation_at_an_output_is_applied_once(outputs: Any) -> None:
    space = Space(Graph({"a": Vertex(inputs="x")}, inputs="x", outputs=outputs, dead="prune"), input_shape=(8,))
    arch = space.sample(random.Random(0))
    assert arch.parameters == 8 * 8 + 8
    assert [tuple(p.shape) for p in arch.build().parameters()] == [(8, 8), (8,)]


def test_names_mean_the_same_in_edges_and_operations() -> None:
    wide = Choice([4, 8], name="wide")
    graph = Graph({"a": Vertex(conv(wide), inputs={"x": conv(wide)})}, inputs="x", outputs=("a", conv(wide)))
    assert paths(Space(graph)) == ["wide"]
    assert Space(graph).size() == 2
    scoped = Space(Repeat(Scope(graph, "wide"), 2))
    assert paths(scoped) == ["[0].wide", "[1].wide"]
    assert scoped.size() == 4


def test_edges_that_share_a_name_with_something_outside_are_searched_together() -> None:
    """`deep` settles an edge and how often a block stands elsewhere; only a graph that is one is offered."""
    graph = Graph(
        {
            "a": Vertex(inputs=("x", Optional(conv(), name="deep"))),
            "b": Vertex(inputs=Choice(["x", "a"], name="source")),
        },
        inputs="x",
        outputs="b",
    )
    space = Space({"deep": Boolean(name="deep"), "model": graph})
    found = {(arch["deep"], arch["source"]) for arch in space.enumerate()}
    # `a` is read exactly where it is there: otherwise it is dead.
    assert found == {(False, "x"), (True, "a")}
    assert space.size() == 2
    assert {(a["deep"], a["source"]) for a in [space.sample(random.Random(i)) for i in range(20)]} == found


def test_a_lazy_edge_may_be_none() -> None:
    def edge(deep: int) -> Any:
        return None if deep == 0 else conv(Choice([1, 2]))

    graph = Graph({"a": Vertex(inputs=["x", ("x", Lazy(edge, deep=Integer(0, 2)))])}, inputs="x", outputs="a")
    space = Space(graph)
    assert space.size() == 1 + 2 * 2
    assert sorted([len(arch.assignment) for arch in space.enumerate()]) == [1, 2, 2, 2, 2]
    assert paths_of_longest(space) == ["a.x.deep", "a.x(2).out_channels"]


def paths_of_longest(space: Space) -> list[str]:
    return max([list(arch.assignment) for arch in space.enumerate()], key=lambda found: (len(found), found))


def test_graphs_nest_in_edges_vertices_and_merges() -> None:
    inner = Graph({"a": Vertex(conv(Choice([1, 2])), inputs="x")}, inputs="x", outputs="a")
    two = Graph({"s": Vertex(inputs=["x", "y"], merge="concat")}, inputs=("x", "y"), outputs="s")
    graph = Graph({"a": Vertex(inner, inputs=[("x", inner), "x"], merge=two)}, inputs="x", outputs=["a", "x"])
    space = Space(graph, input_shape=(3, 4, 4))
    assert paths(space) == ["a.x.a.op.out_channels", "a.op.a.op.out_channels"]
    arch = space.sample(random.Random(0))
    wide = arch["a.op.a.op.out_channels"] + 3
    assert arch.settled.output == Tensor(wide, 4, 4)


def test_a_shared_graph_is_decided_once() -> None:
    def cell(channels: int) -> Shared:
        op = Choice({"conv": nn.Conv2d(channels, 1), "skip": nn.Identity()})
        return Shared(Graph({"a": Vertex(inputs={"x": op})}, inputs="x", outputs="a"), name="cell")

    space = Space(Sequential(cell(4), cell(8)), input_shape=(4, 2, 2))
    assert paths(space) == ["cell.a.x"]
    assert space.size() == 2
    optional = Vertex(inputs={"x": Optional(nn.Identity())})
    other = Graph({"a": optional}, inputs="x", outputs=["x", "a"], dead="prune")
    with pytest.raises(SpaceError, match="uses of Shared 'cell' differ"):
        Space(Sequential(cell(4), Shared(other, name="cell"))).sample(random.Random(0))


def test_a_shared_graph_with_weights_is_one_module() -> None:
    graph = Graph({"a": Vertex(inputs=["x", ("x", nn.Conv2d(4, 1))])}, inputs="x", outputs="a")
    twice = Sequential(Shared(graph, "cell", weights=True), nn.ReLU(), Shared(graph, "cell", weights=True))
    arch = Space(twice, input_shape=(4, 2, 2)).sample(random.Random(0))
    model = arch.build()
    assert arch.parameters == 4 * 4 + 4 == sum([p.numel() for p in model.parameters()])
    assert list(model.state_dict()) == ["0.a.x.weight", "0.a.x.bias"]


def test_a_wiring_of_labels_becomes_modules() -> None:
    def build(wiring: Dag, depth: int) -> Any:
        (vertex,) = wiring.vertices
        return Sequential(*[conv(8) if vertex.op == "conv" else nn.ReLU()] * depth)

    labels = Graph({"a": Vertex(Choice(["conv", "relu"]), inputs="x")}, inputs="x", outputs="a")
    space = Space(Derived(build, wiring=labels, depth=2), input_shape=(4, 2, 2))
    assert paths(space) == ["wiring.a.op"]
    assert {arch.parameters for arch in space.enumerate()} == {0, 4 * 8 + 8 + 8 * 8 + 8}


WRONG = [
    (
        lambda: Graph({"a": Vertex(inputs="b"), "b": Vertex(inputs="a")}, inputs="x", outputs="b"),
        "cycle: a reads b reads a",
    ),
    (lambda: Graph({"a": Vertex(inputs="a")}, inputs="x", outputs="a"), "a of a Graph reads itself"),
    (
        lambda: Graph({"a": Vertex(inputs="b"), "b": Vertex(inputs="x")}, inputs="x", outputs="a"),
        "reads 'b', which is declared below it",
    ),
    (
        lambda: Graph({"stem": Vertex(inputs="x"), "b": Vertex(inputs="stme")}, inputs="x", outputs="b"),
        "b of a Graph reads 'stme', but there is no such input or vertex; did you mean 'stem'\\?",
    ),
    (lambda: Graph({"a": Vertex(inputs="x")}, inputs="x", outputs="c"), "outputs of a Graph reads 'c'"),
    (lambda: Graph({"x": Vertex(inputs="x")}, inputs="x", outputs="x"), "two inputs or vertices called 'x'"),
    (lambda: Graph({"merge": Vertex(inputs="x")}, inputs="x", outputs="x"), "cannot be called 'merge'"),
    (lambda: Graph({"a": conv()}, inputs="x", outputs="a"), "a of a Graph must be a Vertex"),
    (lambda: Vertex(inputs="x", merge="sum"), "merge"),
    (lambda: Graph({"a": Vertex(inputs="x")}, inputs=3, outputs="a"), "a name or a tuple of names"),  # type: ignore[arg-type]
    (lambda: Graph({"a": Vertex(inputs="x")}, inputs="x", outputs="a", dead="drop"), "'reject' or 'prune'"),
    (lambda: Graph({"a": Vertex(inputs=Optional(conv()))}, inputs="x", outputs="a"), "a source is a name, a pair"),
    (
        lambda: Graph({"a": Vertex(inputs=("x", Shared(Optional(conv()), "edge")))}, inputs="x", outputs=["x", "a"]),
        "Optional\\(Shared",
    ),
    (
        lambda: Graph(
            {"a": Vertex(Choice([1, 2]), inputs="x"), "b": Vertex(conv(), inputs="a")}, inputs="x", outputs="b"
        ),
        "other vertices have labels",
    ),
    (
        lambda: Space(Graph({"a": Vertex(inputs="x"), "b": Vertex(inputs="x")}, inputs="x", outputs="b")),
        "'a' is dead",
    ),
    (
        lambda: Space(
            Graph(
                {"a": Vertex(inputs=Choice(["x"])), "b": Vertex(inputs=("x", Optional(conv())))},
                inputs="x",
                outputs="b",
            )
        ),
        "whatever is answered",
    ),
]


@pytest.mark.parametrize(("declare", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_a_wrong_declaration_is_refused(declare: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        declare()


def test_shapes_that_do_not_merge_name_both_shapes_and_both_paths() -> None:
    graph = Graph({"a": Vertex(inputs=[("x", conv(8)), "y"])}, inputs=("x", "y"), outputs="a")
    inputs = {"x": Tensor(3, 4, 4), "y": Tensor(5, 4, 4)}
    with pytest.raises(ShapeError) as raised:
        _ = Space({"net": graph}, inputs=inputs).sample(random.Random(0)).parameters
    for part in ["(8, 4, 4)", "(5, 4, 4)", "net.a.x", "net.a.y"]:
        assert part in str(raised.value)


def test_inputs_of_a_space_in_another_order_are_refused() -> None:
    """They go by their order: a graph that called them otherwise would read one as the other."""
    graph = Graph({"a": Vertex(nn.Bilinear(2), inputs=["x", "y"], merge="concat")}, inputs=("x", "y"), outputs="a")
    crossed = Space(Sequential(graph, nn.ReLU()), inputs={"y": Tensor(3), "x": Tensor(4)})
    with pytest.raises(BuildError, match="the graph's inputs are x, y, but the space's are y, x"):
        _ = crossed.sample(random.Random(0)).parameters


def test_constraints_that_nothing_satisfies_are_an_error() -> None:
    graph = Graph(
        {"a": Vertex(inputs=("x", Optional(conv(), name="deep")))}, inputs="x", outputs=["x", "a"], dead="prune"
    )
    space = Space(graph, require=[Require(lambda deep: deep is None, "deep")])
    assert space.size() == 0
    with pytest.raises(Infeasible, match="deep"):
        space.sample(random.Random(0))


def test_a_count_that_is_too_hard_says_why() -> None:
    """Named operations whose answers open more, on vertices that may each be dead."""
    names = [f"k{i}" for i in range(24)]
    vertices: dict[str, Vertex] = {}
    for i, name in enumerate(names):
        op = Choice({"a": conv(Choice([1, 2])), "b": None}, name=name)
        vertices[f"v{i}"] = Vertex(op, inputs=Subset(["x", *vertices][-3:]))
    graph = Graph(vertices, inputs="x", outputs=Subset(["x", *vertices]), dead="prune")
    again = [Choice({"a": conv(Choice([1, 2])), "b": None}, name=name) for name in names]
    with pytest.raises(SizeTooHard, match=r"states, because of the names k0, k1,.*vertices of a Graph"):
        Space(Sequential(graph, *again)).size()


def test_a_long_graph_is_counted_by_what_may_still_be_read() -> None:
    """40 vertices, each reading one or two of the three before it: a programme, not 2^40 masks."""
    vertices: dict[str, Vertex] = {}
    for i in range(40):
        vertices[f"v{i}"] = Vertex(conv(Choice([1, 2])), inputs=Subset(["x", *vertices][-3:], 1, min(i + 1, 2)))
    space = Space(Graph(vertices, inputs="x", outputs="v39", dead="prune"))
    before = time.monotonic()
    assert space.size() > 10**30
    arch = space.sample(random.Random(0))
    assert space.architecture(arch.assignment).id == arch.id
    assert time.monotonic() - before < 60


def test_an_architecture_reads_as_what_reads_what() -> None:
    graph = Graph(
        {"a": Vertex(nn.ReLU(), inputs=[("x", conv()), "x"]), "b": Vertex(inputs="a"), "c": Vertex(conv(), inputs=[])},
        inputs="x",
        outputs=["b", "c"],
    )
    assert str(Space(graph).sample(random.Random(0))).splitlines() == [
        "graph of x",
        "  a = add of",
        "    x through Conv2d(out_channels=4, kernel_size=1)",
        "    x",
        "    then ReLU()",
        "  b from",
        "    a",
        "  c is a source",
        "    then Conv2d(out_channels=4, kernel_size=1)",
        "  output = concat of",
        "    b",
        "    c",
    ]
