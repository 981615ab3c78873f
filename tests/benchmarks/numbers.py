"""Numbers without a table: test functions of reals and integers, and tuning with a ridge.

    PYTHONPATH=tests python -m benchmarks.numbers [SEEDS] [SEARCHER,...]

- `hartmann`: six reals, several minima (Hartmann, 1973; its least is -3.32237).
- `rosenbrock`: four reals from -2 to 2, a bent valley; the logarithm of 1 + the function.
- `ackley`: three reals from -3 to 4 and two integers from -30 to 40, tenths, many minima around one that is off centre.
- `tuning`: percent of wrong answers by learning rate, weight decay, batch size and epochs, which hang together, an
  optimiser with hyperparameters of its own, warm-up and label smoothing.

Regret of the best so far, smaller is better: mean of the runs and its standard error.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any, TypeAlias

import numpy as np

from archsearch.searchers import MCTS, SMBO, Evolution, LocalSearch, Random
from archsearch.searchers.contract import Problem, Searcher, Told
from archsearch.spaces.nodes import Choice, Integer, Real
from archsearch.spaces.space import Space

CHECKPOINTS = (25, 50, 100, 200)
SEARCHERS: dict[str, Searcher] = {
    "random": Random(),
    "mcts": MCTS(),
    "evolution": Evolution(),
    "local_search": LocalSearch(),
    "smbo": SMBO(),
}

Loss: TypeAlias = Callable[[Mapping[str, Any]], float]

STEEPNESS = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
DEPTHS = np.array([1, 1.2, 3, 3.2])


def reals(number: int, low: float, high: float) -> dict[str, Real]:
    return {f"x{i}": Real(low, high) for i in range(number)}


def hartmann(a: Mapping[str, Any]) -> float:
    x = np.array(list(a.values()))
    return 3.32237 - float((DEPTHS * np.exp(-(STEEPNESS * (x - CENTRES) ** 2).sum(axis=1))).sum())


def rosenbrock(a: Mapping[str, Any]) -> float:
    x = np.array(list(a.values()))
    return math.log1p(float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()))


def ackley(a: Mapping[str, Any]) -> float:
    x = np.array([a["x0"], a["x1"], a["x2"], a["n0"] / 10, a["n1"] / 10]) - 0.7
    return float(20 + math.e - 20 * np.exp(-0.2 * np.sqrt((x**2).mean())) - np.exp(np.cos(2 * np.pi * x).mean()))


def tuning(a: Mapping[str, Any]) -> float:
    """Percent of wrong answers above the best optimiser's five."""
    optimiser, batch, warmup = a["optimiser"], a["batch"], a["warmup"]
    if optimiser == "sgd":
        momentum = a["optimiser.sgd.momentum"]
        step, wanted, base = a["lr"] / (1 - momentum) * (256 / batch), -0.3, 1.5 * (1 - momentum)
    else:
        step, wanted = a["lr"] * (256 / batch) ** 0.5, -2.8 if optimiser == "adamw" else -3.1
        base = 1.0
        if optimiser == "adamw":
            base = 0.2 + 0.05 * max(0.0, math.log10(a["optimiser.adamw.epsilon"]) + 7.0) ** 2
    off = math.log10(step) - wanted - 1.2 * min(warmup, 0.15)
    # Too large a step diverges at once, too small a one learns ever less; so it is with weight decay.
    loss = (12.0 if off > 0 else 5.0) * off**2
    decayed = math.log10(a["lr"] * a["weight_decay"]) + (5.0 if optimiser == "sgd" else 6.5)
    loss += (1.6 if decayed > 0 else 0.5) * decayed**2
    loss += 6.0 * math.exp(-a["epochs"] / 18) + 25.0 * (a["smoothing"] - 0.1) ** 2
    loss += 0.15 * (math.log2(batch) - 6.5) ** 2 + 10.0 * max(0.0, warmup - 0.12) ** 2
    return float(base + (95.0 - base) * (1 - math.exp(-loss / 30.0)))


TUNING = {
    "lr": Real(1e-5, 1.0, log=True),
    "weight_decay": Real(1e-7, 1e-1, log=True),
    "batch": Integer(8, 1024, log=True),
    "epochs": Integer(5, 100, log=True),
    "optimiser": Choice(
        {"sgd": {"momentum": Real(0.0, 0.99)}, "adamw": {"epsilon": Real(1e-10, 1e-2, log=True)}, "rmsprop": {}}
    ),
    "warmup": Real(0.0, 0.3),
    "smoothing": Real(0.0, 0.3),
}

TASKS: dict[str, tuple[Space, Loss]] = {
    "hartmann": (Space(reals(6, 0.0, 1.0)), hartmann),
    "rosenbrock": (Space(reals(4, -2.0, 2.0)), rosenbrock),
    "ackley": (Space({**reals(3, -3.0, 4.0), "n0": Integer(-30, 40), "n1": Integer(-30, 40)}), ackley),
    "tuning": (Space(TUNING), tuning),
}


def run(searcher: Searcher, space: Space, loss: Loss, seed: int) -> list[float]:
    """The least loss so far at each of the checkpoints."""
    search = searcher.start(Problem(space, {"loss": "minimize"}, seed=seed))
    losses: list[float] = []
    for number in range(CHECKPOINTS[-1]):
        proposal = search.ask(number, [])
        assert proposal is not None
        losses.append(loss(proposal.assignment))
        value = {"loss": losses[-1]}
        search.tell(Told(number, proposal.assignment, "done", value, value, 0.0))
    return [min(losses[:n]) for n in CHECKPOINTS]


def shown(values: Sequence[float]) -> str:
    """Mean and standard error."""
    return f"{mean(values):.3g} ({stdev(values) / math.sqrt(len(values)):.2g})"


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    methods = sys.argv[2].split(",") if len(sys.argv) > 2 else list(SEARCHERS)
    print(f"| task | searcher | {' | '.join(map(str, CHECKPOINTS))} | runs |\n" + "|---" * (len(CHECKPOINTS) + 3) + "|")
    for name, (space, loss) in TASKS.items():
        for method in methods:
            runs = [run(SEARCHERS[method], space, loss, seed) for seed in range(seeds)]
            best = " | ".join([shown(values) for values in zip(*runs, strict=True)])
            print(f"| {name} | {method} | {best} | {seeds} |", flush=True)


if __name__ == "__main__":
    main()
