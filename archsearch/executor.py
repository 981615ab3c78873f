"""What the driver asks of whoever evaluates its jobs, and the executor that does it in this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any, Protocol

from archsearch.errors import StudyError
from archsearch.evaluation import Evaluator, TimedOut
from archsearch.interrupts import Interrupts
from archsearch.job import Job, Outcome, Report
from archsearch.trial import Trial


class Executor(Protocol):
    """Evaluates jobs; every attempt ends in one outcome, whatever happens to it."""

    @property
    def free(self) -> int:
        """How many jobs can be submitted now."""
        ...

    def submit(self, job: Job) -> None:
        """Start a job."""
        ...

    def wait(self, patient: bool = True) -> list[Outcome]:
        """What has ended, waiting for a second or so where nothing has and it is `patient`.

        Reports are delivered meanwhile, and here the study can be interrupted.
        """
        ...

    def close(self) -> None:
        """Stop everything; what still runs has no outcome."""
        ...


class InlineExecutor:
    """Evaluates in this process, one job at a time, inside `wait`.

    Args:
        evaluator: what evaluates.
        timeout: seconds that an evaluation may take.
        deliver: takes reports.
        interrupts: an evaluation can be interrupted.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        timeout: float | None,
        deliver: Callable[[Sequence[Report]], None],
        interrupts: Interrupts,
    ) -> None:
        if timeout is not None:
            if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
                raise StudyError(
                    "timeout= in this process needs the main thread of a Unix system; use executor='ray' instead"
                )
            evaluator = replace(evaluator, evaluate=limited(evaluator.evaluate, timeout))
        self.evaluator = evaluator
        self.deliver = deliver
        self.interrupts = interrupts
        self.job: Job | None = None

    @property
    def free(self) -> int:
        return 0 if self.job else 1

    def submit(self, job: Job) -> None:
        assert self.job is None
        self.job = job

    def wait(self, patient: bool = True) -> list[Outcome]:
        job, self.job = self.job, None
        with self.interrupts.allowed():
            return [] if job is None else [self.evaluator.run(job, self.send)]

    def send(self, report: Report) -> None:
        with self.interrupts.deferred():
            self.deliver([report])

    def close(self) -> None:
        self.job = None


def limited(evaluate: Callable[[Trial], Any], seconds: float) -> Callable[[Trial], Any]:
    """The function, interrupted by a timer after so long; it must run in the main thread."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimedOut(f"took longer than {seconds:g} seconds")

    def run(trial: Trial) -> Any:
        previous = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return evaluate(trial)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    return run
