"""The driver of a study: it asks the search, writes the record, hands jobs out and tells the search what came back.

    1  asks, and commits the trial as running before it is submitted
    2  a worker evaluates; reports are committed as they come
    3  commits outcomes, in the order of finishing, and tells them after that: memory never runs ahead of the file

So wherever it is killed, the record says what the search had heard, and a new driver goes on from there.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.definition import Definition
from archsearch.executor import Executor
from archsearch.job import Job, Metrics, Outcome, Report
from archsearch.record import Asked, Record, told
from archsearch.searchers.contract import Pending, Proposal, State, stream
from archsearch.snapshot import Snapshot
from archsearch.spaces.decisions import frozen

# A trial whose workers are lost this often is recorded as failed.
MAX_LOST = 3


@dataclass
class Running:
    """A trial without an outcome.

    Attributes:
        assignment: its answers by path.
        attempt: the number of its last attempt.
        started: when that attempt began, in `time.monotonic` seconds.
        num_lost: how many attempts ended with the loss of their worker.
        latest_report: what it reported last.
    """

    assignment: Mapping[str, Any]
    attempt: int
    started: float
    num_lost: int = 0
    latest_report: Metrics | None = None


class Driver:
    """One study under way.

    Args:
        definition: what the study is.
        record: its rows, held by a lease.
        storage: the folder of the trials' files.
    """

    def __init__(self, definition: Definition, record: Record, storage: Path) -> None:
        self.definition = definition
        self.record = record
        self.storage = storage
        self.search = definition.searcher.start(definition.problem)
        self.running: dict[int, Running] = {}
        self.orphans: deque[int] = deque()
        self.failures: Counter[str] = Counter()
        self.best: tuple[int, float] | None = None
        self.num_told = 0
        self.num_trials = 0
        self.num_reports = 0
        self.replay()

    def replay(self) -> None:
        """Tell the search what is in the record, in the order of finishing, and find what was left running."""
        trials = self.record.trials()
        self.num_trials = len(trials)
        for trial in sorted([t for t in trials if t.finish is not None], key=lambda t: t.finish or 0):
            self.tell(trial.number, trial.assignment, state_of(trial.state), trial.metrics, trial.seconds or 0.0)
            self.failures.update([trial.kind] if trial.kind else [])
        lost = self.record.num_lost()
        for trial in trials:
            if trial.finish is None:
                self.running[trial.number] = Running(
                    trial.assignment, trial.attempts, time.monotonic(), lost.get(trial.number, 0)
                )
                self.orphans.append(trial.number)
        for sequence, number, metrics in self.record.reports():
            self.num_reports = sequence
            if number in self.running:
                self.running[number].latest_report = metrics
        self.record.interrupt()

    def pending(self) -> list[Pending]:
        """The trials without an outcome, in the order of their numbers."""
        return [Pending(number, r.assignment, r.latest_report) for number, r in self.running.items()]

    def propose(self, count: int) -> list[Job]:
        """Up to `count` new trials, committed as running; fewer where nothing is left."""
        asked: list[Asked] = []
        for _ in range(count):
            number = self.num_trials
            proposal = self.search.ask(number, self.pending())
            if proposal is None:
                break
            asked.append(Asked(number, proposal, self.num_told, self.num_reports, tuple(self.running)))
            self.running[number] = Running(as_recorded(proposal), 1, time.monotonic())
            self.num_trials += 1
        if asked:
            self.record.add(asked)
        return [self.job(a.number) for a in asked]

    def resubmit(self, numbers: Sequence[int]) -> list[Job]:
        """Another attempt at trials that have no outcome."""
        for number in numbers:
            self.running[number].attempt += 1
            self.running[number].started = time.monotonic()
        if numbers:
            self.record.add_attempts([(number, self.running[number].attempt) for number in numbers])
        return [self.job(number) for number in numbers]

    def adopt(self, count: int) -> list[Job]:
        """Up to `count` of the trials that another driver left running, for another attempt."""
        return self.resubmit([self.orphans.popleft() for _ in range(min(count, len(self.orphans)))])

    def job(self, number: int) -> Job:
        running = self.running[number]
        directory = self.storage / f"{number:06d}" / str(running.attempt)
        seed = stream(self.definition.seed, number).getrandbits(32)
        return Job(number, running.attempt, running.assignment, seed, str(directory))

    def deliver(self, reports: Sequence[Report]) -> None:
        """Commit reports."""
        first = self.num_reports + 1
        self.record.report(list(enumerate(reports, first)))
        self.num_reports += len(reports)
        for report in reports:
            self.running[report.number].latest_report = {"step": report.step, **report.metrics}

    def finish(self, outcomes: Sequence[Outcome]) -> list[Job]:
        """Commit outcomes and tell the search; the jobs of lost trials that get another attempt."""
        again: list[int] = []
        ended: list[tuple[Outcome, State]] = []
        rows: list[tuple[Outcome, State | None, int | None]] = []
        for outcome in outcomes:
            running = self.running[outcome.number]
            running.num_lost += outcome.kind == "lost"
            if outcome.kind == "lost" and running.num_lost < MAX_LOST:
                again.append(outcome.number)
                rows.append((outcome, None, None))
            else:
                state: State = "done" if outcome.kind == "done" else "failed"
                ended.append((outcome, state))
                rows.append((outcome, state, self.num_told + len(ended)))
        self.record.finish(rows)
        for outcome, state in ended:
            running = self.running.pop(outcome.number)
            if outcome.number in self.orphans:
                self.orphans.remove(outcome.number)
            self.tell(outcome.number, running.assignment, state, outcome.metrics, outcome.seconds)
            self.failures.update([outcome.kind] if state == "failed" else [])
        return self.resubmit(again)

    def tell(self, number: int, assignment: Mapping[str, Any], state: State, metrics: Metrics, seconds: float) -> None:
        objectives = self.definition.objectives
        self.search.tell(told(number, assignment, state, metrics, seconds, objectives))
        self.num_told += 1
        if state == "done" and len(objectives) == 1:
            ((name, direction),) = objectives.items()
            value = metrics[name]
            assert value is not None
            sign = 1 if direction == "maximize" else -1
            if self.best is None or (sign * value, -number) > (sign * self.best[1], -self.best[0]):
                self.best = (number, value)

    def close(self) -> None:
        """Let go of the record."""
        self.record.close()

    def run(self, target: int, executor: Executor, progress: Callable[[Snapshot], None] | None) -> None:
        """Go on until the study has `target` trials, or nothing is left to propose."""
        started = time.monotonic()
        told_before = self.num_told
        num_lost = 0
        backlog = deque(self.adopt(len(self.orphans)))
        submitted = len(backlog)
        ended = 0
        exhausted = False
        while True:
            while backlog and executor.free:
                executor.submit(backlog.popleft())
            wanted = 0 if exhausted or backlog else min(executor.free, target - self.num_trials)
            if wanted > 0:
                jobs = self.propose(wanted)
                exhausted = len(jobs) < wanted
                submitted += len(jobs)
                for job in jobs:
                    executor.submit(job)
            if progress is not None:
                progress(
                    Snapshot(
                        target=target,
                        finished=self.num_told,
                        finished_here=self.num_told - told_before,
                        running=tuple(self.running),
                        failures=dict(self.failures),
                        num_lost=num_lost,
                        best=self.best,
                        seconds=time.monotonic() - started,
                    )
                )
            if submitted == ended and (exhausted or self.num_trials >= target):
                return
            outcomes = executor.wait()
            if outcomes:
                again = self.finish(outcomes)
                num_lost += sum([outcome.kind == "lost" for outcome in outcomes])
                backlog.extend(again)
                submitted += len(again)
                ended += len(outcomes)


def state_of(text: str) -> State:
    states: dict[str, State] = {"done": "done", "failed": "failed", "pruned": "pruned"}
    return states[text]


def as_recorded(proposal: Proposal) -> dict[str, Any]:
    """The assignment as it will be read from the record, so that a search hears the same either way."""
    return {path: frozen(answer) for path, answer in json.loads(json.dumps(dict(proposal.assignment))).items()}
