"""What goes between the driver of a study and whoever evaluates: jobs out, reports and outcomes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["done", "exception", "nan", "oom", "timeout", "lost"]

Metrics: TypeAlias = Mapping[str, float | None]
"""Numbers by name; None stands for one that is not finite, which JSON and SQL cannot hold."""


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at a trial.

    Attributes:
        number: the trial's number.
        attempt: 1 for the first.
        assignment: the answers by path.
        seed: for whatever the evaluation draws; the same for every attempt.
        directory: where this attempt's files go.
    """

    number: int
    attempt: int
    assignment: Mapping[str, Any]
    seed: int
    directory: str


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation reported at one step."""

    number: int
    attempt: int
    step: float
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class File:
    """A file that an attempt left.

    Attributes:
        path: where it is.
        bytes: its size.
        blake2b: 40 hexadecimal digits of its contents' hash.
    """

    path: str
    bytes: int
    blake2b: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        kind: "done", or how it failed.
        seconds: how long it took.
        message: one line that says what went wrong.
        traceback: of the exception, from the user's own code on.
        files: what it left in its directory.
        worker: who did it; None where it is gone.
    """

    number: int
    attempt: int
    kind: Kind
    seconds: float
    metrics: Metrics
    message: str | None = None
    traceback: str | None = None
    files: tuple[File, ...] = ()
    worker: str | None = None
