"""Samples and decisions a second: `python tests/benchmarks/sampling.py`."""

from __future__ import annotations

import random
import time
from typing import Any

from archsearch.spaces import nn
from archsearch.spaces.nodes import Choice, Repeat, Sequential
from archsearch.spaces.space import Space


def hierarchy() -> Space:
    """A hierarchy of 200 decisions: 10 stages of 5 blocks of 4 decisions."""
    layer = Choice(
        {"conv": nn.Conv2d(Choice([16, 32, 64]), Choice([1, 3, 5]), padding="same"), "pool": nn.MaxPool2d(3)}
    )
    block: Any = Sequential(layer, nn.Linear(Choice([8, 16, 32])), nn.Dropout(Choice([0.1, 0.2])))
    return Space(Sequential(*[Repeat(block, 5) for _ in range(10)]))


def rate(space: Space, seconds: float = 2.0) -> tuple[float, float]:
    """Architectures and decisions a second with one generator, ids left lazy."""
    rng = random.Random(0)
    num_decisions = sum(len(space.sample(rng).answers) for _ in range(200)) / 200
    count = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(100):
            space.sample(rng)
        count += 100
    samples = count / (time.perf_counter() - start)
    return samples, samples * num_decisions


def main() -> None:
    cell = Space([Choice(list(range(5))) for _ in range(6)])
    for name, space in (("cell of six 5-way decisions", cell), ("hierarchy", hierarchy())):
        samples, decisions = max(rate(space) for _ in range(3))
        print(f"{name}: {samples:,.0f} samples a second, {decisions:,.0f} decisions a second")


if __name__ == "__main__":
    main()
