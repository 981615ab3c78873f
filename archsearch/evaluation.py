"""Running `evaluate` on one job, whatever happens in it: what it returns or raises becomes an outcome."""

from __future__ import annotations

import hashlib
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.errors import StudyError, did_you_mean
from archsearch.job import File, Job, Kind, Metrics, Outcome, Report
from archsearch.searchers.contract import Direction
from archsearch.spaces.space import Architecture, Space
from archsearch.trial import Trial

FREE_METRICS = ("parameters", "flops")


class TimedOut(BaseException):
    """Raised inside an evaluation that takes too long; not an Exception, so that it is not caught on the way."""


@dataclass(frozen=True)
class Evaluator:
    """What every worker holds: the space, the user's function, what is optimised, and what else must be measured."""

    space: Space
    evaluate: Callable[[Trial], Any]
    objectives: Mapping[str, Direction]
    constrained: tuple[str, ...] = ()

    def run(
        self, job: Job, send: Callable[[Report], None], *, worker: str = "this process", has_storage: bool = True
    ) -> Outcome:
        """Evaluate a job.

        Args:
            job: what to evaluate.
            send: takes every report at once.
            worker: who evaluates, for the record.
            has_storage: whether the job's directory is on this machine.
        """
        started = time.perf_counter()
        metrics: Metrics = {}
        kind: Kind = "done"
        message = trace = None
        try:
            trial = self.trial(job, send, has_storage=has_storage)
            metrics = measured(self.evaluate(trial), trial.arch, self.objectives, self.constrained)
            unfinite = [name for name in self.objectives if metrics[name] is None]
            if unfinite:
                kind, message = "nan", f"{', '.join(unfinite)} is not a finite number"
        except BaseException as error:  # SystemExit too: one trial must not end the worker
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
            kind = kind_of(error)
            message = one_line(error)
            trace = user_traceback(error)
            if kind == "oom":
                release_memory()
        seconds = time.perf_counter() - started
        files = files_of(job.directory) if has_storage else ()
        return Outcome(job.number, job.attempt, kind, seconds, metrics, message, trace, files, worker)

    def trial(self, job: Job, send: Callable[[Report], None], *, has_storage: bool = True) -> Trial:
        """The trial of a job."""

        def report(step: float, given: Mapping[str, Any]) -> None:
            send(Report(job.number, job.attempt, as_number("step", step), numbers(given)))

        return Trial(
            job.number,
            self.space.architecture(job.assignment),
            attempt=job.attempt,
            seed=job.seed,
            directory=job.directory if has_storage else None,
            send=report,
        )


def measured(
    returned: Any, arch: Architecture | None, objectives: Mapping[str, Direction], constrained: Iterable[str] = ()
) -> dict[str, float | None]:
    """The metrics that an evaluation returned, with the free ones that an objective reads.

    Args:
        returned: a number, which is the value of the one metric that must be measured, or numbers by name.
        arch: the architecture, for the free metrics.
        objectives: direction by metric.
        constrained: what else must be measured, for the constraints.

    Raises:
        StudyError: it is something else, or an objective or a constrained metric is missing.
    """
    others = [name for name in constrained if name not in objectives]
    needed = [name for name in objectives if name not in FREE_METRICS] + others
    if isinstance(returned, Mapping):
        metrics = numbers(returned)
    else:
        if len(needed) > 1:
            what = "objectives" if not others else "metrics to measure"
            raise StudyError(
                f"evaluate returned {returned!r}, but there are several {what}: return a dict with " + ", ".join(needed)
            )
        if returned is None and needed:
            raise StudyError(f"evaluate returned None: return the value of {needed[0]!r}, or a dict of metrics with it")
        metrics = {} if returned is None else numbers({(needed or list(objectives))[0]: returned})
    for name in [*objectives, *others]:
        if name in metrics:
            continue
        if name not in FREE_METRICS or arch is None:
            what = "objective" if name in objectives else "constrained metric"
            hint = did_you_mean(name, [*metrics, *FREE_METRICS])
            # First what is missing: a table of trials shows the beginning.
            raise StudyError(f"the {what} {name!r} is not there{hint}; evaluate returned {sorted(metrics)}")
        metrics[name] = as_number(name, getattr(arch, name))
    return metrics


def numbers(given: Mapping[str, Any]) -> dict[str, float | None]:
    """Metrics as plain numbers; None where one is not finite.

    Raises:
        StudyError: a value is no number.
    """
    found: dict[str, float | None] = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise StudyError(f"metrics are named by strings, but got {name!r}")
        number = as_number(name, value)
        found[name] = number if math.isfinite(number) else None
    return found


def as_number(name: str, value: Any) -> float:
    """A Python number from a number, a numpy scalar or a tensor with one element."""
    if type(value) is float or type(value) is int:
        return value
    item = getattr(value, "item", None)
    try:
        plain = item() if callable(item) else value
    except (ValueError, RuntimeError) as error:
        raise StudyError(f"{name}: expected a number, but got {type(value).__name__}: {error}") from error
    if not isinstance(plain, int | float):
        raise StudyError(f"{name}: expected a number, but got {plain!r}")
    return plain + 0


def kind_of(error: BaseException) -> Kind:
    if isinstance(error, TimedOut):
        return "timeout"
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return "oom"
    # cuBLAS and cuDNN report exhausted memory as plain errors.
    exhausted = ("CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    return "oom" if isinstance(error, RuntimeError) and any([s in str(error) for s in exhausted]) else "exception"


def release_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def user_traceback(error: BaseException) -> str:
    """The traceback without the frames of this file."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename == __file__:
        start = start.tb_next
    return "".join(traceback.format_exception(type(error), error, start))


def files_of(directory: str) -> tuple[File, ...]:
    """What an attempt left in its directory, by path."""
    path = Path(directory)
    if not path.is_dir():
        return ()
    found = []
    for file in sorted(path.rglob("*")):
        if file.is_file():
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
            found.append(File(str(file), file.stat().st_size, digest))
    return tuple(found)
