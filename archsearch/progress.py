"""What a person sees while a study runs: trials done, best so far, running, failures by kind, time left.

A terminal gets one live line; anything else gets plain lines, one when the best improves and otherwise one
every ten seconds. Both go to stderr, so that stdout holds results alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

EVERY = 10.0  # seconds between plain lines while nothing improves


@dataclass(frozen=True)
class Status:
    """A study at one moment.

    Attributes:
        finished: trials that ended, failed ones included.
        target: finished trials that the study is to have; None where only time ends it.
        running: trials being evaluated.
        failures: how many trials failed, by kind (`exception`, `timeout`, ...).
        best: the best outcome so far in words, such as `accuracy 0.9833 (trial 4)`; empty before there is one.
    """

    finished: int
    target: int | None
    running: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    best: str = ""


class Progress:
    """Shows the status of a running study; a context manager.

    Args:
        timeout: seconds after which no further trial starts, counted from `__enter__`.
        console: where to show it; stderr by default.
        clock: the time in seconds.
    """

    def __init__(
        self,
        timeout: float | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self.console = console or Console(stderr=True, highlight=False)
        self.clock = clock
        self.live: Live | None = None
        self.began = 0.0
        self.first: Status | None = None
        self.shown: Status | None = None
        self.shown_at = 0.0

    def __enter__(self) -> Self:
        self.began = self.clock()
        if self.console.is_terminal:
            # Four times a second: the time left counts down between trials as well.
            self.live = Live(get_renderable=self.row, console=self.console, transient=True, refresh_per_second=4)
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.live is not None:
            self.live.stop()

    def update(self, status: Status) -> None:
        """Show a new status. Cheap enough to be called at every change."""
        previous, now = self.shown, self.clock()
        if self.first is None:
            self.first = status
        if self.live is not None:
            self.shown = status  # drawn by the live display
            return
        ended = status.finished == status.target and not status.running
        improved = previous is None or status.best != previous.best
        if status != previous and (ended or improved or now - self.shown_at >= EVERY):
            self.shown, self.shown_at = status, now
            self.console.print(sentence(status, self.left(status)), soft_wrap=True, markup=False)

    def left(self, status: Status) -> float | None:
        """Seconds until the study ends, at the pace of this run; None before the first trial of it has ended."""
        elapsed = self.clock() - self.began
        limits = [] if self.timeout is None else [max(0.0, self.timeout - elapsed)]
        ended_here = status.finished - (self.first.finished if self.first else status.finished)
        if status.target is not None and ended_here > 0:
            limits.append(elapsed / ended_here * max(0, status.target - status.finished))
        return min(limits, default=None)

    def row(self) -> Table:
        """The live line: a bar and the sentence, cut to the width of the terminal."""
        row = Table.grid(padding=(0, 1))
        status = self.shown
        if status is None:
            row.add_row("starting")
            return row
        if status.target is not None:
            row.add_column(width=20)
            row.add_column(no_wrap=True, overflow="ellipsis")
            bar = ProgressBar(total=status.target, completed=status.finished)
            row.add_row(bar, Text(sentence(status, self.left(status))))
        else:
            row.add_row(Text(sentence(status, self.left(status))))
        return row


def sentence(status: Status, left: float | None = None) -> str:
    """A status in one line of words.

    >>> sentence(Status(12, 20, 2, {"exception": 1}, "accuracy 0.98 (trial 4)"), left=75)
    '12/20 trials · best accuracy 0.98 (trial 4) · 2 running · failed: 1 exception · 1m 15s left'
    """
    count = f"{status.finished}/{status.target}" if status.target is not None else str(status.finished)
    failed = ", ".join(f"{number} {kind}" for kind, number in sorted(status.failures.items()) if number)
    parts = [
        f"{count} trials",
        f"best {status.best}" if status.best else "",
        f"{status.running} running" if status.running else "",
        f"failed: {failed}" if failed else "",
        f"{duration(left)} left" if left is not None and (status.running or status.finished != status.target) else "",
    ]
    return " · ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Seconds in the two largest units that count.

    >>> duration(4), duration(75), duration(3 * 3600 + 60)
    ('4s', '1m 15s', '3h 01m')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"
