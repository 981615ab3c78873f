"""Unordered decisions of 24 to 100 labels: what a search finds where nothing says which labels are alike.

    PYTHONPATH=tests python -m benchmarks.wide [SEEDS] [SEARCHER,...]

Five decisions. Every run has worths of its own, drawn with its seed:

- `clusters`: the labels of a decision lie in six clusters. A label is worth what its cluster is, a little of its own,
  and what its cluster is together with that of the label before.
- `labels`: a label is worth something of its own, whatever the others are.
- `parent`: a label is worth what its cluster is beside the cluster of the first decision's label.
- `nothing`: an architecture is worth something of its own.

The best so far is in standard deviations of random architectures above their mean, larger is better: mean of the runs
and its standard error.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist, mean, stdev
from typing import Any, TypeAlias

from archsearch.searchers import MCTS, SMBO, Evolution, LocalSearch, Random
from archsearch.searchers.contract import Problem, Searcher, Told
from archsearch.spaces.nodes import Choice
from archsearch.spaces.space import Space

CHECKPOINTS = (25, 50, 100, 200)
WIDTHS = (24, 36, 48, 64, 100)
CLUSTERS = 6
# Random architectures that a run's unit and zero are from.
DRAWS = 500

SPACE = Space({f"d{i}": Choice([f"v{label}" for label in range(width)]) for i, width in enumerate(WIDTHS)})
SEARCHERS: dict[str, Searcher] = {
    "random": Random(),
    "plain UCT": MCTS(bisection=False, shared=0.0, rollouts="random"),
    "mcts": MCTS(),
    "evolution": Evolution(),
    "local search": LocalSearch(),
    "smbo": SMBO(),
}

Worth: TypeAlias = Callable[[Sequence[int]], float]


def members(rng: random.Random) -> list[list[int]]:
    """The cluster of each label of each decision."""
    return [[rng.randrange(CLUSTERS) for _ in range(width)] for width in WIDTHS]


def normals(rng: random.Random, scale: float, number: int) -> list[float]:
    return [rng.gauss(0, scale) for _ in range(number)]


def clusters(rng: random.Random) -> Worth:
    member = members(rng)
    of_cluster = [normals(rng, 1.0, CLUSTERS) for _ in WIDTHS]
    own = [normals(rng, 0.3, width) for width in WIDTHS]
    pairs = [[normals(rng, 0.7, CLUSTERS) for _ in range(CLUSTERS)] for _ in WIDTHS]

    def worth(labels: Sequence[int]) -> float:
        at = [member[i][label] for i, label in enumerate(labels)]
        alone = [of_cluster[i][at[i]] + own[i][label] for i, label in enumerate(labels)]
        return sum(alone) + sum([pairs[i][a][b] for i, (a, b) in enumerate(pairwise(at))])

    return worth


def independent(rng: random.Random) -> Worth:
    own = [normals(rng, 1.0, width) for width in WIDTHS]
    return lambda labels: sum([own[i][label] for i, label in enumerate(labels)])


def parent(rng: random.Random) -> Worth:
    member = members(rng)
    effects = [[normals(rng, 1.0, CLUSTERS) for _ in range(CLUSTERS)] for _ in WIDTHS]

    def worth(labels: Sequence[int]) -> float:
        first, *rest = [member[i][label] for i, label in enumerate(labels)]
        return sum([effects[i][first][cluster] for i, cluster in enumerate(rest)])

    return worth


def nothing(rng: random.Random) -> Worth:
    salt = rng.random()
    return lambda labels: NormalDist().inv_cdf(random.Random(f"{salt} {labels}").random())


WORTHS: dict[str, Callable[[random.Random], Worth]] = {
    "clusters": clusters,
    "labels": independent,
    "parent": parent,
    "nothing": nothing,
}


def labels_of(assignment: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple([int(answer[1:]) for answer in assignment.values()])


def run(searcher: Searcher, made: Callable[[random.Random], Worth], seed: int) -> list[float]:
    """The best so far at the checkpoints."""
    rng = random.Random(seed)
    worth = made(rng)
    drawn = [worth(labels_of(SPACE.sample(rng).assignment)) for _ in range(DRAWS)]
    search = searcher.start(Problem(SPACE, {"score": "maximize"}, seed=seed))
    scores: list[float] = []
    for number in range(CHECKPOINTS[-1]):
        proposal = search.ask(number, ())
        assert proposal is not None
        value = {"score": worth(labels_of(proposal.assignment))}
        search.tell(Told(number, proposal.assignment, "done", value, value, 0.0))
        scores.append(value["score"])
    return [(max(scores[:n]) - mean(drawn)) / stdev(drawn) for n in CHECKPOINTS]


def shown(values: Sequence[float]) -> str:
    """Mean and standard error."""
    return f"{mean(values):.2f} ({stdev(values) / math.sqrt(len(values)):.2f})"


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    methods = sys.argv[2].split(",") if len(sys.argv) > 2 else list(SEARCHERS)
    print(
        f"| worth | searcher | {' | '.join(map(str, CHECKPOINTS))} | runs |\n" + "|---" * (len(CHECKPOINTS) + 3) + "|"
    )
    for name, made in WORTHS.items():
        for method in methods:
            runs = [run(SEARCHERS[method], made, seed) for seed in range(seeds)]
            best = " | ".join([shown(values) for values in zip(*runs, strict=True)])
            print(f"| {name} | {method} | {best} | {seeds} |", flush=True)


if __name__ == "__main__":
    main()
