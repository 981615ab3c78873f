"""Seconds that starting takes, the best of seven: `python tests/benchmarks/startup.py`."""

from __future__ import annotations

import subprocess
import sys
import time


def seconds(*words: str) -> float:
    """The shortest of seven runs of a command."""
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    print(f"python -c pass: {seconds(sys.executable, '-c', 'pass'):.3f} s")
    print(f"import archsearch: {seconds(sys.executable, '-c', 'import archsearch'):.3f} s")
    print(f"archsearch --help: {seconds(sys.executable, '-m', 'archsearch', '--help'):.3f} s")


if __name__ == "__main__":
    main()
