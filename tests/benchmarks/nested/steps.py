"""What a training step of a sub-network costs beside one of the plain model of its size.

    OMP_NUM_THREADS=1 python tests/benchmarks/nested/steps.py

For S, M, L and XL and several numbers of tokens, in one run: forward and backward, and the whole step with clipping and
AdamW, as ratios to the extracted model in a plain loop of torch. Both take turns; each ratio is of the medians of the
CPU times of one thread. Then a joint step against the sum of the sampled ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from fractions import Fraction

import torch
from torch.nn import functional as F

from archsearch.elastic.cut import Cut
from archsearch.elastic.losses import default_loss
from archsearch.elastic.matformer import GRANULARITIES, MatFormer
from archsearch.elastic.objective import Objective
from archsearch.elastic.optimizer import AdamW, Idle
from archsearch.elastic.sampling import Joint, Pass, Sampled, stream
from archsearch.elastic.shared import Shared
from archsearch.elastic.training import update
from archsearch.elastic.transformer import Transformer, TransformerConfig

NAMES = ("S", "M", "L", "XL")


def network(width: int, layers: int) -> MatFormer:
    torch.manual_seed(0)
    sizes = TransformerConfig(
        width=width, layers=layers, heads=width // 64, head_dim=64, hidden=4 * width, context=1024, gated=True
    )
    return MatFormer(Transformer(sizes))


def tokens(number: int) -> torch.Tensor:
    length = min(number, 128)
    return torch.randint(256, (number // length, length), generator=torch.Generator().manual_seed(0))


def elastic(net: MatFormer, passes: list[Pass], batch: torch.Tensor, idle: Idle | None) -> Callable[[], None]:
    """A step of the trainer; without an optimiser its forward and backward only."""
    shared = Shared(net)
    plan = Sampled().plan(net) if len(passes) == 1 else Joint().plan(net)
    objective = Objective(shared, plan, default_loss, 0.0, None)
    optimizer = AdamW(net, 1e-4, idle=idle or "decay")
    for this in Joint().plan(net).draw(stream(0, 0)) if idle else []:  # as in a run that has used all of them
        (objective(this, batch) * this.weight).backward()
        update(optimizer, shared, [this], 1.0)

    def step() -> None:
        for this in passes:
            (objective(this, batch) * this.weight).backward()
            if len(passes) > 1:
                shared.gather([this.cut])
        if idle is None:
            shared.clear([this.cut for this in passes])
        else:
            update(optimizer, shared, passes, 1.0)

    return step


def plain(net: MatFormer, share: Fraction, batch: torch.Tensor, with_optimizer: bool) -> Callable[[], None]:
    """A step of a plain loop on the extracted model."""
    model = net.extract(share)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)

    def step() -> None:
        logits = model(batch)
        F.cross_entropy(logits[:, :-1].flatten(0, -2), batch[:, 1:].flatten()).backward()
        if with_optimizer:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        optimizer.zero_grad()

    return step


def one_after_the_other(net: MatFormer, cuts: list[Cut], batch: torch.Tensor) -> Callable[[], None]:
    """The sampled steps of all granularities, without an optimiser."""
    steps = [elastic(net, [Pass(cut, 1.0)], batch, None) for cut in cuts]

    def all_steps() -> None:
        for step in steps:
            step()

    return all_steps


def ratio(one: Callable[[], None], other: Callable[[], None], seconds: float) -> tuple[float, float]:
    """The CPU time of one by that of the other, and that of the other in milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for step in (one, other, one, other):
        step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for step, found in zip((one, other), times, strict=True):
            start = time.thread_time()
            step()
            found.append(time.thread_time() - start)
    mine, theirs = statistics.median(times[0]), statistics.median(times[1])
    return mine / theirs, 1000 * theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, nargs="+", default=[8, 256, 1024])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each figure")
    given = parser.parse_args()
    torch.set_num_threads(1)
    net = network(given.width, given.layers)
    cuts = {name: net.cut(share) for name, share in zip(NAMES, GRANULARITIES, strict=True)}
    print(
        f"width {given.width}, {given.layers} layers, gated ffn of {4 * given.width}, torch {torch.__version__}",
        flush=True,
    )
    print(
        f"{'tokens':>6} {'size':>4} {'plain ms':>9} {'forward+backward':>17} {'step, freeze':>13} {'step, decay':>12}"
    )
    for number in given.tokens:
        batch = tokens(number)
        for (name, cut), share in zip(cuts.items(), GRANULARITIES, strict=True):
            passes = [Pass(cut, 1.0)]
            found = [ratio(elastic(net, passes, batch, None), plain(net, share, batch, False), given.seconds)]
            for idle in ("freeze", "decay"):
                found.append(ratio(elastic(net, passes, batch, idle), plain(net, share, batch, True), given.seconds))
            ratios = [r for r, _ in found]
            print(
                f"{number:>6} {name:>4} {found[1][1]:9.2f} {ratios[0]:17.3f} {ratios[1]:13.3f} {ratios[2]:12.3f}",
                flush=True,
            )
        together = elastic(net, [Pass(cut, 1.0) for cut in list(cuts.values())[::-1]], batch, None)
        joint, _ = ratio(together, one_after_the_other(net, list(cuts.values()), batch), given.seconds)
        print(f"{number:>6} joint forward and backward against the sum of its parts: {joint:.3f}", flush=True)


if __name__ == "__main__":
    main()
