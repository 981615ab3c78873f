"""`archsearch run`: run the study that a file defines, or go on with it."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archsearch.config import RunConfig, load, override, seconds
from archsearch.errors import StudyError, UsageError
from archsearch.loading import StudyFile, definitions, space_of, travel_by_value
from archsearch.loading import load as load_file
from archsearch.progress import Progress, Status, duration
from archsearch.reports import best_text, best_trials, pairs
from archsearch.study import Study

if TYPE_CHECKING:
    from archsearch.trial import TrialRecord

TRIALS = 20
KEYS = ("file", "trials", "workers", "gpus_per_worker", "searcher", "store", "name", "seed", "timeout", "quiet")


def run(arguments: argparse.Namespace) -> int:
    """Run the study, show how it goes on stderr and what it found on stdout.

    Returns:
        0; 1 when no trial could be evaluated; 130 after Ctrl-C.
    """
    config = configuration(arguments)
    if config.file is None:
        raise UsageError("run needs a study file: `archsearch run FILE`, or `file:` in the configuration")
    file = load_file(config.file, config.set)
    study = make_study(file, config)
    if config.workers != 0:
        travel_by_value(file)
    warnings.formatwarning = lambda message, *_, **__: f"archsearch: warning: {message}\n"
    began = time.monotonic()
    interrupted = False
    if file.settings and not config.quiet:
        print(f"settings: {pairs(file.settings)}", file=sys.stderr)
    try:
        go(study, file, config)
    except KeyboardInterrupt:
        interrupted = True
    trials = study.trials
    if not config.quiet:
        summary(study, trials, config.trials or TRIALS, time.monotonic() - began)
    if interrupted:
        print(f"archsearch: interrupted; go on with: {command(arguments)}", file=sys.stderr)
        return 130
    return complain(study, trials)


def configuration(arguments: argparse.Namespace) -> RunConfig:
    """The configuration file, if there is one, with the flags in place of its values."""
    config = load(arguments.config) if arguments.config is not None else RunConfig()
    flags = {key: getattr(arguments, key) for key in KEYS}
    return override(config, {**flags, "set": read_settings(arguments.set or [])})


def read_settings(words: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` words as a dict."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"--set expects KEY=VALUE, such as --set EPOCHS=3, but got {word!r}")
        if key in found:
            raise UsageError(f"--set {key} is given twice: {found[key]!r} and {value!r}")
        found[key] = value
    return found


def make_study(file: StudyFile, config: RunConfig) -> Study:
    """The study that a file defines, with what the configuration says in place of its own."""
    study = file["study"]
    if study is None:
        space, evaluate = definitions(file)
        given = {key: file[key] for key in ("objective", "searcher") if file[key] is not None}
        given = {"name": file.path.stem, **given}
    elif isinstance(study, Study):
        space, evaluate = space_of(file), study.evaluate
        given = {
            "objective": study.objectives,
            "searcher": study.searcher,
            "store": study.store,
            "name": study.name,
            "seed": study.seed,
            "storage": study.storage,
        }
    else:
        raise UsageError(f"{file.path}: expected `study` to be an archsearch.Study, but it is {study!r:.100}")
    flags = {key: getattr(config, key) for key in ("searcher", "store", "name", "seed")}
    return Study(space, evaluate, **{**given, **{key: value for key, value in flags.items() if value is not None}})


def go(study: Study, file: StudyFile, config: RunConfig) -> None:
    """Run under a display."""
    limit = None if config.timeout is None else seconds(config.timeout)
    budget: dict[str, Any] = {"workers": 1 if config.workers is None else config.workers, "timeout": limit}
    if config.gpus_per_worker:
        budget["gpus_per_worker"] = config.gpus_per_worker
    target = config.trials or TRIALS
    if config.quiet:
        study.run(target, **budget)
        return
    with Progress(limit) as progress:
        study.run(target, progress=Watch(study, progress), **budget)


def complain(study: Study, trials: Sequence[Any]) -> int:
    """0, or 1 with a hint where every trial failed."""
    failed = [trial for trial in trials if trial.state == "failed"]
    if not failed or len(failed) < len(trials):
        return 0
    print(f"archsearch: all {len(failed)} trials failed; the first: {failed[0].message}", file=sys.stderr)
    return 1
