"""`arch.parameters` of 1,000 networks of NAS-Bench-201's size, after warm-up: `python tests/benchmarks/settling.py`."""

from __future__ import annotations

import random
import time
from typing import Any

from archsearch.spaces import nn
from archsearch.spaces.nodes import Choice, Parallel, Residual, Sequential, Shared
from archsearch.spaces.space import Space


def conv(channels: int, kernel: int, stride: int = 1) -> Sequential:
    """ReLU, convolution, batch normalisation."""
    body = nn.Conv2d(channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    return Sequential(nn.ReLU(), body, nn.BatchNorm2d())


def cell(channels: int) -> Shared:
    """Six 5-way operations over four nodes, as far as that goes without a Graph."""

    def op() -> Choice:
        return Choice(
            {
                "zero": nn.Zero(),
                "skip": nn.Identity(),
                "conv1": conv(channels, 1),
                "conv3": conv(channels, 3),
                "pool3": nn.AvgPool2d(3, 1, 1),
            }
        )

    middle = Parallel(Sequential(op(), op()), op(), merge="add")
    return Shared(Parallel(Sequential(middle, op()), Sequential(op(), op()), merge="add"), "cell")


def network() -> Space:
    """Stem, three stages of five cells at 16, 32 and 64 channels, head."""
    stages: list[Any] = []
    for i, channels in enumerate((16, 32, 64)):
        if i:
            stages.append(Residual(Sequential(conv(channels, 3, stride=2), conv(channels, 3))))
        stages.extend([cell(channels) for _ in range(5)])
    stem = Sequential(nn.Conv2d(16, 3, padding=1, bias=False), nn.BatchNorm2d())
    head = Sequential(nn.BatchNorm2d(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10))
    return Space(Sequential(stem, *stages, head), input_shape=(3, 32, 32))


def main() -> None:
    space = network()
    rng = random.Random(0)
    for _ in range(20):
        _ = space.sample(rng).parameters
    archs = [space.sample(rng) for _ in range(1_000)]
    start = time.perf_counter()
    total = sum(arch.parameters for arch in archs)
    print(f"1,000 arch.parameters: {time.perf_counter() - start:.2f} s (mean {total / 1_000:,.0f} parameters)")


if __name__ == "__main__":
    main()
