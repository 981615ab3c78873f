"""What a pass minimises: the loss of a sub-network, or in part its divergence from the largest one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import torch

from archsearch.elastic.batches import call
from archsearch.elastic.losses import divergence, logits_of
from archsearch.elastic.sampling import Pass, Plan
from archsearch.elastic.shared import Shared
from archsearch.elastic.soft import Exits
from archsearch.errors import ElasticError

# Of the model's output and the batch.
Loss: TypeAlias = Callable[[Any, Any], torch.Tensor]


class Objective:
    """The loss of the passes of a batch.

    In-place distillation (Yu & Huang 2019, arXiv:1903.05134, section 3.2): the largest sub-network learns from the
    loss, and the others from what it gives, as a target without gradient. Where it is not among the passes it runs
    beside them.

    Args:
        shared: the modules of the sub-networks.
        plan: what is trained.
        loss: of an output and a batch.
        distill: the share of the divergence in the losses of the others.
        precision: "bf16": matrix products in bfloat16.
    """

    def __init__(self, shared: Shared, plan: Plan, loss: Loss, distill: float, precision: str | None) -> None:
        self.shared, self.plan, self.loss, self.distill, self.precision = shared, plan, loss, distill, precision
        self._exits: dict[tuple[int, ...], Exits] = {}
        self._target: torch.Tensor | None = None

    def new_batch(self) -> None:
        """Forget what the largest sub-network gave for the last batch."""
        self._target = None

    def __call__(self, this: Pass, batch: Any) -> torch.Tensor:
        """The loss of one pass, with its gradients still to be computed."""
        with self._autocast():
            is_largest = this.cut.key == self.plan.largest.key
            if self.distill and self._target is None and not is_largest:
                with torch.no_grad():
                    self._target = logits_of(call(self.shared.module(self.plan.largest), batch))
            outputs = self._run(this, batch)
            losses = []
            for i, output in reversed(list(enumerate(outputs))):
                value = self.loss(output, batch)
                check_loss(value)
                if self.distill and is_largest and i == len(outputs) - 1:
                    self._target = logits_of(output).detach()
                elif self.distill and self._target is not None:
                    value = (1 - self.distill) * value + self.distill * divergence(self._target, logits_of(output))
                losses.append(value)
            return losses[0] if len(losses) == 1 else torch.stack(losses).mean()

    def _run(self, this: Pass, batch: Any) -> list[Any]:
        module = self.shared.module(this.cut)
        if not this.depths:
            return [call(module, batch)]
        if this.depths not in self._exits:
            self._exits[this.depths] = Exits(
                module, this.cut.axes, this.depths, heads=self.plan.heads, tail=self.plan.tail
            )
        found: list[Any] = call(self._exits[this.depths], batch)
        return found

    def _autocast(self) -> AbstractContextManager[Any]:
        device = next(self.shared.net.parameters()).device
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()


def check_loss(value: Any) -> None:
    """Whether this can be minimised.

    Raises:
        ElasticError: it is no tensor of one number, or depends on no weight.
    """
    if not isinstance(value, torch.Tensor) or value.ndim or not value.requires_grad:
        raise ElasticError(
            f"loss: expected a tensor of one number that depends on the weights, but got {value!r:.100}; a loss of "
            "many numbers wants .mean()"
        )
