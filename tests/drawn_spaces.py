"""Spaces to draw: every part of the language, and wide, deep and odd ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import archsearch as A
from archsearch import nn


def conv(channels: Any, kernel: int = 3) -> Any:
    return nn.Conv2d(channels, kernel, padding=kernel // 2)


def operations() -> A.Choice:
    return A.Choice({"skip": nn.Identity(), "conv1": conv(8, 1), "conv3": conv(8), "pool": nn.AvgPool2d(3, 1, 1)})


def every_part() -> A.Space:
    """Every part of the language once."""
    width = A.Choice([8, 16], name="width")
    shared = A.Shared(A.Sequential(nn.Linear(width), nn.ReLU()), "half")
    wider = A.Sequential(nn.Linear(A.Choice([2, 3]) * A.input.features), nn.ReLU())
    two = A.Sequential(nn.Linear(A.Choice([8, 9])), nn.Linear(8))
    model = A.Sequential(
        stem=A.Sequential(nn.Linear(width), A.Choice({"relu": nn.ReLU(), "gelu": nn.GELU()})),
        body=A.Repeat(A.Residual(wider), A.Integer(1, 3)),
        tied=A.Repeat(nn.Linear(A.Choice([8, 16])), 2, tied=True),
        order=A.Permute(nn.ReLU(), A.Optional(nn.Dropout(A.Choice([0.1, 0.2])), name="drop")),
        some=A.Subset([nn.ReLU(), nn.Tanh(), nn.Sigmoid()], 1, 2),
        ways=A.Parallel(A.Choice({"one": nn.Linear(8), "two": two}), nn.Linear(8), merge="add"),
        lazy=A.Lazy(lambda n: A.Sequential(*[nn.Linear(A.Choice([8, 16]))] * n), n=A.Integer(1, 2)),
        scope=A.Scope(nn.Linear(A.Choice([4, 8], name="k")), "k"),
        first=shared,
        second=shared,
        head=nn.Linear(10),
    )
    values = {
        "rate": A.Real(1e-4, 1e-1, log=True),
        "optimizer": A.Choice({"adam": {"beta": A.Choice([0.9, 0.99])}, "sgd": {"momentum": A.Boolean()}}),
        "epochs": 10,
    }
    return A.Space({"model": model, **values}, input_shape=(8,), require=[A.Require(lambda width: width > 0, "width")])


def by_index() -> A.Space:
    """Copies that differ by their index."""
    layers = A.Repeat(lambda i: nn.Linear(A.Choice([8, 16]) if i else 4), A.Integer(1, 6))
    return A.Space({"model": layers, "more": A.Repeat(lambda i: A.Choice([i, 7]), 2)}, input_shape=(3,))


def cells() -> A.Space:
    """One cell with operations on its edges, in three widths."""
    op = operations()
    graph = A.Graph(
        {"n1": A.Vertex(inputs={"n0": op}), "n2": A.Vertex(inputs={"n0": op, "n1": op})}, inputs="n0", outputs="n2"
    )
    cell = A.Shared(graph, "cell")
    return A.Space(A.Sequential(conv(8), A.Repeat(cell, 5), conv(8, 1), A.Repeat(cell, 5)), input_shape=(3, 16, 16))


def sources() -> A.Space:
    """Decided sources of all kinds, and named outputs."""
    vertices = {
        "a": A.Vertex(conv(8), inputs="x"),
        "b": A.Vertex(conv(8), inputs={"a": A.Optional(nn.Identity()), "x": conv(8, 1)}),
        "c": A.Vertex(conv(8, 1), inputs=A.Subset(["a", "b"], 1, 2), merge="concat"),
        "d": A.Vertex(inputs=[(A.Choice(["a", "b"]), operations()), "c"]),
    }
    graph = A.Graph(vertices, inputs="x", outputs={"one": "d", "two": ["c", "a"]}, dead="prune", max_edges=9)
    return A.Space(graph, input_shape=(3, 8, 8))


def two_inputs() -> A.Space:
    """A graph of several inputs, merged by a graph of several inputs."""
    merge = A.Graph({"s": A.Vertex(inputs=["p", "q"], merge="mul")}, inputs=("p", "q"), outputs="s")
    vertices = {
        "wide": A.Vertex(nn.Linear(8), inputs="first"),
        "long": A.Vertex(nn.Linear(A.Choice([8])), inputs="second"),
        "both": A.Vertex(nn.Linear(A.Choice([2, 4])), inputs=["wide", "long"], merge=merge),
    }
    graph = A.Graph(vertices, inputs=("first", "second"), outputs="both")
    return A.Space(graph, inputs={"image": A.Tensor(5), "text": A.Tensor(6)})


def cell_of_blocks(blocks: int) -> A.Graph:
    names = ["x", "y"]
    vertices = {}
    for i in range(blocks):
        vertices[f"b{i}"] = A.Vertex(inputs=[(A.Choice(list(names)), operations()) for _ in range(2)])
        names.append(f"b{i}")
    return A.Graph(vertices, inputs=("x", "y"), outputs=[], unused="concat")


def many_cells(cells: int = 20, blocks: int = 5) -> A.Space:
    """Like NASNet: cells of blocks that choose their sources, each reading the two cells before it."""
    kinds = {name: A.Shared(cell_of_blocks(blocks), name) for name in ("normal", "reduction")}
    vertices = {"stem": A.Vertex(conv(8), inputs="image")}
    before = last = "stem"
    for i in range(cells):
        kind = "reduction" if i % 7 == 6 else "normal"
        reads = [(before, conv(8, 1)), (last, conv(8, 1))]
        vertices[f"cell{i}"] = A.Vertex(inputs=reads, merge=kinds[kind])
        before, last = last, f"cell{i}"
    return A.Space(A.Graph(vertices, inputs="image", outputs=last), input_shape=(3, 8, 8))


def wide(branches: int = 30) -> A.Space:
    """Many branches that differ."""
    made = [A.Sequential(nn.Linear(A.Choice([4 + i, 40 + i])), nn.ReLU()) for i in range(branches)]
    return A.Space(A.Sequential(A.Parallel(*made), nn.Linear(10)), input_shape=(8,))


def wide_alike(branches: int = 30) -> A.Space:
    """Many branches that are declared alike."""
    made = [A.Sequential(nn.Linear(A.Choice([4, 8])), nn.ReLU()) for _ in range(branches)]
    return A.Space(A.Sequential(A.Parallel(*made), nn.Linear(10)), input_shape=(8,))


def wide_graph(vertices: int = 12) -> A.Space:
    """Vertices beside one another, read in turn by three."""
    first = {f"v{i}": A.Vertex(nn.Linear(A.Choice([8])), inputs="x") for i in range(vertices)}
    second = {
        f"w{i}": A.Vertex(nn.Linear(A.Choice([4, 8])), inputs=[f"v{j}" for j in range(vertices) if j % 3 == i])
        for i in range(3)
    }
    return A.Space(A.Graph({**first, **second}, inputs="x", outputs=list(second)), input_shape=(8,))


def deep(layers: int = 100) -> A.Space:
    """200 decisions, one after the other."""
    made = [
        A.Sequential(nn.Linear(A.Choice([16 + i, 200 + i])), A.Choice({"relu": nn.ReLU(), "gelu": nn.GELU()}))
        for i in range(layers)
    ]
    return A.Space(A.Sequential(*made), input_shape=(8,))


def deep_graph(layers: int = 100) -> A.Space:
    """A graph of many layers, with shortcuts."""
    vertices = {}
    for i in range(layers):
        reads = ["x"] if i == 0 else [f"v{i - 1}", *([f"v{i - 3}"] if i >= 3 and i % 2 else [])]
        vertices[f"v{i}"] = A.Vertex(nn.Linear(8), inputs=reads)
    return A.Space(A.Graph(vertices, inputs="x", outputs=f"v{layers - 1}"), input_shape=(8,))


def grammar() -> A.Space:
    """A grammar that ends."""

    def rule(depth: int) -> Any:
        if depth == 0:
            return nn.Linear(A.Choice([8, 16]))
        again = A.Lazy(rule, depth=depth - 1)
        return A.Choice({"stop": nn.ReLU(), "more": A.Sequential(again, again)})

    return A.Space(A.Lazy(rule, depth=2), input_shape=(8,))


def odd_text() -> A.Space:
    """Words that mean something to XML, DOT or Mermaid, or nothing to a font."""
    words = ["<b>&amp;</b>", 'say "hi"', "back\\slash", "line\nbreak", "nul\x00", "half\ud800", "$x^2$", "a`b*c_d"]
    values = {f"n{i}": A.Choice([word, i]) for i, word in enumerate(words)}
    model = nn.Linear(A.Choice([1, 2], name="größe"))
    return A.Space({"model": model, "日本語": A.Choice(words), **values}, input_shape=(3,))


def only_values() -> A.Space:
    """No model."""
    return A.Space({f"p{i}": A.Real(0.1, 1.0) for i in range(30)})


def one_module() -> A.Space:
    return A.Space(nn.Linear(3), input_shape=(2,))


SPACES: dict[str, Callable[[], A.Space]] = {
    made.__name__: made
    for made in (
        every_part,
        by_index,
        cells,
        sources,
        two_inputs,
        many_cells,
        wide,
        wide_alike,
        wide_graph,
        deep,
        deep_graph,
        grammar,
        odd_text,
        only_values,
        one_module,
    )
}


def pattern(path: str) -> re.Pattern[str]:
    """What a path in a drawing stands for: `[i]` stands for every copy, `[0…4]` for those from 0 to 4."""
    steps = re.split(r"(\[i\]|\[\d+…\d+\])", path)
    found = []
    for step in steps:
        some = re.fullmatch(r"\[(\d+)…(\d+)\]", step)
        if some:
            found.append(r"\[(" + "|".join([str(n) for n in range(int(some[1]), int(some[2]) + 1)]) + r")\]")
        else:
            found.append(r"\[\d+\]" if step == "[i]" else re.escape(step))
    return re.compile("".join(found))
