"""A line of progress on standard error, for people who look at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# How much of the shown loss is of the last step.
NEW = 0.05


@contextmanager
def reporting(shown: bool | None, done: int, steps: int) -> Iterator[Callable[[int, dict[Any, float]], None]]:
    """Show how far training is while the block runs; it calls what it gets with the steps done and the losses.

    Args:
        shown: whether at all; None: where standard error is a terminal.
        done: steps before.
        steps: in all.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    hidden = not (console.is_terminal if shown is None else shown)
    with Progress(*columns, console=console, disable=hidden) as bar:
        task = bar.add_task("", total=steps, completed=done)
        mean: dict[Any, float] = {}

        def report(done: int, losses: dict[Any, float]) -> None:
            for key, loss in losses.items():
                mean[key] = (1 - NEW) * mean.get(key, loss) + NEW * loss
            bar.update(task, completed=done, description=f"loss {sum(mean.values()) / len(mean):.3f}")

        yield report
