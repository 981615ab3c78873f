"""NAS-Bench-Macro (Su et al. 2021, "Prioritized Architecture Sampling with Monto-Carlo Tree Search",
arXiv:2103.11922): eight searched layers in stages of 2, 3 and 3, each identity or one of two MobileNetV2
blocks. 3^8 = 6,561 architectures.
"""

from __future__ import annotations

from archsearch.spaces import nn
from archsearch.spaces.nodes import Choice, Residual, Sequential
from archsearch.spaces.space import Space
from archsearch.spaces.values import input

STAGES = ((64, 2), (128, 3), (256, 3))


def block(channels: int, stride: int, expansion: int, kernel: int) -> Sequential | Residual:
    """A MobileNetV2 block (Sandler et al. 2018), with a shortcut where input and output are alike."""
    wide = expansion * input.channels
    body = Sequential(
        nn.Conv2d(wide, 1, bias=False),
        nn.BatchNorm2d(),
        nn.ReLU6(),
        nn.Conv2d(input.channels, kernel, stride=stride, padding=kernel // 2, groups=input.channels, bias=False),
        nn.BatchNorm2d(),
        nn.ReLU6(),
        nn.Conv2d(channels, 1, bias=False),
        nn.BatchNorm2d(),
    )
    return body if stride == 2 else Residual(body)


def layer(channels: int, first: bool) -> Choice:
    """One searched layer; the identity of a stage's first layer still has to halve and widen."""
    stride = 2 if first else 1
    skip = Sequential(nn.Conv2d(channels, 1, stride=2, bias=False), nn.BatchNorm2d()) if first else None
    return Choice({"identity": skip, "mb3_k3": block(channels, stride, 3, 3), "mb6_k5": block(channels, stride, 6, 5)})


def space(classes: int = 10) -> Space:
    """The space on CIFAR-10: 6,561 architectures."""
    layers = [layer(channels, i == 0) for channels, depth in STAGES for i in range(depth)]
    model = Sequential(
        stem=Sequential(nn.Conv2d(32, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.ReLU6()),
        layers=Sequential(*layers),
        head=Sequential(
            nn.Conv2d(1280, 1, bias=False),
            nn.BatchNorm2d(),
            nn.ReLU6(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(classes),
        ),
    )
    return Space(model, input_shape=(3, 32, 32))
