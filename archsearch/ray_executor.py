"""The executor on Ray: long-lived actors that import torch once and hold the space and `evaluate`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.errors import StudyError
from archsearch.evaluation import Evaluator
from archsearch.interrupts import Interrupts
from archsearch.job import Job, Outcome, Report

# How long `wait` waits for an outcome before it asks the workers for their reports, in seconds.
PATIENCE = 0.5


class Worker:
    """What runs in an actor: one job at a time; reports are collected until the driver asks for them."""

    def __init__(self, blob: bytes) -> None:
        import threading

        from ray import cloudpickle

        self.evaluator: Evaluator = cloudpickle.loads(blob)
        self.reports: list[Report] = []
        self.lock = threading.Lock()

    def run(self, job: Job) -> tuple[list[Report], Outcome]:
        """The outcome of a job, with the reports that were not asked for before."""
        outcome = self.evaluator.run(job, self.keep)
        return self.drain(), outcome

    def keep(self, report: Report) -> None:
        with self.lock:
            self.reports.append(report)

    def drain(self) -> list[Report]:
        """The reports since the last call."""
        with self.lock:
            reports, self.reports = self.reports, []
        return reports


@dataclass
class Seat:
    """An actor, and the job that it has."""

    actor: Any
    job: Job | None = None
    result: Any = None
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
        StudyError: `evaluate` cannot travel, or the cluster has too few GPUs.
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
        blob = packed(evaluator)
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
        import ray

        self.ray = ray
        self.owns_ray = not ray.is_initialized()
        if self.owns_ray:
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            if address is None:
                quiet |= {"include_dashboard": False, "num_cpus": max(workers, os.cpu_count() or 1)}
            ray.init(address=address or "local", **quiet)
        try:
            check_gpus(ray.cluster_resources().get("GPU", 0), gpus_per_worker, workers)
            self.blob = ray.put(blob)
            # Two threads: one evaluates, the other answers for the reports meanwhile.
            self.actor = ray.remote(Worker).options(num_cpus=1, num_gpus=gpus_per_worker, max_concurrency=2)
            self.seats = [Seat(self.actor.remote(self.blob)) for _ in range(workers)]
        except BaseException:
            self.close()
            raise

    @property
    def free(self) -> int:
        return sum([seat.job is None for seat in self.seats])

    def submit(self, job: Job) -> None:
        seat = next(seat for seat in self.seats if seat.job is None)
        seat.job = job
        seat.result = seat.actor.run.remote(job)
        seat.started = time.monotonic()

    def wait(self) -> list[Outcome]:
        busy = [seat for seat in self.seats if seat.job is not None]
        if not busy:
            return []
        with self.interrupts.allowed():
            ready, _ = self.ray.wait([seat.result for seat in busy], timeout=PATIENCE)
            if ready:
                # What else has ended by now goes into the same transaction.
                ready, _ = self.ray.wait([seat.result for seat in busy], num_returns=len(busy), timeout=0)
        outcomes = [self.end(seat) for seat in busy if seat.result in ready]
        if not ready:
            self.collect(busy)
        for seat in busy:
            if seat.job is not None and self.timeout is not None and time.monotonic() - seat.started > self.timeout:
                message = f"TimedOut: took longer than {self.timeout:g} seconds"
                outcomes.append(
                    self.replace(seat, Outcome(*self.attempt(seat), "timeout", self.seconds(seat), {}, message))
                )
        return outcomes

    def end(self, seat: Seat) -> Outcome:
        """The outcome of a seat whose job has ended, or whose worker is gone."""
        try:
            reports, outcome = self.ray.get(seat.result)
        except self.ray.exceptions.RayActorError as error:
            message = " ".join(str(error).split())[:500]
            return self.replace(seat, Outcome(*self.attempt(seat), "lost", self.seconds(seat), {}, message))
        if reports:
            self.deliver(reports)
        seat.job = None
        result: Outcome = outcome
        return result

    def attempt(self, seat: Seat) -> tuple[int, int]:
        assert seat.job is not None
        return seat.job.number, seat.job.attempt

    def seconds(self, seat: Seat) -> float:
        return time.monotonic() - seat.started

    def replace(self, seat: Seat, outcome: Outcome) -> Outcome:
        """A fresh actor for a seat."""
        self.ray.kill(seat.actor)
        seat.actor = self.actor.remote(self.blob)
        seat.job = None
        return outcome

    def collect(self, busy: Sequence[Seat]) -> None:
        """Deliver what the workers have reported; a lost worker shows at its job."""
        asked = [seat.actor.drain.remote() for seat in busy]
        ready, _ = self.ray.wait(asked, num_returns=len(asked), timeout=PATIENCE)
        for answer in ready:
            try:
                reports = self.ray.get(answer)
            except self.ray.exceptions.RayActorError:
                continue
            if reports:
                self.deliver(reports)

    def close(self) -> None:
        if self.owns_ray:
            self.ray.shutdown()
            return
        for seat in getattr(self, "seats", []):
            self.ray.kill(seat.actor)


def packed(evaluator: Evaluator) -> bytes:
    """The evaluator as bytes; a StudyError where it cannot travel."""
    import cloudpickle

    try:
        blob: bytes = cloudpickle.dumps(evaluator)
    except Exception as error:
        raise StudyError(
            f"evaluate cannot travel to a worker: {type(error).__name__}: {' '.join(str(error).split())}; "
            "open files, locks and connections inside evaluate instead of outside"
        ) from error
    return blob


def check_gpus(available: float, gpus_per_worker: float, workers: int) -> None:
    if gpus_per_worker and available < gpus_per_worker * workers:
        raise StudyError(
            f"{workers} workers with {gpus_per_worker:g} GPUs each need {gpus_per_worker * workers:g} GPUs, but Ray has "
            f"{available:g}; take fewer with gpus_per_worker= (--gpus-per-worker) or workers="
        )
