"""160 sub-models of one SortedNet: `python -m benchmarks.nested.sorted`.

A ViT of 8 layers on Fashion-MNIST, its depth (1 to 8 layers) and the width of its feed-forward layers (20 widths, a
twentieth of 320 units apart) nested at once; one sub-network a step, or four (g_r). Printed: the share of the full
model's test accuracy that each of the 160 retains. Runs are kept in `results/sorted.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import time
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from benchmarks.nested.parity import measures, trained
from benchmarks.nested.tasks import fashion

from archsearch.elastic.sampling import Sampled, combinations
from archsearch.elastic.sortednet import SortedNet
from archsearch.elastic.transformer import ViT, ViTConfig

RESULTS = Path(__file__).parent / "results" / "sorted.jsonl"
DEPTHS = list(range(1, 9))
WIDTHS = [Fraction(i, 20) for i in range(1, 21)]


def full_model() -> ViT:
    return ViT(ViTConfig(width=64, layers=8, heads=4, hidden=320, patch=7))


def network(seed: int) -> SortedNet:
    torch.manual_seed(seed)
    return SortedNet(full_model(), layers=DEPTHS, ffn=WIDTHS)


def run(steps: int, draws: int, seed: int) -> dict[str, Any]:
    """Train with `draws` sub-networks a step and as many steps fewer, and evaluate all 160."""
    start = time.process_time()
    task = fashion()
    net = trained(task, network(seed), steps // draws, seed, Sampled(draws=draws, own_batch=True))
    cuts = combinations(net)
    found = measures(task, [(net, cut) for cut in cuts])
    table = [[len(cut.layers or ()), len(cut.kept["ffn.0"]), m["accuracy"]] for cut, m in zip(cuts, found, strict=True)]
    return {"table": table, "seconds": time.process_time() - start}


def full_alone(steps: int, seed: int) -> float:
    """Test accuracy of the full model trained by itself with as many passes."""
    torch.manual_seed(seed)
    task = fashion()
    net = trained(task, SortedNet(full_model(), ffn=[1]), steps, seed)
    return measures(task, [(net, None)])[0]["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000, help="passes of a batch through a sub-network, in all")
    parser.add_argument("--draws", type=int, nargs="*", default=[1, 4])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    done = {(row["kind"], row["steps"], row["seed"]) for row in rows}
    versions = {"torch": torch.__version__, "archsearch": metadata.version("archsearch")}
    for seed in range(arguments.seeds):
        for kind in (*(f"draws {n}" for n in arguments.draws), "full alone"):
            if (kind, arguments.steps, seed) in done:
                continue
            if kind == "full alone":
                found: dict[str, Any] = {"accuracy": full_alone(arguments.steps, seed)}
            else:
                found = run(arguments.steps, int(kind.split()[1]), seed)
            row = {"kind": kind, "steps": arguments.steps, "seed": seed, **found, "versions": versions}
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(kind, seed, found.get("accuracy") or summary(found["table"]), flush=True)


def summary(table: list[list[float]]) -> str:
    """Of one run: the full model's accuracy, and what the 160 retain of it."""
    full = next(accuracy for depth, width, accuracy in table if depth == 8 and width == 320)
    shares = sorted(accuracy / full for *_, accuracy in table)
    enough = sum(share >= 0.96 for share in shares)
    median = shares[len(shares) // 2]
    return f"full {full:.4f}; {enough} of {len(shares)} retain 96%; least {shares[0]:.4f}, median {median:.4f}"


if __name__ == "__main__":
    main()
