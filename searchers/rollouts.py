"""Rollouts: how what is below the tree is drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence

from archsearch.searchers.answers import ScoredAnswers
from archsearch.searchers.bisection import Cell, Scale
from archsearch.searchers.uct import draw_index, evidence, tilted

# How strongly rollouts follow the evidence, in nats a standard error.
STRENGTH = 1.5
# What a simulation that gives nothing new multiplies it by, for the next.
CALMING = 0.8
# What the evidence of all copies of a decision counts beside that of the decision itself.
COPIES = 0.3
# Fewer trials tell nothing about parts of a cell.
MIN_TRIALS = 2


def shares(scale: Scale, cells: Sequence[Cell]) -> list[float]:
    """The chances of cells in a draw that falls into one of them."""
    masses = [scale.share(cell) for cell in cells]
    total = sum(masses)
    return [mass / total for mass in masses]


def follow(path: str, scale: Scale, cell: Cell, answers: ScoredAnswers, strength: float, rng: random.Random) -> Cell:
    """A part of a cell, drawn by how likely the decision's own draw makes each and by what trials in it scored.

    It is divided until it is one answer, or until there are too few trials in it to tell its parts apart.
    """
    sources = [(answers.line(path, scale), 1.0)]
    copies = answers.line_of_copies(path, scale)
    if copies is not None:
        sources.append((copies, COPIES))
    while True:
        known = [(line, weight, *line.of(cell)) for line, weight in sources]
        known = [source for source in known if source[2] >= MIN_TRIALS]
        parts = scale.split(cell, finest=True) if known else ()
        if not parts:
            return cell
        evidences = []
        for part in parts:
            found = 0.0
            for line, weight, count, total in known:
                inside, score = line.of(part)
                found += weight * evidence(score, inside, total / count)
            evidences.append(found)
        cell = parts[draw_index(tilted(shares(scale, parts), evidences, strength), rng.random())]
