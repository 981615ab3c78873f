"""The executor on Ray: long-lived actors that import torch once and hold the space and `evaluate`."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.errors import StudyError
from archsearch.evaluation import Evaluator, one_line
from archsearch.interrupts import Interrupts
from archsearch.job import Job, Outcome, Report

# How long `wait` waits for an outcome before it asks the workers for their reports, in seconds.
PATIENCE = 0.5


class Worker:
    """What runs in an actor: one job at a time; reports are collected until the driver asks for them."""

    def __init__(self, blob: bytes, folders: Sequence[str]) -> None:
        import sys
        import threading

        from ray import cloudpickle

        sys.path.extend([folder for folder in folders if folder not in sys.path])
        self.reports: list[Report] = []
        self.lock = threading.Lock()
        self.evaluator: Evaluator | None = None
        self.failure = ""
        try:
            self.evaluator = cloudpickle.loads(blob)
        except Exception as error:  # said once by `check`, instead of at every trial
            self.failure = one_line(error)

    def check(self) -> str:
        """Why the evaluator could not be loaded; empty where it was."""
        return self.failure

    def run(self, job: Job) -> tuple[list[Report], Outcome]:
        """The outcome of a job, with the reports that were not asked for before."""
        assert self.evaluator is not None
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
        self.folders = folders_of(evaluator)
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
        import ray

        self.ray = ray
        self.owns_ray = not ray.is_initialized()
        if self.owns_ray:
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            if address is None:
                quiet |= {"include_dashboard": False, "num_cpus": max(workers, os.cpu_count() or 1)}
            elif self.folders:
                # Workers on other machines get the folder of the user's files; on this one they read it in place.
                quiet |= {"runtime_env": {"working_dir": self.folders[0], "excludes": ["*.db*", ".venv", ".git"]}}
            ray.init(address=address or "local", **quiet)
        try:
            check_gpus(ray.cluster_resources().get("GPU", 0), gpus_per_worker, workers)
            self.blob = ray.put(blob)
            # Two threads: one evaluates, the other answers for the reports meanwhile.
            self.actor = ray.remote(Worker).options(num_cpus=1, num_gpus=gpus_per_worker, max_concurrency=2)
            self.seats = [self.seat() for _ in range(workers)]
            self.check()
        except BaseException:
            self.close()
            raise

    def seat(self) -> Seat:
        return Seat(self.actor.remote(self.blob, self.folders))

    def check(self) -> None:
        """Whether the workers could load what they are to run."""
        try:
            failures = self.ray.get([seat.actor.check.remote() for seat in self.seats])
        except self.ray.exceptions.RayActorError as error:
            raise StudyError(f"Ray's workers do not start: {plain(error)}") from error
        for failure in filter(None, failures):
            raise StudyError(
                f"evaluate cannot be loaded on a worker: {failure}; what it imports must be installed there, or lie "
                "beside the file that defines it"
            )

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
            return self.replace(seat, Outcome(*self.attempt(seat), "lost", self.seconds(seat), {}, plain(error)))
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
        seat.actor = self.seat().actor
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
    from ray import cloudpickle

    try:
        blob: bytes = cloudpickle.dumps(evaluator)
    except Exception as error:
        raise StudyError(
            f"evaluate cannot travel to a worker: {type(error).__name__}: {' '.join(str(error).split())}; "
            "open files, locks and connections inside evaluate instead of outside"
        ) from error
    return blob


def folders_of(evaluator: Evaluator) -> list[str]:
    """The folder of the file that defines `evaluate`, whose neighbours it may import."""
    module = sys.modules.get(getattr(evaluator.evaluate, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    return [str(Path(file).absolute().parent)] if file else []


def plain(error: Exception) -> str:
    """Ray's message on one line, without terminal colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:500]


def check_gpus(available: float, gpus_per_worker: float, workers: int) -> None:
    if gpus_per_worker and available < gpus_per_worker * workers:
        raise StudyError(
            f"{workers} workers with {gpus_per_worker:g} GPUs each need {gpus_per_worker * workers:g} GPUs, but Ray "
            f"has {available:g}; take fewer with gpus_per_worker= (--gpus-per-worker) or workers="
        )
