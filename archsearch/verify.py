"""Recomputing every proposal of a record from what the search had heard when it made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archsearch.definition import Definition
from archsearch.driver import as_recorded, state_of
from archsearch.enqueued import taken
from archsearch.errors import StudyError
from archsearch.record import Record, told
from archsearch.searchers.contract import Pending, Proposal
from archsearch.spaces.architecture import answers_id
from archsearch.trial import TrialRecord

MAX_DIFFERENCES = 5


def verify(definition: Definition, record: Record) -> int:
    """The number of trials, all of which a search that is told the same proposes again, or that were enqueued.

    What was measured is taken as the record has it.

    Raises:
        StudyError: one differs; says which, and in what.
        StoreError: the record has no such trials: rows were removed, or do not hold what they should.
    """
    record.num_trials()
    trials = record.trials()
    lockstep = record.lockstep()
    for trial in trials:
        verify_end(definition, trial)
    if lockstep is None:
        verify_order(definition, trials)
    ids = record.architectures()
    finished = sorted([trial for trial in trials if trial.finish is not None], key=lambda trial: trial.finish or 0)
    reports = record.reports()
    by_number = {trial.number: trial for trial in trials}
    latest: dict[int, dict[str, float | None]] = {}
    queued = taken(record.store, record.study)
    search = definition.searcher.start(definition.problem)
    num_told = num_reports = 0
    for trial in trials:
        if lockstep is not None:
            verify_lockstep(definition, trial, lockstep)
        for other in finished[num_told : trial.heard]:
            state = state_of(other.state)
            search.tell(
                told(other.number, other.assignment, state, other.metrics, other.seconds or 0.0, definition.objectives)
            )
        num_told = trial.heard
        while num_reports < len(reports) and reports[num_reports][0] <= trial.heard_reports:
            _, number, metrics = reports[num_reports]
            latest[number] = metrics
            num_reports += 1
        pending = [Pending(number, by_number[number].assignment, latest.get(number)) for number in trial.pending]
        if trial.reused_from is not None:
            verify_reused(definition, trial, by_number.get(trial.reused_from))
        if trial.note.get("enqueued") is True:
            if (trial.number, answers_id(trial.assignment)) not in queued:
                what = "the record says that it was enqueued, but nothing that was enqueued became it"
                raise wrong(definition, trial, what)
        else:
            verify_proposal(definition, trial, search.ask(trial.number, pending))
        if ids[trial.number] != answers_id(trial.assignment):
            what = (
                f"the record has architecture {ids[trial.number]}, but its answers are {answers_id(trial.assignment)}"
            )
            raise wrong(definition, trial, what)
    return len(trials)


def verify_proposal(definition: Definition, trial: TrialRecord, proposal: Proposal | None) -> None:
    """Whether a trial is what was proposed.

    Raises:
        StudyError: it is not.
    """
    recorded: Mapping[str, Any] = {"parent": trial.parent, "budget": trial.budget}
    proposed: Mapping[str, Any] = {}
    if proposal is not None:
        recorded, proposed = differing(recorded, {"parent": proposal.parent, "budget": proposal.budget})
        if not proposed:
            recorded, proposed = differing(trial.assignment, as_recorded(proposal))
    if recorded or proposed or proposal is None:
        again = "nothing" if proposal is None else shown(proposed) or "no more"
        raise wrong(
            definition,
            trial,
            f"the record has {shown(recorded) or 'no more'}, but a search that heard {trial.heard} outcomes with "
            f"{list(trial.pending)} running proposes {again}; so this trial, or what ended before it, is not as it was",
        )


def wrong(definition: Definition, trial: TrialRecord, what: str) -> StudyError:
    return StudyError(f"trial {trial.number} of study {definition.name!r}: {what}")


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What two mappings do not have in common; all of both where they differ in their order alone."""
    if a == b:
        return ({}, {}) if list(a) == list(b) else (dict(a), dict(b))
    return (
        {key: value for key, value in a.items() if key not in b or b[key] != value},
        {key: value for key, value in b.items() if key not in a or a[key] != value},
    )


