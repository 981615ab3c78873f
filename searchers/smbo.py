"""Sequential model-based optimisation: a surrogate of the scores, and the architecture that promises most by it.

(Hutter, Hoos and Leyton-Brown, 2011, "Sequential Model-Based Optimization for General Algorithm Configuration"; that
a Gaussian process goes far in architecture search: Ru, Wan, Dong and Osborne, 2021, arXiv:2006.07556.)
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from archsearch.errors import UsageError
from archsearch.searchers.acquisition import Array
from archsearch.searchers.candidates import NUM_INCUMBENTS, Candidates, Score, best_candidates
from archsearch.searchers.checks import check_names, check_number, check_whole, check_word
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told, stream
from archsearch.searchers.features import feature_functions
from archsearch.searchers.forest_surrogate import ForestSurrogate
from archsearch.searchers.gp_surrogate import GPSurrogate
from archsearch.searchers.near_limits import places_near_limits
from archsearch.searchers.ngram_surrogate import NgramSurrogate
from archsearch.searchers.outcomes import Outcome, outcome_of
from archsearch.searchers.pareto import undominated
from archsearch.searchers.random import Random
from archsearch.searchers.surrogate import Posterior, Surrogate
from archsearch.searchers.targets import Acquisition, targets_of
from archsearch.searchers.tried import Tried
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.same_network import network_id, value_labels

# The surrogate is fitted anew when the trials are so many times what they were.
REFIT = 1.15
# Beyond so many trials the factorisation of a Gaussian process, cubic in them, is no longer spread thinly enough.
MAX_GP = 1_500

# Of the best candidates so many are looked at for one that is not a network that was tried.
MAX_CHECKED = 64

SURROGATES = ("auto", "gp", "forest", "ngrams")


@dataclass(frozen=True)
class SMBO:
    """Model-based search, for one objective or several (by expected hypervolume improvement), under constraints.

    Attributes:
        initial: how many architectures are drawn before the first model.
        surrogate: "gp", a Gaussian process over decisions; "forest", extremely randomised trees; "ngrams", a linear
            model of n-grams; "auto", the first up to 1,500 trials and then the second.
        features: numbers of an architecture that the first two see beside its decisions: "parameters", "flops",
            or "module:function" (such as "archsearch.zerocost:synflow").
        prior_weight: how much the priors of choices count in choosing a candidate: their logarithm is weighed with
            this number over that of the trials told, so that they fade as results come (piBO; Hvarfner et al., 2022).
    """

    initial: int = 10
    surrogate: Literal["auto", "gp", "forest", "ngrams"] = "auto"
    features: Sequence[str] = ()
    prior_weight: float = 10.0

    def __post_init__(self) -> None:
        check_whole(self, "initial", 2)
        check_word(self, "surrogate", SURROGATES)
        check_names(self, "features")
        check_number(self, "prior_weight")
        object.__setattr__(self, "features", tuple(self.features))  # lists, from JSON
        feature_functions(self.features)
        if self.features and self.surrogate == "ngrams":
            raise UsageError("SMBO(surrogate='ngrams') sees answers alone; features are for 'gp' and 'forest'")

    def start(self, problem: Problem) -> Search:
        return SMBOSearch(problem, self)


class SMBOSearch:
    def __init__(self, problem: Problem, searcher: SMBO) -> None:
        self.problem = problem
        self.space = problem.space
        self.searcher = searcher
        # Draws the first, and finds what is new where no candidate is.
        self.random = Random().start(problem)
        self.features = feature_functions(searcher.features)
        self.labels = value_labels(problem.space.root)
        self.tried = Tried()
        self.networks = Tried()
        self.outcomes: list[Outcome] = []
        self.archs: list[Architecture] = []
        self.surrogate: tuple[int, Surrogate] | None = None

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        if len(self.outcomes) < self.searcher.initial:
            return self.random.ask(number, pending)
        waiting = self.architectures(pending)
        under_way = {arch.id for arch in waiting}
        rng = stream(self.problem.seed, number)
        posterior = self.posterior(waiting)
        candidates = Candidates(self.space, lambda id: id in self.tried or id in under_way, posterior.draws, rng)
        found = best_candidates(candidates, self.incumbents(rng), self.promise(posterior))
        networks = {network_id(arch, self.labels) for arch in waiting}
        for value, arch in found[:MAX_CHECKED]:
            network = network_id(arch, self.labels)
            if network not in self.networks and network not in networks:
                return Proposal(arch.assignment, note={"log_acquisition": value})
        return self.random.ask(number, pending)

    def architectures(self, pending: Sequence[Pending]) -> list[Architecture]:
        return [Architecture(self.space, dict(trial.assignment)) for trial in pending]

    def posterior(self, waiting: Sequence[Architecture]) -> Posterior:
        """What the surrogate makes of what was told, with these under way."""
        return self.fitted().posterior(targets_of(self.outcomes), waiting)

    def promise(self, posterior: Posterior) -> Score:
        """How much architectures promise: the acquisition, and what is left of the priors."""
        surrogate = self.fitted()
        acquisition = Acquisition(self.outcomes, targets_of(self.outcomes), posterior.smoothed, posterior.believed)
        weight = self.searcher.prior_weight / len(self.outcomes)

        def score(archs: Sequence[Architecture]) -> Array:
            value = acquisition(*posterior.predict(surrogate.points(archs)))
            return value + weight * np.array([self.space.log_prior(arch) for arch in archs])

        return score

    def incumbents(self, rng: random.Random) -> list[Architecture]:
        """The best trials so far, best first; with several objectives some of the front, then the best by the first."""
        places = places_near_limits(self.outcomes)
        order = sorted(range(len(self.outcomes)), key=lambda i: places[i])
        if len(self.problem.objectives) > 1:
            feasible = [i for i in order if self.outcomes[i].feasible]
            kept = undominated([self.outcomes[i].losses for i in feasible])
            front = [i for i, keep in zip(feasible, kept, strict=True) if keep]
            drawn = sorted(front, key=lambda i: rng.random())
            order = drawn + [i for i in order if i not in set(drawn)]
        return [self.archs[i] for i in order[:NUM_INCUMBENTS]]

    def tell(self, told: Told) -> None:
        self.random.tell(told)
        arch = Architecture(self.space, dict(told.assignment))
        self.tried.add(arch.id)
        self.networks.add(network_id(arch, self.labels))
        self.outcomes.append(outcome_of(told, self.problem))
        self.archs.append(arch)

    def fitted(self) -> Surrogate:
        """The surrogate of what was told: a function of that alone, however often and when it was asked for."""
        size = size_of_fit(len(self.outcomes), self.searcher.initial)
        if self.surrogate is None or self.surrogate[0] != size:
            self.surrogate = (size, self.fit(size))
        _, surrogate = self.surrogate
        surrogate.extend(self.archs)
        return surrogate

    def fit(self, size: int) -> Surrogate:
        archs, targets = self.archs[:size], targets_of(self.outcomes[:size])
        kind = self.searcher.surrogate
        if kind == "ngrams":
            return NgramSurrogate(archs, targets)
        if kind == "forest" or (kind == "auto" and size > MAX_GP):
            return ForestSurrogate(self.space, archs, targets, self.features)
        return GPSurrogate(self.space, archs, targets, self.features)


def size_of_fit(told: int, first: int) -> int:
    """After how many trials the surrogate was fitted last."""
    size = first
    while (following := max(size + 1, round(size * REFIT))) <= told:
        size = following
    return size
