"""The loop of a study that runs: trials out to an executor, outcomes back, until it has as many as it is to have."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from archsearch.driver import Driver
from archsearch.executor import Executor
from archsearch.job import Job
from archsearch.snapshot import Snapshot


def go_on(driver: Driver, target: int, executor: Executor, progress: Callable[[Snapshot], None] | None = None) -> None:
    """Go on until the study has `target` trials, or nothing is left to propose."""
    started = time.monotonic()
    finished_before = driver.num_finished
    asking_before = driver.seconds_asking
    num_lost = 0
    backlog: deque[Job] = deque()
    submitted = ended = 0
    exhausted = False
    while True:
        adopted = driver.adopt(len(driver.orphans))
        backlog.extend(adopted)
        submitted += len(adopted)
        while backlog and executor.free:
            executor.submit(backlog.popleft())
        places = room(driver, executor.free, submitted - ended)
        wanted = 0 if exhausted or backlog else min(places, target - driver.num_trials)
        jobs: list[Job] = []
        if wanted > 0:
            before = driver.num_trials
            jobs = driver.propose(wanted)
            exhausted = driver.num_trials - before < wanted
            submitted += len(jobs)
            for job in jobs:
                executor.submit(job)
        if progress is not None:
            progress(
                Snapshot(
                    target=target,
                    finished=driver.num_finished,
                    finished_here=driver.num_finished - finished_before,
                    running=tuple([n for n, running in driver.running.items() if running.waits_for is None]),
                    failures=dict(driver.failures),
                    num_lost=num_lost,
                    best=driver.best,
                    seconds=time.monotonic() - started,
                    num_reused=driver.num_reused,
                    seconds_asking=driver.seconds_asking - asking_before,
                )
            )
        if submitted == ended and (exhausted or driver.num_trials >= target):
            return
        # Where a proposal needed no evaluation, a worker is free for the next one at once.
        outcomes = executor.wait(patient=exhausted or len(jobs) >= wanted)
        if outcomes:
            again = driver.finish(outcomes)
            num_lost += sum([outcome.kind == "lost" for outcome in outcomes])
            backlog.extend(again)
            submitted += len(again)
            ended += len(outcomes)


def room(driver: Driver, free: int, busy: int) -> int:
    """How many proposals to make, with so many workers free and so many at work.

    While any is at work no more trials wait than there are workers: they would spend the budget on proposals of a
    search that has heard nothing.
    """
    num_waiting = sum([running.waits_for is not None for running in driver.running.values()])
    places = min(free, free + busy - num_waiting) if busy else free
    return places if driver.window is None else min(places, driver.window)