def shown(values: Mapping[str, Any]) -> str:
    """The first few values by name.

    >>> shown({"width": 16, "act": "relu"})
    "width=16, act='relu'"
    """
    first = [f"{name}={value!r}" for name, value in list(values.items())[:MAX_DIFFERENCES]]
    more = len(values) - MAX_DIFFERENCES
    return ", ".join([*first, f"and {more} more"] if more > 0 else first)


def verify_end(definition: Definition, trial: TrialRecord) -> None:
    """Whether a trial ended as its last attempt did.

    Raises:
        StudyError: it did not, or it has a place in the order of finishing and still runs, or has none and does not.
    """
    if (trial.finish is None) != (trial.state == "running"):
        raise wrong(definition, trial, f"the record has it as {trial.state}, but as outcome number {trial.finish}")
    if (trial.kind is not None) != (trial.state == "failed") and trial.state in ("done", "failed"):
        last = "in no failure" if trial.kind is None else f"as {trial.kind}"
        raise wrong(definition, trial, f"the record has it as {trial.state}, but its last attempt ended {last}")


def verify_order(definition: Definition, trials: Sequence[TrialRecord]) -> None:
    """Whether each trial heard all that had ended, and the others were running.

    Raises:
        StudyError: one did not.
    """
    finished = sorted([trial for trial in trials if trial.finish is not None], key=lambda trial: trial.finish or 0)
    for place, trial in enumerate(finished, 1):
        if trial.finish != place:
            raise wrong(definition, trial, f"the record has it as outcome {trial.finish}, but there is no {place}")
    running: dict[int, None] = {}
    heard = 0
    for trial in trials:
        before = finished[heard : trial.heard]
        known = heard <= trial.heard <= len(finished) and all([other.number in running for other in before])
        for other in before:
            running.pop(other.number, None)
        heard = trial.heard
        if not known or list(trial.pending) != list(running):
            raise wrong(
                definition,
                trial,
                f"the record says that {trial.heard} outcomes were heard with {list(trial.pending)} running, which "
                "does not go with the order in which trials ended",
            )
        running[trial.number] = None


def verify_lockstep(definition: Definition, trial: TrialRecord, workers: int) -> None:
    """Whether a trial was proposed knowing what a study in lockstep knows.

    Raises:
        StudyError: it was not.
    """
    heard = max(0, trial.number - workers + 1)
    told_in_turn = trial.finish in (None, trial.number + 1)
    if (trial.heard, trial.heard_reports, trial.pending) != (heard, 0, tuple(range(heard, trial.number))) or (
        not told_in_turn
    ):
        raise StudyError(
            f"trial {trial.number} of study {definition.name!r}: in lockstep with {workers} workers its proposal hears "
            f"the first {heard} outcomes, but the record says {trial.heard} with {list(trial.pending)} running"
        )


def verify_reused(definition: Definition, trial: TrialRecord, source: TrialRecord | None) -> None:
    """Whether a trial that was not evaluated has what was measured on its network.

    Raises:
        StudyError: it has not.
    """
    if source is None:
        why = "there is no such trial"
    elif source.state != "done":
        why = f"that one is {source.state}"
    elif source.reused_from is not None:
        why = f"that one has those of trial {source.reused_from}"
    elif (source.finish or 0) >= (trial.finish or 0):
        why = "that one ended later"
    else:
        facts = ("canonical_id", "parent", "budget")
        mine, other = differing(*[{name: getattr(t, name) for name in facts} for t in (trial, source)])
        if not mine:
            measured = {name: value for name, value in source.metrics.items() if name not in definition.free_metrics}
            copied = {name: value for name, value in trial.metrics.items() if name in measured}
            mine, other = differing(copied, measured)
        if not mine and not other:
            return
        why = f"it has {shown(mine) or 'nothing'} where that one has {shown(other)}"
    raise wrong(
        definition,
        trial,
        f"the record says that its metrics are those of trial {trial.reused_from} on the same network, but {why}",
    )
