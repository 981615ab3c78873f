"""Small steps of numbers: a change of a learning rate by a little, which a fresh draw from its range hardly ever is."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from typing import Any

from archsearch.errors import EndlessSpace
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.decisions import Decision, IntegerRange, RealRange
from archsearch.spaces.moves import candidate_of, keep_or
from archsearch.spaces.space import Space

# A step is normal, in shares of the range or of its logarithm; between these its deviation is drawn, in the logarithm.
LONGEST, SHORTEST = 0.3, 0.003
# Where a number has at most so many answers, the nearest come up often enough among all others.
FEW = 10


def nudges(space: Space, arch: Architecture, n: int, rng: random.Random) -> list[Architecture]:
    """Up to `n` architectures with a number moved a little; every other one has several moved.

    Several, as a ridge may lie across all of them. Fewer where constraints refuse some, or a grammar does not end;
    none where there is no number.
    """
    replay = space.replay_of(arch)
    numbers = {
        path: decision
        for path, decision in replay.decisions.items()
        if isinstance(decision, IntegerRange | RealRange) and decision.size > FEW
    }
    if not numbers:
        return []
    paths = list(numbers)

    def draw(decision: Decision, path: str) -> Any:
        return decision.draw(rng.random)

    found = []
    for i in range(n):
        deviation = LONGEST * (SHORTEST / LONGEST) ** rng.random()
        moved = [paths[int(rng.random() * len(paths))]]
        if i % 2:
            moved += [path for path in paths if path != moved[0] and rng.random() < 0.5]
        changed = {path: nudged(numbers[path], arch.answers[path], rng.gauss(0.0, deviation)) for path in moved}
        with suppress(EndlessSpace):  # the number opens a grammar that sometimes does not end
            candidate = candidate_of(space, keep_or(replay, changed, draw))
            if candidate is not None:
                found.append(candidate)
    return found


def nudged(decision: IntegerRange | RealRange, answer: float, step: float) -> float:
    """The answer moved by a share of its range; an integer at least by one, unless it is at an end.

    >>> nudged(RealRange(0.0, 1.0), 0.25, 0.5), nudged(IntegerRange(1, 100), 7, -0.0001)
    (0.75, 6)
    """
    low, high = float(decision.low), float(decision.high)
    moved = math.exp(math.log(answer) + step * math.log(high / low)) if decision.log else answer + step * (high - low)
    moved = min(high, max(low, moved))
    if isinstance(decision, RealRange):
        return moved
    whole = round(moved)
    if whole == answer:
        whole += 1 if step > 0 else -1
    return min(decision.high, max(decision.low, whole))
