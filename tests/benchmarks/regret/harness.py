"""Runs what is missing, and says what came out:

    PYTHONPATH=tests python -m benchmarks.regret --methods smbo,mcts --tasks nbmacro --seeds 100

A run that is on file is not made again: stop it and start it again as you like. Where a method has another version
or other settings than what is on file, it is left alone, unless `--again` says to drop the old runs and make them anew,
or `--recheck` to make the first two of them again: where both come out the same, what is on file counts as this
version's.
`--results /tmp/try` keeps experiments apart. A method is a searcher of ours, perhaps with settings
(`evolution:population=100+sample=25`), or a peer's (`optuna-tpe`).
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.regret import results, tasks
from benchmarks.regret.data import NoData
from benchmarks.regret.tasks import Method, NotForThis, Task
from benchmarks.regret.trace import Trace, trace

from archsearch.errors import UsageError

# So many runs of another version are made again, to see whether this one does the same.
NUM_RECHECKED = 2


@dataclass(frozen=True)
class Job:
    """One run to make."""

    task: str
    method: str
    seed: int
    budget: int


def method(name: str) -> Method:
    """The method of this name: a peer's or ours.

    Raises:
        UsageError: there is none.
    """
    module = f"benchmarks.regret.peers_{re.split('[-:]', name)[0]}"
    found: Method = import_module(module if find_spec(module) else "benchmarks.regret.ours").method(name)
    return found


def run(job: Job) -> Trace | str:
    """The trace of a run, or why the method cannot do the task."""
    task = tasks.task(job.task)
    try:
        return trace(task, job.seed, job.budget, method(job.method).run(task, job.seed, job.budget))
    except NotForThis as error:
        return str(error)


def same_runs(found: results.Results) -> bool:
    """Whether the first runs on file come out the same now, but for the time they take."""

    def known(of: Trace) -> tuple[Any, ...]:
        return of.evaluations, of.repeats, of.failed, of.best_so_far(of.budget, -math.inf)

    for seed, before in sorted(found.traces.items())[:NUM_RECHECKED]:
        now = run(Job(found.task, found.method, seed, before.budget))
        # Runs made before scores were kept have none.
        if not isinstance(now, Trace) or known(now) != known(before) or before.score not in ((), [], now.score):
            return False
    return bool(found.traces)


def missing(
    names: Sequence[str], task: Task, seeds: int, budget: int | None, folder: Path, again: bool, recheck: bool = False
) -> Iterator[Job]:
    """The runs of these methods that are not on file, of so many evaluations or the task's; begins the files."""
    budget = budget or task.budget
    for name in names:
        path = results.path_of(folder, task.name, name)
        found, what = results.read(path), method(name)
        if recheck and found is None:
            continue  # two runs of a method would stand in its tables for what it is
        if recheck and found is not None and dict(found.settings) == dict(what.settings) and not found.is_of(what):
            if same_runs(found):
                found.version = what.version
                results.write(path, found)
            else:
                print(f"{task.name} {name}: {what.version} does other than {found.version}")
        if found is None or (again and not found.is_of(what)):
            found = results.Results(task.name, name, what.version, what.settings)
            results.write_head(path, found)
        elif not found.is_of(what):
            print(f"{task.name} {name}: kept as it is, by {found.version}, not {what.version} (--again runs it anew)")
            continue
        for seed in range(seeds):
            if seed not in found.traces or found.traces[seed].budget < budget:
                yield Job(task.name, name, seed, budget)


def outcomes(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Trace | str]]:
    """The runs, as they finish."""
    if processes == 1:
        for job in jobs:
            yield job, run(job)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        running: dict[Future[Trace | str], Job] = {pool.submit(run, job): job for job in jobs}
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()


def run_all(jobs: Sequence[Job], folder: Path, processes: int) -> None:
    """Make these runs, each on file as soon as it is done."""
    refused: set[tuple[str, str]] = set()
    start = last = time.monotonic()
    for n, (job, outcome) in enumerate(outcomes(jobs, processes), 1):
        path = results.path_of(folder, job.task, job.method)
        if isinstance(outcome, Trace):
            results.append(path, outcome)
        elif (job.task, job.method) not in refused:
            refused.add((job.task, job.method))
            print(f"{job.task} {job.method}: {outcome}")
            path.unlink()
        if time.monotonic() - last > 30:
            last = time.monotonic()
            print(f"{n} of {len(jobs)} runs in {last - start:.0f} s", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing of what is asked, and print the tables."""
    parser = argparse.ArgumentParser(
        "benchmarks.regret", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--methods", required=True, help="comma-separated: random,evolution:population=100+sample=25")
    parser.add_argument("--tasks", default="all", help=f"comma-separated, or all: {','.join(tasks.NAMES)}")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="10 seeds")
    parser.add_argument("--budget", type=int, help="evaluations in a run; without it the task's, 200")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="drop the runs of other versions and settings")
    parser.add_argument(
        "--recheck", action="store_true", help="see whether the runs of other versions come out the same"
    )
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="the folder of the results")
    given = parser.parse_args(arguments)
    names = given.methods.split(",")
    try:
        for name in names:
            method(name)
    except UsageError as error:
        parser.error(str(error))
    wanted = tasks.NAMES if given.tasks == "all" else given.tasks.split(",")
    found = []
    for name in wanted:
        try:
            found.append(tasks.task(name))
        except NoData as error:
            print(f"{name}: left out, {error}")
    seeds = 10 if given.quick else given.seeds
    jobs = [
        job
        for task in found
        for job in missing(names, task, seeds, given.budget, given.results, given.again, given.recheck)
    ]
    run_all(jobs, given.results, given.processes)
    from benchmarks.regret.report import table

    for task in found:
        print(table(task, [r for r in results.read_all(given.results, task.name) if r.method in names]))
