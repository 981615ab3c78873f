"""Tree search with and without bisection on DeepArchitect's comparison space, against random search.

    PYTHONPATH=tests python -m benchmarks.mcts [SEEDS]

The space of Negrinho and Gordon, 2017 (arXiv:1704.08792), a convolutional network with its training, the ways of
training decided first, as there; 64 evaluations. In place of training two made-up scores with noise of 0.01: A follows
depth most, which is best inside its range, B the learning rate.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

from archsearch.searchers import MCTS, SMBO, Random
from archsearch.searchers.contract import Problem, Searcher, Told
from archsearch.spaces import deeparchitect
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.space import Space

EVALUATIONS, FIRST = 64, 16
NOISE = 0.01

SEARCHERS: dict[str, Searcher] = {
    "random": Random(),
    "plain UCT": MCTS(bisection=False, shared=0.0, rollouts="random"),
    "UCT with bisection": MCTS(shared=0.0, rollouts="random"),
    "mcts without bisection": MCTS(bisection=False),
    "mcts": MCTS(),
    "smbo": SMBO(),
}
# Of rate, depth, filters, normalisation and dropout.
WEIGHTS = {"A": (0.10, 0.45, 0.10, 0.05, 0.10), "B": (0.45, 0.10, 0.10, 0.05, 0.10)}


def score(assignment: Mapping[str, Any], weights: tuple[float, ...]) -> float:
    """0.2 and the weighted terms, each at most 1, so at most 1."""
    middle = -3.0 if assignment["optimizer"] == "adam" else -2.5
    rate: float = math.exp(-((math.log10(assignment["learning_rate"]) - middle) ** 2))
    times = [assignment["model[1]"], assignment["model[3]"]]
    depth = 1 - abs(math.log2(max(sum(times), 2)) - 3) / 3
    filters = [(assignment[f"model[{i}].out_channels"], 1) for i in (0, 2)]
    filters += [(assignment[f"model[{i}][*][0].out_channels"], n) for i, n in zip((1, 3), times, strict=True)]
    width = sum([size * n for size, n in filters]) / sum([n for _, n in filters]) / 256
    normalised = float(tuple(assignment["model[1][*][1]"]) == (1, 0))  # batch normalisation right after the convolution
    rates = [assignment.get(f"model[{i}][*][2].present.p") for i in (1, 3)]
    dropouts = [1.0 if p == 0.1 else -0.5 for p in rates if p is not None]
    terms = (rate, depth, width, normalised, mean(dropouts) if dropouts else 0.5)
    total: float = 0.2 + sum([weight * term for weight, term in zip(weights, terms, strict=True)])
    return total


def run(searcher: Searcher, space: Space, weights: tuple[float, ...], seed: int) -> list[float]:
    """What the evaluations of a run scored, with noise."""
    search = searcher.start(Problem(space, {"score": "maximize"}, seed=seed))
    scores = []
    for number in range(EVALUATIONS):
        proposal = search.ask(number, ())
        assert proposal is not None
        noise = random.Random(f"{seed} {answers_id(proposal.assignment)}").gauss(0.0, NOISE)
        value = {"score": min(1.0, max(0.0, score(proposal.assignment, weights) + noise))}
        search.tell(Told(number, proposal.assignment, "done", value, value, 0.0))
        scores.append(value["score"])
    return scores


def shown(values: list[float]) -> str:
    """Mean and standard error."""
    return f"{mean(values):.3f} ({stdev(values) / math.sqrt(len(values)):.3f})"


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    network = deeparchitect.deepconv().root
    space = Space({**deeparchitect.training(), "model": network}, input_shape=(3, 32, 32))
    print(f"| score | searcher | best of {FIRST} | best of {EVALUATIONS} | mean of all | runs |\n" + "|---" * 6 + "|")
    for name, weights in WEIGHTS.items():
        for method, searcher in SEARCHERS.items():
            number = min(seeds, 20) if method == "smbo" else seeds
            runs = [run(searcher, space, weights, seed) for seed in range(number)]
            first, best = ([max(scores[:n]) for scores in runs] for n in (FIRST, EVALUATIONS))
            every = [mean(scores) for scores in runs]
            print(f"| {name} | {method} | {shown(first)} | {shown(best)} | {shown(every)} | {number} |", flush=True)


if __name__ == "__main__":
    main()
