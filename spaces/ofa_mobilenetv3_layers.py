"""The layer of `archsearch.spaces.ofa_mobilenetv3` that torch lacks; imported when something is built."""

from __future__ import annotations

import torch
from torch import nn


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple, at least one, and not below nine tenths: MobileNet's rule for widths.

    >>> [divisible(n) for n in (3, 11, 30, 60, 84)]
    [8, 16, 32, 64, 88]
    """
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from all of them (Hu et al. 2018, arXiv:1709.01507).

    The gate is MobileNetV3's: a quarter of the channels inside, a hard sigmoid. (B, C, H, W) to the same.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        inside = divisible(num_channels // 4)
        self.reduce = nn.Conv2d(num_channels, inside, 1)
        self.expand = nn.Conv2d(inside, num_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.expand(self.reduce(x.mean((2, 3), keepdim=True)).relu())
        return x * nn.functional.hardsigmoid(gate)
