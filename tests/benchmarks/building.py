"""`arch.build()` against the same network written by hand in torch: `PYTHONPATH=tests python -m benchmarks.building`.

NAS-Bench-201 at CIFAR-10's size. Both make the same parameters in the same order; "settled": its sizes are known
already, as they are where `arch.parameters` was read; "first": a fresh architecture, whose sizes are settled too.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import torch
from benchmarks.timing import Contender, picture, show, side_by_side, versions
from torch import Tensor, nn

from archsearch.spaces import nasbench201

BUILD = "archsearch, settled"


class Cell(nn.Module):
    def __init__(self, answers: Mapping[str, Any], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                f"n{i}_n{j}": operation(answers[f"cell.n{i}.n{j}"], channels)
                for i in (1, 2, 3)
                for j in range(i)
                if answers[f"cell.n{i}.n{j}"] != "none"
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for i in (1, 2, 3):
            terms = [self.edges[f"n{i}_n{j}"](nodes[j]) for j in range(i) if f"n{i}_n{j}" in self.edges]
            nodes.append(sum(terms[1:], terms[0]) if terms else torch.zeros_like(x))
        return nodes[-1]


def relu_conv_bn(in_channels: int, channels: int, kernel: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(in_channels, channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(channels))


def operation(name: str, channels: int) -> nn.Module:
    match name:
        case "skip_connect":
            return nn.Identity()
        case "nor_conv_1x1":
            return relu_conv_bn(channels, channels, 1)
        case "nor_conv_3x3":
            return relu_conv_bn(channels, channels, 3)
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


class Reduction(nn.Module):
    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        first = relu_conv_bn(in_channels, channels, 3, stride=2)
        self.body = nn.Sequential(first, relu_conv_bn(channels, channels, 3))
        self.project = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(in_channels, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.project(x) + self.body(x)
        return total


def by_hand(answers: Mapping[str, Any]) -> nn.Module:
    """The network as one would write it."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        *[Cell(answers, 16) for _ in range(5)],
        Reduction(16, 32),
        *[Cell(answers, 32) for _ in range(5)],
        Reduction(32, 64),
        *[Cell(answers, 64) for _ in range(5)],
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def main() -> None:
    torch.set_num_threads(1)
    print(versions("torch"))
    space = nasbench201.space()
    archs = space.sample(random.Random(0), 20)
    for arch in archs:
        assert arch.parameters == sum(p.numel() for p in by_hand(arch.answers).parameters())

    def first() -> None:
        for arch in archs:
            space.architecture(arch.answers).build()

    contenders = [
        Contender("by hand", lambda: [by_hand(arch.answers) for arch in archs], len(archs)),
        Contender(BUILD, lambda: [arch.build() for arch in archs], len(archs)),
        Contender("archsearch, first", first, len(archs)),
    ]
    rates = side_by_side(contenders)
    show("building NAS-Bench-201 networks", rates, BUILD, "networks a second")
    for name in (BUILD, "archsearch, first"):
        middle, low, high = rates.ratio("by hand", name)
        print(f"  {name}: {middle:.2f} times the time by hand ({low:.2f} to {high:.2f})")
    bars = {name: rates.median(name) for name in rates.rounds}
    picture("building", "Building NAS-Bench-201", "networks a second", {"building": bars})


if __name__ == "__main__":
    main()
