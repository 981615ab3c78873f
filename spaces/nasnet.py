"""NASNet (Zoph, Vasudevan, Shlens, Le 2018, "Learning Transferable Architectures for Scalable Image Recognition",
arXiv:1707.07012), with the operations that DeepArchitect chose of the paper's.

A normal and a reduction cell of five blocks; a block adds two operations, each on any of the cell's two inputs and of
the blocks before it, and the blocks that nothing reads are concatenated. 720^2 * 8^10 = 556,627,761,561,600 normal
cells, 720^2 * 7^10 = 146,435,169,081,600 reduction cells, 81,509,880,379,785,425,253,826,560,000 networks (8.15e28).
"""

from __future__ import annotations

from collections.abc import Callable

from archsearch.errors import SpaceError
from archsearch.spaces import nn
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.mirror import Int
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Choice, Node, Sequential, Shared
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor
from archsearch.spaces.values import input

BLOCKS = 5


def relu_conv_bn(
    channels: int,
    kernel: int | tuple[int, int] = 1,
    stride: Int | tuple[Int, Int] = 1,
    padding: int | tuple[int, int] = 0,
) -> Sequential:
    return Sequential(
        nn.ReLU(), nn.Conv2d(channels, kernel, stride=stride, padding=padding, bias=False), nn.BatchNorm2d()
    )


def depthwise_separable(channels: int, kernel: int, stride: Int = 1, dilation: int = 1) -> Sequential:
    """A convolution of each channel, then one across channels (the states of a cell are all of its channels)."""
    padding = dilation * (kernel // 2)
    return Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, 1, bias=False),
        nn.BatchNorm2d(),
    )


def separable(channels: int, kernel: int, stride: Int) -> Sequential:
    """Separable convolutions stand in pairs."""
    return Sequential(depthwise_separable(channels, kernel, stride), depthwise_separable(channels, kernel))


def operations(channels: int, stride: Int) -> dict[str, Node]:
    """What a block does to a state."""
    return {
        "identity": module("archsearch.spaces.cell_layers:Skip", stride=stride),
        "sep3": separable(channels, 3, stride),
        "sep5": separable(channels, 5, stride),
        "sep7": separable(channels, 7, stride),
        "avg3": nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
        "max3": nn.MaxPool2d(3, stride, padding=1),
        "conv1x7_7x1": Sequential(
            relu_conv_bn(channels, (1, 7), (1, stride), (0, 3)), relu_conv_bn(channels, (7, 1), (stride, 1), (3, 0))
        ),
    }


def cell(channels: int, height: int, reduces: bool, drop_path: float = 0.0) -> Shared:
    """A searched cell on h0 and h1, what the two cells before it gave; decided once for the whole network.

    An input that no block reads is no part of what it gives.

    Args:
        channels: of the inputs and of every block.
        height: of the blocks. Where a reduction cell reads its inputs, which are twice as high, operations stride.
        reduces: whether it is the reduction cell.
        drop_path: how often a path is left out at the end of training; above 0, progress is a third input.
    """
    if reduces:
        of = Choice(operations(channels, -(-input.shape[1] // height)))
    else:
        dilated = depthwise_separable(channels, 3, dilation=2)
        of = Choice({**operations(channels, 1), "identity": nn.Identity(), "dil3": dilated})
    states = ["h0", "h1"]
    vertices = {}
    for i in range(BLOCKS):
        path = (Choice(list(states)), of)
        if drop_path:
            merge = module("archsearch.spaces.cell_layers:ScheduledDropPath", rate=drop_path)
            vertices[f"b{i}"] = Vertex(inputs=[path, path, "progress"], merge=merge)
        else:
            vertices[f"b{i}"] = Vertex(inputs=[path, path])
        states.append(f"b{i}")
    inputs = ("h0", "h1", "progress") if drop_path else ("h0", "h1")
    return Shared(Graph(vertices, inputs=inputs, outputs=[], unused="concat"), "reduction" if reduces else "normal")


def auxiliary_head(classes: int) -> Sequential:
    """A second classifier, on what the last reduction cell gives (8 pixels a side for CIFAR-10)."""
    return Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride=3, count_include_pad=False),
        nn.Conv2d(128, 1, bias=False),
        nn.BatchNorm2d(),
        nn.ReLU(),
        nn.Conv2d(768, input.shape[1], bias=False),
        nn.BatchNorm2d(),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(classes),
    )


def stack(
    cell: Callable[[int, int, bool, float], Node],
    reductions: list[bool],
    size: int,
    channels: int,
    head: Sequential,
    auxiliary: Sequential | None,
    inputs: tuple[str, ...] = ("image",),
) -> Graph:
    """Cells one after the other, each reading the two before it, brought to its channels and to equal size.

    Args:
        cell: makes one, of its channels, the height of what it gives, whether it reduces, and its depth, up to 1.
        reductions: for each cell whether it halves the image and doubles the channels.
        size: of the images, in pixels.
        channels: of the first cells; the stem has three times as many.
        head: on the last cell.
        auxiliary: on the last reduction cell; then the outputs are called logits and aux.
        inputs: the image, and what every cell reads beside the two before it.
    """
    stem = Sequential(nn.Conv2d(3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d())
    vertices = {"stem": Vertex(stem, inputs="image")}
    before = last = "stem"
    height, halved = size, False
    for i, reduces in enumerate(reductions):
        if reduces:
            channels, height = 2 * channels, -(-height // 2)
        reduce = module("archsearch.spaces.cell_layers:FactorizedReduce", out_channels=channels)
        reads = [(before, reduce if halved else relu_conv_bn(channels)), (last, relu_conv_bn(channels)), *inputs[1:]]
        vertices[f"cell{i}"] = Vertex(inputs=reads, merge=cell(channels, height, reduces, (i + 1) / len(reductions)))
        before, last, halved = last, f"cell{i}", reduces
    vertices["head"] = Vertex(head, inputs=last)
    if auxiliary is None:
        return Graph(vertices, inputs=inputs, outputs="head")
    reduced = max([i for i, reduces in enumerate(reductions) if reduces])
    vertices["auxiliary"] = Vertex(auxiliary, inputs=f"cell{reduced}")
    return Graph(vertices, inputs=inputs, outputs={"logits": "head", "aux": "auxiliary"})


def space(
    classes: int = 10,
    size: int = 32,
    channels: int = 32,
    cells: int = 6,
    auxiliary: bool = False,
    drop_path: float = 0.0,
) -> Space:
    """The space on CIFAR-10; the paper's NASNet-A is `channels=32, cells=6`.

    Args:
        classes: of the classifier.
        size: of the images, in pixels.
        channels: of the first cells; each of the two reduction cells doubles them.
        cells: normal cells before, between and after the reduction cells.
        auxiliary: whether the model gives ``{"logits", "aux"}`` instead of logits alone.
        drop_path: how often a path of the last cell is left out at the end of training; less in earlier cells. Above
            0, the model's second input is the part of the training that is done, 0 to 1, for each of the batch.
    """
    if not 0 <= drop_path < 1:
        raise SpaceError(f"nasnet's drop_path is a probability below 1, but got {drop_path!r}")
    reductions = [*[False] * cells, True, *[False] * cells, True, *[False] * cells]
    inputs = {"image": Tensor(3, size, size)} | ({"progress": Tensor()} if drop_path else {})
    model = stack(
        lambda channels, height, reduces, depth: cell(channels, height, reduces, drop_path * depth),
        reductions,
        size,
        channels,
        Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(classes)),
        auxiliary_head(classes) if auxiliary else None,
        tuple(inputs),
    )
    return Space(model, inputs=inputs)
