"""`archsearch run`: run the study that a file defines, or go on with it."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from archsearch import config as configurations
from archsearch.cli_space import read_assignments
from archsearch.config import RunConfig, seconds
from archsearch.constraints import by_metric, nearest, written
from archsearch.errors import AssignmentError, UsageError
from archsearch.loading import Setting, StudyFile, definitions, load, space_of, travel_by_value
from archsearch.options import searcher_from
from archsearch.progress import Progress
from archsearch.reports import pairs
from archsearch.snapshot import Snapshot
from archsearch.study import Study
from archsearch.trial import TrialRecord

TRIALS = 20

INTERRUPTED = 130


def run(arguments: argparse.Namespace) -> int:
    """Run the study, show how it goes on stderr and what it found on stdout.

    Returns:
        0; 1 when no trial could be evaluated; 130 after Ctrl-C.
    """
    config = configuration(arguments)
    if config.file is None:
        raise UsageError("run needs a study file: `archsearch run FILE`, or `file:` in the configuration")
    file = load(config.file, config.set)
    study = make_study(file, config)
    if study.evaluate is None:
        raise UsageError(f"{file.path}: the study has no `evaluate`, so there is nothing to run")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: warn(str(message))
            go(study, file, config)
    except KeyboardInterrupt:
        done = sum(trial.state != "running" for trial in study.trials)
        print(
            f"archsearch: interrupted with {done} trials done; go on with: {again(arguments)}",
            file=sys.stderr,
        )
        return INTERRUPTED
    trials = study.trials
    if not config.quiet:
        print(summary(study, trials))
        target = config.trials or TRIALS
        if len(trials) < target:
            warn(f"nothing is left to propose after {len(trials)} of {target} trials")
    hint = failures(study, trials)
    if hint:
        print(f"archsearch: {hint}", file=sys.stderr)
    return 0 if any(trial.state == "done" for trial in trials) else 1


def configuration(arguments: argparse.Namespace) -> RunConfig:
    """The configuration file, if there is one, with the flags in place of its values."""
    config = RunConfig() if arguments.config is None else configurations.load(arguments.config)
    flags = {key: getattr(arguments, key, None) for key in RunConfig.model_fields if key != "set"}
    given = {"set": read_settings(arguments.set or []), "constraints": by_metric(arguments.constraint or [])}
    return configurations.override(config, {**flags, **given})


def read_settings(words: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` words by key; of a key that is given twice the last."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"--set expects KEY=VALUE, such as --set EPOCHS=3, but got {word!r}")
        found[key] = value
    return found


def make_study(file: StudyFile, config: RunConfig) -> Study:
    """The study that a file defines, with what the configuration says in place of its own."""
    own = file["study"]
    given: dict[str, Any]
    if own is None:
        space, evaluate = definitions(file)
        given = {"space": space, "evaluate": evaluate, "name": file.path.stem}
        given |= {key: file[key] for key in ("objective", "searcher", "constraints") if file[key] is not None}
    elif isinstance(own, Study):
        given = {
            key: getattr(own, key) for key in ("evaluate", "searcher", "store", "name", "seed", "storage", "reuse")
        }
        given |= {"space": space_of(file), "objective": own.objectives, "constraints": written(own.constraints)}
    else:
        raise UsageError(f"{file.path}: expected `study` to be an archsearch.Study, but it is {own!r:.100}")
    chosen = {key: getattr(config, key) for key in ("store", "name", "seed", "reuse")}
    if config.searcher is not None:
        given["searcher"] = searcher_from(config.searcher)
    if config.constraints:
        given["constraints"] = {**(given.get("constraints") or {}), **config.constraints}
    return Study(**{**given, **{key: value for key, value in chosen.items() if value is not None}})


def go(study: Study, file: StudyFile, config: RunConfig) -> None:
    """Run under a display, on the record of the settings that are used."""
    workers, gpus = config.workers or 1, config.gpus_per_worker or 0
    if workers > 1 or gpus > 0:
        travel_by_value(file)
    if config.enqueue is not None:
        enqueue(study, config.enqueue)
    display = nullcontext() if config.quiet else Progress(next(iter(study.objectives)))
    begun = False
    with display as progress:

        def watch(snapshot: Snapshot) -> None:
            nonlocal begun
            if not begun:  # only now is it certain that the run is not refused
                begun = True
                note_settings(study, file.settings)
                reason = study.driver().reason
                if progress is not None and file.settings:
                    progress.say(f"settings: {pairs(file.settings)}")
                if progress is not None and reason:
                    progress.say(f"searcher: {reason}")
            if progress is not None:
                progress(snapshot)

        study.run(
            config.trials or TRIALS,
            workers=workers,
            gpus_per_worker=gpus,
            timeout=None if config.timeout is None else seconds(config.timeout),
            progress=watch,
            lockstep=config.lockstep or False,
        )


def enqueue(study: Study, path: str) -> None:
    """Enqueue the architectures of a JSON file.

    Raises:
        UsageError: it cannot be read, or one is not of the study's space.
    """
    given = read_assignments(Path(path))
    try:
        study.enqueue(*given)
    except AssignmentError as error:
        raise UsageError(f"{path}: {error}") from error


def note_settings(study: Study, settings: Mapping[str, Setting]) -> None:
    """Write the settings of the study file into the record where they are new, and warn where others were used."""
    record = study.driver().record
    query = "SELECT message FROM events WHERE study = :study AND kind = 'settings' ORDER BY id DESC LIMIT 1"
    rows = record.store.query(query, {"study": record.study})
    before = json.loads(rows[0]["message"]) if rows else {}
    if before == dict(settings):
        return
    record.event("settings", json.dumps(dict(settings)))
    changed = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
    if before and changed:
        what = ", ".join(f"{name} was {before.get(name)!r} and is {settings.get(name)!r}" for name in changed)
        warn(f"study {study.name!r} was run under other settings before: {what}")


def warn(text: str) -> None:
    print(f"archsearch: warning: {' '.join(text.split())}", file=sys.stderr)


def summary(study: Study, trials: Sequence[TrialRecord]) -> str:
    """What the study found, and where it is."""
    states = Counter(trial.state for trial in trials)
    counts = ", ".join(f"{states[state]} {state}" for state in ("done", "failed", "pruned") if states[state])
    lines = [f"study {study.name!r} in {study.store}: {counts or 'no trials'}"]
    reused = sum(trial.reused_from is not None for trial in trials)
    if reused:
        lines.append(f"reused: {reused} of the done ones have the metrics of an earlier trial, of the same network")
    near = nearest(study.constraints, trials)
    if near:
        lines.append(near)
    elif states["done"]:
        best = study.pareto if len(study.objectives) > 1 else [study.best]
        for trial in best:
            lines.append(f"{'best: ' if len(best) == 1 else ''}trial {trial.number}: {pairs(trial.metrics)}")
        if len(best) == 1:
            lines.append(str(best[0].arch))
    return "\n".join(lines)


def failures(study: Study, trials: Sequence[TrialRecord]) -> str:
    """Which trials failed, of what, how to see more, and how to go on if all did; empty where none did."""
    failed = [trial for trial in trials if trial.state == "failed"]
    if not failed:
        return ""
    last = failed[-1]
    counts = ", ".join(f"{number} {kind}" for kind, number in Counter(trial.kind for trial in failed).items())
    look = shlex.join(["archsearch", "show", study.name, "--store", str(study.store), "--trial", str(last.number)])
    new = "; once that is mended give another --name, as this study tries none of them again"
    what = f"the last with {last.message}{new if len(failed) == len(trials) else ''}"
    return f"{len(failed)} of {len(trials)} trials failed ({counts}), {what}; see: {look}"


def again(arguments: argparse.Namespace) -> str:
    """The command that was given."""
    words = ["archsearch", "run"]
    for action in arguments.parser._actions:
        value = getattr(arguments, action.dest, None)
        if value is None or action.dest == "help":
            continue
        flag = action.option_strings[-1:]
        if isinstance(value, bool):
            words.append(action.option_strings[0 if value else -1])
        elif isinstance(value, list):
            words += [word for item in value for word in (*flag, item)]
        else:
            words += [*flag, str(value)]
    return shlex.join(words)
