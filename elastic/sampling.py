"""Which sub-networks a training step runs, and with what weight each.

What a step draws follows from the seed and the number of the step alone: every process of a distributed run draws the
same, and a resumed run goes on as if it had not stopped.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import isclose, prod
from typing import TypeAlias

from archsearch.elastic.cut import Cut
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.errors import ElasticError

# More combinations of granularities than anyone lists; beyond, every layer or dimension is drawn by itself.
MAX_COMBINATIONS = 10_000


@dataclass(frozen=True)
class Pass:
    """One pass of a batch through a sub-network.

    Attributes:
        cut: the sub-network.
        weight: of its loss.
    """

    cut: Cut
    weight: float


# What a step runs, given its own generator of random numbers.
Plan: TypeAlias = Callable[[random.Random], list[Pass]]


@dataclass(frozen=True)
class Sampled:
    """Sub-networks by chance: one a step (MatFormer, arXiv:2310.07707, section 3.2), or g_r of them, the losses divided
    by g_r (SortedNet, arXiv:2309.00255).

    Attributes:
        probabilities: of `subs`, in their order; alike by default.
        draws: how many a step (g_r); as many as there are sub-networks means each of them once.
        subs: the sub-networks that are trained; by default all combinations of granularities, smallest first.
        per_layer: draw from `net.space()`, so that every layer has its own granularity.
        own_batch: whether each of the draws takes the next batch; by default they share one.
    """

    probabilities: Sequence[float] | None = None
    draws: int = 1
    subs: Sequence[SubNetwork] | None = None
    per_layer: bool = False
    own_batch: bool = False

    def plan(self, net: Elastic) -> Plan:
        """What each step runs.

        Raises:
            ElasticError: the probabilities do not fit the sub-networks, or the options exclude each other.
        """
        if self.draws < 1:
            raise ElasticError(f"Sampled: expected at least one draw a step, but got draws={self.draws}")
        weight = 1 / self.draws
        if self.per_layer:
            if self.subs is not None or self.probabilities is not None:
                raise ElasticError("Sampled: per_layer draws from net.space(), not from subs with probabilities")
            space = net.space()
            return lambda rng: [Pass(net.cut(space.sample(rng)), weight) for _ in range(self.draws)]
        cuts = chosen(net, self.subs)
        shares = checked(self.probabilities, len(cuts))
        if self.draws == len(cuts) and self.probabilities is None:
            return lambda rng: [Pass(cut, weight) for cut in cuts]
        return lambda rng: [Pass(cut, weight) for cut in rng.choices(cuts, shares, k=self.draws)]


@dataclass(frozen=True)
class Joint:
    """All sub-networks in every step, the largest first (MatFormer-OLMo and MatViT add the losses up).

    Attributes:
        mean: whether the losses are averaged; by default they are added.
        subs: the sub-networks that are trained; by default all combinations of granularities.
        own_batch: whether each takes the next batch; by default they share one.
    """

    mean: bool = False
    subs: Sequence[SubNetwork] | None = None
    own_batch: bool = False

    def plan(self, net: Elastic) -> Plan:
        """What each step runs."""
        cuts = by_size(net, chosen(net, self.subs))[::-1]
        weight = 1 / len(cuts) if self.mean else 1.0
        return lambda rng: [Pass(cut, weight) for cut in cuts]


@dataclass(frozen=True)
class Sandwich:
    """The largest, the smallest and some by chance (Yu & Huang 2019, "Universally Slimmable Networks and Improved
    Training Techniques", arXiv:1903.05134).

    Attributes:
        random: how many between the two, none of them twice.
        mean: whether the losses are averaged; by default they are added.
        subs: the sub-networks that are trained; by default all combinations of granularities.
        per_layer: draw the random ones from `net.space()`, so that every layer has its own granularity.
        own_batch: whether each takes the next batch; by default they share one.
    """

    random: int = 2
    mean: bool = False
    subs: Sequence[SubNetwork] | None = None
    per_layer: bool = False
    own_batch: bool = False

    def plan(self, net: Elastic) -> Plan:
        """What each step runs.

        Raises:
            ElasticError: there are not as many sub-networks between the smallest and the largest.
        """
        cuts = by_size(net, chosen(net, self.subs))
        between = cuts[1:-1]
        most = len(between)
        if len(cuts) < 2 or self.random < 0 or (self.random > most and not self.per_layer):
            raise ElasticError(
                f"Sandwich: random={self.random} of the sub-networks between the smallest and the largest, of which "
                f"there are {most}"
            )
        weight = 1 / (self.random + 2) if self.mean else 1.0
        space = net.space() if self.per_layer else None

        def plan(rng: random.Random) -> list[Pass]:
            if space is None:
                some = rng.sample(between, self.random)
            else:
                some = [net.cut(space.sample(rng)) for _ in range(self.random)]
            return [Pass(cut, weight) for cut in (cuts[-1], *some, cuts[0])]

        return plan


def combinations(net: Elastic) -> list[Cut]:
    """Every combination of the granularities that are decided about, alike in all layers, smallest first.

    Raises:
        ElasticError: there are too many to list.
    """
    number = prod(len(decision.granularities) for decision in net.decisions)
    if number > MAX_COMBINATIONS:
        raise ElasticError(f"there are {number} combinations of granularities; say which are trained: subs=[...]")
    groups = net.axes.groups()
    cuts = []
    for shares in product(*(decision.granularities for decision in net.decisions)):
        kept = {
            axis.name: int(share * axis.units)
            for decision, share in zip(net.decisions, shares, strict=True)
            for axis in groups[decision.group]
        }
        dropped = net.axes.dropped(kept)
        cuts.append(Cut.of(net.axes, {n: k for n, k in kept.items() if net.axes.by_name[n].layer not in dropped}))
    return by_size(net, cuts)


def chosen(net: Elastic, subs: Sequence[SubNetwork] | None) -> list[Cut]:
    """The given sub-networks in their order, or all combinations of granularities."""
    if subs is None:
        return combinations(net)
    if not subs:
        raise ElasticError("subs: expected the sub-networks to train, but got none")
    return [net.cut(sub) for sub in subs]


def by_size(net: Elastic, cuts: Sequence[Cut]) -> list[Cut]:
    """Cuts by their number of parameters, smallest first."""
    shapes = {name: tuple(p.shape) for name, p in net.model.named_parameters(remove_duplicate=False)}
    return sorted(cuts, key=lambda cut: cut.numel(shapes))


def checked(probabilities: Sequence[float] | None, number: int) -> list[float]:
    """Probabilities of so many sub-networks."""
    if probabilities is None:
        return [1 / number] * number
    found = [float(p) for p in probabilities]
    if len(found) != number or min(found) < 0 or not isclose(sum(found), 1, abs_tol=1e-6):
        raise ElasticError(
            f"probabilities: expected {number} of them, one for each sub-network (smallest first), that are not "
            f"negative and add up to 1, but got {found}"
        )
    return found


def stream(seed: int, step: int) -> random.Random:
    """The generator of one step: it follows from the seed and the step, and touches no other generator."""
    return random.Random(f"{seed}/{step}")
