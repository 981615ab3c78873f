"""The queue of a study: architectures that are to be tried before the search is asked, as rows of the record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.spaces.architecture import Architecture
from archsearch.spaces.decisions import frozen
from archsearch.store import Store, dumps


@dataclass(frozen=True)
class Enqueued:
    """An architecture that waits.

    Attributes:
        place: 1, 2, ... in the order in which they were enqueued.
        architecture: its id.
        assignment: its answers by path.
        since: how many trials the study had when it was enqueued.
    """

    place: int
    architecture: str
    assignment: dict[str, Any]
    since: int


def enqueue(db: sqlite3.Connection, study: int, archs: Sequence[Architecture], again: bool) -> int:
    """Append architectures to the queue, in a transaction.

    Args:
        again: also those that a trial of the study has, or that wait.

    Returns:
        how many were appended.
    """
    ids = dumps([arch.id for arch in archs])
    known: set[str] = set()
    if not again:
        for table, which in (("trials", ""), ("enqueued", " AND number IS NULL")):
            rows = db.execute(
                f"SELECT architecture FROM {table} WHERE study = ?{which}"
                " AND architecture IN (SELECT value FROM json_each(?))",
                (study, ids),
            )
            known.update([id for (id,) in rows])
    (place,) = db.execute("SELECT coalesce(max(place), 0) FROM enqueued WHERE study = ?", (study,)).fetchone()
    (since,) = db.execute("SELECT count(*) FROM trials WHERE study = ?", (study,)).fetchone()
    before = place
    for arch in archs:
        if arch.id in known:
            continue
        place += 1
        known.update([] if again else [arch.id])
        db.execute(
            "INSERT INTO enqueued (study, place, architecture, assignment, since) VALUES (?, ?, ?, ?, ?)",
            (study, place, arch.id, dumps(arch.assignment), since),
        )
    return int(place - before)


def waiting(store: Store, study: int, after: int = 0, most: int = -1) -> list[Enqueued]:
    """What waits, in order, behind a place; at most so many."""
    with store.errors():
        rows = store.db.conn.execute(
            "SELECT place, architecture, assignment, since FROM enqueued"
            " WHERE study = ? AND number IS NULL AND place > ? ORDER BY place LIMIT ?",
            (study, after, most),
        ).fetchall()
    return [Enqueued(place, id, answers(text), since) for place, id, text, since in rows]


def trial_since(store: Store, study: int, queued: Enqueued) -> int | None:
    """The trial that has tried what waits since it was enqueued, or None."""
    with store.errors():
        found = store.db.conn.execute(
            "SELECT number FROM trials WHERE study = ? AND number >= ? AND architecture = ? LIMIT 1",
            (study, queued.since, queued.architecture),
        ).fetchone()
    return None if found is None else int(found[0])


def take(db: sqlite3.Connection, study: int, place: int, number: int) -> None:
    """What waited at a place has become a trial, or is one already."""
    db.execute("UPDATE enqueued SET number = ? WHERE study = ? AND place = ?", (number, study, place))


def taken(store: Store, study: int) -> set[tuple[int, str]]:
    """(trial number, architecture's id) of everything that was taken from the queue."""
    rows = store.query(
        "SELECT number, architecture FROM enqueued WHERE study = :study AND number IS NOT NULL", {"study": study}
    )
    return {(row["number"], row["architecture"]) for row in rows}


def answers(text: str) -> dict[str, Any]:
    return {path: frozen(answer) for path, answer in json.loads(text).items()}
