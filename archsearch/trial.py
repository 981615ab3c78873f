"""Trial: what `evaluate` gets. TrialRecord: what the record knows of a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.errors import StudyError
from archsearch.job import Metrics
from archsearch.spaces.space import Architecture, Space

if TYPE_CHECKING:
    import torch


class Trial:
    """One architecture to be evaluated.

    Attributes:
        number: 0 for the first trial of the study.
        attempt: 1, or more where a worker was lost.
        arch: the architecture.
        seed: for whatever the evaluation draws (`torch.manual_seed(trial.seed)`); from the study's seed and the
            number, the same for every attempt.
    """

    def __init__(
        self,
        number: int,
        arch: Architecture,
        *,
        attempt: int,
        seed: int,
        directory: str | None,
        send: Callable[[float, Mapping[str, Any]], None],
    ) -> None:
        self.number = number
        self.attempt = attempt
        self.arch = arch
        self.seed = seed
        self._directory = directory
        self._send = send

    def __getitem__(self, key: str) -> Any:
        """A value of the architecture by its key in the space's dict, or an answer by its path."""
        return self.arch[key]

    def build(self, device: torch.device | str | None = None) -> torch.nn.Module:
        """The architecture as a torch module, its weights drawn from the trial's seed."""
        return self.arch.build(device=device, seed=self.seed)

    def report(self, step: float, **metrics: float) -> None:
        """Put numbers into the record while the evaluation goes on.

        Args:
            step: how far it is, such as the epoch.
            metrics: numbers by name.
        """
        self._send(step, metrics)

    @property
    def directory(self) -> Path:
        """A folder of this attempt's own; what lies in it at the end is recorded with its hash.

        Raises:
            StudyError: the worker is on another machine than the study's storage.
        """
        if self._directory is None:
            raise StudyError(
                "trial.directory: this worker runs on another machine than the study, whose storage is a local folder"
            )
        path = Path(self._directory)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def __repr__(self) -> str:
        return f"Trial({self.number}, {self.arch!r})"


@dataclass(frozen=True)
class TrialRecord:
    """A trial as it stands in the record.

    Attributes:
        number: 0 for the first.
        state: "running", "done", "failed" or "pruned".
        assignment: the answers by path, in the order of the walk.
        metrics: what was measured; None stands for a number that is not finite.
        seconds: how long the last attempt took; None while it runs.
        attempts: how many there were; 0 where another trial's evaluation answers it.
        kind: how it failed ("exception", "nan", "oom", "timeout", "lost"), or None.
        message: one line about the failure.
        traceback: of the exception.
        finish: its place in the order of finishing, from 1.
        heard: how many outcomes the search had heard when it proposed this.
        heard_reports: the sequence number of the last report that it had heard.
        pending: the numbers of the trials that were running then.
        parent: the trial whose weights it continues from.
        budget: how much training it was to get.
        note: what the searcher noted.
        canonical_id: of its network, as it was when it was proposed; None where that could not be told.
        evaluation: what was evaluated (`reuse.evaluation_id`); None where no other trial can share it.
        reused_from: the trial of the same network whose evaluation answered this one; None where it was evaluated.
        space: the space that it belongs to.
    """

    number: int
    state: str
    assignment: Mapping[str, Any]
    metrics: Metrics
    seconds: float | None
    attempts: int
    kind: str | None
    message: str | None
    traceback: str | None
    finish: int | None
    heard: int
    heard_reports: int
    pending: tuple[int, ...]
    parent: int | None
    budget: float | None
    note: Mapping[str, Any]
    canonical_id: str | None
    evaluation: bytes | None
    reused_from: int | None
    space: Space = field(repr=False, compare=False)

    @property
    def arch(self) -> Architecture:
        """The architecture."""
        return self.space.architecture(self.assignment)

    def __getitem__(self, key: str) -> Any:
        """A value of the architecture by its key in the space's dict, or an answer by its path."""
        return self.arch[key]
