"""Nested granularities against models that are trained alone: `python -m benchmarks.nested.parity`.

Printed at equal total compute (the super-network has the steps of all four together) and at equal steps for each model
(every model alone has as many steps as the super-network): the two give opposite verdicts at this size. Also the
points of Mix'n'Match against the line between the trained granularities, and how far the small models agree with the
large one of their family. Runs are kept in `results/parity.jsonl` with the versions, and are not run again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from benchmarks.nested.tasks import HIDDEN, TASKS, Task
from torch import nn
from torch.nn import functional as F

from archsearch.elastic.cut import Cut
from archsearch.elastic.losses import default_loss
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.network import Elastic
from archsearch.elastic.sampling import Sampled
from archsearch.elastic.training import train

RESULTS = Path(__file__).parent / "results" / "parity.jsonl"
WIDTHS = (HIDDEN // 8, HIDDEN // 4, HIDDEN // 2, HIDDEN)
LAYERS = 4


def schedule(steps: int) -> Any:
    """5% of warming up, then a cosine to a tenth."""
    warm = max(1, steps // 20)
    return lambda i: min((i + 1) / warm, 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, i / steps))))


def trained(task: Task, net: Elastic, steps: int, seed: int, mode: Sampled | None = None) -> Elastic:
    """The super-network after so many steps of the recipe, in evaluation mode; one sub-network a step by default."""
    optimizer = torch.optim.AdamW(net.parameters(), task.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    train(
        net,
        lambda i: task.batch(i, seed),
        steps=steps,
        mode=mode or Sampled(),
        optimizer=optimizer,
        schedule=schedule(steps),
        seed=seed,
        progress=False,
    )
    net.eval()
    return net


def alone(task: Task, width: int, steps: int, seed: int) -> Elastic:
    """A dense model of one width, trained by itself by the same loop."""
    torch.manual_seed(seed)
    return trained(task, MatFormer(task.model(width), [1]), steps, seed)


def nested(task: Task, steps: int, seed: int) -> Elastic:
    torch.manual_seed(seed)
    return trained(task, MatFormer(task.model(HIDDEN), [w / HIDDEN for w in WIDTHS]), steps, seed)


def parts(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets."""
    return (batch[0], batch[1]) if isinstance(batch, tuple) else (batch[:, :-1], batch[:, 1:])


@torch.no_grad()
def measures(task: Task, nets: Sequence[tuple[Elastic, Cut | None]]) -> list[dict[str, float]]:
    """Loss and accuracy of each on the validation part, and how far it agrees with the last one."""
    totals = [[0.0] * 4 for _ in nets]
    number = 0
    for batch in task.validation:
        inputs, targets = parts(batch)
        logits = [net(inputs, cut).flatten(0, -2).float() for net, cut in nets]
        flat = targets.flatten()
        number += len(flat)
        reference = F.log_softmax(logits[-1], -1)
        for total, found in zip(totals, logits, strict=True):
            log_q = F.log_softmax(found, -1)
            total[0] += float(F.nll_loss(log_q, flat, reduction="sum"))
            total[1] += float((found.argmax(-1) == flat).sum())
            total[2] += float((found.argmax(-1) == logits[-1].argmax(-1)).sum())
            total[3] += float(F.kl_div(log_q, reference, reduction="sum", log_target=True))
    names = ("loss", "accuracy", "agreement", "kl")
    return [dict(zip(names, (value / number for value in total), strict=True)) for total in totals]


def least_slope() -> list[tuple[int, ...]]:
    """The 13 configurations whose width grows with depth by at most one granularity, by size."""
    found = [
        tuple([WIDTHS[i]] * (LAYERS - k) + [WIDTHS[i + 1]] * k) for i in range(len(WIDTHS) - 1) for k in range(LAYERS)
    ]
    return [*found, (HIDDEN,) * LAYERS]


def configurations(net: Elastic, widths: Sequence[Sequence[int]]) -> list[Cut]:
    return [net.cut({f"ffn.{i}": m for i, m in enumerate(row)}) for row in widths]


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def run(task: Task, kind: str, steps: int, seed: int) -> dict[str, Any]:
    """One run: the four models alone, or the super-network with all that is read off it."""
    start = time.process_time()
    if kind == "alone":
        models = [(alone(task, width, steps, seed), None) for width in WIDTHS]
        found: dict[str, Any] = {"granularities": measures(task, models)}
    else:
        net = nested(task, 4 * steps, seed)
        cuts = [net.cut(w / HIDDEN) for w in WIDTHS]
        found = {"granularities": measures(task, [(net, cut) for cut in cuts])}
        seconds = time.process_time() - start
        slope = configurations(net, least_slope())
        found["least_slope"] = [m["loss"] for m in measures(task, [(net, cut) for cut in slope])]
        shapes = {name: tuple(p.shape) for name, p in net.model.named_parameters(remove_duplicate=False)}
        found["least_slope_parameters"] = [cut.numel(shapes) for cut in slope]
        # All 256 of them on the first batch or two: what `search` chooses from.
        rows = list(itertools.product(WIDTHS, repeat=LAYERS))
        found["all"] = [[list(row), loss] for row, loss in zip(rows, all_losses(task, net, rows), strict=True)]
        return {**found, "seconds": seconds}
    return {**found, "seconds": time.process_time() - start}


@torch.no_grad()
def all_losses(task: Task, net: Elastic, rows: Sequence[Sequence[int]]) -> list[float]:
    batches = task.validation[::4]
    return [
        sum(float(default_loss(net(parts(b)[0], cut), parts(b))) for b in batches) / len(batches)
        for cut in configurations(net, rows)
    ]


def kept() -> Iterator[dict[str, Any]]:
    if RESULTS.exists():
        yield from (json.loads(line) for line in RESULTS.read_text().splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400, help="X: steps of a model alone at equal total compute")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = {(row["task"], row["kind"], row["steps"], row["seed"]) for row in kept()}
    for seed in range(arguments.seeds):
        for name in arguments.tasks.split(","):
            for kind, steps in (
                ("nested", arguments.steps),
                ("alone", arguments.steps),
                ("alone", 4 * arguments.steps),
            ):
                if (name, kind, steps, seed) in done:
                    continue
                found = run(TASKS[name](), kind, steps, seed)
                versions = {"torch": torch.__version__, "archsearch": metadata.version("archsearch")}
                row = {"task": name, "kind": kind, "steps": steps, "seed": seed, **found, "versions": versions}
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(
                    name,
                    kind,
                    steps,
                    seed,
                    [round(m["loss"], 3) for m in found["granularities"]],
                    f"{found['seconds']:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
