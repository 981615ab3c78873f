"""Which architectures are the same network: said in two ways they are, and nothing else is."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import pytest
import torch
from brute_force import brute_force, num_operations
from hypothesis import given, settings
from hypothesis import strategies as st
from random_dags import (
    IDENTITY,
    MODULES,
    ZERO,
    in_more_words,
    live,
    module,
    random_dag,
    said_otherwise,
    weightless,
)

from archsearch import nn
from archsearch.spaces.canonical import canonical_form, canonical_id
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.graph_form import WEIGHTLESS
from archsearch.spaces.modules import module as lift
from archsearch.spaces.nodes import Choice, Optional, Parallel, Residual, Sequential, Shared, Subset
from archsearch.spaces.resolved import Branches, Chain, Dag, Formula, Joint, Leaf, Link, Once, Part, Skip
from archsearch.spaces.space import Space

A, B = MODULES
seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=400, deadline=None, derandomize=True)


def dag(
    *vertices: tuple[str, list[Any], Part], output: Any, inputs: tuple[str, ...] = ("x",), merge: Any = "add"
) -> Dag:
    """A graph of sums: (name, sources, operation); a source is a name, or a pair with an operation."""

    def links(sources: list[Any]) -> tuple[Link, ...]:
        return tuple([Link(s, None) if isinstance(s, str) else Link(*s) for s in sources])

    joints = tuple([Joint(name, "", links(sources), merge, None, op) for name, sources, op in vertices])
    return Dag("", inputs, joints, (Joint("", "", links(output), merge, None),))


def chain(*parts: Part) -> Chain:
    return Chain("", parts)


def branches(*parts: Part, merge: Any = "add", dim: int | None = None) -> Branches:
    return Branches("", parts, merge, dim)


def same(*parts: Any) -> bool:
    return len({canonical_id(part) for part in parts}) == 1


@given(seeds)
@many
def test_names_and_the_order_of_declaration_do_not_count(seed: int) -> None:
    rng = random.Random(seed)
    inputs = ("x", "y")[: rng.choice([1, 1, 2])]
    graph = live(random_dag(rng, rng.randrange(3), inputs, rng.choice([1, 1, 2])))
    assert canonical_form(graph) == canonical_form(said_otherwise(graph, rng))


@given(seeds)
@many
def test_relays_partial_sums_and_zeros_do_not_count(seed: int) -> None:
    rng = random.Random(seed)
    inputs = ("x", "y")[: rng.choice([1, 1, 2])]
    graph = live(random_dag(rng, rng.randrange(3), inputs, rng.choice([1, 1, 2]), zeros=False))
    assert canonical_form(graph) == canonical_form(in_more_words(graph, rng))


def test_equal_ids_mean_equal_networks() -> None:
    rng = random.Random(0)
    networks: dict[str, set[str]] = defaultdict(set)
    count = 0
    for _ in range(6_000):
        graph = live(random_dag(rng, depth=rng.randrange(2)))
        if num_operations(graph) <= 4:
            networks[canonical_id(graph)].add(brute_force(graph))
            count += 1
    assert [found for found in networks.values() if len(found) > 1] == []
    assert count - len(networks) > 1_000


def operations_dag(rng: random.Random) -> tuple[Dag, nx.DiGraph[str]]:
    """A graph of modules with weights, and the same for networkx."""
    names = [f"v{i}" for i in range(rng.randrange(2, 8))]
    sources = {
        name: rng.sample(["x", *names[:i]], min(i + 1, rng.choice([1, 1, 2, 2, 3]))) for i, name in enumerate(names)
    }
    ops = {name: rng.choice(MODULES) for name in names}
    read = {source for found in sources.values() for source in found}
    ends = [name for name in names if name not in read]
    ends += [name for name in ["x", *names[:-1]] if name not in ends and rng.random() < 0.2]
    return as_both(sources, ops, ends)


def as_both(sources: dict[str, list[str]], ops: dict[str, Leaf], ends: list[str]) -> tuple[Dag, nx.DiGraph[str]]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", label="in")
    graph.add_node("out", label="out")
    for name, leaf in ops.items():
        graph.add_node(name, label=leaf.target)
    graph.add_edges_from([(source, name) for name, found in sources.items() for source in found])
    graph.add_edges_from([(end, "out") for end in ends])
    return dag(*[(name, found, ops[name]) for name, found in sources.items()], output=ends), graph


@given(seeds)
@many
def test_isomorphic_is_what_networkx_says(seed: int) -> None:
    rng = random.Random(seed)
    one, one_graph = operations_dag(rng)
    # The same graph with one edge or one operation moved: sometimes isomorphic, always nearly.
    vertices = list(one.vertices)
    i = rng.randrange(len(vertices))
    if rng.random() < 0.5:
        vertices[i] = replace(vertices[i], op=rng.choice(MODULES))
    else:
        known = ["x", *[v.name for v in vertices[:i]]]
        links = list(vertices[i].links)
        free = [name for name in known if name not in [link.source for link in links]]
        if free:
            links[rng.randrange(len(links))] = Link(rng.choice(free), None)
            vertices[i] = replace(vertices[i], links=tuple(links))
    read = {link.source for joint in (*vertices, *one.outputs) for link in joint.links}
    ends = [link.source for link in one.outputs[0].links] + [v.name for v in vertices if v.name not in read]
    sources = {v.name: [link.source for link in v.links] for v in vertices}
    other, other_graph = as_both(sources, {v.name: v.op for v in vertices}, ends)
    isomorphic = nx.is_isomorphic(one_graph, other_graph, node_match=lambda a, b: a["label"] == b["label"])
    assert same(one, other) == isomorphic


def test_a_chain_said_as_a_graph_is_a_chain() -> None:
    assert same(
        chain(A, weightless(), B),
        chain(chain(A), None, IDENTITY, weightless(), B),
        dag(("a", ["x"], A), ("r", ["a"], weightless()), output=[("r", B)]),
        dag(("a", [("x", A)], chain(weightless(), B)), output=["a"]),
        dag(output=[("x", dag(("a", ["x"], A), output=[("a", weightless())]))], inputs=("x",))
        and dag(("a", [("x", dag(("b", ["x"], A), output=["b"]))], weightless()), output=[("a", B)]),
    )
    assert same(IDENTITY, chain(), chain(None), dag(output=["x"]), dag(("a", ["x"], None), output=["a"]))
    assert not same(chain(A, B), chain(B, A))


def test_branches_said_as_a_graph_are_branches() -> None:
    assert same(
        branches(A, chain(B, A), None),
        branches(None, A, chain(B, A)),
        branches(branches(None, A), chain(B, A)),
        dag(("a", ["x"], A), ("b", ["x"], B), output=["a", ("b", A), "x"]),
        Skip("", branches(A, chain(B, A)), None),
    )
    assert same(branches(A, B, merge="concat"), branches(A, B, merge="concat", dim=1))
    assert not same(branches(A, B, merge="concat"), branches(B, A, merge="concat"))
    assert not same(branches(A, B, merge="concat"), branches(A, B, merge="concat", dim=2))
    assert not same(branches(A, B), branches(A, B, merge="mul"))
    assert same(branches(A, merge="concat"), branches(A, merge="mul"), A)
    merge = module("Merge")
    assert not same(branches(A, B, merge=merge), branches(B, A, merge=merge))
    assert not same(branches(A, merge=merge), A)
    items = Chain("", (A, B), items=True)
    assert same(branches(items, A), branches(A, B, A))


def test_blocks_one_after_the_other_are_a_chain_of_blocks() -> None:
    block = dag(("a", ["x"], A), ("b", ["x", "a"], B), output=["a", "b"])
    twice = dag(
        ("a", ["x"], A), ("b", ["x", "a"], B), ("m", ["a", "b"], None),
        ("c", ["m"], A), ("d", ["m", "c"], B), output=["c", "d"],
    )  # fmt: skip
    assert same(chain(block, block), twice, dag(("a", ["x"], block), output=[("a", block)]))


def test_a_value_read_twice_is_not_two_modules() -> None:
    shared = dag(("a", ["x"], A), output=[("a", B), "a"])
    apart = dag(("a", ["x"], A), ("b", ["x"], A), output=[("a", B), "b"])
    assert not same(shared, apart)
    # What has no weights may be computed as often as one likes, unless it changes what it reads.
    relu = weightless()
    assert same(
        dag(("a", ["x"], relu), output=[("a", B), "a"]),
        dag(("a", ["x"], relu), ("b", ["x"], relu), output=[("a", B), "b"]),
    )
    in_place = Leaf("", "torch.nn:ReLU", {"inplace": True}, {})
    assert not same(
        dag(("a", ["x"], in_place), output=[("a", B), "a"]),
        dag(("a", ["x"], in_place), ("b", ["x"], in_place), output=[("a", B), "b"]),
    )
    # A sum that several read may stand at each of them.
    assert same(
        dag(("a", ["x"], A), ("s", ["x", "a"], None), output=[("s", A), ("s", B)]),
        dag(("a", ["x"], A), ("s", ["x", "a"], A), ("t", ["a", "x"], B), output=["s", "t"]),
    )
    assert not same(dag(output=["x", "x"]), dag(output=["x"]))


def test_zeros() -> None:
    assert same(dag(output=[("x", ZERO), ("x", A)]), A)
    assert same(Skip("", ZERO), IDENTITY)
    assert same(
        ZERO, chain(ZERO, ZERO), dag(output=[("x", ZERO), ("x", ZERO)]), dag(("a", [("x", ZERO)], ZERO), output=["a"])
    )
    assert same(branches(ZERO, A, merge="mul"), ZERO)
    # What sees no input counts as zero beside something, but by itself it has a shape of its own.
    assert same(branches(chain(ZERO, A), B), B)
    assert same(branches(chain(ZERO, A), ZERO), ZERO)
    assert not same(chain(ZERO, A), ZERO)
    assert not same(branches(ZERO, A, merge="concat"), A)
    assert not same(branches(chain(ZERO, A), B, merge="mul"), ZERO)
    # A vertex without links is no zero.
    assert not same(dag(("s", [], A), output=["s", "x"]), dag(output=["x"]))


def test_inputs_and_outputs_are_told_apart() -> None:
    two = ("x", "y")
    assert not same(dag(output=[("x", A), "y"], inputs=two), dag(output=[("y", A), "x"], inputs=two))
    assert same(dag(output=[("x", A), "y"], inputs=two), dag(output=["q", ("p", A)], inputs=("p", "q")))
    assert not same(dag(output=["x"], inputs=two), dag(output=["x"]))

    def outputs(**sources: str) -> Dag:
        ends = tuple([Joint(name, "", (Link(source, None),), "add", None) for name, source in sources.items()])
        return replace(dag(("a", ["x"], A), ("b", ["a"], B), output=["b"]), outputs=ends)

    assert same(outputs(p="a", q="b"), outputs(q="b", p="a"))
    assert not same(outputs(p="a", q="b"), outputs(p="b", q="a"))
    assert not same(outputs(p="b"), outputs(q="b"))
    assert not same(outputs(p="b"), dag(("a", ["x"], A), ("b", ["a"], B), output=["b"]))


def test_sharing_is_kept() -> None:
    def once(key: str, part: Part = A) -> Once:
        return Once(key, part)

    assert not same(chain(once("k"), once("k")), chain(A, A))
    assert same(chain(once("k"), once("l")), chain(A, A), chain(once("k"), A))
    assert same(chain(once("k"), once("k")), chain(once("other"), once("other")))
    assert not same(chain(*map(once, "kkll")), chain(*map(once, "klkl")))
    # Numbers do not follow the order in which branches were declared.
    assert same(
        chain(branches(once("k"), once("l")), once("k"), once("l")),
        chain(branches(once("l"), once("k")), once("k"), once("l")),
        chain(branches(once("k"), once("l")), once("l"), once("k")),
    )
    assert not same(
        chain(branches(once("k"), chain(once("l"), B)), once("k"), once("l")),
        chain(branches(once("l"), chain(once("k"), B)), once("k"), once("l")),
    )
    # A module that stands once is any module; one that is only used beside zeros too.
    assert same(once("k", chain(A, B)), chain(A, B))
    assert same(dag(output=[("x", once("k")), ("x", chain(ZERO, once("k")))]), A)
    inside = once("outer", chain(once("inner"), B))
    assert same(chain(inside, inside), chain(once("outer", chain(A, B)), once("outer", chain(A, B))))
    assert not same(chain(inside, inside, once("inner")), chain(inside, inside, A))


@given(seeds)
@many
def test_sharing_does_not_depend_on_keys_or_order(seed: int) -> None:
    rng = random.Random(seed)
    keys = [rng.choice("abcd") for _ in range(rng.randrange(2, 9))]
    other = dict(zip("abcd", rng.sample("abcd", 4), strict=True))

    def network(names: dict[str, str], shuffle: bool) -> Part:
        rows = [keys[i : i + 3] for i in range(0, len(keys), 3)]
        if shuffle:
            rows = [random.Random(seed).sample(row, len(row)) for row in rows]
        return chain(*[branches(*[Once(names[key], A) for key in row]) for row in rows])

    assert same(network({key: key for key in "abcd"}, False), network(other, True))


def test_functions_are_told_apart() -> None:
    def leaf(value: Any) -> Leaf:
        return Leaf("", "some.package:Apply", {"function": value}, {})

    def make(factor: int) -> Callable[[int], int]:
        return lambda x: factor * x

    functions: list[Any] = [lambda x: x + 1, lambda x: x + 2, make(2), make(3), min, max, torch.relu]
    ids = [canonical_id(leaf(function)) for function in functions]
    assert len(set(ids)) == len(ids)
    assert same(leaf(make(2)), leaf(make(2)))
    values: list[Any] = [
        1,
        1.0,
        True,
        "1",
        None,
        (1,),
        [1],
        {"a": 1},
        torch.float32,
        torch.zeros(2_000),
        torch.ones(2_000),
    ]
    assert len({canonical_id(leaf(value)) for value in values}) == len(values)
    assert not same(leaf(Formula("", lambda size: 1)), leaf(Formula("", lambda size: 2)))
    assert same(leaf(Formula("p", lambda size: 1, ("a", 1))), leaf(Formula("q", lambda size: 1, ("a", 1))))
    assert not same(*[Leaf("", "some.package:C", {}, {"width": rule}) for rule in ("channels", "features")])


def test_a_class_and_its_name_are_the_same() -> None:
    assert same(Leaf("", torch.nn.Tanh, {}, {}), Leaf("", "torch.nn:Tanh", {}, {}))


IDS = """
from archsearch import nn, input
from archsearch.spaces.nodes import Choice, Derived, Parallel, Sequential, Shared
from archsearch.spaces.space import Space
kernel = Choice([1, 3, 5], name="k")
shared = Shared(nn.Linear(8), name="s", weights=True)
width = Derived(lambda f, k: 2 * f if k in {1, 3} else f, f=input.features, k=kernel)
twice = Parallel(shared, Sequential(nn.ReLU(), shared))
conv = nn.Conv2d(8, kernel, padding=kernel // 2)
space = Space(Sequential(conv, twice, nn.Linear(width), Parallel(nn.Tanh(), nn.ReLU())))
print([arch.canonical_id for arch in space.enumerate()])
"""


def test_ids_are_the_same_in_every_process() -> None:
    found = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", IDS], env=environment, capture_output=True, text=True, check=True)
        found.add(run.stdout)
    assert len(found) == 1


ARGUMENTS: dict[str, dict[str, Any]] = {
    "Fold": {"output_size": 4, "kernel_size": 2},
    "LPPool": {"norm_type": 2, "kernel_size": 2},
    "AdaptiveAvgPool": {"output_size": 2},
    "AdaptiveMaxPool": {"output_size": 2},
    "AvgPool": {"kernel_size": 2},
    "MaxPool": {"kernel_size": 2},
    "ConstantPad": {"padding": 1, "value": 1.0},
    "Pad": {"padding": 1},
    "ChannelShuffle": {"groups": 2},
    "PixelShuffle": {"upscale_factor": 2},
    "PixelUnshuffle": {"downscale_factor": 2},
    "LocalResponseNorm": {"size": 2},
    "Threshold": {"threshold": 0.1, "value": 20.0},
    "Softmax2d": {},
    "Softm": {"dim": 1},
    "LogSoftmax": {"dim": 1},
    "Unflatten": {"dim": 1, "unflattened_size": (2, 2)},
    "Unfold": {"kernel_size": 2},
    "Upsampl": {"scale_factor": 2},
}


@pytest.mark.parametrize("name", [n for n in dir(torch.nn) if WEIGHTLESS.match(f"torch.nn:{n}(")])
def test_weightless_modules_have_no_weights_no_state_and_no_chance(name: str) -> None:
    given = next((arguments for part, arguments in ARGUMENTS.items() if part in name), {})
    made = getattr(torch.nn, name)(**given)
    assert not list(made.parameters())
    assert not list(made.buffers())
    shape = {"1": (2, 4, 6), "3": (2, 4, 6, 6, 6)}.get(name[-2] if name[-1] == "d" else "", (2, 4, 6, 6))
    x = torch.randn((2, 16, 9) if name == "Fold" else shape, generator=torch.Generator().manual_seed(0))
    inputs = (x, x + 1) if name in ("CosineSimilarity", "PairwiseDistance") else (x,)
    before = x.clone()
    torch.testing.assert_close(made(*inputs), made(*inputs), rtol=0, atol=0)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "name", ["Dropout", "RReLU", "PReLU", "BatchNorm2d", "FractionalMaxPool2d", "Conv2d", "AlphaDropout"]
)
def test_other_modules_are_not_weightless(name: str) -> None:
    assert not WEIGHTLESS.match(f"torch.nn:{name}(")


def nasbench201(op: Callable[[], Any]) -> Space:
    edges = {"n1": ["n0"], "n2": ["n0", "n1"], "n3": ["n0", "n1", "n2"]}
    vertices = {name: Vertex(inputs={source: op() for source in sources}) for name, sources in edges.items()}
    return Space(Graph(vertices, inputs="n0", outputs="n3"))


def conv(kernel: int) -> Sequential:
    return Sequential(nn.ReLU(), nn.Conv2d(16, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d())


OPERATIONS = {"none": nn.Zero(), "skip": nn.Identity(), "conv1": conv(1), "conv3": conv(3)}


def test_nasbench201() -> None:
    pool = nn.AvgPool2d(3, 1, 1)
    assert nasbench201(lambda: Choice(OPERATIONS | {"pool": pool})).distinct() == 5_260


@pytest.mark.slow
def test_nasbench201_if_pooling_had_weights() -> None:
    # Two of them are two then: a count that was found by trying every order of the operations, as 5,260 was.
    pool = lift("some.package:Pool")
    assert nasbench201(lambda: Choice(OPERATIONS | {"pool": pool})).distinct() == 5_425


def nasbench101(num_vertices: int) -> tuple[int, int]:
    """Cells of so many vertices at most and up to 9 edges: how many, and how many are distinct."""
    operations = [module(name) for name in ("Conv1x1", "Conv3x3", "MaxPool3x3")]
    pairs = [(i, j) for j in range(num_vertices) for i in range(j)]
    last = num_vertices - 1
    count = 0
    ids = set()
    for mask in range(2 ** len(pairs)):
        if mask.bit_count() > 9:
            continue
        edges = [pair for k, pair in enumerate(pairs) if mask >> k & 1]
        reading = {j for _, j in edges}
        read = {i for i, _ in edges}
        used = sorted((reading | read) - {0, last})
        if last not in reading or 0 not in read or not all(v in reading and v in read for v in used):
            continue
        names = {0: "x"} | {v: f"v{v}" for v in used}
        sources = {v: [names[i] for i, j in edges if j == v] for v in (*used, last)}
        for ops in itertools.product(operations, repeat=len(used)):
            cell = dag(*[(names[v], sources[v], op) for v, op in zip(used, ops, strict=True)], output=sources[last])
            ids.add(canonical_id(cell))
            count += 1
    return count, len(ids)


def test_small_cells_of_nasbench101() -> None:
    # Of 423,624 cells of at most 7 vertices, 2,532 have at most 5 (Ying et al. 2019).
    assert nasbench101(5)[1] == 2_532


def test_a_graph_of_labels_is_compared_by_its_wiring() -> None:
    names = ["x"]
    vertices = {}
    for i in range(3):
        vertices[f"v{i}"] = Vertex(Choice(["conv1", "conv3", "pool"]), inputs=Subset(list(names)))
        names.append(f"v{i}")
    assert Space(Graph(vertices, inputs="x", outputs=Subset(names), merge="add", max_edges=9)).distinct() == 2_532


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_nasbench101() -> None:
    assert nasbench101(7) == (1_824_025, 423_624)


def test_large_symmetric_graphs() -> None:
    parallel = [(f"v{i}", ["x"], A) for i in range(30)]
    ends = [name for name, _, _ in parallel]
    assert same(dag(*parallel, output=ends), branches(*[A] * 30))
    assert not same(dag(*parallel, output=ends), branches(*[A] * 29, B))

    def rings(*sizes: int) -> Dag:
        """Rings of vertices: each second reads its two neighbours. Refinement alone does not tell them apart."""
        vertices: list[tuple[str, list[Any], Part]] = []
        for ring, size in enumerate(sizes):
            vertices.extend([(f"a{ring}_{i}", ["x"], A) for i in range(size)])
        for ring, size in enumerate(sizes):
            reads = [[f"a{ring}_{i}", f"a{ring}_{(i + 1) % size}"] for i in range(size)]
            vertices.extend([(f"b{ring}_{i}", found, B) for i, found in enumerate(reads)])
        return dag(*vertices, output=[name for name, _, _ in vertices if name[0] == "b"])

    rng = random.Random(0)
    assert same(rings(3, 3, 4), said_otherwise(rings(3, 3, 4), rng), rings(4, 3, 3))
    assert len({canonical_id(rings(*sizes)) for sizes in [(6,), (3, 3), (7,), (3, 4), (10,), (5, 5), (3, 3, 4)]}) == 7


def test_residuals_and_optional_parts_as_nodes() -> None:
    body = Sequential(nn.Linear(8), nn.ReLU())
    space = Space(
        Sequential(Residual(Choice({"body": body, "zero": nn.Zero()}), project=None), Optional(nn.Identity()))
    )
    assert space.size() == 4
    assert space.distinct() == 2
    graph = Graph({"a": Vertex(body, inputs="x")}, inputs="x", outputs=["x", "a"], merge="add")
    one, other = Space(graph), Space(Residual(body, project=None))
    assert same(one.sample(random.Random(0)).values, other.sample(random.Random(0)).values)
    tied = Space(Choice({"tied": Parallel(Shared(body, name="s", weights=True), Shared(body, name="s", weights=True)),
                         "apart": Parallel(body, body)}))  # fmt: skip
    assert tied.distinct() == 2
