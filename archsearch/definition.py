"""What makes a study that study: its space, objectives, searcher and seed, and whether a record is of the same."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from archsearch.constraints import Bounds, constrained, limits, words
from archsearch.enqueued import waiting
from archsearch.errors import ArchsearchError, SpaceChanged, StudyError, did_you_mean
from archsearch.lease import Lease
from archsearch.record import ADD_EVENT, Record
from archsearch.searchers import by_name
from archsearch.searchers.contract import Direction, Problem, Searcher
from archsearch.spaces.describe import differences, without_functions
from archsearch.spaces.space import Space
from archsearch.store import Store, dumps, now

MAX_DIFFERENCES = 5
# What must not change from run to run, and how an error shows what the record has of it.
SHOWN: Mapping[str, Callable[[str], str]] = {
    "objectives": lambda text: ", ".join([f"{how} {name}" for name, how in json.loads(text).items()]),
    "constraints": lambda text: words(json.loads(text)) or "(none)",
    "searcher": lambda text: call_text(**json.loads(text)),
    "seed": str,
}
# What SQLite's integers hold.
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Definition:
    """Attributes: see `Study`; `objectives` is direction by metric, `space` has the constraints on free metrics."""

    name: str
    space: Space
    objectives: Mapping[str, Direction]
    searcher: Searcher
    seed: int
    free_metrics: tuple[str, ...]
    constraints: Bounds = field(default_factory=dict)

    @property
    def problem(self) -> Problem:
        """What the searcher sees."""
        return Problem(self.space, self.objectives, self.free_metrics, self.seed, limits(self.constraints))

    def columns(self) -> dict[str, Any]:
        """The definition as it is stored."""
        space = constrained(self.space, {})  # constraints have a column of their own
        return {
            "name": self.name,
            "seed": self.seed,
            "objectives": dumps(dict(self.objectives)),
            "constraints": dumps(self.constraints),
            "searcher": dumps(describe_searcher(self.searcher)),
            # An argument of a module may be infinite, so this is JSON as Python writes it.
            "space": json.dumps(space.describe(), separators=(",", ":"), ensure_ascii=False),
        }

    def find(self, store: Store) -> int | None:
        """The id of this study in a record, or None where there is no study of its name.

        Raises:
            StudyError: the study there has another objective, constraint, searcher or seed.
            SpaceChanged: it has a space of another structure.
        """
        rows = store.query("SELECT * FROM studies WHERE name = :name", {"name": self.name})
        if not rows:
            return None
        (row,) = rows
        if has_rows(store, "trials", row["id"]):
            self.check(row, store)
        elif has_rows(store, "enqueued", row["id"]):
            self.check_space(row, store)
        return int(row["id"])

    def check(self, row: Mapping[str, Any], store: Store) -> None:
        """Whether a study of the record is this one; see `find`."""
        mine = self.columns()
        for what, shown in SHOWN.items():
            before, after = str(row[what]), str(mine[what])
            if before != after:
                if shown(before) != shown(after):  # two classes may have one name
                    before, after = shown(before), shown(after)
                raise StudyError(
                    f"study {self.name!r} in {store.path} was begun with {what} {before}, and is now given {after}; "
                    "give it what it was begun with, or use another name"
                )
        self.check_space(row, store)

    def check_space(self, row: Mapping[str, Any], store: Store) -> None:
        """Whether a study of the record is on this space; see `find`."""
        mine = self.columns()
        before, after = anywhere(json.loads(row["space"])), anywhere(json.loads(mine["space"]))
        found = differences(without_functions(before), without_functions(after))
        if found:
            more = f"; and {len(found) - MAX_DIFFERENCES} more" if len(found) > MAX_DIFFERENCES else ""
            raise SpaceChanged(
                f"study {self.name!r} in {store.path} was begun on another space; use another name. "
                f"What differs: {'; '.join(found[:MAX_DIFFERENCES])}{more}"
            )

    def begin(self, store: Store) -> int:
        """The id of this study in a record, where it is made if it is not there.

        Raises:
            StudyError, SpaceChanged: see `find`.
        """
        self.find(store)
        mine = {**self.columns(), "created": now(), "version": metadata.version("archsearch")}
        with store.transaction() as db:
            db.execute(
                "INSERT INTO studies (name, seed, objectives, constraints, searcher, space, created, version) VALUES"
                " (:name, :seed, :objectives, :constraints, :searcher, :space, :created, :version)"
                " ON CONFLICT DO NOTHING",
                mine,
            )
            (study,) = db.execute("SELECT id FROM studies WHERE name = :name", mine).fetchone()
        return int(study)

    def open(self, store: Store, lockstep: int | None = None) -> Record:
        """The study for writing: found or made, held by a lease, and checked.

        A study without trials takes this definition, whatever it was made with.

        Args:
            lockstep: the number of workers of a study in lockstep; otherwise None.

        Raises:
            StudyError: see `find`, or it was begun with another `lockstep`; StudyLocked where another driver holds it.
        """
        study = self.begin(store)
        record = Record(store, study, self.space, Lease(store, study, self.name))
        try:
            self.check_queue(record)
            if has_rows(store, "trials", study):
                self.find(store)  # it may have begun since
                self.accept_functions(record)
                check_lockstep(self.name, store, record.lockstep(), lockstep)
            else:
                with record.writing() as db:
                    db.execute(
                        "UPDATE studies SET seed = :seed, objectives = :objectives, constraints = :constraints,"
                        " searcher = :searcher, space = :space, lockstep = :lockstep WHERE name = :name",
                        {**self.columns(), "lockstep": lockstep},
                    )
        except BaseException:
            assert record.lease is not None
            record.lease.release()
            raise
        return record

    def check_queue(self, record: Record) -> None:
        """Whether all that waits is of this space; see `find`.

        Raises:
            SpaceChanged: something is not.
        """
        for queued in waiting(record.store, record.study):
            try:
                self.space.architecture(queued.assignment)
            except ArchsearchError as error:
                raise SpaceChanged(
                    f"study {self.name!r} in {record.store.path}: what was enqueued at place {queued.place} is no "
                    f"architecture of the space ({error}); use another name"
                ) from error

    def accept_functions(self, record: Record) -> None:
        """Where only functions of the space changed: go on if every stored assignment is still an architecture.

        Raises:
            SpaceChanged: one is not.
        """
        (row,) = record.store.query("SELECT space FROM studies WHERE id = :id", {"id": record.study})
        mine = self.columns()["space"]
        changed = differences(anywhere(json.loads(row["space"])), anywhere(json.loads(mine)))
        if not changed:
            if row["space"] != mine:
                with record.writing() as db:
                    db.execute("UPDATE studies SET space = ? WHERE id = ?", (mine, record.study))
            return
        what = ", ".join([line.partition(": ")[0] for line in changed[:MAX_DIFFERENCES]])
        num_trials = 0
        for trial in record.each():
            num_trials += 1
            try:
                self.space.architecture(trial.assignment)
            except ArchsearchError as error:
                raise SpaceChanged(
                    f"functions of the space of study {self.name!r} changed, and trial {trial.number} is no longer an "
                    f"architecture of it ({error}); use another name. What differs: {what}"
                ) from error
        message = (
            f"functions of the space changed; all {num_trials} stored trials are still architectures of it: {what}"
        )
        with record.writing() as db:
            db.execute("UPDATE studies SET space = ? WHERE id = ?", (mine, record.study))
            db.execute(ADD_EVENT, (record.study, now(), "functions changed", message))
        warnings.warn(f"study {self.name!r}: {message}", stacklevel=2)


def anywhere(description: dict[str, Any]) -> dict[str, Any]:
    """A space's description without the place where its super-network lies, which may move."""
    return {key: value for key, value in description.items() if key != "saved"}


