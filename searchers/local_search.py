"""Local search (White, Nolen and Savani, 2020, "Exploring the Loss Landscape in Neural Architecture Search",
arXiv:2005.02960): from the best of some architectures at random, to the first neighbour that is better.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import EndlessSpace, Infeasible, SingleArchitecture
from archsearch.searchers.checks import check_whole
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.outcomes import Outcome, outcome_of, single_objective
from archsearch.searchers.patience import patience
from archsearch.searchers.random import Random
from archsearch.searchers.tried import Tried
from archsearch.searchers.variation import mutated
from archsearch.spaces.architecture import Architecture, answers_id

# Neighbours are looked at so many at a time; where there are no more, these are all.
BLOCK = 64
# A change that makes decisions appear gives so many neighbours, and a Real as many.
COMPLETIONS = 4
# So many equally good architectures are gone on from, before a climb ends.
MAX_PLATEAU = 10


@dataclass(frozen=True)
class LocalSearch:
    """Local search for one objective; no architecture twice while another is left.

    A climb goes to the first neighbour, an architecture that differs in one decision, that is better. Where none is, it
    goes on from neighbours that were as good, and then a new climb begins from fresh architectures at random.

    More workers than there are neighbours try neighbours of neighbours; one that is better is gone to, too. A climb
    that waits in vain for its last neighbours is given up.

    Attributes:
        starts: how many architectures are drawn for a climb; it begins at the best of them.
    """

    starts: int = 10

    def __post_init__(self) -> None:
        check_whole(self, "starts", 1)

    def start(self, problem: Problem) -> Search:
        single_objective(problem, "LocalSearch")
        return Climbs(problem, self)


class Climbs:
    def __init__(self, problem: Problem, searcher: LocalSearch) -> None:
        self.problem = problem
        self.space = problem.space
        self.starts = searcher.starts
        self.random = Random().start(problem)
        self.tried = Tried()
        self.num_told = self.latest = 0
        self.begin_climb()

    def begin_climb(self) -> None:
        self.drawn: list[Outcome] = []
        self.incumbent: Outcome | None = None
        self.plateau: deque[Outcome] = deque()
        self.num_equal = 0
        self.num_beside = 0

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        if self.incumbent is not None:
            rng = stream(self.problem.seed, number)
            under_way = {answers_id(trial.assignment) for trial in pending}
            neighbors = self.neighbors()
            new = [arch for arch in neighbors if arch.id not in self.tried and arch.id not in under_way]
            if new:
                arch = new[int(rng.random() * len(new))]
                return Proposal(arch.assignment, note={"neighbor": self.incumbent.number})
            waited_for = [arch for arch in neighbors if arch.id in under_way]
            near = waited_for[int(rng.random() * len(waited_for))]  # some are, or the climb would have gone on
            beyond = mutated(near, lambda id: id in self.tried or id in under_way, rng)
            if beyond is not None:
                return Proposal(beyond.assignment, note={"beyond": self.incumbent.number})
        return self.random.ask(number, pending)

    def tell(self, told: Told) -> None:
        self.random.tell(told)
        id = answers_id(told.assignment)
        self.tried.add(id)
        self.num_told += 1
        self.latest = max(self.latest, told.number)
        outcome = outcome_of(told, self.problem)
        if self.incumbent is not None:
            self.num_beside = 0 if any([arch.id == id for arch in self.neighbors()]) else self.num_beside + 1
        if self.incumbent is None:
            self.drawn.append(outcome)
            best = min(self.drawn, key=lambda drawn: drawn.place)
            if len(self.drawn) >= self.starts and not best.failed:
                self.move_to(best)
        elif outcome.place < self.incumbent.place:
            self.plateau.clear()
            self.num_equal = 0
            self.move_to(outcome)
        elif outcome.place == self.incumbent.place and self.num_equal < MAX_PLATEAU:
            self.plateau.append(outcome)
            self.num_equal += 1
        while self.incumbent is not None and (
            self.waits_in_vain() or all([arch.id in self.tried for arch in self.neighbors()])
        ):
            self.go_on()

    def waits_in_vain(self) -> bool:
        """Whether no neighbour has ended for long, so that those left are with workers that are slow or hang.

        As many as are under way, at the least by their numbers, and may have begun before the climb came here, have
        ended since, and as many again as a new climb begins with.
        """
        under_way = self.latest + 1 - self.num_told
        return under_way > 0 and self.num_beside >= under_way + self.starts

    def move_to(self, outcome: Outcome) -> None:
        self.incumbent = outcome
        self.num_beside = 0
        self.arch = self.space.architecture(outcome.assignment)
        decisions = self.space.live(self.arch).values()
        changes = sum([COMPLETIONS if d.options is None else d.size - 1 for d in decisions])
        self.num_blocks = max(1, -(-changes // BLOCK))
        self.block = 0
        self.found: list[Architecture] | None = None

    def go_on(self) -> None:
        """None of these neighbours is better, or ends: look at others, or start from an equal one, or anew."""
        self.num_beside = 0
        self.block += 1
        self.found = None
        if self.block >= self.num_blocks:
            if self.plateau:
                self.move_to(self.plateau.popleft())
            else:
                self.begin_climb()

    def neighbors(self) -> list[Architecture]:
        """The neighbours that are looked at now; they follow from the incumbent, and are remembered."""
        if self.found is None:
            assert self.incumbent is not None
            # Trials have numbers from 0 on: these streams are nobody else's.
            rng = stream(self.problem.seed, -1 - self.incumbent.number - (self.block << 40))
            try:
                if self.num_blocks == 1:
                    self.found = list(self.space.neighbors(self.arch, COMPLETIONS, rng))
                    return self.found
            except EndlessSpace:
                pass
            found: dict[str, Architecture] = {}
            with patience(BLOCK):
                for _ in range(BLOCK):
                    try:
                        arch = self.space.mutate(self.arch, rng)
                    except EndlessSpace:  # a grammar that sometimes does not end
                        continue
                    except (SingleArchitecture, Infeasible):  # constraints leave no move from here, or few
                        break
                    found[arch.id] = arch
            self.found = list(found.values())
        return self.found
