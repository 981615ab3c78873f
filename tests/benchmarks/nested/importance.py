"""What sorting a trained model by importance saves when it is cut: `python -m benchmarks.nested.importance`.

A byte model of tiny Shakespeare is trained by itself, sorted, and cut without any training after it. Printed: the
validation loss of each cut, the mean over seeds. About a minute a seed.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from benchmarks.nested.parity import alone, measures
from benchmarks.nested.tasks import HIDDEN, shakespeare

from archsearch.elastic.importance import by_activation, by_gradient, by_magnitude
from archsearch.elastic.network import Elastic
from archsearch.elastic.sorting import sort

CUTS: dict[str, Mapping[str, float]] = {
    "full": {},
    "ffn 1/4": {"ffn": 1 / 4},
    "ffn 1/2": {"ffn": 1 / 2},
    "heads 1/2": {"heads": 1 / 2},
    "heads 3/4": {"heads": 3 / 4},
    "width 3/4": {"width": 3 / 4},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=800)
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = shakespeare()
    found: dict[str, list[list[float]]] = {}
    for seed in range(given.seeds):
        whole = alone(task, HIDDEN, given.steps, seed)
        batches = [task.batch(i, seed + 1000) for i in range(8)]
        ways: dict[str, Callable[[Elastic], Any] | None] = {
            "unsorted": None,
            "magnitude": by_magnitude,
            "activation": partial(by_activation, batches=batches),
            "gradient": partial(by_gradient, batches=batches),
        }
        for name, way in ways.items():
            net = copy.deepcopy(whole)
            if way is not None:
                sort(net, way(net))
            losses = measures(task, [(net, net.cut(cut)) for cut in CUTS.values()])
            found.setdefault(name, []).append([m["loss"] for m in losses])
    print("| | " + " | ".join(CUTS) + " |")
    print("|---" * (len(CUTS) + 1) + "|")
    for name, runs in found.items():
        print(
            f"| {name} | " + " | ".join(f"{statistics.mean(column):.3f}" for column in zip(*runs, strict=True)) + " |"
        )


if __name__ == "__main__":
    main()
