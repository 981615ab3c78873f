"""Architectures as rows of numbers for surrogates; decisions that are not asked are marked, not guessed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from archsearch.spaces.decisions import Decision, typed
from archsearch.spaces.text import list_decisions

if TYPE_CHECKING:
    import numpy as np

    from archsearch.spaces.architecture import Architecture
    from archsearch.spaces.space import Space

MAX_PATHS = 10_000


def width_of(decision: Decision) -> int:
    """Columns of a decision: one that says it is asked, and its answer (one number, or one-hot)."""
    return 1 + (1 if decision.ordered or decision.options is None else decision.size)


def fill(row: Any, start: int, decision: Decision, answer: Any) -> None:
    import math

    row[start] = 1.0
    if decision.options is None:
        low, high, x = decision.low, decision.high, answer
        if decision.log:
            low, high, x = math.log(low), math.log(high), math.log(x)
        row[start + 1] = (x - low) / (high - low)
    elif decision.ordered:
        row[start + 1] = decision.position(answer) / max(1, decision.size - 1)
    else:
        row[start + 1 + decision.position(answer)] = 1.0


def encode(space: Space, archs: Iterable[Architecture], width: int) -> np.ndarray[Any, Any]:
    """One row an architecture: a fixed block of columns per path where the paths are finite, else hashed.

    A block is [asked, value in 0..1] for numbers and [asked, one-hot...] for labels, all 0 where the decision
    is not asked. Where a grammar has no end of paths, (path, answer) pairs are hashed into `width` columns.
    """
    import numpy as np

    archs = list(archs)
    decisions, complete = list_decisions(space.compiler, MAX_PATHS)
    if not complete:
        rows = np.zeros((len(archs), width))
        for row, arch in zip(rows, archs, strict=True):
            for path, answer in arch.answers.items():
                digest = hashlib.blake2b(repr((path, typed(answer))).encode(), digest_size=8).digest()
                row[int.from_bytes(digest, "big") % width] += 1.0
        return rows
    starts: dict[str, tuple[int, Decision]] = {}
    total = 0
    for listed in decisions:
        starts[listed.path] = (total, listed.decision)
        total += width_of(listed.decision)
    rows = np.zeros((len(archs), total))
    for row, arch in zip(rows, archs, strict=True):
        for path, answer in arch.answers.items():
            fill(row, *starts[path], answer)
    return rows
