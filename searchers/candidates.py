"""Where to look for the best acquisition: near the incumbents, between them, and anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from archsearch.errors import ArchsearchError, EndlessSpace, Infeasible
from archsearch.searchers.nudges import nudges
from archsearch.searchers.patience import patience
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.moves import live
from archsearch.spaces.pool import Pool
from archsearch.spaces.space import Space

Score = Callable[[Sequence[Architecture]], npt.NDArray[np.float64]]
Draws = Callable[[int, random.Random], list[Architecture]]

# So many rounds of local search, from so many of the best candidates, with so many neighbours each.
ROUNDS, CLIMBERS, STEPS = 3, 4, 24
# Where there are draws by effects, so many of them; and in each round so many crosses of so many of the best
# candidates, which join what each of them has.
NUM_GUIDED, NUM_PARENTS, NUM_JOINED = 50, 12, 40
NUM_FROM_POOL = 1_000
NUM_INCUMBENTS, NUM_FRESH, NUM_CROSSED, NUM_NEAR = 5, 100, 30, 40


class Candidates:
    """Architectures to choose from, none of them twice, and none that is to be left out.

    Args:
        space: the space.
        excluded: whether an id is to be left out.
        guided: gives about so many draws that follow what the surrogate knows, or none.
        rng: of the ask.
    """

    def __init__(self, space: Space, excluded: Callable[[str], bool], guided: Draws, rng: random.Random) -> None:
        self.space = space
        self.guided = guided
        self.excluded = excluded
        self.rng = rng
        self.seen: set[str] = set()

    def new(self, archs: Iterable[Architecture]) -> list[Architecture]:
        """Those that were not given before."""
        found = []
        for arch in archs:
            if arch.id not in self.seen and not self.excluded(arch.id):
                self.seen.add(arch.id)
                found.append(arch)
        return found

    def fresh(self, number: int) -> list[Architecture]:
        """So many draws; where constraints refuse more than is paid for, those till then."""
        drawn = []
        with patience(number):
            for _ in range(number):
                try:
                    drawn.append(self.space.sample(self.rng))
                except EndlessSpace:  # a grammar that sometimes does not end
                    continue
                except Infeasible:
                    break
        return self.new(drawn)

    def near(self, arch: Architecture, number: int) -> list[Architecture]:
        """Neighbours of an architecture: all where they are few, else so many mutations, half of them small steps where
        it has numbers."""
        if isinstance(self.space, Pool):
            return self.new(self.space.neighbors(arch, number, self.rng))
        if sum([decision.size - 1 for decision in live(self.space, arch).values()]) <= number:
            try:
                return self.new(list(self.space.neighbors(arch, 4, self.rng)))
            except EndlessSpace:
                return self.new(self.ending(arch, number))
        with patience(number):
            small = nudges(self.space, arch, number // 2, self.rng)
            return self.new(small + self.mutations(arch, number - len(small)))

    def ending(self, arch: Architecture, number: int) -> list[Architecture]:
        """Those of so many mutations that end, in a grammar that sometimes does not."""
        found = []
        with patience(number):
            for _ in range(number):
                try:
                    found.append(self.space.mutate(arch, self.rng))
                except EndlessSpace:
                    continue
                except ArchsearchError:  # constraints leave no move from here, or few
                    break
        return found

    def far(self, arch: Architecture, number: int) -> list[Architecture]:
        """About so many mutations of mutations."""
        with patience(number):
            return self.new([far for near in self.mutations(arch, number // 4) for far in self.mutations(near, 4)])

    def mutations(self, arch: Architecture, number: int) -> list[Architecture]:
        try:
            return self.space.mutations(arch, number, self.rng)
        except ArchsearchError:  # constraints leave no move from here
            return []

    def crossed(self, parents: Sequence[Architecture], number: int) -> list[Architecture]:
        """So many crosses of two of several."""
        if len(parents) < 2:
            return []
        rng = self.rng
        found = []
        with patience(number):
            for _ in range(number):
                first = int(rng.random() * len(parents))
                second = (first + 1 + int(rng.random() * (len(parents) - 1))) % len(parents)
                try:
                    found.append(self.space.crossover(parents[first], parents[second], rng))
                except ArchsearchError:  # constraints leave no cross of these
                    break
        return self.new(found)


def best_candidates(
    candidates: Candidates, incumbents: Sequence[Architecture], score: Score
) -> list[tuple[float, Architecture]]:
    """The candidates, best score first: those of the start, and what local search finds from the best of them.

    The search goes in step, so that there are few calls of `score` with many rows each.
    """
    # Members of a pool are drawn and compared by the thousand in the time of a hundred others.
    guided = candidates.new(candidates.guided(NUM_GUIDED, candidates.rng))
    fresh = NUM_FROM_POOL if isinstance(candidates.space, Pool) else NUM_FRESH - len(guided)
    pool = guided + candidates.fresh(fresh)
    for i, arch in enumerate(incumbents):
        pool += candidates.near(arch, NUM_NEAR if i else 2 * NUM_NEAR)
        pool += candidates.far(arch, NUM_NEAR // 2)
    pool += candidates.crossed(list(incumbents), NUM_CROSSED)
    if not pool:
        return []
    scored = ranked(pool, score)
    expanded: set[str] = set()
    for _ in range(ROUNDS):
        climbers = [arch for _, arch in scored[:CLIMBERS] if arch.id not in expanded]
        expanded.update([arch.id for arch in climbers])
        steps = [step for arch in climbers for step in candidates.near(arch, STEPS)]
        if guided:
            steps += candidates.crossed([arch for _, arch in scored[:NUM_PARENTS]], NUM_JOINED)
        if not steps:
            break
        scored = sorted(scored + ranked(steps, score), key=lambda pair: -pair[0])
    return scored


def ranked(archs: Sequence[Architecture], score: Score) -> list[tuple[float, Architecture]]:
    """Scores rounded, so that a last bit, which depends on the machine, decides nothing; of equals the first."""
    values = np.round(score(archs), 6).tolist()
    return sorted(zip(values, archs, strict=True), key=lambda pair: -pair[0])
