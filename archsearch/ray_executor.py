"""The executor on Ray: long-lived actors, so that a trial costs a message and not a process."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.errors import StudyError
from archsearch.evaluation import Evaluator
from archsearch.interrupts import Interrupts
from archsearch.job import Job, Kind, Outcome, Report
from archsearch.ray_cluster import check_resources, plain, start, stop
from archsearch.travel import folders_of, packed
from archsearch.worker import Worker

# How long `wait` waits before it lets the driver have a look around, in seconds.
PATIENCE = 1.0
# So many workers in a row may die before they are ready.
MAX_STILLBORN = 3


@dataclass(eq=False)
class Seat:
    """A place for a worker.

    Attributes:
        actor: the worker.
        answer: the answer that is awaited: of `load` until it is ready, then of `exchange` while it has a job.
        ready: whether it can take jobs.
        job: what it evaluates.
        started: when it got that, in `time.monotonic` seconds.
    """

    actor: Any
    answer: Any
    ready: bool = False
    job: Job | None = None
    started: float = 0.0


class RayExecutor:
    """Evaluates on Ray's workers, one job a worker at a time.

    Args:
        evaluator: travels to every worker once.
        workers: how many.
        gpus_per_worker: may be a fraction.
        timeout: seconds that an evaluation may take; the worker is then ended and replaced.
        address: of a running cluster; otherwise Ray is started here, and stopped by `close`.
        deliver: takes reports.
        interrupts: waiting can be interrupted.

    Raises:
        StudyError: `evaluate` cannot travel or cannot be loaded on a worker, or the cluster has too few GPUs.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        workers: int,
        gpus_per_worker: float,
        timeout: float | None,
        address: str | None,
        deliver: Callable[[Sequence[Report]], None],
        interrupts: Interrupts,
    ) -> None:
        self.timeout = timeout
        self.deliver = deliver
        self.interrupts = interrupts
        self.num_stillborn = 0
        self.seats: list[Seat] = []
        blob, folders = packed(evaluator), folders_of(evaluator)
        self.ray, self.owned = start(address, workers, folders)
        try:
            check_resources(workers, gpus_per_worker, joined=not self.owned)
            options = {"num_cpus": 1, "num_gpus": gpus_per_worker, "enable_task_events": False}
            self.actor = self.ray.remote(Worker).options(**options)
            self.arguments = self.ray.put(blob), folders, socket.gethostname()
            self.seats = [self.seat() for _ in range(workers)]
            # One that is ready shows that `evaluate` can be loaded; the others may come later, from a busy cluster.
            while not self.free:
                self.wait()
        except BaseException:
            self.close()
            raise

    def seat(self) -> Seat:
        actor = self.actor.remote(*self.arguments)
        return Seat(actor, actor.load.remote())

    @property
    def free(self) -> int:
        return sum([seat.ready and seat.job is None for seat in self.seats])

    def submit(self, job: Job) -> None:
        seat = next(seat for seat in self.seats if seat.ready and seat.job is None)
        seat.job = job
        seat.started = time.monotonic()
        seat.answer = seat.actor.exchange.remote(job)

    def wait(self, patient: bool = True) -> list[Outcome]:
        waiting = {seat.answer: seat for seat in self.seats if not seat.ready or seat.job is not None}
        with self.interrupts.allowed():
            ready, _ = self.ray.wait(list(waiting), timeout=self.patience() if patient else 0) if waiting else ([], [])
            if ready and len(waiting) > 1:
                # What else has come by now goes into the same transaction.
                ready, _ = self.ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        outcomes = [outcome for answer in ready for outcome in self.hear(waiting[answer])]
        return outcomes + [self.end(seat) for seat in self.seats if self.is_late(seat)]

    def patience(self) -> float:
        """Seconds until something is to be looked at."""
        if self.timeout is None:
            return PATIENCE
        now = time.monotonic()
        left = [seat.started + self.timeout - now for seat in self.seats if seat.job is not None]
        return max(0.0, min([PATIENCE, *left]))

    def is_late(self, seat: Seat) -> bool:
        return seat.job is not None and self.timeout is not None and time.monotonic() - seat.started >= self.timeout

    def hear(self, seat: Seat) -> list[Outcome]:
        """What a worker says: that it is ready, reports, or the outcome of its job; or that it is gone."""
        try:
            said = self.ray.get(seat.answer)
        except self.ray.exceptions.RayError as error:
            return self.lose(seat, plain(error))
        if not seat.ready:
            if said:
                raise StudyError(
                    f"evaluate cannot be loaded on a worker: {said}; what it imports must be installed there, or lie "
                    "beside the file that defines it"
                )
            seat.ready = True
            self.num_stillborn = 0
            return []
        reports = [message for message in said if isinstance(message, Report)]
        outcomes = [message for message in said if isinstance(message, Outcome)]
        if reports:
            self.deliver(reports)
        if outcomes:
            seat.job = None
        else:
            seat.answer = seat.actor.exchange.remote(None)
        return outcomes

    def lose(self, seat: Seat, reason: str) -> list[Outcome]:
        """Replace a worker that is gone; its job, if it had one, is lost."""
        if seat.job is None:
            self.num_stillborn += 1
            if self.num_stillborn >= MAX_STILLBORN:
                raise StudyError(f"{MAX_STILLBORN} Ray workers in a row ended before they were ready: {reason}")
            self.replace(seat)
            return []
        return [self.outcome(seat, "lost", reason)]

    def end(self, seat: Seat) -> Outcome:
        """End a worker whose evaluation takes too long."""
        return self.outcome(seat, "timeout", f"TimedOut: took longer than {self.timeout:g} seconds")

    def outcome(self, seat: Seat, kind: Kind, message: str) -> Outcome:
        assert seat.job is not None
        seconds = time.monotonic() - seat.started
        outcome = Outcome(seat.job.number, seat.job.attempt, kind, seconds, {}, message)
        self.replace(seat)
        return outcome

    def replace(self, seat: Seat) -> None:
        """A fresh worker. The old one is ended for certain: Ray may only have lost sight of it."""
        self.ray.kill(seat.actor)
        self.seats[self.seats.index(seat)] = self.seat()

    def close(self) -> None:
        for seat in self.seats:
            self.ray.kill(seat.actor)
        if self.owned:
            stop()
