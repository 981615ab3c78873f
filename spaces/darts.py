"""DARTS (Liu, Simonyan, Yang 2019, "DARTS: Differentiable Architecture Search", arXiv:1806.09055): the discrete space,
and the network in which the paper trains what it found.

A normal and a reduction cell of four nodes; a node adds two of what is before it, each through one of seven operations,
and the four are concatenated. 1 * 3 * 6 * 10 = 180 ways to wire a cell, (180 * 7^8)^2 networks (1.08e18).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archsearch.errors import AssignmentError
from archsearch.spaces import nn
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.modules import module
from archsearch.spaces.nasnet import auxiliary_head, depthwise_separable, separable, stack
from archsearch.spaces.nodes import Choice, Sequential, Shared, Subset
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor

STATES = ("c0", "c1", "n0", "n1", "n2", "n3")


def operations(channels: int, stride: int) -> Choice:
    """The operations of an edge; the paper's zero is left out where an architecture is read off."""
    reduce = module("archsearch.spaces.cell_layers:FactorizedReduce", out_channels=channels)
    return Choice(
        {
            "max_pool_3x3": nn.MaxPool2d(3, stride, padding=1),
            "avg_pool_3x3": nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
            "skip_connect": nn.Identity() if stride == 1 else reduce,
            "sep_conv_3x3": separable(channels, 3, stride),
            "sep_conv_5x5": separable(channels, 5, stride),
            "dil_conv_3x3": depthwise_separable(channels, 3, stride, dilation=2),
            "dil_conv_5x5": depthwise_separable(channels, 5, stride, dilation=2),
        }
    )


def cell(channels: int, reduces: bool) -> Shared:
    """A searched cell on c0 and c1, what the two cells before it gave; decided once for the whole network."""
    of_input, of_node = operations(channels, 2 if reduces else 1), operations(channels, 1)
    edges = {state: of_input if state in ("c0", "c1") else of_node for state in STATES}
    vertices = {
        name: Vertex(inputs=Subset({state: edges[state] for state in STATES[:i]}, 2, 2))
        for i, name in enumerate(STATES[2:], start=2)
    }
    return Shared(Graph(vertices, inputs=("c0", "c1"), outputs=list(vertices)), "reduction" if reduces else "normal")


def space(classes: int = 10, size: int = 32, channels: int = 36, cells: int = 20, auxiliary: bool = False) -> Space:
    """The space on CIFAR-10, in the paper's evaluation network: 1,076,746,950,455,072,400 architectures.

    Args:
        classes: of the classifier.
        size: of the images, in pixels.
        channels: of the first cells; each of the two reduction cells doubles them.
        cells: of them, those at one and two thirds are reduction cells.
        auxiliary: whether the model gives ``{"logits", "aux"}`` instead of logits alone.
    """
    model = stack(
        lambda channels, height, reduces, depth: cell(channels, reduces),
        [i in (cells // 3, 2 * cells // 3) for i in range(cells)],
        size,
        channels,
        Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(classes)),
        auxiliary_head(classes) if auxiliary else None,
    )
    return Space(model, inputs={"image": Tensor(3, size, size)})


def from_genotype(space: Space, normal: Sequence[tuple[str, int]], reduce: Sequence[tuple[str, int]]) -> Architecture:
    """The architecture of a genotype as it is published: eight edges a cell, two for each node.

    Args:
        space: what `space()` gave.
        normal, reduce: the operation of each edge, and what it reads: 0 and 1 are the cells before, the older first, 2
            the first node.

    Raises:
        AssignmentError: the space has no such architecture.
    """
    wanted: dict[str, Any] = {}
    for name, edges in (("normal", normal), ("reduction", reduce)):
        for i, node in enumerate(STATES[2:]):
            read = {STATES[source]: operation for operation, source in edges[2 * i : 2 * i + 2]}
            if len(edges) != 8 or len(read) != 2:
                raise AssignmentError(
                    f"{name}: expected four nodes, each of two edges from two states, but got {edges}"
                )
            wanted |= {f"{name}.{node}.inputs.{state}": state in read for state in STATES[: i + 2]}
            wanted |= {f"{name}.{node}.{state}": operation for state, operation in read.items()}
    return space.architecture(space.walk(lambda decision, path: wanted[path]))
