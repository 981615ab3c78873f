"""Draws that follow the effects of single decisions that a Gaussian process has found.

In a space of hundreds of decisions no few changes of a trial come near to what is known to be good in all of them:
these draws make all decisions at once, each answer the likelier the more it is said to add.
"""

from __future__ import annotations

import itertools
import math
import random
from bisect import bisect_right
from typing import Any

import numpy as np

from archsearch.errors import EndlessSpace, Infeasible
from archsearch.searchers.embedding import Embedding
from archsearch.searchers.kernel import Array
from archsearch.searchers.patience import patience
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.decisions import Decision, typed
from archsearch.spaces.space import Space

# By how many nats the best answer is likelier than the worst, for the mean of all decisions. By turns: the first looks
# about, the last takes the best of what is known.
STRENGTHS = (3.0, 30.0)


class EffectDraws:
    """Draws of architectures.

    Args:
        space: of the architectures.
        embedding: the columns of its decisions.
        slopes: by column, what it adds to the loss.
    """

    def __init__(self, space: Space, embedding: Embedding, slopes: Array) -> None:
        self.space = space
        self.effects: dict[str, dict[Any, float]] = {}
        ranges = []
        for path, block in embedding.blocks.items():
            if len(block.table) and block.decision.options is not None:
                added = block.table @ slopes[block.start : block.start + block.table.shape[1]]
                ranges.append(float(np.ptp(added)))
                self.effects[path] = dict(zip(map(typed, block.decision.options), added.tolist(), strict=True))
        self.unit = sum(ranges) / len(ranges) if any(ranges) else 1.0
        # By path and strength, the decision with the summed chances of its options.
        self.chances: dict[tuple[str, float], tuple[Decision, list[float]]] = {}

    def __call__(self, number: int, rng: random.Random) -> list[Architecture]:
        """About so many, fewer where constraints refuse some."""
        found = []
        with patience(number):
            for i in range(number):
                try:
                    arch = Architecture(self.space, self.walk(STRENGTHS[i % len(STRENGTHS)], rng))
                except EndlessSpace:  # a grammar that sometimes does not end
                    continue
                except Infeasible:
                    break
                if self.space.allowed(arch):
                    found.append(arch)
        return found

    def walk(self, strength: float, rng: random.Random) -> dict[str, Any]:
        def decide(decision: Decision, path: str) -> Any:
            effects = self.effects.get(path)
            if effects is None or decision.options is None:
                return decision.draw(rng.random)
            known = self.chances.get((path, strength))
            if known is None or known[0] is not decision:
                known = self.chances[path, strength] = decision, summed(decision, effects, strength / self.unit)
            below = known[1]
            return decision.options[min(bisect_right(below, rng.random() * below[-1]), len(below) - 1)]

        return self.space.walk(decide)


def summed(decision: Decision, effects: dict[Any, float], strength: float) -> list[float]:
    """The chances of the options, but for a factor, each with those before it; what has no effect known adds 0."""
    assert decision.options is not None
    added = [effects.get(typed(option), 0.0) for option in decision.options]
    least = min(added)
    chances = [
        math.exp(strength * (least - effect)) / decision.rarity(option)
        for option, effect in zip(decision.options, added, strict=True)
    ]
    return list(itertools.accumulate(chances))
