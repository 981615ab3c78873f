"""One study's rows in the record: what is written while it runs, and reading them back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from archsearch.enqueued import answers as as_answers
from archsearch.enqueued import take
from archsearch.errors import StoreError
from archsearch.job import Metrics, Outcome, Report
from archsearch.lease import Lease
from archsearch.searchers.contract import Proposal, State, Told
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.space import Space
from archsearch.store import Store, dumps, now
from archsearch.stored import as_mapping, as_metrics, as_numbers, objective_values
from archsearch.trial import TrialRecord

T = TypeVar("T")

COLUMNS = """
    SELECT trials.*, attempts.attempt, attempts.state AS kind, attempts.message, attempts.traceback
    FROM trials LEFT JOIN attempts ON attempts.study = trials.study AND attempts.number = trials.number
        AND attempts.attempt = (SELECT max(attempt) FROM attempts AS other
            WHERE other.study = trials.study AND other.number = trials.number)
    WHERE trials.study = :study
"""

ADD_ATTEMPT = "INSERT INTO attempts (study, number, attempt, state, started) VALUES (?, ?, ?, 'running', ?)"

ADD_EVENT = "INSERT INTO events (study, happened, kind, message) VALUES (?, ?, ?, ?)"

NUMBERS = "SELECT number, architecture FROM trials WHERE study = :study"

NOT_A_FAILURE = ("running", "done", "pruned", "interrupted")


@dataclass(frozen=True)
class Asked:
    """A proposal and what the search knew when it made it.

    Attributes:
        number: the trial's number.
        proposal: what it proposed.
        heard: how many outcomes it had heard.
        heard_reports: the sequence number of the last report that was there.
        pending: the numbers of the trials that were running.
        canonical_id: of the network; None where it cannot be told.
        evaluation: what is evaluated (`reuse.evaluation_id`); None where no other trial can share it.
        begins: whether its first attempt begins now.
        place: of what was enqueued, in the queue; None where the search proposed it.
    """

    number: int
    proposal: Proposal
    heard: int
    heard_reports: int
    pending: Sequence[int]
    canonical_id: str | None
    evaluation: bytes | None
    begins: bool
    place: int | None = None


@dataclass(frozen=True)
class Reused:
    """A trial that has the metrics of another one, of the same network.

    Attributes:
        number: the trial's number.
        source: the trial that was evaluated.
        metrics: what was measured.
        finish: the place in the order of finishing.
    """

    number: int
    source: int
    metrics: Metrics
    finish: int


class Record:
    """The rows of one study. Writing needs the lease.

    Args:
        store: the file.
        study: the study's id.
        space: the space that its assignments belong to.
        lease: that the writer holds; None for reading.
    """

    def __init__(self, store: Store, study: int, space: Space, lease: Lease | None = None) -> None:
        self.store = store
        self.study = study
        self.space = space
        self.lease = lease

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        assert self.lease is not None
        with self.store.transaction() as db:
            self.lease.check()
            yield db

    def close(self) -> None:
        """Let go of the study and of the file."""
        assert self.lease is not None
        self.lease.release()
        self.forget()
        self.store.close()

    def forget(self) -> None:
        """Drop a study without trials that nobody holds: a run that was refused leaves nothing behind.

        But for one with a queue.
        """
        with self.store.transaction() as db:
            unused = "SELECT id FROM studies WHERE id = ? AND holder IS NULL AND id NOT IN (SELECT study FROM trials)"
            unused += " AND id NOT IN (SELECT study FROM enqueued)"
            if db.execute(unused, (self.study,)).fetchone():
                db.execute("DELETE FROM events WHERE study = ?", (self.study,))
                db.execute("DELETE FROM studies WHERE id = ?", (self.study,))

    def add(self, asked: Iterable[Asked], reused: Iterable[Reused] = ()) -> None:
        """New trials, and those among them that end at once."""
        time = now()
        with self.writing() as db:
            for a in asked:
                p = a.proposal
                db.execute(
                    "INSERT INTO trials (state, study, number, architecture, assignment, proposed, heard,"
                    " heard_reports, pending, parent, budget, note, canonical_id, evaluation)"
                    " VALUES ('running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        self.study,
                        a.number,
                        answers_id(p.assignment),
                        dumps(dict(p.assignment)),
                        time,
                        a.heard,
                        a.heard_reports,
                        dumps(list(a.pending)),
                        p.parent,
                        p.budget,
                        dumps(dict(p.note)),
                        a.canonical_id,
                        a.evaluation,
                    ),
                )
                if a.place is not None:
                    take(db, self.study, a.place, a.number)
                if a.begins:
                    db.execute(ADD_ATTEMPT, (self.study, a.number, 1, time))
            self.reuse(db, reused, time)

    def interrupt(self) -> None:
        """Close the attempts that a driver left running: their end was not their own."""
        with self.writing() as db:
            db.execute(
                "UPDATE attempts SET state = 'interrupted', ended = ? WHERE study = ? AND state = 'running'",
                (now(), self.study),
            )

    def add_attempts(self, attempts: Iterable[tuple[int, int]]) -> None:
        """Further attempts, as (trial number, attempt)."""
        time = now()
        with self.writing() as db:
            for number, attempt in attempts:
                db.execute(ADD_ATTEMPT, (self.study, number, attempt, time))

    def report(self, reports: Iterable[tuple[int, Report]]) -> None:
        """Reports with their sequence numbers over the study."""
        time = now()
        with self.writing() as db:
            for sequence, r in reports:
                db.execute(
                    "INSERT INTO reports (study, sequence, number, attempt, step, metrics, reported)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (self.study, sequence, r.number, r.attempt, r.step, dumps(dict(r.metrics)), time),
                )

    def finish(self, ended: Iterable[tuple[Outcome, State | None, int | None]], reused: Iterable[Reused] = ()) -> None:
        """Ended attempts, and the trials that waited for one of them.

        Args:
            ended: the outcome, the trial's state and its place in the order of finishing; state and place are None
                where the trial gets another attempt.
            reused: what the trials that waited have of it.
        """
        time = now()
        with self.writing() as db:
            for outcome, state, finish in ended:
                key = (self.study, outcome.number)
                db.execute(
                    "UPDATE attempts SET state = ?, ended = ?, seconds = ?, message = ?, traceback = ?, worker = ?"
                    " WHERE study = ? AND number = ? AND attempt = ?",
                    (
                        outcome.kind,
                        time,
                        outcome.seconds,
                        outcome.message,
                        outcome.traceback,
                        outcome.worker,
                        *key,
                        outcome.attempt,
                    ),
                )
                for file in outcome.files:
                    db.execute(
                        "INSERT INTO files (study, number, attempt, path, bytes, blake2b) VALUES (?, ?, ?, ?, ?, ?)",
                        (*key, outcome.attempt, file.path, file.bytes, file.blake2b),
                    )
                if state is not None:
                    db.execute(
                        "UPDATE trials SET state = ?, metrics = ?, seconds = ?, finished = ?, finish = ?"
                        " WHERE study = ? AND number = ?",
                        (state, dumps(dict(outcome.metrics)), outcome.seconds, time, finish, *key),
                    )
            self.reuse(db, reused, time)

    def reuse(self, db: sqlite3.Connection, reused: Iterable[Reused], time: str) -> None:
        for r in reused:
            db.execute(
                "UPDATE trials SET state = 'done', metrics = ?, seconds = 0, finished = ?, finish = ?, reused_from = ?"
                " WHERE study = ? AND number = ?",
                (dumps(dict(r.metrics)), time, r.finish, r.source, self.study, r.number),
            )
            message = f"trial {r.number} is the network of trial {r.source}, and has its metrics"
            db.execute(ADD_EVENT, (self.study, time, "reused", message))

    def evaluated(self, evaluation: bytes) -> tuple[int, dict[str, Any], Metrics] | None:
        """The first trial that is done by this evaluation: its number, assignment and metrics."""
        with self.store.errors():
            found = self.store.db.conn.execute(
                "SELECT number, assignment, metrics FROM trials WHERE study = ? AND evaluation = ?"
                " AND state = 'done' AND reused_from IS NULL ORDER BY finish LIMIT 1",
                (self.study, evaluation),
            ).fetchone()
        return None if found is None else (found[0], as_answers(found[1]), json.loads(found[2]))

    def note_evaluations(self, evaluations: Sequence[tuple[int, bytes]]) -> None:
        """What was evaluated, as (trial number, evaluation), for trials of a record that did not say."""
        if evaluations:
            with self.writing() as db:
                db.executemany(
                    "UPDATE trials SET evaluation = ? WHERE study = ? AND number = ?",
                    [(evaluation, self.study, number) for number, evaluation in evaluations],
                )

    def event(self, kind: str, message: str) -> None:
        """Something worth knowing about the study."""
        with self.writing() as db:
            db.execute(ADD_EVENT, (self.study, now(), kind, message))

    def reason(self) -> str:
        """What the searcher said of itself as the study began; empty where it said nothing."""
        rows = self.store.query(
            "SELECT message FROM events WHERE study = :study AND kind = 'searcher' ORDER BY id DESC LIMIT 1",
            {"study": self.study},
        )
        return str(rows[0]["message"]) if rows else ""

    def trials(self, where: str = "1", order: str = "number") -> list[TrialRecord]:
        """The trials, in the order of their numbers."""
        return list(self.each(where, order))

    def each(self, where: str = "1", order: str = "number") -> Iterator[TrialRecord]:
        """The trials one at a time: a long study's do not lie in memory together."""
        rows = self.store.rows(f"{COLUMNS} AND {where} ORDER BY trials.{order}", {"study": self.study})
        return (self.trial(row) for row in rows)

    def best(self, objective: str) -> TrialRecord | None:
        """The best done trial by one objective."""
        rows = self.store.query(
            "SELECT number FROM best JOIN studies ON studies.name = best.study"
            " WHERE studies.id = :study AND objective = :objective",
            {"study": self.study, "objective": objective},
        )
        return self.trials(f"trials.number = {int(rows[0]['number'])}")[0] if rows else None

    def trial(self, row: Mapping[str, Any]) -> TrialRecord:
        return TrialRecord(
            number=row["number"],
            state=row["state"],
            assignment=self.decoded(row, "assignment", as_answers),
            metrics=self.decoded(row, "metrics", as_metrics),
            seconds=row["seconds"],
            attempts=row["attempt"] or 0,
            kind=None if row["kind"] in NOT_A_FAILURE else row["kind"],
            message=row["message"],
            traceback=row["traceback"],
            finish=row["finish"],
            heard=row["heard"],
            heard_reports=row["heard_reports"],
            pending=self.decoded(row, "pending", as_numbers),
            parent=row["parent"],
            budget=row["budget"],
            note=self.decoded(row, "note", as_mapping),
            canonical_id=row["canonical_id"],
            evaluation=row["evaluation"],
            reused_from=row["reused_from"],
            space=self.space,
        )

    def decoded(self, row: Mapping[str, Any], column: str, decode: Callable[[str], T]) -> T:
        """What a column of a trial holds.

        Raises:
            StoreError: it holds something else.
        """
        try:
            return decode(row[column])
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{self.store.path}: trial {row['number']} has {row[column]!r:.100} as its {column}, which archsearch "
                f"did not write ({error})"
            ) from error

    def num_trials(self) -> int:
        """How many there are.

        Raises:
            StoreError: some are missing.
        """
        query = """
            SELECT (SELECT count(*) FROM trials WHERE study = :study) AS n,
                (SELECT max(number) FROM trials WHERE study = :study) AS last,
                (SELECT max(number) FROM attempts WHERE study = :study) AS tried
        """
        (row,) = self.store.query(query, {"study": self.study})
        last = max([number for number in (row["last"], row["tried"]) if number is not None], default=-1)
        if last + 1 != row["n"]:
            there = {trial["number"] for trial in self.store.query(NUMBERS, {"study": self.study})}
            missing = next(number for number in range(last + 1) if number not in there)
            raise StoreError(
                f"{self.store.path}: there is no trial {missing}, but there are rows of trial {last}; something else "
                "than archsearch removed rows, so the study cannot go on: use another name"
            )
        return int(row["n"])

    def architectures(self) -> dict[int, str]:
        """The recorded id of each trial's architecture, by its number."""
        return {row["number"]: row["architecture"] for row in self.store.query(NUMBERS, {"study": self.study})}

    def lockstep(self) -> int | None:
        """The number of workers of a study in lockstep; otherwise None."""
        (row,) = self.store.query("SELECT lockstep FROM studies WHERE id = :study", {"study": self.study})
        workers: int | None = row["lockstep"]
        return workers

    def num_lost(self) -> dict[int, int]:
        """How many attempts lost their worker, by the number of the trial."""
        rows = self.store.query(
            "SELECT number, count(*) AS lost FROM attempts WHERE study = :study AND state = 'lost' GROUP BY number",
            {"study": self.study},
        )
        return {row["number"]: row["lost"] for row in rows}

    def num_reports(self) -> int:
        """The sequence number of the last report."""
        query = "SELECT max(sequence) AS last FROM reports WHERE study = :study"
        return self.store.query(query, {"study": self.study})[0]["last"] or 0

    def latest_report(self, number: int) -> Metrics | None:
        """What a trial reported last, with its step."""
        rows = self.store.query(
            "SELECT step, metrics FROM reports WHERE study = :study AND number = :number"
            " ORDER BY sequence DESC LIMIT 1",
            {"study": self.study, "number": number},
        )
        return {"step": rows[0]["step"], **json.loads(rows[0]["metrics"])} if rows else None

    def reports(self) -> list[tuple[int, int, dict[str, float | None]]]:
        """(sequence number, trial number, metrics with their step) of every report, in order."""
        rows = self.store.query(
            "SELECT sequence, number, step, metrics FROM reports WHERE study = :study ORDER BY sequence",
            {"study": self.study},
        )
        return [(row["sequence"], row["number"], {"step": row["step"], **json.loads(row["metrics"])}) for row in rows]


def told(
    number: int,
    assignment: Mapping[str, Any],
    state: State,
    metrics: Metrics,
    seconds: float,
    objectives: Iterable[str],
) -> Told:
    """What a search hears of a finished trial: the same whether it just finished or is read from the record."""
    values = objective_values(number, metrics, objectives) if state == "done" else {}
    return Told(number, assignment, state, values, metrics, seconds)
