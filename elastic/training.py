"""Training super-networks: a plain loop.

    history = train(net, lambda i: data[i], steps=1000)                        # MatFormer: one granularity a step
    train(net, loader, steps=1000, mode=Sandwich(), distill=1.0, optimizer=AdamW(net, lr=3e-4, idle="freeze"))

`batches` is a function of the number of the batch, so that a run resumes exactly, or any iterable.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from archsearch.elastic import checkpoint as checkpoints
from archsearch.elastic.batches import Batches, numbered, to_device
from archsearch.elastic.history import History, Step
from archsearch.elastic.losses import default_loss
from archsearch.elastic.network import Elastic
from archsearch.elastic.objective import Loss, Objective
from archsearch.elastic.optimizer import AdamW
from archsearch.elastic.sampling import Joint, Pass, Plan, Sampled, Sandwich, SoFT, stream
from archsearch.elastic.shared import Shared
from archsearch.errors import ElasticError

Mode: TypeAlias = Sampled | Joint | Sandwich | SoFT

MODES: dict[str, Callable[[], Mode]] = {"sampled": Sampled, "joint": Joint, "sandwich": Sandwich}

# Steps by which a checkpoint knows its own choice of sub-networks again.
FINGERPRINT = 16


def train(
    net: Elastic,
    batches: Batches,
    *,
    steps: int,
    mode: Mode | Literal["sampled", "joint", "sandwich"] = "sampled",
    loss: Loss = default_loss,
    distill: float = 0.0,
    optimizer: torch.optim.Optimizer | None = None,
    schedule: Callable[[int], float] | None = None,
    accumulate: int = 1,
    clip: float | None = 1.0,
    precision: Literal["bf16"] | None = None,
    compile: bool = False,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
    progress: bool | None = None,
) -> list[Step]:
    """Train a super-network's weights in place.

    Args:
        net: the super-network; on its device.
        batches: a function of the number of the batch (0, 1, 2, ...), or an iterable, which is gone through again when
            it ends. A batch is what `net` takes: a tensor, a mapping of named arguments, or a pair of inputs and
            targets; its tensors are moved to the device of `net`.
        steps: of the optimiser, those of a run that is resumed included.
        mode: which sub-networks run in a step: `Sampled`, `Joint`, `Sandwich` or `SoFT`, or a name for its defaults.
        loss: of the model's output and the batch; by default cross-entropy, see `default_loss`.
        distill: the share of each loss that is not `loss` but the divergence from the largest sub-network, which
            learns from `loss` alone (in-place distillation). In [0, 1]; needs logits.
        optimizer: by default `AdamW(net)`. Any of torch's will do; it gets whole gradients, zero for idle units.
        schedule: the factor of the learning rate by step, such as `cosine(steps)`; by default 1.
        accumulate: batches a step, whose mean loss is minimised.
        clip: the largest global norm of the gradient; None leaves it.
        precision: "bf16": matrix products in bfloat16 (`torch.autocast`); weights stay as they are.
        compile: run compiled graphs (`torch.compile`), one for each sub-network.
        seed: of the choice of sub-networks; nothing else depends on it. Dropout follows torch's own generator.
        checkpoint: a folder. A run that finds a checkpoint there goes on from it, bit for bit as if it had not stopped
            (of an iterable the batches that were used are skipped: it must give the same ones again).
        every: write a checkpoint every so many steps, and at the end; by default at the end only.
        progress: show a line of progress; by default where standard error is a terminal.

    Returns:
        What each step did; after a resumption, those after it.

    Raises:
        ElasticError: a value is out of its range, the batches ended at once, the loss is no number that is minimised,
            or the checkpoint is of another run.
    """
    check(steps=steps, distill=distill, accumulate=accumulate, clip=clip, every=every, precision=precision)
    mode = MODES[mode]() if isinstance(mode, str) and mode in MODES else mode
    if not isinstance(mode, Mode):
        known = ", ".join(MODES)
        raise ElasticError(
            f"mode: expected Sampled(), Joint(), Sandwich(), SoFT() or a name ({known}), but got {mode!r}"
        )
    if compile and (isinstance(mode, SoFT) or getattr(mode, "per_layer", False)):
        raise ElasticError("compile: there is no graph that serves all steps with per_layer or SoFT; leave it out")
    if not isinstance(net, Elastic):
        raise ElasticError(f"train takes a super-network such as MatFormer(model), but got {type(net).__name__}")
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise ElasticError(f"optimizer: expected one of torch's or AdamW(net), but got {optimizer!r}")
    plan = mode.plan(net)
    optimizer = optimizer or AdamW(net)
    device = next(net.parameters()).device
    shared = Shared(net, compiled=compile)
    objective = Objective(shared, plan, loss, distill, precision)
    run = {"accumulate": accumulate, "sub-networks": fingerprint(plan, seed)}
    start = resume(checkpoint, net, optimizer, run) if checkpoint is not None else 0
    supply = numbered(batches, start * accumulate * (plan.passes if plan.own_batch else 1))
    history = History(progress, start, steps)
    was_training = net.training
    net.train()
    optimizer.zero_grad()
    shared.clear()
    with history:
        for step in range(start, steps):
            set_rate(optimizer, schedule(step) if schedule is not None else 1.0)
            passes = plan.draw(stream(seed, step))
            losses = [torch.zeros((), device=device) for _ in passes]
            for _ in range(accumulate):
                for i, this in enumerate(passes):
                    if i == 0 or plan.own_batch:
                        batch = to_device(next(supply), device)
                        objective.new_batch()
                    value = objective(this, batch)
                    (value * (this.weight / accumulate)).backward()
                    losses[i] += value.detach() / accumulate
                    if len(passes) > 1:
                        shared.gather([this.cut])
            norm = update(optimizer, shared, passes, clip)
            history.add(step, tuple(this.cut for this in passes), losses, norm)
            if checkpoint is not None and (step + 1 == steps or (every and (step + 1) % every == 0)):
                save(checkpoint, net, optimizer, run, step + 1)
    net.train(was_training)
    return history.steps


def update(optimizer: torch.optim.Optimizer, shared: Shared, passes: list[Pass], clip: float | None) -> torch.Tensor:
    """One step of the optimiser on the gradients that the passes left; returns their global norm."""
    cuts = list({this.cut.key: this.cut for this in passes}.values())
    freezes = isinstance(optimizer, AdamW) and optimizer.idle == "freeze"
    parts = shared.parts(cuts[0]) if freezes and len(passes) == 1 else ()
    if not parts:
        shared.gather(cuts)
    elsewhere = {id(part.whole) for part in parts}
    live = [p for group in optimizer.param_groups for p in group["params"] if id(p) not in elsewhere]
    live += [part.leaf for part in parts]
    norm = torch.nn.utils.get_total_norm([p.grad for p in live if p.grad is not None])
    if clip is not None:
        torch.nn.utils.clip_grads_with_norm_(live, clip, norm)
    if isinstance(optimizer, AdamW):
        grads = {id(part.whole): part.leaf.grad for part in parts if part.leaf.grad is not None}
        optimizer.step(used=cuts, parts=grads)
    else:
        optimizer.step()
    optimizer.zero_grad()
    shared.clear(cuts)
    return norm


def fingerprint(plan: Plan, seed: int) -> str:
    """What tells one choice of sub-networks from another: what the first steps run."""
    drawn = [[(p.cut.key, p.weight, p.depths) for p in plan.draw(stream(seed, step))] for step in range(FINGERPRINT)]
    return hashlib.sha256(repr(drawn).encode()).hexdigest()[:16]


def cosine(steps: int, *, warmup: int = 0, floor: float = 0.1) -> Callable[[int], float]:
    """A schedule: linear from 0 for `warmup` steps, then a half cosine down to `floor` at the last of `steps`."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
        return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2

    return factor


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of every group to a factor of what it was made with."""
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
        group["lr"] = group["initial_lr"] * factor


def resume(
    folder: str | os.PathLike[str], net: nn.Module, optimizer: torch.optim.Optimizer, run: Mapping[str, Any]
) -> int:
    """Take up a checkpoint, where there is one; returns the step to go on with.

    Raises:
        ElasticError: it is of another run, or does not fit the model.
    """
    state = checkpoints.read(folder)
    if state is None:
        return 0
    for name, value in run.items():
        if state["run"].get(name) != value:
            raise ElasticError(
                f"the checkpoint in {folder} is of a run with other {name}, which follow from the arguments "
                f"({state['run'].get(name)!r} there, {value!r} here); give another folder"
            )
    try:
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ElasticError(f"the checkpoint in {folder} does not fit this model and optimiser: {error}") from error
    checkpoints.restore_random_state(state["random"])
    return int(state["step"])


def save(
    folder: str | os.PathLike[str],
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: Mapping[str, Any],
    step: int,
) -> None:
    """Write a checkpoint: weights, optimiser, torch's generators and the number of steps done."""
    state = {"step": step, "run": dict(run), "net": net.state_dict(), "optimizer": optimizer.state_dict()}
    checkpoints.write(folder, state | {"random": checkpoints.random_state()})


def check(
    *, steps: int, distill: float, accumulate: int, clip: float | None, every: int | None, precision: str | None
) -> None:
    """Whether the numbers of a run are in their ranges."""
    counts = [steps, accumulate, *([] if every is None else [every])]
    if not all(type(count) is int for count in counts) or steps < 0 or min(counts[1:]) < 1:
        raise ElasticError(
            f"expected integers steps >= 0, accumulate >= 1 and every >= 1, but got {steps=}, {accumulate=}, {every=}"
        )
    if not 0 <= distill <= 1:
        raise ElasticError(f"distill is the share of the loss in [0, 1], but got {distill}")
    if clip is not None and not clip > 0:
        raise ElasticError(f"clip is a positive norm, or None for no clipping, but got {clip}")
    if precision not in (None, "bf16"):
        raise ElasticError(f'precision: expected None or "bf16", but got {precision!r}')
