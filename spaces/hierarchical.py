"""The hierarchical and the flat space of Liu, Simonyan, Vinyals, Fernando, Kavukcuoglu 2018, "Hierarchical
Representations for Efficient Architecture Search", arXiv:1711.00436.

A motif is a graph in which every node reads the node before it through an operation, and any earlier one through an
operation or not at all. The hierarchical space has six motifs of four nodes over six primitives, and a cell of five
nodes over those motifs: 5,135,621,915,573,830,461,745,964,413,262,886,912 cells, as motifs that the cell does not use
are not decided (with them 74,088^6 * 6^4 * 7^6, 2.52e37). The flat space has a cell of eleven nodes over primitives:
6^10 * 7^45 = 6,470,298,316,092,457,238,179,310,777,784,515,845,190,188,032 cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archsearch.spaces import nn
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import Choice, Node, Sequential, Shared
from archsearch.spaces.space import Space
from archsearch.spaces.values import input

NODES = 4
MOTIFS = 6


def conv(channels: int, kernel: int = 1, groups: int = 1, stride: int = 1) -> Sequential:
    """Every convolution is followed by batch normalisation and ReLU."""
    return Sequential(
        nn.Conv2d(channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(), nn.ReLU()
    )


def separable(channels: int, stride: int = 1) -> Sequential:
    """A 3x3 separable convolution."""
    return Sequential(
        nn.Conv2d(input.channels, 3, stride, padding=1, groups=input.channels, bias=False), conv(channels)
    )


def primitives(channels: int) -> dict[str, Node]:
    """The operations of the lowest level; all of them keep the size."""
    return {
        "conv1": conv(channels),
        "depthwise3": conv(channels, 3, groups=channels),
        "separable3": separable(channels),
        "max3": nn.MaxPool2d(3, stride=1, padding=1),
        "avg3": nn.AvgPool2d(3, stride=1, padding=1),
        "identity": nn.Identity(),
    }


def motif(nodes: int, operations: Mapping[str, Node], channels: int) -> Graph:
    """A searched graph of `nodes` nodes, from n0 to the last.

    A node concatenates what it reads, and a 1x1 convolution brings that back to `channels`; the second node reads one
    thing only.
    """
    always, perhaps = Choice(operations), Choice({**operations, "none": None})
    vertices = {}
    for i in range(1, nodes):
        edges = {f"n{j}": always if j == i - 1 else perhaps for j in range(i)}
        vertices[f"n{i}"] = Vertex(conv(channels) if i > 1 else None, inputs=edges, merge="concat")
    return Graph(vertices, inputs="n0", outputs=f"n{nodes - 1}")


def network(cell: Callable[[int], Node], classes: int, size: int, channels: int, cells: int) -> Space:
    """The paper's network for CIFAR-10: three stages of cells, each with a separable convolution after it, of which the
    last halves the image and doubles the channels."""
    parts = []
    for stage in range(3):
        wide = channels * 2**stage
        for i in range(cells):
            last = i == cells - 1
            parts += [cell(wide), separable(2 * wide, stride=2) if last else separable(wide)]
    model = Sequential(
        stem=conv(channels, 3),
        body=Sequential(*parts),
        head=Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(classes)),
    )
    return Space(model, input_shape=(3, size, size))


def space(classes: int = 10, size: int = 32, channels: int = 16, cells: int = 1) -> Space:
    """The hierarchical space in the paper's small network; 5.14e36 architectures.

    Args:
        classes: of the classifier.
        size: of the images, in pixels.
        channels: of the first stage; the paper trains what it found with 64.
        cells: in each stage, all alike; the paper trains what it found with 2.
    """

    def cell(channels: int) -> Shared:
        low = primitives(channels)
        motifs = {f"motif{i}": Shared(motif(NODES, low, channels), f"motif{i}") for i in range(MOTIFS)}
        return Shared(motif(5, motifs, channels), "cell")

    return network(cell, classes, size, channels, cells)


def flat(classes: int = 10, size: int = 32, channels: int = 16, cells: int = 1) -> Space:
    """The flat space in the same network, with the same arguments; 6.47e45 architectures."""
    return network(lambda c: Shared(motif(11, primitives(c), c), "cell"), classes, size, channels, cells)
