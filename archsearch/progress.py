"""What a person sees while a study runs: trials done, best so far, running, reused, failures by kind, time left.

A terminal gets one live line; anything else gets plain lines, one when the best improves and otherwise one
every ten seconds. Both go to stderr, so that stdout holds results alone.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from archsearch.snapshot import Snapshot

# The searcher's share of the time is shown where it is at least this, and after at least so many seconds.
SHARE, ENOUGH = 0.1, 1.0
EVERY = 10.0  # seconds between plain lines while nothing improves
REDRAW = 0.1  # seconds between redraws of the live line: a redraw takes as long as a short trial


class Progress:
    """Shows the snapshots of a running study that it is called with; a context manager.

    Args:
        objective: the name of what is optimised.
        console: where to show it; stderr by default.
    """

    def __init__(self, objective: str, console: Console | None = None) -> None:
        self.objective = objective
        self.console = console or Console(stderr=True, highlight=False)
        self.live: Live | None = None
        self.shown: Snapshot | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live = Live(
                "starting",
                console=self.console,
                auto_refresh=False,
                transient=True,
                # What the evaluation prints goes above the line; into a file it goes as it is.
                redirect_stdout=sys.stdout.isatty(),
            )
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, soft_wrap=True, markup=False)

    def __call__(self, snapshot: Snapshot) -> None:
        if self.live is not None:
            if self.shown is None or snapshot.seconds - self.shown.seconds >= REDRAW:
                self.shown = snapshot
                self.live.update(self.row(snapshot), refresh=True)
        elif self.is_news(snapshot):
            self.shown = snapshot
            self.say(sentence(snapshot, self.objective))

    def is_news(self, snapshot: Snapshot) -> bool:
        """Whether a plain line is due."""
        if self.shown is None or snapshot.best != self.shown.best:
            return True
        ended = snapshot.finished >= snapshot.target and self.shown.finished < self.shown.target
        return ended or snapshot.seconds - self.shown.seconds >= EVERY

    def row(self, snapshot: Snapshot) -> Table:
        """The live line: a bar and the sentence, cut to the width of the terminal."""
        row = Table.grid(padding=(0, 1))
        row.add_column(width=20)
        row.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=snapshot.target, completed=snapshot.finished)
        row.add_row(bar, Text(sentence(snapshot, self.objective)))
        return row


def sentence(snapshot: Snapshot, objective: str) -> str:
    """A snapshot in one line of words.

    >>> sentence(Snapshot(20, 12, 10, (12, 13), {"exception": 1}, 0, (4, 0.98333), 93, 3), "accuracy")
    '12/20 trials · best accuracy 0.98333 (trial 4) · 2 running · 3 reused · failed: 1 exception · 1m 14s left'
    """
    failed = ", ".join(f"{number} {kind}" for kind, number in sorted(snapshot.failures.items()) if number)
    left = snapshot.seconds_left
    asking = snapshot.seconds_asking
    parts = [
        f"{snapshot.finished}/{snapshot.target} trials",
        f"best {objective} {snapshot.best[1]:.5g} (trial {snapshot.best[0]})" if snapshot.best else "",
        f"{len(snapshot.running)} running" if snapshot.running else "",
        f"{snapshot.num_reused} reused" if snapshot.num_reused else "",
        f"failed: {failed}" if failed else "",
        f"workers lost: {snapshot.num_lost}" if snapshot.num_lost else "",
        f"{asking / snapshot.seconds:.0%} of the time in the searcher"
        if asking >= ENOUGH and asking >= SHARE * snapshot.seconds
        else "",
        f"{duration(left)} left" if left and left >= 0.5 else "",
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