def directions(objective: str | Mapping[str, str]) -> dict[str, Direction]:
    """Direction by metric.

    Raises:
        StudyError: it is something else.
    """
    given = {objective: "maximize"} if isinstance(objective, str) else objective
    if not isinstance(given, Mapping) or not given:
        raise StudyError(f'objective: expected a metric or {{metric: "maximize" or "minimize"}}, but got {objective!r}')
    known: dict[str, Direction] = {"maximize": "maximize", "minimize": "minimize"}
    found: dict[str, Direction] = {}
    for name, direction in given.items():
        if not isinstance(name, str) or not name:
            raise StudyError(f"objective: expected the name of a metric, but got {name!r}")
        if not isinstance(direction, str) or direction not in known:
            hint = did_you_mean(str(direction), known)
            raise StudyError(f"objective {name!r}: expected 'maximize' or 'minimize', but got {direction!r}{hint}")
        found[name] = known[direction]
    return found


def searcher_of(given: str | Searcher) -> Searcher:
    """The searcher of a name, with its defaults; a searcher as it is.

    Raises:
        UsageError: there is none of this name.
        StudyError: it is neither.
    """
    if isinstance(given, str):
        return by_name(given)
    kind = given if isinstance(given, type) else None
    if kind is not None or not callable(getattr(given, "start", None)):
        got = repr(given) if kind is None else f"the class {kind.__name__}; did you mean {kind.__name__}()?"
        raise StudyError(
            f'Study(searcher): expected a name such as "auto", or a searcher such as archsearch.searchers.SMBO(), but '
            f"got {got}"
        )
    return given


def call_text(**described: Any) -> str:
    """A searcher as Python would make it, from what `describe_searcher` gives.

    >>> call_text(**{"class": "archsearch.searchers.evolution:Evolution", "population": 50, "sample": 10})
    'Evolution(population=50, sample=10)'
    """
    kind = described.pop("class").rpartition(":")[2]
    return f"{kind}({', '.join([f'{name}={value!r}' for name, value in described.items()])})"


def has_rows(store: Store, table: str, study: int) -> bool:
    return bool(store.query(f"SELECT 1 FROM {table} WHERE study = :study LIMIT 1", {"study": study}))


def check_lockstep(name: str, store: Store, begun: int | None, given: int | None) -> None:
    """Whether a study goes on as it was begun.

    Raises:
        StudyError: it does not.
    """
    if begun == given:
        return
    if begun is None:
        raise StudyError(
            f"study {name!r} in {store.path} was begun without lockstep, so it cannot go on in it; use another name"
        )
    now_given = "without lockstep" if given is None else f"with {given} worker{'s' if given > 1 else ''}"
    raise StudyError(
        f"study {name!r} in {store.path} was begun in lockstep with {begun} worker{'s' if begun > 1 else ''}, and now "
        f"goes on {now_given}: use run(lockstep=True, workers={begun}), or another name"
    )


def describe_searcher(searcher: Searcher) -> dict[str, Any]:
    """A searcher as JSON: its class and its fields.

    Raises:
        StudyError: it is not a dataclass, or holds what JSON cannot.
    """
    if not dataclasses.is_dataclass(searcher) or isinstance(searcher, type):
        raise StudyError(f"a searcher is a frozen dataclass, so that the record can hold it, but got {searcher!r}")
    kind = type(searcher)
    described = {"class": f"{kind.__module__}:{kind.__qualname__}", **dataclasses.asdict(searcher)}
    try:
        dumps(described)
    except (TypeError, ValueError) as error:
        raise StudyError(f"the fields of {searcher!r} cannot be written as JSON: {error}") from error
    return described
