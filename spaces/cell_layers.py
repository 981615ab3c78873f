"""Layers of the published cells that torch lacks; imported when something is built.

Axes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class FactorizedReduce(nn.Module):
    """Halves height and width: two 1x1 convolutions of stride 2 side by side, one a pixel further down and right.

    ReLU before and batch normalisation after. (B, C, H, W) to (B, out_channels, ceil(H/2), ceil(W/2)).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv0 = nn.Conv2d(in_channels, half, 1, stride=2, bias=False)
        self.conv1 = nn.Conv2d(in_channels, out_channels - half, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.relu()
        further = functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        normalised: torch.Tensor = self.bn(torch.cat([self.conv0(x), self.conv1(further)], 1))
        return normalised


class Skip(nn.Module):
    """The identity at stride 1, `FactorizedReduce` at stride 2."""

    def __init__(self, num_channels: int, stride: int) -> None:
        super().__init__()
        self.reduce = nn.Identity() if stride == 1 else FactorizedReduce(num_channels, num_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reduced: torch.Tensor = self.reduce(x)
        return reduced


class ScheduledDropPath(nn.Module):
    """The sum of two paths, each left out for a part of the batch while training (NASNet, section 3 and appendix A).

    A path is left out with probability `rate` times `progress`, and is scaled so that its mean stays.

    Args:
        rate: at the end of training, below 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, a: torch.Tensor, b: torch.Tensor, progress: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) twice, and the part of the training that is done, 0 to 1, for each of the batch: (B,)."""
        if not self.training:
            return a + b
        keep = (1 - self.rate * progress).view(-1, 1, 1, 1)
        paths = [path * (torch.rand_like(path[:, :1, :1, :1]) < keep) / keep for path in (a, b)]
        return paths[0] + paths[1]

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
