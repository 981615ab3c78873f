"""No-op trials a second through two Ray workers with the record on: `python tests/benchmarks/trials.py [TRIALS]`.

The bare pool of two Ray actors beside it is the floor: the same messages without a study.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray

from archsearch.snapshot import Snapshot
from archsearch.spaces.nodes import Choice
from archsearch.spaces.space import Space
from archsearch.study import Study
from archsearch.trial import Trial


def nothing(trial: Trial) -> float:
    """Evaluates nothing."""
    return 1.0


class Bare:
    """An actor that answers."""

    def run(self, number: int) -> int:
        return number


def bare(trials: int) -> float:
    """Calls a second of a pool of two actors, one call an actor at a time."""
    actor_class: Any = ray.remote(Bare)
    actors = [actor_class.remote() for _ in range(2)]
    ray.get([actor.run.remote(0) for actor in actors])
    start = time.perf_counter()
    running = {actor.run.remote(0): actor for actor in actors}
    for number in range(trials):
        (ready, *_), _ = ray.wait(list(running))
        actor = running.pop(ready)
        ray.get(ready)
        running[actor.run.remote(number)] = actor
    return trials / (time.perf_counter() - start)


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    space = Space([Choice(list(range(5))) for _ in range(6)])
    ray.init(address="local", log_to_driver=False, include_dashboard=False, num_cpus=2)
    times: list[tuple[int, float]] = []

    def note(snapshot: Snapshot) -> None:
        times.append((snapshot.finished, time.perf_counter()))

    def rate(first: int, last: int) -> float:
        begin = next(t for n, t in times if n >= first)
        return (last - first) / (next(t for n, t in times if n >= last) - begin)

    with tempfile.TemporaryDirectory() as folder:
        study = Study(space, nothing, objective="score", store=Path(folder) / "runs.db", name="noop")
        study.run(trials=trials, workers=2, progress=note)
    print(f"bare pool: {bare(2_000):,.0f} calls a second")
    step = max(1, trials // 10)
    print(f"study: {rate(min(100, step), trials):,.0f} trials a second from the {min(100, step)}th to the {trials}th")
    for first in (min(100, step), *range(2 * step, trials, 2 * step)):
        last = min(trials, first + step)
        print(f"  {first} to {last}: {rate(first, last):,.0f} a second")
    ray.shutdown()


if __name__ == "__main__":
    main()
