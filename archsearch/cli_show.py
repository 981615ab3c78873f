"""`archsearch studies`, `show` and `best`: read a record, and write nothing into it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from archsearch.constraints import nearest
from archsearch.errors import AssignmentError, UsageError, did_you_mean
from archsearch.record import Record
from archsearch.reports import StudyReport, found_json, found_text, studies_text, study_text, trial_text
from archsearch.spaces.space import Architecture, Space
from archsearch.store import Store
from archsearch.trial import TrialRecord


def studies(arguments: argparse.Namespace) -> int:
    """List the studies of a record."""
    with opened(arguments.store) as store:
        print(studies_text([report(store, row) for row in store.studies()]))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show a study, or one of its trials."""
    with opened(arguments.store) as store:
        study = find(store, arguments.name)
    if arguments.trial is None:
        print(study_text(study))
        return 0
    for trial in study.trials:
        if trial.number == arguments.trial:
            print(trial_text(trial))
            return 0
    raise UsageError(f"study {study.name!r} has no trial {arguments.trial}; it has {len(study.trials)}, from 0")


def best(arguments: argparse.Namespace) -> int:
    """Show, or write into files, the best that a study found; with several objectives its Pareto front."""
    with opened(arguments.store) as store:
        study = find(store, arguments.name)
    if not study.best:
        near = nearest(study.constraints, study.trials)
        why = f": {near}" if near else " has no finished trial yet"
        raise UsageError(f"study {study.name!r}{why}; see `archsearch show {study.name}`")
    space = None if arguments.file is None else space_of_run(arguments.file, study.settings)
    found = [(trial, None if space is None else known(trial, space, arguments.file)) for trial in study.best]
    documents = [found_json(trial, study.name) for trial, _ in found]
    texts = [found_text(trial, arch) for trial, arch in found]
    if arguments.out is not None:
        folder = Path(arguments.out)
        for (trial, _), document, text in zip(found, documents, texts, strict=True):
            export(folder / f"trial-{trial.number}" if len(study.objectives) > 1 else folder, document, text)
    if arguments.json:
        print(json.dumps(documents if len(study.objectives) > 1 else documents[0], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(texts))
    return 0


def opened(path: str) -> Store:
    """The record, which must be there: looking at one does not make it.

    Raises:
        UsageError: it is not there.
    """
    if not Path(path).exists():
        raise UsageError(f"no record {path}: run a study first, or give --store")
    return Store(path)


def find(store: Store, name: str | None) -> StudyReport:
    """The study of a name; without one, the only study.

    Raises:
        UsageError: there is none of that name, or several without a name.
    """
    rows = {row["name"]: row for row in store.studies()}
    if not rows:
        raise UsageError(f"{store.path} holds no study yet")
    if name is None:
        if len(rows) > 1:
            raise UsageError(f"{store.path} holds {len(rows)} studies, so give a name: {', '.join(rows)}")
        (name,) = rows
    if name not in rows:
        raise UsageError(
            f"{store.path} has no study {name!r}{did_you_mean(name, rows) or '; it has ' + ', '.join(rows)}"
        )
    return report(store, rows[name])


def report(store: Store, row: Mapping[str, Any]) -> StudyReport:
    """A study from its row."""
    # A space exists in its file only: nothing here may read `arch` of these trials.
    record = Record(store, row["id"], cast(Space, None))
    settings = latest_settings(store, row["id"])
    columns = {key: row[key] for key in ("name", "created", "objectives", "constraints", "searcher", "seed")}
    return StudyReport(**columns, settings=settings, trials=record.trials(), reason=record.reason())


def latest_settings(store: Store, study: int) -> dict[str, Any]:
    """The settings of the study file in the latest run that noted any."""
    rows = store.query(
        "SELECT message FROM events WHERE study = :study AND kind = 'settings' ORDER BY id DESC LIMIT 1",
        {"study": study},
    )
    return dict(json.loads(rows[0]["message"])) if rows else {}


def space_of_run(file: str, settings: Mapping[str, Any]) -> Space:
    """The space that a study file defines under the settings that it was run with."""
    from archsearch.loading import load, space_of

    return space_of(load(file, settings))


def known(trial: TrialRecord, space: Space, file: str) -> Architecture:
    """The architecture of a trial.

    Raises:
        UsageError: the file's space does not have it.
    """
    try:
        return space.architecture(trial.assignment)
    except AssignmentError as error:
        raise UsageError(f"{file} does not define the space of trial {trial.number}: {error}") from error


def export(folder: Path, document: Mapping[str, Any], text: str) -> None:
    """Write `architecture.json` and `architecture.txt`.

    Raises:
        UsageError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "architecture.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        write(folder / "architecture.txt", text + "\n")
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or folder}: {error.strerror}") from error


def write(path: Path, text: str) -> None:
    """All of a file or nothing of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
