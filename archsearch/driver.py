"""The driver of a study: it asks the search, writes the record, hands jobs out and tells the search what came back.

    1  asks, and commits the trial as running before it is submitted
    2  a worker evaluates; reports are committed as they come
    3  commits outcomes, in the order of finishing, and tells them after that: memory never runs ahead of the file

So wherever it is killed, the record says what the search had heard, and a new driver goes on from there.

A trial whose network was evaluated before is not submitted: it ends at once, with the metrics of that evaluation. Where
the network is being evaluated at that moment, the trial waits for the outcome: a network that is done answers it, and
where the evaluation fails, it is evaluated itself.

In lockstep with W workers the proposal of trial n hears the outcomes of the trials 0 to n-W, in the order of their
numbers, and nothing else: whichever finishes first, the proposals are the same. So trial n is proposed once those have
ended, and outcomes that come early are committed at once, with their place in that order, and told in their turn.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.constraints import violation, words
from archsearch.definition import Definition
from archsearch.enqueued import Enqueued, take, trial_since, waiting
from archsearch.errors import Infeasible, StudyError
from archsearch.job import Job, Metrics, Outcome, Report
from archsearch.record import Asked, Record, Reused, told
from archsearch.reuse import carried_over, evaluation_id
from archsearch.searchers.contract import Pending, Proposal, State, stream
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.decisions import frozen
from archsearch.spaces.same_network import network_of, value_labels
from archsearch.store import dumps
from archsearch.stored import objective_values
from archsearch.trial import TrialRecord

# A trial whose workers are lost this often is recorded as failed.
MAX_LOST = 3


@dataclass
class Running:
    """A trial without an outcome.

    Attributes:
        assignment: its answers by path.
        attempt: the number of its last attempt; 0 before the first.
        started: when that attempt began, in `time.monotonic` seconds.
        evaluation: what is evaluated (`evaluation_id`); None where no other trial can share it.
        waits_for: the trial that evaluates the same; None where this one is evaluated.
        num_lost: how many attempts ended with the loss of their worker.
        latest_report: what it reported last.
    """

    assignment: Mapping[str, Any]
    attempt: int
    started: float
    evaluation: bytes | None = None
    waits_for: int | None = None
    num_lost: int = 0
    latest_report: Metrics | None = None


@dataclass(frozen=True)
class Ended:
    """An outcome that the search has not heard: its turn has not come."""

    assignment: Mapping[str, Any]
    state: State
    metrics: Metrics
    seconds: float


class Driver:
    """One study under way.

    Args:
        definition: what the study is.
        record: its rows, held by a lease.
        storage: the folder of the trials' files.
        reuse: whether one evaluation answers all trials of its network.
        lockstep: the number of workers of a study in lockstep; otherwise None.
    """

    def __init__(
        self, definition: Definition, record: Record, storage: Path, reuse: bool = True, lockstep: int | None = None
    ) -> None:
        self.definition = definition
        self.record = record
        self.storage = storage
        self.reuse = reuse
        self.lockstep = lockstep
        self.labels = value_labels(definition.space.root)
        self.search = definition.searcher.start(definition.problem)
        self.running: dict[int, Running] = {}
        self.orphans: deque[int] = deque()
        self.early: dict[int, Ended] = {}
        self.place = 0
        self.failures: Counter[str] = Counter()
        self.best: tuple[int, float] | None = None
        self.num_told = 0
        self.num_finished = 0
        self.num_reused = 0
        self.num_trials = 0
        self.num_reports = 0
        self.seconds_asking = 0.0
        self.replay()
        self.reason: str | None = getattr(self.search, "reason", None)
        if self.reason and not self.num_trials:
            record.event("searcher", self.reason)

    def replay(self) -> None:
        """Tell the search what is in the record, in the order of finishing, and find what was left running."""
        self.num_trials = self.record.num_trials()
        unknown: list[tuple[int, bytes]] = []  # the evaluations of trials from an older record

        def evaluation(trial: TrialRecord) -> bytes | None:
            known = trial.evaluation or self.evaluation(trial, trial.canonical_id)
            if known is not None and trial.evaluation is None:
                unknown.append((trial.number, known))
            return known

        for trial in self.record.each("finish IS NOT NULL", "finish"):
            evaluation(trial)
            self.hear(trial.number, trial.assignment, state_of(trial.state), trial.metrics, trial.seconds or 0.0)
            self.catch_up()
            self.failures.update([trial.kind] if trial.kind else [])
            self.num_reused += trial.reused_from is not None
        lost = self.record.num_lost()
        for trial in self.record.trials("finish IS NULL"):
            shared = evaluation(trial) if self.reuse else None
            leader = self.leader(shared)
            self.running[trial.number] = Running(
                trial.assignment,
                trial.attempts,
                time.monotonic(),
                shared,
                leader,
                lost.get(trial.number, 0),
                self.record.latest_report(trial.number),
            )
            if leader is None:
                self.orphans.append(trial.number)
        self.num_reports = self.record.num_reports()
        self.record.note_evaluations(unknown)
        self.record.interrupt()

    def pending(self) -> list[Pending]:
        """The trials without an outcome that the search has heard of, in the order of their numbers."""
        if self.lockstep is not None:
            unheard: dict[int, Running | Ended] = {**self.early, **self.running}
            return [Pending(n, unheard[n].assignment) for n in range(self.num_told, self.num_trials)]
        return [Pending(number, r.assignment, r.latest_report) for number, r in self.running.items()]

    def evaluation(self, trial: TrialRecord | Proposal, canonical_id: str | None) -> bytes | None:
        """What is evaluated for a trial; None where no other trial can share it."""
        if canonical_id is None:
            return None
        return evaluation_id(canonical_id, trial.parent, trial.budget, trial.assignment, self.labels)

    def leader(self, evaluation: bytes | None) -> int | None:
        """The trial without an outcome that is evaluated for all of this evaluation, or None."""
        if evaluation is None:
            return None
        return next((n for n, r in self.running.items() if r.waits_for is None and r.evaluation == evaluation), None)

    def answer(self, number: int, assignment: Mapping[str, Any], evaluation: bytes | None) -> Reused | None:
        """What the record answers a new trial, or None."""
        found = None if evaluation is None else self.record.evaluated(evaluation)
        place = self.finish_of(number, self.num_finished + 1)
        return None if found is None else self.reused(number, assignment, *found, place)

    def reused(
        self,
        number: int,
        assignment: Mapping[str, Any],
        source: int,
        evaluated: Mapping[str, Any],
        metrics: Metrics,
        finish: int,
    ) -> Reused | None:
        definition = self.definition
        found = carried_over(definition.space, metrics, evaluated, assignment, definition.free_metrics)
        return None if found is None else Reused(number, source, found, finish)

    def propose(self, count: int) -> list[Job]:
        """Make up to `count` proposals (see `window`), fewer where nothing is left, and commit them as trials.

        Returns:
            the jobs of those that need an evaluation.
        """
        asked: list[Asked] = []
        begun: list[int] = []
        for _ in range(count):
            number = self.num_trials
            self.catch_up()
            pending = self.pending()
            proposal, place = self.proposal(number, pending)
            if proposal is None:
                self.check_feasible(number)
                break
            assignment = as_recorded(proposal)
            network = network_of(self.definition.space, assignment)
            evaluation = self.evaluation(proposal, network)
            shared = evaluation if self.reuse else None
            leader = self.leader(shared)
            answer = self.answer(number, assignment, shared) if leader is None else None
            begins = leader is None and answer is None
            heard = self.num_told, self.num_reports if self.lockstep is None else 0
            under_way = [p.number for p in pending]
            asked.append(Asked(number, proposal, *heard, under_way, network, evaluation, begins, place))
            self.running[number] = Running(assignment, int(begins), time.monotonic(), shared, leader)
            self.num_trials += 1
            if answer is not None:
                self.record.add(asked, [answer])
                asked = []
                self.end(number, "done", answer.metrics, 0.0)
                self.num_reused += 1
            elif begins:
                begun.append(number)
        if asked:
            self.record.add(asked)
        return [self.job(number) for number in begun]

    def proposal(self, number: int, pending: Sequence[Pending]) -> tuple[Proposal | None, int | None]:
        """What is enqueued, with its place in the queue; where nothing is, what the search proposes."""
        while queued := waiting(self.record.store, self.record.study, self.place, 1):
            self.place = queued[0].place
            if not self.reuse or not self.is_tried(queued[0]):
                return Proposal(queued[0].assignment, note={"enqueued": True}), self.place
        began = time.perf_counter()
        proposal = self.search.ask(number, pending)
        self.seconds_asking += time.perf_counter() - began
        return self.checked(number, proposal), None

    def checked(self, number: int, proposal: Any) -> Proposal | None:
        """What a searcher proposed, as it can be recorded.

        Raises:
            StudyError: it cannot.
        """
        searcher = type(self.definition.searcher).__name__
        if proposal is not None and not isinstance(proposal, Proposal):
            raise StudyError(
                f"searcher {searcher}, trial {number}: expected a Proposal or None, but ask gave {proposal!r:.200}"
            )
        try:
            dumps(dict(proposal.note) if proposal else {})
        except (TypeError, ValueError) as error:
            raise StudyError(
                f"searcher {searcher}, trial {number}: the note of its proposal cannot be written as JSON: {error}"
            ) from error
        return proposal

    def is_tried(self, queued: Enqueued) -> bool:
        """Whether a trial has the architecture that waited; the record then says which, if that is committed."""
        number = trial_since(self.record.store, self.record.study, queued)
        if number is None:
            return any([answers_id(r.assignment) == queued.architecture for r in self.running.values()])
        with self.record.writing() as db:
            take(db, self.record.study, queued.place, number)
        return True

    @property
    def window(self) -> int | None:
        """In lockstep, how many more trials can be proposed before another one must end; otherwise None."""
        if self.lockstep is None:
            return None
        return next(iter(self.running), self.num_trials) + self.lockstep - self.num_trials

    def check_feasible(self, number: int) -> None:
        """Nothing was proposed: where that is the first trial, what the constraints say is why.

        Raises:
            Infeasible: it is, and there are constraints.
        """
        constraints = self.definition.constraints
        if number == 0 and constraints:
            raise Infeasible(f"no architecture of the space satisfies {words(constraints)}")

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
        """Commit outcomes, with what they answer, and tell the search.

        Returns:
            the jobs of lost trials that get another attempt.
        """
        again: list[int] = []
        rows: list[tuple[Outcome, State | None, int | None]] = []
        reused: list[Reused] = []
        finish = self.num_finished
        for outcome in outcomes:
            running = self.running[outcome.number]
            running.num_lost += outcome.kind == "lost"
            if outcome.kind == "lost" and running.num_lost < MAX_LOST:
                again.append(outcome.number)
                rows.append((outcome, None, None))
                continue
            finish += 1
            place = self.finish_of(outcome.number, finish)
            rows.append((outcome, "done" if outcome.kind == "done" else "failed", place))
            if outcome.kind == "done":
                answers = self.answers(outcome, finish)
                finish += len(answers)
                reused += answers
        self.record.finish(rows, reused)
        for outcome, state, _ in rows:
            if state is None:
                continue
            self.end(outcome.number, state, outcome.metrics, outcome.seconds)
            self.failures.update([outcome.kind] if state == "failed" else [])
            for answer in reused:
                if answer.source == outcome.number:
                    self.end(answer.number, "done", answer.metrics, 0.0)
            self.promote(outcome.number)
        self.num_reused += len(reused)
        return self.resubmit(again)

    def answers(self, outcome: Outcome, finish: int) -> list[Reused]:
        """What the outcome of a done trial answers those that waited for it."""
        evaluated = self.running[outcome.number].assignment
        found: list[Reused] = []
        for number, running in self.running.items():
            if running.waits_for == outcome.number:
                place = self.finish_of(number, finish + len(found) + 1)
                answer = self.reused(number, running.assignment, outcome.number, evaluated, outcome.metrics, place)
                found += [answer] if answer is not None else []
        return found

    def promote(self, ended: int) -> None:
        """Of the trials that still wait for one that ended, the first is evaluated, and the others wait for that."""
        waiting = [number for number, running in self.running.items() if running.waits_for == ended]
        for number in waiting:
            self.running[number].waits_for = None if number == waiting[0] else waiting[0]
        self.orphans.extend(waiting[:1])

    def end(self, number: int, state: State, metrics: Metrics, seconds: float) -> None:
        """Tell the search of a trial that has ended, and forget it."""
        running = self.running.pop(number)
        if number in self.orphans:
            self.orphans.remove(number)
        self.hear(number, running.assignment, state, metrics, seconds)

    def finish_of(self, number: int, following: int) -> int:
        """The place of an outcome in the order in which the search hears of them, `following` all others."""
        return following if self.lockstep is None else number + 1

    def hear(self, number: int, assignment: Mapping[str, Any], state: State, metrics: Metrics, seconds: float) -> None:
        """A trial has ended: tell the search, at once or, in lockstep, in its turn."""
        self.num_finished += 1
        definition = self.definition
        if state == "done" and len(definition.objectives) == 1 and violation(definition.constraints, metrics) == 0:
            ((name, direction),) = definition.objectives.items()
            value = objective_values(number, metrics, (name,))[name]
            sign = 1 if direction == "maximize" else -1
            if self.best is None or (sign * value, -number) > (sign * self.best[1], -self.best[0]):
                self.best = (number, value)
        self.early[number] = Ended(assignment, state, metrics, seconds)
        if self.lockstep is None:
            self.tell(number)

    def catch_up(self) -> None:
        """In lockstep, tell the search of all that the next proposal is to hear."""
        if self.lockstep is not None:
            while self.num_told <= self.num_trials - self.lockstep and self.num_told in self.early:
                self.tell(self.num_told)

    def tell(self, number: int) -> None:
        ended = self.early.pop(number)
        objectives = self.definition.objectives
        self.search.tell(told(number, ended.assignment, ended.state, ended.metrics, ended.seconds, objectives))
        self.num_told += 1

    def close(self) -> None:
        """Let go of the record."""
        self.record.close()


def state_of(text: str) -> State:
    states: dict[str, State] = {"done": "done", "failed": "failed", "pruned": "pruned"}
    return states[text]


def as_recorded(proposal: Proposal) -> dict[str, Any]:
    """The assignment as it will be read from the record, so that a search hears the same either way."""
    return {path: frozen(answer) for path, answer in json.loads(json.dumps(dict(proposal.assignment))).items()}
