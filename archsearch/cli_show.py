"""`archsearch studies`, `show` and `best`: read a record, and write nothing into it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from archsearch.errors import AssignmentError, UsageError, did_you_mean
from archsearch.reports import best_trials, found_json, found_text, studies_text, study_text, trial_text
from archsearch.store import Store, StudyRow
from archsearch.trial import TrialRecord


def studies(arguments: argparse.Namespace) -> int:
    """List the studies of a record."""
    with Store(arguments.store) as store:
        print(studies_text([(study, store.trials(study.id)) for study in store.studies()]))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show a study, or one of its trials."""
    with Store(arguments.store) as store:
        study = find(store, arguments.name)
        trials = store.trials(study.id)
        settings = latest_settings(store, study)
    if arguments.trial is None:
        print(study_text(study, trials, settings))
        return 0
    for trial in trials:
        if trial.number == arguments.trial:
            print(trial_text(trial))
            return 0
    numbers = f"; its trials are 0 to {trials[-1].number}" if trials else "; it has none yet"
    raise UsageError(f"study {study.name!r} has no trial {arguments.trial}{numbers}")


def best(arguments: argparse.Namespace) -> int:
    """Show, or write into files, the best that a study found; with several objectives its Pareto front."""
    with Store(arguments.store) as store:
        study = find(store, arguments.name)
        found = best_trials(store.trials(study.id), study.objectives)
        settings = latest_settings(store, study)
    if not found:
        raise UsageError(f"study {study.name!r} has no finished trial yet; see `archsearch show {study.name}`")
    if arguments.file is not None:
        found = [known(trial, arguments.file, settings) for trial in found]
    if arguments.out is not None:
        export(Path(arguments.out), found, study.name)
    documents = [found_json(trial, study.name) for trial in found]
    if arguments.json:
        print(json.dumps(documents if len(study.objectives) > 1 else documents[0], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(found_text(trial) for trial in found))
    return 0


def find(store: Store, name: str | None) -> StudyRow:
    """The study of a name; without one, the only study.

    Raises:
        UsageError: there is none of that name, or several without a name.
    """
    names = [study.name for study in store.studies()]
    if name is None:
        if len(names) != 1:
            raise UsageError(f"{store.path} holds {len(names)} studies, so give a name: {', '.join(names)}")
        name = names[0]
    study = store.study(name)
    if study is None:
        raise UsageError(
            f"{store.path} has no study {name!r}{did_you_mean(name, names) or '; it has ' + ', '.join(names)}"
        )
    return study


def latest_settings(store: Store, study: StudyRow) -> dict[str, Any]:
    """The settings of the study file in the latest run that noted them."""
    row = store.conn.execute(
        "SELECT detail FROM events WHERE study = ? AND kind = 'settings' ORDER BY id DESC LIMIT 1", (study.id,)
    ).fetchone()
    return dict(json.loads(row[0])) if row else {}


def known(trial: TrialRecord, file: str, settings: Mapping[str, Any]) -> TrialRecord:
    """A trial with its space, from the study file under the settings of the latest run.

    Raises:
        UsageError: the file's space does not have this architecture.
    """
    from archsearch.loading import load, space_of

    space = space_of(load(file, settings))
    try:
        space.architecture(trial.assignment)
    except AssignmentError as error:
        raise UsageError(f"{file} does not define the space of trial {trial.number}: {error}") from error
    return replace(trial, space=space)


def export(folder: Path, found: Sequence[TrialRecord], study: str) -> None:
    """Write `architecture.json` and `architecture.txt`; of several trials, each into a folder `trial-N`.

    Raises:
        UsageError: the folder cannot be made or written.
    """
    try:
        for trial in found:
            place = folder / f"trial-{trial.number}" if len(found) > 1 else folder
            place.mkdir(parents=True, exist_ok=True)
            document = json.dumps(found_json(trial, study), indent=2, ensure_ascii=False)
            write(place / "architecture.json", document + "\n")
            write(place / "architecture.txt", found_text(trial) + "\n")
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
