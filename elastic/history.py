"""What the steps of training did, and a line of progress for people who look at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch

from archsearch.elastic.cut import Cut

# Steps that are read from the device together, as reading waits for it.
TOGETHER = 20

# How much of the loss that is shown is of the last step.
NEW = 0.05


@dataclass(frozen=True)
class Step:
    """What one step of training did.

    Attributes:
        step: its number, from 0.
        cuts: the sub-networks that ran, in their order.
        losses: of each, the mean over the batches of the step.
        norm: of the gradient, before it was clipped.
    """

    step: int
    cuts: tuple[Cut, ...]
    losses: tuple[float, ...]
    norm: float


class History:
    """The steps so far; as a context it shows them on standard error.

    Args:
        shown: whether to show them; None: where standard error is a terminal.
        done: steps before.
        total: steps in all.

    Attributes:
        steps: what each did; complete when the context ends.
    """

    def __init__(self, shown: bool | None, done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        hidden = not (console.is_terminal if shown is None else shown)
        self._bar = Progress(*columns, console=console, disable=hidden)
        self._task = self._bar.add_task("", total=total, completed=done)
        self._means: dict[Any, float] = {}
        self._pending: list[tuple[int, tuple[Cut, ...], torch.Tensor]] = []
        self.steps: list[Step] = []

    def __enter__(self) -> History:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._read()
        self._bar.stop()

    def add(self, step: int, cuts: tuple[Cut, ...], losses: Sequence[torch.Tensor], norm: torch.Tensor) -> None:
        """Add a step, of which the numbers may still be computed."""
        self._pending.append((step, cuts, torch.stack([*losses, norm.to(losses[0].device)])))
        if len(self._pending) == TOGETHER:
            self._read()

    def _read(self) -> None:
        for step, cuts, numbers in self._pending:
            *losses, norm = numbers.tolist()
            self.steps.append(Step(step, cuts, tuple(losses), norm))
            for cut, loss in zip(cuts, losses, strict=True):
                self._means[cut.key] = (1 - NEW) * self._means.get(cut.key, loss) + NEW * loss
        if self._pending:
            mean = sum(self._means.values()) / len(self._means)
            self._bar.update(self._task, completed=self.steps[-1].step + 1, description=f"loss {mean:.3f}")
        self._pending.clear()
