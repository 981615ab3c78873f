"""Searchers with many workers: regret with up to 64 trials in flight, and what an ask costs with up to 200 pending.

    PYTHONPATH=tests python -m benchmarks.parallel --seeds 20
    PYTHONPATH=tests python -m benchmarks.parallel --asks

No worker waits for another: when a trial ends, its outcome is told and its worker asks for the next. How long a trial
takes is drawn, the same in every run of a seed, so trials end in another order than they began in. Regret is that of
`benchmarks.regret` after so many trials have ended. `--results FOLDER` keeps the runs and makes only those missing.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from benchmarks.regret import ours, results, tasks  # noqa: E402
from benchmarks.regret.report import number, regrets  # noqa: E402
from benchmarks.regret.results import Results  # noqa: E402
from benchmarks.regret.tasks import NotForThis, Run, Task  # noqa: E402
from benchmarks.regret.trace import trace  # noqa: E402

from archsearch.errors import UsageError  # noqa: E402
from archsearch.searchers.contract import Pending, Problem, Searcher, Told  # noqa: E402

METHODS = "smbo,mcts,evolution,local_search,nsga2,random"
TASKS = "nbmacro,cell,tree,mixed,order,hwgpt_fitted_front"
WORKERS = "1,8,32,64"
BUDGET, CHECKPOINTS = 200, (100, 200)

TIMED = "smbo,smbo:surrogate=forest,smbo:surrogate=ngrams,mcts,evolution,local_search,nsga2,random"
NUM_TOLD, NUM_PENDING, NUM_ASKS = (300, 1_000), (0, 8, 64, 200), 7


def duration(seed: int, trial: int) -> float:
    """How long a trial takes, in no unit: half of them between 0.7 and 1.4, one in twenty more than 2.3."""
    return random.Random(f"{seed}/{trial}").lognormvariate(0.0, 0.5)


def told_of(task: Task, trial: int, assignment: tasks.Assignment) -> Told:
    """How a trial ends."""
    metrics = task.evaluate(assignment)
    if task.failed(metrics):
        return Told(trial, assignment, "failed", {}, {}, 0.0)
    heard = {name: value for name, value in metrics.items() if name != "report"}
    return Told(trial, assignment, "done", {name: metrics[name] for name in task.objectives}, heard, 0.0)


def problem_of(task: Task, seed: int) -> Problem:
    return Problem(task.space, task.objectives, seed=seed, constraints=task.constraints)


def run(task: Task, searcher: Searcher, seed: int, budget: int, workers: int) -> Run:
    """Search with so many workers; the trials are in the order in which they end.

    Raises:
        UsageError: the searcher cannot search this task.
    """
    search = searcher.start(problem_of(task, seed))
    running: list[tuple[float, int]] = []
    answers: dict[int, tasks.Assignment] = {}
    ended: list[tasks.Assignment] = []
    seconds: list[float] = []
    now, asked = 0.0, 0
    while len(ended) < budget:
        while len(running) < workers and asked < budget:
            pending = [Pending(trial, answers[trial]) for _, trial in sorted(running, key=lambda one: one[1])]
            start = time.process_time()
            proposal = search.ask(asked, pending)
            seconds.append(time.process_time() - start)
            if proposal is None:
                break
            answers[asked] = proposal.assignment
            heapq.heappush(running, (now + duration(seed, asked), asked))
            asked += 1
        if not running:
            break
        now, trial = heapq.heappop(running)
        search.tell(told_of(task, trial, answers[trial]))
        ended.append(answers[trial])
    return Run(ended, seconds)


def runs(task: Task, name: str, workers: int, seeds: int, folder: Path | None) -> Results:
    """The runs of a method with so many workers; those on file, if they are of this version, and those missing.

    Raises:
        UsageError: the method cannot search this task.
    """
    method = ours.method(name)
    kept = Results(task.name, f"{name}-{workers}", method.version, method.settings)
    path = folder and results.path_of(folder, task.name, kept.method)
    found = results.read(path) if path else None
    if found is not None and found.is_of(method):
        kept = found
    for seed in range(seeds):
        if seed not in kept.traces:
            kept.traces[seed] = trace(task, seed, BUDGET, run(task, method.searcher, seed, BUDGET, workers))
            if path:
                results.write(path, kept)
    kept.traces = {seed: kept.traces[seed] for seed in range(seeds)}
    return kept


def cell(task: Task, found: Results) -> str:
    """The mean regret at the checkpoints, and the standard error of the last."""
    values = regrets(task, found)[:, [n - 1 for n in CHECKPOINTS]]
    error = float(values[:, -1].std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return " / ".join([number(float(mean)) for mean in values.mean(axis=0)]) + f" ± {number(error)}"


def show_regret(
    methods: Sequence[str], names: Sequence[str], workers: Sequence[int], seeds: int, at: Path | None
) -> None:
    """A table for each task: mean regret after 100 / 200 trials ± standard error of the latter, by workers."""
    for task in map(tasks.task, names):
        print(f"\n| {task.name} | " + " | ".join(map(str, workers)) + " |\n" + "|---" * (len(workers) + 1) + "|")
        for method in methods:
            try:
                cells = [cell(task, runs(task, method, number_of, seeds, at)) for number_of in workers]
            except (UsageError, NotForThis):
                continue
            print(f"| {method} | " + " | ".join(cells) + " |", flush=True)


def ask_ms(task: Task, searcher: Searcher, told: int) -> list[float]:
    """The median CPU time of an ask in milliseconds, by pending trials; architectures are random."""
    search = searcher.start(problem_of(task, 0))
    rng = random.Random(1)
    seen: dict[str, tasks.Assignment] = {}
    while len(seen) < told + max(NUM_PENDING):
        arch = task.space.sample(rng)
        seen[arch.id] = arch.assignment
    every = list(seen.values())
    for trial in range(told):
        search.tell(told_of(task, trial, every[trial]))
    search.ask(told, ())  # what is fitted now and then is not of every ask
    medians = []
    for n in NUM_PENDING:
        pending = [Pending(trial, every[trial]) for trial in range(told, told + n)]
        took = []
        for i in range(NUM_ASKS):
            start = time.process_time()
            search.ask(told + n + i, pending)
            took.append(1e3 * (time.process_time() - start))
        medians.append(statistics.median(took))
    return medians


def show_asks(methods: Sequence[str], name: str) -> None:
    """A table of the time of an ask by told and pending trials."""
    task = tasks.task(name)
    head = [f"{told} told, {n} pending" for told in NUM_TOLD for n in NUM_PENDING]
    print(f"\n| {name}, ms an ask | " + " | ".join(head) + " |\n" + "|---" * (len(head) + 1) + "|")
    for method in methods:
        cells = [f"{ms:.1f}" for told in NUM_TOLD for ms in ask_ms(task, ours.method(method).searcher, told)]
        print(f"| {method} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        "benchmarks.parallel", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--methods", help=f"comma-separated; {METHODS}, with --asks {TIMED}")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--workers", default=WORKERS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--results", type=Path, help="a folder that keeps the runs")
    parser.add_argument("--asks", action="store_true", help="time asks instead, on the task `tree`")
    given = parser.parse_args()
    if given.asks:
        show_asks((given.methods or TIMED).split(","), "tree")
    else:
        workers = [int(n) for n in given.workers.split(",")]
        methods = (given.methods or METHODS).split(",")
        show_regret(methods, given.tasks.split(","), workers, given.seeds, given.results)


if __name__ == "__main__":
    main()
