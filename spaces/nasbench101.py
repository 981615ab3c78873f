"""NAS-Bench-101 (Ying et al. 2019, "NAS-Bench-101: Towards Reproducible Neural Architecture Search",
arXiv:1902.09635): a cell of at most five operations between its input and its output, with at most nine edges,
used nine times. 1,824,025 answers; 423,624 cells up to isomorphism, as published.

How wide a vertex is follows from the whole cell, so the cell is decided as a wiring of labels, and a Derived
makes modules of it.
"""

from __future__ import annotations

from archsearch.spaces import nn
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Choice, Derived, Module, Sequential, Shared, Subset
from archsearch.spaces.resolved import Dag
from archsearch.spaces.space import Space

OPERATIONS = ("conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3")


def wiring(vertices: int = 5, max_edges: int = 9) -> Graph:
    """The searched cell, as labels: every vertex may read the input and every vertex before it."""
    names = ["input"]
    inside = {}
    for i in range(1, vertices + 1):
        inside[f"v{i}"] = Vertex(Choice(OPERATIONS), inputs=Subset(list(names)))
        names.append(f"v{i}")
    # What reaches the output is a set: `merge` only says that its order does not tell cells apart.
    return Graph(inside, inputs="input", outputs=Subset(names), merge="add", max_edges=max_edges)


def conv_bn_relu(channels: int, kernel: int) -> Sequential:
    return Sequential(nn.Conv2d(channels, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(eps=1e-5), nn.ReLU())


def operation(label: str, channels: int) -> Sequential | Module:
    if label == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return conv_bn_relu(channels, 3 if label == "conv3x3-bn-relu" else 1)


def widths(wiring: Dag, channels: int) -> dict[str, int]:
    """The channels of each vertex: what reaches the output shares its channels evenly, the first ones one more;
    every other vertex is as wide as the widest that reads it."""
    (output,) = wiring.outputs
    last = [link.source for link in output.links if link.source != "input"]
    found = {name: channels // len(last) + (i < channels % len(last)) for i, name in enumerate(last)}
    for vertex in reversed(wiring.vertices):
        if vertex.name not in found:
            readers = [v.name for v in wiring.vertices if vertex.name in [link.source for link in v.links]]
            found[vertex.name] = max([found[name] for name in readers])
    return found


def cell(wiring: Dag, channels: int) -> Graph | Sequential:
    """The modules of a wiring. The input is projected wherever it is read, and added to the output last; a value
    wider than its reader is cut."""
    project = conv_bn_relu(channels, 1)
    if not wiring.vertices:
        return project
    wide = widths(wiring, channels)

    def edge(source: str, reader: str) -> tuple[str, Sequential | Module] | str:
        if source == "input":
            return source, conv_bn_relu(wide[reader], 1)
        if wide[source] == wide[reader]:
            return source
        return source, module("archsearch.spaces.nasbench101_layers:truncate", channels=wide[reader])

    vertices = {
        vertex.name: Vertex(
            operation(vertex.op, wide[vertex.name]), inputs=[edge(link.source, vertex.name) for link in vertex.links]
        )
        for vertex in wiring.vertices
    }
    (output,) = wiring.outputs
    last = [link.source for link in output.links if link.source != "input"]
    if len(last) == len(output.links):
        return Graph(vertices, inputs="input", outputs=last)
    vertices["joined"] = Vertex(inputs=last, merge="concat")
    return Graph(vertices, inputs="input", outputs=["joined", ("input", project)], merge="add")


def space(classes: int = 10, size: int = 32, channels: int = 128, cells: int = 3) -> Space:
    """The space on CIFAR-10: 1,824,025 lists of answers.

    Args:
        classes: of the classifier.
        size: of the images, in pixels.
        channels: of the first stack; each of the other two doubles them.
        cells: in each of the three stacks.
    """
    decided = Shared(wiring(), name="cell")
    stacks: dict[str, Sequential] = {}
    for i in range(3):
        inside: list[Module | Derived] = [] if i == 0 else [nn.MaxPool2d(2)]
        inside += [Derived(cell, wiring=decided, channels=channels * 2**i) for _ in range(cells)]
        stacks[f"stack{i + 1}"] = Sequential(*inside)
    model = Sequential(
        stem=conv_bn_relu(channels, 3),
        **stacks,
        head=Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(classes)),
    )
    return Space(model, input_shape=(3, size, size))
