"""Recomputing every proposal of a record from what the search had heard when it made it."""

from __future__ import annotations

from archsearch.definition import Definition
from archsearch.driver import as_recorded, state_of
from archsearch.enqueued import taken
from archsearch.errors import StudyError
from archsearch.record import Record, told
from archsearch.searchers.contract import Pending
from archsearch.spaces.architecture import answers_id
from archsearch.trial import TrialRecord


def verify(definition: Definition, record: Record) -> int:
    """The number of trials, all of which a search that is told the same proposes again, or that were enqueued.

    Raises:
        StudyError: one differs.
    """
    trials = record.trials()
    finished = sorted([trial for trial in trials if trial.finish is not None], key=lambda trial: trial.finish or 0)
    reports = record.reports()
    by_number = {trial.number: trial for trial in trials}
    latest: dict[int, dict[str, float | None]] = {}
    lockstep = record.lockstep()
    queued = taken(record.store, record.study)
    search = definition.searcher.start(definition.problem)
    num_told = num_reports = 0
    for trial in trials:
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
        if lockstep is not None:
            verify_lockstep(definition, trial, lockstep)
        if trial.reused_from is not None:
            verify_reused(definition, trial, by_number.get(trial.reused_from))
        if trial.note.get("enqueued") is True:
            if (trial.number, answers_id(trial.assignment)) not in queued:
                raise StudyError(
                    f"trial {trial.number} of study {definition.name!r}: the record says that it was enqueued, but "
                    "nothing that was enqueued became it"
                )
            continue
        proposal = search.ask(trial.number, pending)
        again = None if proposal is None else as_recorded(proposal)
        if again is None or list(again.items()) != list(trial.assignment.items()):
            raise StudyError(
                f"trial {trial.number} of study {definition.name!r}: the record has {dict(trial.assignment)}, but a "
                f"search that heard {trial.heard} outcomes with {list(trial.pending)} running proposes {again}"
            )
    return len(trials)


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
    same = (
        source is not None
        and source.state == "done"
        and source.reused_from is None
        and (source.finish or 0) < (trial.finish or 0)
        and (source.canonical_id, source.parent, source.budget) == (trial.canonical_id, trial.parent, trial.budget)
        and all([trial.metrics.get(k) == v for k, v in source.metrics.items() if k not in definition.free_metrics])
    )
    if not same:
        raise StudyError(
            f"trial {trial.number} of study {definition.name!r}: the record says that its metrics are those of trial "
            f"{trial.reused_from} on the same network, but has {trial} and {source}"
        )
