"""Search for per-layer widths under a budget, against the paper's rule: `python -m benchmarks.nested.search`.

Reads the losses of all 256 configurations (4 layers, 4 granularities) that `parity` measured of every super-network:
nothing is trained here. For each budget: the loss of what the rule of least slope picks, its rank among
all that fit, and the mean loss that searchers reach with 20 and 40 evaluations.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.nested.parity import LAYERS, RESULTS, WIDTHS, least_slope

from archsearch.searchers.contract import Problem, Searcher, Told
from archsearch.searchers.local_search import LocalSearch
from archsearch.searchers.random import Random
from archsearch.searchers.smbo import SMBO
from archsearch.spaces.nodes import Choice, Repeat
from archsearch.spaces.space import Space

BUDGETS = (256, 384, 512, 704)
EVALUATIONS = (20, 40)
SEARCHERS: dict[str, Searcher] = {"random": Random(), "local search": LocalSearch(), "smbo": SMBO()}


def fits(budget: int) -> Space:
    """The configurations with at most so many hidden units over all layers."""
    root = {"ffn": Repeat(Choice(list(WIDTHS)), LAYERS)}
    return Space(root, where=[lambda arch: sum(arch.values["ffn"]) <= budget])


def searched(searcher: Searcher, losses: Mapping[tuple[int, ...], float], budget: int, seed: int) -> list[float]:
    """The best loss found after each evaluation."""
    space = fits(budget)
    search = searcher.start(Problem(space, {"loss": "minimize"}, seed=seed))
    best: list[float] = []
    for number in range(max(EVALUATIONS)):
        proposal = search.ask(number, ())
        if proposal is None:
            break
        loss = losses[tuple(space.architecture(proposal.assignment).values["ffn"])]
        search.tell(Told(number, proposal.assignment, "done", {"loss": loss}, {"loss": loss}, 0.0))
        best.append(min([loss, *best[-1:]]))
    return best + best[-1:] * (max(EVALUATIONS) - len(best))


def rows() -> list[dict[str, Any]]:
    found = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return [row for row in found if row["kind"] == "nested"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    print(
        "| data, seed | units | best of all that fit | least slope (rank) | "
        + " | ".join(f"{name} {n}" for name in SEARCHERS for n in EVALUATIONS)
        + " |"
    )
    for row in rows():
        losses = {tuple(widths): loss for widths, loss in row["all"]}
        for budget in BUDGETS:
            fitting = sorted(loss for widths, loss in losses.items() if sum(widths) <= budget)
            rule = losses[max((c for c in least_slope() if sum(c) <= budget), key=sum)]
            cells = [f"{row['task']}, {row['seed']}", str(budget), f"{fitting[0]:.4f}"]
            cells.append(f"{rule:.4f} ({fitting.index(rule) + 1} of {len(fitting)})")
            for searcher in SEARCHERS.values():
                runs = [searched(searcher, losses, budget, seed) for seed in range(seeds)]
                cells += [f"{statistics.mean(run[n - 1] for run in runs):.4f}" for n in EVALUATIONS]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
