"""Monte Carlo tree search over the decisions of a space (Negrinho and Gordon, 2017, "DeepArchitect", arXiv:1704.08792).

An ask goes down the tree by UCT and draws what is left, a rollout; a tell backs the trial up and expands the tree by a
node. Three things make that work with tens of trials, which plain UCT spends on its first levels: ordered decisions are
halved (`bisection`), an answer's scores count wherever it is asked (`answers`), and rollouts follow them as well.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from archsearch.errors import EndlessSpace, Infeasible
from archsearch.searchers.answers import AnswerStatistics, ScoredAnswers
from archsearch.searchers.bisection import Scale, scale_of
from archsearch.searchers.checks import check_flag, check_number, check_word
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.losses import Losses
from archsearch.searchers.near_limits import places_near_limits
from archsearch.searchers.outcomes import Outcome, outcome_of, single_objective
from archsearch.searchers.patience import IN_ALL
from archsearch.searchers.random import Random
from archsearch.searchers.rollouts import CALMING, STRENGTH, follow, shares
from archsearch.searchers.surrogate_rollouts import RankedRollouts
from archsearch.searchers.tree import Step, Tree
from archsearch.searchers.tried import Tried
from archsearch.searchers.uct import draw_index, savage_scores, shrunk, uct
from archsearch.spaces.architecture import Architecture, answers_id
from archsearch.spaces.decisions import Decision, frozen
from archsearch.spaces.refusals import at_most

# So many simulations that met what was tried, or what `where` refuses, each counted as a bad trial: then at random.
MAX_REPEATS = 100
# Scales are kept by path; grammars have ever more paths.
MAX_SCALES = 20_000

ROLLOUTS = ("shared", "random", "surrogate")


@dataclass(frozen=True)
class MCTS:
    """Monte Carlo tree search for one objective; no architecture twice while another is left.

    Attributes:
        exploration: the constant b of UCT in units of the spread of the scores. They are made from ranks, so neither
            the scale of the objective nor its direction changes a proposal.
        bisection: whether ordered options are halved, one level of the tree a halving. Numbers of more than 64 values
            always are.
        shared: as how many trials the scores of the same answer elsewhere in the tree count; with 0 only those below
            a node do.
        rollouts: how what is below the tree is drawn: by the scores of the same answers elsewhere ("shared"), by the
            decisions' own draws ("random"), or as the one of several shared ones that the surrogate of `SMBO` makes
            most of ("surrogate"; slower). `MCTS(bisection=False, shared=0.0, rollouts="random")` is plain UCT.
    """

    exploration: float = 0.7
    bisection: bool = True
    shared: float = 8.0
    rollouts: Literal["shared", "random", "surrogate"] = "shared"

    def __post_init__(self) -> None:
        check_number(self, "exploration")
        check_flag(self, "bisection")
        check_number(self, "shared")
        check_word(self, "rollouts", ROLLOUTS)

    def start(self, problem: Problem) -> Search:
        single_objective(problem, "MCTS")
        return MCTSSearch(problem, self)


class Statistics(NamedTuple):
    """What follows from the scores of the trials.

    Attributes:
        counts, sums: for each node of the tree, its trials and the sum of their scores.
        answers: the same for answers.
        worst: the smallest score.
    """

    counts: Sequence[int]
    sums: Sequence[float]
    answers: ScoredAnswers
    worst: float


class MCTSSearch:
    def __init__(self, problem: Problem, searcher: MCTS) -> None:
        self.problem = problem
        self.space = problem.space
        self.searcher = searcher
        # Draws the first, and finds what is new where simulations do not.
        self.random = Random().start(problem)
        self.tried = Tried()
        self.trials: list[Mapping[str, Any]] = []
        self.outcomes: list[Outcome] = []
        self.tree = Tree()
        self.answers = AnswerStatistics()
        self.scales: dict[str, Scale] = {}
        self.statistics: Statistics | None = None
        self.ranked = RankedRollouts(problem) if searcher.rollouts == "surrogate" else None

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        if not self.trials or self.tree.closed:
            return self.random.ask(number, pending)
        rng = stream(self.problem.seed, number)
        under_way = {answers_id(trial.assignment) for trial in pending}
        lost = Losses(self.tree)
        for trial in pending:
            lost.add(self.steps(trial.assignment))
        wanted = self.ranked.number if self.ranked is not None else 1
        found: dict[str, Architecture] = {}
        repeats = 0
        with at_most(IN_ALL):
            while len(found) < wanted and repeats < MAX_REPEATS:
                try:
                    arch = Architecture(self.space, self.simulate(rng, lost, STRENGTH * CALMING**repeats))
                except EndlessSpace:
                    repeats += 1
                    continue
                except Infeasible:
                    break
                if arch.id in found:
                    repeats += 1
                elif arch.id in self.tried or arch.id in under_way or not self.space.allowed(arch):
                    repeats += 1
                    lost.add(self.steps(arch.answers))
                else:
                    found[arch.id] = arch
        if not found:
            return self.random.ask(number, pending)
        archs = list(found.values())
        return Proposal((archs[0] if self.ranked is None else self.ranked.best(archs, pending)).assignment)

    def tell(self, told: Told) -> None:
        self.random.tell(told)
        self.tried.add(answers_id(told.assignment))
        trial = len(self.trials)
        self.trials.append(told.assignment)
        self.outcomes.append(outcome_of(told, self.problem))
        self.tree.add(trial, lambda other: self.steps(self.trials[other]))
        for path, answer in told.assignment.items():
            self.answers.add(path, frozen(answer), trial)
        self.statistics = None
        if self.ranked is not None:
            self.ranked.tell(told)

    def simulate(self, rng: random.Random, lost: Losses, strength: float) -> dict[str, Any]:
        """Answers from the root to the end: those of the tree by UCT, then a rollout (`follow` has its strength)."""
        statistics = self.evaluate()
        asked: set[str] = set()
        node: int | None = 0

        def decide(decision: Decision, path: str) -> Any:
            nonlocal node
            if path in asked:  # a constraint refused what was answered, and the walk starts over
                node = None
            asked.add(path)
            scale = self.scale(decision, path)
            cell = scale.whole
            while node is not None and self.tree.nodes[node].path == path:
                parts = self.tree.nodes[node].parts
                i = self.select(node, statistics, rng, lost)
                cell = parts[i]
                node = self.tree.nodes[node].children[i]
                if not scale.split(cell):
                    break
            else:
                node = None
            if self.searcher.rollouts != "random":
                cell = follow(path, scale, cell, statistics.answers, strength, rng)
            return scale.draw(cell, rng.random)

        return self.space.walk(decide)

    def select(self, number: int, statistics: Statistics, rng: random.Random, lost: Losses) -> int:
        """The branch of a node with the largest upper bound; among equals by the chance of a draw."""
        node = self.tree.nodes[number]
        assert node.scale is not None
        visits = statistics.counts[number] + lost.at(number)
        mean = statistics.sums[number] / statistics.counts[number]
        line = statistics.answers.line(node.path, node.scale)
        weight = self.searcher.shared
        bounds: dict[int, float] = {}
        for i, child in enumerate(node.children):
            if not lost.is_open((number, i)):
                continue
            losses = lost.counts[number, i]
            count, total = losses, losses * statistics.worst
            if child is not None:
                count += statistics.counts[child]
                total += statistics.sums[child]
            prior = mean
            if weight:
                elsewhere, score = line.of(node.parts[i])
                prior = shrunk(score, elsewhere, mean, 1)
            value = shrunk(total, count, prior, weight)
            bounds[i] = uct(value, count + (weight > 0), visits, self.searcher.exploration)
        open_parts = bounds or dict.fromkeys(range(len(node.parts)), 0.0)
        best = max(open_parts.values())
        tied = [i for i, bound in open_parts.items() if bound == best]
        return tied[draw_index(shares(node.scale, [node.parts[i] for i in tied]), rng.random())]

    def evaluate(self) -> Statistics:
        """The statistics of what was told; remembered until the next tell."""
        if self.statistics is None:
            scores = np.array(savage_scores(places_near_limits(self.outcomes)))
            counts, sums = self.tree.tally.sums(scores)
            self.statistics = Statistics(counts, sums, self.answers.under(scores), float(scores.min()))
        return self.statistics

    def steps(self, assignment: Mapping[str, Any]) -> list[Step]:
        """The answers of a trial with what was offered to each."""
        steps: list[Step] = []

        def replay(decision: Decision, path: str) -> Any:
            answer = decision.parse(assignment[path])
            scale = self.scale(decision, path)
            position = scale.position(answer)
            assert position is not None
            steps.append(Step(path, scale, position))
            return answer

        self.space.walk(replay)
        return steps

    def scale(self, decision: Decision, path: str) -> Scale:
        scale = self.scales.get(path)
        if scale is None or (scale.decision is not decision and scale.decision != decision):
            if len(self.scales) == MAX_SCALES:
                self.scales.clear()
            scale = self.scales[path] = scale_of(decision, self.searcher.bisection)
        return scale
