"""What a person sees while a study runs."""

from __future__ import annotations

import io

from rich.console import Console

from archsearch.progress import Progress, Status, duration, sentence


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[Progress, io.StringIO, Clock]:
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=False, width=40, highlight=False)
    return Progress(console=console, clock=clock), out, clock


def test_a_line_when_the_best_improves_and_otherwise_every_ten_seconds() -> None:
    progress, out, clock = plain()
    with progress:
        progress.update(Status(0, 50, 2))
        clock.now += 1
        progress.update(Status(1, 50, 2, best="accuracy 0.5 (trial 0)"))
        clock.now += 1
        progress.update(Status(2, 50, 2, best="accuracy 0.5 (trial 0)"))  # nothing new, too soon
        clock.now += 9
        progress.update(Status(3, 50, 2, best="accuracy 0.5 (trial 0)"))
        progress.update(Status(4, 50, 2, best="accuracy 0.6 (trial 3)"))
    assert [line.split(" · ")[0] for line in out.getvalue().splitlines()] == [
        "0/50 trials",
        "1/50 trials",
        "3/50 trials",
        "4/50 trials",
    ]


def test_the_end_is_always_said_and_said_once() -> None:
    progress, out, _ = plain()
    with progress:
        progress.update(Status(0, 2, 1))
        progress.update(Status(1, 2, 1))
        progress.update(Status(2, 2))
        progress.update(Status(2, 2))
    assert out.getvalue().splitlines() == ["0/2 trials · 1 running", "2/2 trials"]


def test_plain_lines_hold_no_terminal_codes_and_do_not_wrap() -> None:
    progress, out, _ = plain()
    with progress:
        progress.update(Status(1, 9, 2, {"exception": 1, "timeout": 2}, "[red]accuracy[/red] 0.98765 (trial 4)"))
    assert out.getvalue().count("\n") == 1  # the console is 40 columns wide
    assert "\x1b" not in out.getvalue()
    assert "best [red]accuracy[/red] 0.98765 (trial 4) · 2 running · failed: 1 exception, 2 timeout" in out.getvalue()


def test_time_left_counts_the_trials_of_this_run_only() -> None:
    progress, _, clock = plain()
    with progress:
        progress.update(Status(10, 20, 2))  # ten were there before
        clock.now += 20
        assert progress.left(Status(10, 20, 2)) is None
        assert progress.left(Status(14, 20, 2)) == 20 / 4 * 6


def test_time_left_is_never_more_than_the_timeout_leaves() -> None:
    progress, _, clock = plain()
    progress.timeout = 30.0
    with progress:
        progress.update(Status(0, None, 1))
        clock.now += 10
        assert progress.left(Status(1, 100, 1)) == 20.0
        assert progress.left(Status(5, None, 1)) == 20.0
        clock.now += 100
        assert progress.left(Status(5, None, 1)) == 0.0


def test_a_terminal_gets_a_live_line_that_fits() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=60, highlight=False, legacy_windows=False)
    with Progress(console=console) as progress:
        progress.update(Status(3, 10, 2, {"timeout": 1}, "accuracy 0.98 (trial 1) " + "x" * 100))
        assert progress.live is not None
        progress.live.refresh()
    assert "3/10 trials" in out.getvalue()
    assert "…" in out.getvalue()


def test_what_is_nothing_is_not_said() -> None:
    assert sentence(Status(0, None)) == "0 trials"
    assert sentence(Status(5, 5, 0, {"timeout": 0}), left=0) == "5/5 trials"


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.4, 59.6, 3599, 3600, 90061)] == [
        "0s",
        "59s",
        "1m 00s",
        "59m 59s",
        "1h 00m",
        "25h 01m",
    ]
