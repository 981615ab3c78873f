"""Resident memory while a study grows: `PYTHONPATH=tests python -m benchmarks.memory [TRIALS]` (a million by default).

No-op trials of the conditional network (about 19 decisions) by random search, in this process, with the record on.
What was evaluated is looked up in the record; random search remembers what it tried in eight bytes an architecture
(`searchers/tried.py`), and nothing else may grow.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.compared_spaces import our_cnn

from archsearch.snapshot import Snapshot
from archsearch.study import Study
from archsearch.trial import Trial


def nothing(trial: Trial) -> float:
    """Evaluates nothing."""
    return 1.0


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def grow(trials: int, steps: int = 10) -> list[tuple[int, int]]:
    """(trials finished, bytes in memory) at equal steps, printed as they come."""
    marks: list[tuple[int, int]] = []
    start = time.perf_counter()

    def note(snapshot: Snapshot) -> None:
        if snapshot.finished >= max(1_000, len(marks) * trials // steps) or snapshot.finished == trials:
            gc.collect()
            marks.append((snapshot.finished, resident()))
            passed = time.perf_counter() - start
            print(f"  {snapshot.finished:>9,} trials {marks[-1][1] / 1e6:8.1f} MB {passed:8.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "runs.db"
        study = Study(our_cnn(), nothing, objective="score", store=store, name="memory")
        study.run(trials=trials, progress=note)
        print(f"  {store.stat().st_size / trials:,.0f} bytes of the record a trial")
    return marks


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print("no-op trials, memory, time")
    marks = grow(trials)
    (first, before), (last, after) = marks[1], marks[-1]
    print(f"  {(after - before) / (last - first):,.1f} bytes of memory a trial from the {first:,}th on")


if __name__ == "__main__":
    main()
