"""What a person sees while a study runs."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from archsearch.progress import Progress, duration, sentence
from archsearch.snapshot import Snapshot


def snapshot(finished: int, seconds: float = 0.0, **other: Any) -> Snapshot:
    given: dict[str, Any] = {"target": 50, "finished_here": finished, "running": (8, 9), "failures": {}, "num_lost": 0}
    return Snapshot(**{**given, "finished": finished, "best": None, "seconds": seconds, **other})


def plain() -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress("accuracy", Console(file=out, force_terminal=False, width=40, highlight=False)), out


def test_a_line_when_the_best_improves_and_otherwise_every_ten_seconds() -> None:
    progress, out = plain()
    with progress:
        progress(snapshot(0))
        progress(snapshot(1, 1.0, best=(0, 0.5)))
        progress(snapshot(2, 2.0, best=(0, 0.5)))  # nothing new, too soon
        progress(snapshot(3, 11.0, best=(0, 0.5)))
        progress(snapshot(4, 12.0, best=(3, 0.6)))
    assert [line.split(" · ")[0] for line in out.getvalue().splitlines()] == [
        "0/50 trials",
        "1/50 trials",
        "3/50 trials",
        "4/50 trials",
    ]


def test_a_slow_searcher_is_said() -> None:
    said = "of the time in the searcher"
    assert f"40% {said}" in sentence(snapshot(3, 10.0, seconds_asking=4.0), "accuracy")
    assert said not in sentence(snapshot(3, 10.0, seconds_asking=0.9), "accuracy")  # less than a second
    assert said not in sentence(snapshot(3, 100.0, seconds_asking=9.0), "accuracy")  # less than a tenth


def test_the_end_is_always_said_and_said_once() -> None:
    progress, out = plain()
    with progress:
        progress(snapshot(0, target=2, running=(0,)))
        progress(snapshot(1, target=2, running=(1,)))
        progress(snapshot(2, target=2, running=()))
        progress(snapshot(2, target=2, running=()))
    assert out.getvalue().splitlines() == ["0/2 trials · 1 running", "2/2 trials"]


def test_plain_lines_hold_no_terminal_codes_and_do_not_wrap() -> None:
    progress, out = plain()
    progress.objective = "[red]accuracy[/red]"
    with progress:
        progress(
            snapshot(
                1, 2.0, target=9, failures={"timeout": 2, "exception": 1, "nan": 0}, best=(4, 0.987654321), num_lost=3
            )
        )
    assert out.getvalue() == (
        "1/9 trials · best [red]accuracy[/red] 0.98765 (trial 4) · 2 running · failed: 1 exception, 2 timeout"
        " · workers lost: 3 · 16s left\n"
    )


def test_a_terminal_gets_a_live_line_that_fits() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=60, highlight=False, legacy_windows=False)
    with Progress("x" * 100, console) as progress:
        progress(snapshot(3, best=(1, 0.98)))
    assert "3/50 trials" in out.getvalue()
    assert "…" in out.getvalue()


def test_a_live_line_is_drawn_ten_times_a_second_at_most() -> None:
    out = io.StringIO()
    with Progress("accuracy", Console(file=out, force_terminal=True, width=60, legacy_windows=False)) as progress:
        for finished, seconds in enumerate((0.0, 0.05, 0.09, 0.11, 0.2)):
            progress(snapshot(finished, seconds))
    assert [f"{finished}/50" in out.getvalue() for finished in range(5)] == [True, False, False, True, False]


def test_what_is_nothing_is_not_said() -> None:
    assert sentence(snapshot(50, 9.0, running=()), "accuracy") == "50/50 trials"


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.4, 59.6, 3599, 3600, 90061)] == [
        "0s",
        "59s",
        "1m 00s",
        "59m 59s",
        "1h 00m",
        "25h 01m",
    ]
