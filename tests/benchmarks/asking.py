"""CPU time of an ask with a thousand observations: `PYTHONPATH=tests python -m benchmarks.asking [SEARCHER ...]`.

Random architectures with made-up scores are told, then the search goes on by itself; the first ask, which fits what has
waited, counts apart.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.compared_spaces import our_cell, our_cnn, our_hierarchy

from archsearch.searchers import by_name
from archsearch.searchers.contract import Problem, Told

TOLD, ASKS = 1_000, 20


def score(assignment: Mapping[str, Any]) -> float:
    """A sum of an effect for each answer, the same in every run."""
    return sum([random.Random(f"{path}={answer}").gauss(0, 1) for path, answer in assignment.items()])


def measure(searcher: str, space: Any) -> tuple[float, list[float]]:
    """Milliseconds of the first ask, and of the others."""
    search = by_name(searcher).start(Problem(space, {"score": "maximize"}))
    rng = random.Random(1)
    seen: dict[str, Mapping[str, Any]] = {}
    while len(seen) < TOLD:
        arch = space.sample(rng)
        seen[arch.id] = arch.assignment
    took = []
    told = list(seen.values())
    for number in range(TOLD + ASKS):
        if number >= TOLD:
            start = time.process_time()
            proposal = search.ask(number, [])
            took.append(1_000 * (time.process_time() - start))
            assert proposal is not None
            told.append(proposal.assignment)
        value = score(told[number])
        search.tell(Told(number, told[number], "done", {"score": value}, {"score": value}, 0.0))
    return took[0], took[1:]


def main() -> None:
    print("| searcher | space | first ask, ms | median | longest |\n|---|---|---|---|---|")
    for searcher in sys.argv[1:] or ("smbo", "mcts", "evolution", "local_search", "nsga2"):
        for name, space in (("cell", our_cell()), ("conditional", our_cnn()), ("hierarchy", our_hierarchy())):
            first, others = measure(searcher, space)
            middle = statistics.median(others)
            print(f"| {searcher} | {name} | {first:.0f} | {middle:.1f} | {max(others):.0f} |", flush=True)


if __name__ == "__main__":
    main()
