"""NAS-Bench-201 (Dong and Yang 2020, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
Search", arXiv:2001.00326): one cell of four nodes, whose six edges each choose among five operations, repeated
five times in each of three stages. 5^6 = 15,625 architectures.

Published for CIFAR-10: 0.073306 to 1.531546 M parameters, 7.783 to 220.120 M multiply-adds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archsearch.errors import AssignmentError
from archsearch.spaces import nn
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import Choice, Repeat, Residual, Sequential, Shared
from archsearch.spaces.space import Space

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("n1.n0", "n2.n0", "n2.n1", "n3.n0", "n3.n1", "n3.n2")


def relu_conv_bn(channels: int, kernel: int, stride: int = 1) -> Sequential:
    return Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(),
    )


def cell(channels: int) -> Shared:
    """The searched cell, n0 to n3: each node is the sum of its edges; decided once for the whole network."""
    operation = Choice(
        {
            "none": nn.Zero(),
            "skip_connect": nn.Identity(),
            "nor_conv_1x1": relu_conv_bn(channels, 1),
            "nor_conv_3x3": relu_conv_bn(channels, 3),
            "avg_pool_3x3": nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
        }
    )
    vertices = {f"n{i}": Vertex(inputs={f"n{j}": operation for j in range(i)}) for i in (1, 2, 3)}
    return Shared(Graph(vertices, inputs="n0", outputs="n3"), name="cell")


def reduction(channels: int) -> Residual:
    """A basic residual block of stride 2 (He et al. 2016)."""
    return Residual(
        Sequential(relu_conv_bn(channels, 3, stride=2), relu_conv_bn(channels, 3)),
        project=Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(channels, 1, bias=False)),
    )


def space(classes: int = 10, size: int = 32, channels: int = 16, cells: int = 5) -> Space:
    """The space on CIFAR-10: 15,625 architectures, whose paths are ``cell.n1.n0`` to ``cell.n3.n2``.

    Args:
        classes: of the classifier.
        size: of the images, in pixels.
        channels: of the first stage; the second and third have 2 and 4 times as many.
        cells: in each stage.
    """
    model = Sequential(
        stem=Sequential(nn.Conv2d(channels, 3, padding=1, bias=False), nn.BatchNorm2d()),
        stage1=Repeat(cell(channels), cells),
        reduce1=reduction(2 * channels),
        stage2=Repeat(cell(2 * channels), cells),
        reduce2=reduction(4 * channels),
        stage3=Repeat(cell(4 * channels), cells),
        head=Sequential(nn.BatchNorm2d(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(classes)),
    )
    return Space(model, input_shape=(3, size, size))


def to_string(assignment: Mapping[str, Any]) -> str:
    """The benchmark's own name of an architecture.

    >>> to_string({f"cell.{edge}": "skip_connect" for edge in EDGES})
    '|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|'
    """
    nodes = [[f"{assignment[f'cell.n{i}.n{j}']}~{j}" for j in range(i)] for i in (1, 2, 3)]
    return "+".join([f"|{'|'.join(node)}|" for node in nodes])


def from_string(text: str) -> dict[str, str]:
    """The answers of the benchmark's own name of an architecture.

    >>> from_string(to_string({f"cell.{edge}": "none" for edge in EDGES}))["cell.n3.n2"]
    'none'

    Raises:
        AssignmentError: not a name of the benchmark.
    """
    found = re.findall(r"(\w+)~(\d)", text)
    answers = {
        f"cell.{edge}": operation
        for edge, (operation, source) in zip(EDGES, found, strict=False)
        if edge.endswith(source) and operation in OPERATIONS
    }
    if len(answers) != len(EDGES) or to_string(answers) != text:
        raise AssignmentError(
            f"{text!r} is no architecture of NAS-Bench-201; expected |op~0|+|op~0|op~1|+|op~0|op~1|op~2| with op one "
            f"of {', '.join(OPERATIONS)}"
        )
    return answers


def paper_form(assignment: Mapping[str, Any]) -> str:
    """What the paper counts as one topology: 6,466 of them.

    Nodes are written as sums of their terms, skips dropped, and a zero, or an operation on one, as ``#``; so
    x + 0 differs from x + 0 + 0, which `arch.canonical_id` tells to be the same.
    """
    nodes = ["0"]
    for i in (1, 2, 3):
        terms = []
        for j in range(i):
            operation = assignment[f"cell.n{i}.n{j}"]
            if operation == "none" or nodes[j] == "#":
                terms.append("#")
            else:
                terms.append(nodes[j] if operation == "skip_connect" else f"({nodes[j]})@{operation}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]
