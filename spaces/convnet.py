"""A convolutional network worth searching: stages of residual blocks, each with its own kernel and expansion.

Depth, width and kernel of every stage are decided, after the design spaces of Radosavovic et al. 2020
(arXiv:2003.13678) and the inverted bottlenecks of Sandler et al. 2018 (arXiv:1801.04381).
"""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.spaces import nn
from archsearch.spaces.nodes import Choice, Integer, Optional, Repeat, Residual, Scope, Sequential
from archsearch.spaces.space import Space
from archsearch.spaces.values import input


def block(kernels: Sequence[int], expansions: Sequence[int]) -> Scope:
    """An inverted bottleneck that keeps its shape; kernel and expansion are decided for each."""
    kernel = Choice(list(kernels), name="kernel")
    body = Sequential(
        nn.Conv2d(Choice(list(expansions)) * input.channels, 1, bias=False),
        nn.BatchNorm2d(),
        nn.SiLU(),
        nn.Conv2d(input.channels, kernel, padding=kernel // 2, groups=input.channels, bias=False),
        nn.BatchNorm2d(),
        nn.SiLU(),
    )
    return Scope(body, "kernel")


def stage(widths: Sequence[int], depth: int, kernels: Sequence[int], expansions: Sequence[int]) -> Scope:
    """A strided convolution to the stage's width, then up to `depth` residual blocks."""
    width = Choice(list(widths), name="width")
    project = Sequential(nn.Conv2d(width, 1, bias=False), nn.BatchNorm2d())
    return Scope(
        Sequential(
            down=Sequential(nn.Conv2d(width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(), nn.SiLU()),
            blocks=Repeat(Residual(Sequential(block(kernels, expansions), project)), Integer(0, depth)),
        ),
        "width",
    )


def space(
    classes: int = 10,
    image: tuple[int, int, int] = (3, 32, 32),
    widths: Sequence[Sequence[int]] = ((24, 32, 48), (48, 64, 96), (96, 128, 192)),
    depth: int = 4,
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[int] = (2, 4),
) -> Space:
    """The space; 203,041,559,250 architectures by default: 2 (3 (1 + 6 + 6^2 + 6^3 + 6^4))^3."""
    stages = [stage(some, depth, kernels, expansions) for some in widths]
    model = Sequential(
        stem=Sequential(nn.Conv2d(16, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.SiLU()),
        stages=Sequential(*stages),
        head=Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), Optional(nn.Dropout(0.2)), nn.Linear(classes)),
    )
    return Space(model, input_shape=image)
