"""Genetic CNN (Xie and Yuille 2017, "Genetic CNN", arXiv:1703.01513): three stages of 3, 4 and 5 nodes, and one
bit for every ordered pair of nodes of a stage. 2^(3 + 6 + 10) = 524,288 architectures, of which 6 * 31 * 302 =
56,172 differ up to isomorphism.
"""

from __future__ import annotations

from archsearch.spaces import nn
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import Boolean, Derived, Module, Sequential
from archsearch.spaces.space import Space

NODES = (3, 4, 5)


def conv(channels: int) -> Sequential:
    return Sequential(nn.Conv2d(channels, 3, padding=1), nn.BatchNorm2d(), nn.ReLU())


def stage(bits: dict[str, list[bool]], channels: int) -> Graph | Sequential:
    """The modules of a stage.

    A node without predecessors reads the stage's input, one without successors feeds its output, and one with
    neither is left out; a stage without any edge is its input convolution alone.

    Args:
        bits: for each node from the second on, whether it reads each node before it.
        channels: of every convolution.
    """
    reads = {name: [f"n{i + 1}" for i, bit in enumerate(row) if bit] for name, row in bits.items()}
    read = {source for row in reads.values() for source in row}
    names = ["n1", *bits]
    used = [name for name in names if reads.get(name) or name in read]
    if not used:
        return conv(channels)
    vertices = {"first": Vertex(conv(channels), inputs="x")}
    vertices |= {name: Vertex(conv(channels), inputs=reads.get(name) or ["first"]) for name in used}
    last = [name for name in used if name not in read]
    vertices["last"] = Vertex(conv(channels), inputs=last)
    return Graph(vertices, inputs="x", outputs="last")


def bits(nodes: int) -> dict[str, list[Boolean]]:
    """The decisions of a stage: ``n3[0]`` says whether the third node reads the first."""
    return {f"n{j}": [Boolean() for _ in range(1, j)] for j in range(2, nodes + 1)}


def space(classes: int = 10, size: int = 32, channels: tuple[int, ...] = (64, 128, 256), features: int = 1024) -> Space:
    """The space on CIFAR-10: 524,288 architectures, with paths such as ``stage2.bits.n3[0]``.

    Args:
        classes: of the classifier.
        size: of the images, in pixels.
        channels: of the three stages.
        features: of the layer before the classifier.
    """
    stages = {
        f"stage{i + 1}": Derived(stage, bits=bits(nodes), channels=wide)
        for i, (nodes, wide) in enumerate(zip(NODES, channels, strict=True))
    }
    parts: dict[str, Derived | Module] = {}
    for name, part in stages.items():
        parts |= {name: part, f"pool{name[-1]}": nn.MaxPool2d(3, stride=2, padding=1)}
    head = Sequential(nn.Flatten(), nn.Linear(features), nn.ReLU(), nn.Dropout(0.5), nn.Linear(classes))
    return Space(Sequential(**parts, head=head), input_shape=(3, size, size))
