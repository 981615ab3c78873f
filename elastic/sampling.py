"""Which sub-networks a training step runs, and with what weight each.

What a step draws follows from the seed and the number of the step alone: every process of a distributed run draws the
same, and a resumed run goes on as if it had not stopped.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import isclose, prod

from torch import nn

from archsearch.elastic.cut import Cut
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.elastic.soft import Tail
from archsearch.errors import ElasticError

# More combinations of granularities than anyone lists; beyond, every layer or dimension is drawn by itself.
MAX_COMBINATIONS = 10_000


@dataclass(frozen=True)
class Pass:
    """One pass of a batch through a sub-network.

    Attributes:
        cut: the sub-network.
        weight: of its loss.
        depths: its exits, whose mean loss is that of the pass; empty: the output alone.
    """

    cut: Cut
    weight: float
    depths: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What the steps of a run do.

    Attributes:
        draw: the passes of a step, given its own generator of random numbers.
        largest: of the sub-networks that are trained; the others can learn from it.
        passes: how many a step has.
        own_batch: whether each takes a batch of its own.
        heads: of exits, by depth; see `SoFT`.
        tail: what follows the layers of exits; see `SoFT`.
    """

    draw: Callable[[random.Random], list[Pass]]
    largest: Cut
    passes: int
    own_batch: bool = False
    heads: nn.ModuleDict | None = None
    tail: Tail | None = None


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
            return Plan(per_layer(net, weight, self.draws), extreme(net, -1), self.draws, self.own_batch)
        cuts = chosen(net, self.subs)
        shares = checked(self.probabilities, len(cuts))
        each_once = self.draws == len(cuts) and self.probabilities is None

        def draw(rng: random.Random) -> list[Pass]:
            return [Pass(cut, weight) for cut in (cuts if each_once else rng.choices(cuts, shares, k=self.draws))]

        return Plan(draw, by_size(net, cuts)[-1], self.draws, self.own_batch)


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
        passes = [Pass(cut, weight) for cut in cuts]
        return Plan(lambda rng: passes, cuts[0], len(cuts), self.own_batch)


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
        if self.per_layer and self.subs is not None:
            raise ElasticError("Sandwich: per_layer draws from net.space(), not from subs")
        cuts = [extreme(net, 0), extreme(net, -1)] if self.per_layer else by_size(net, chosen(net, self.subs))
        smallest, *between, largest = cuts if len(cuts) > 1 else (cuts[0], cuts[0])
        if smallest is largest or self.random < 0 or (self.random > len(between) and not self.per_layer):
            raise ElasticError(
                f"Sandwich: expected two sub-networks or more, and random={self.random} of those between the smallest "
                f"and the largest, but there are {len(cuts)} sub-networks"
            )
        weight = 1 / (self.random + 2) if self.mean else 1.0
        some = per_layer(net, weight, self.random) if self.per_layer else None

        def draw(rng: random.Random) -> list[Pass]:
            drawn = some(rng) if some else [Pass(cut, weight) for cut in rng.sample(between, self.random)]
            return [Pass(largest, weight), *drawn, Pass(smallest, weight)]

        return Plan(draw, largest, self.random + 2, self.own_batch)


@dataclass(frozen=True)
class SoFT:
    """All depths from one pass; the mean of their losses (Sorted LLaMA, arXiv:2309.08968, equation 1).

    Attributes:
        depths: after how many layers, ascending; by default the granularities of the layers.
        heads: for depths that have a head of their own, by depth as a string. Give them to the network as well
            (`net.exits = heads`): the optimiser and checkpoints go by what it has.
        tail: what follows the layers, for models of no known family: the names of modules, the head last, such as
            `["norm", "head"]`, or a function of the model and what the layers give.
    """

    depths: Sequence[int] | None = None
    heads: nn.ModuleDict | None = None
    tail: Tail | None = None

    def plan(self, net: Elastic) -> Plan:
        """What each step runs.

        Raises:
            ElasticError: no depths are given, and the network decides about none.
        """
        depth = net.axes.layers
        decided = [d for d in net.decisions if depth is not None and d.group == depth.name]
        if self.depths is None and (depth is None or not decided):
            raise ElasticError("SoFT: say after how many layers there are exits: depths=[2, 4, 6]")
        depths = self.depths or [int(share * depth.units) for share in decided[0].granularities if depth is not None]
        whole = net.cut(None)
        passes = [Pass(whole, 1.0, tuple(depths))]
        return Plan(lambda rng: passes, whole, 1, heads=self.heads, tail=self.tail)


def extreme(net: Elastic, which: int) -> Cut:
    """The smallest (0) or the largest (-1) granularity of everything that is decided about."""
    return cut_of(net, [decision.granularities[which] for decision in net.decisions])


def per_layer(net: Elastic, weight: float, number: int) -> Callable[[random.Random], list[Pass]]:
    """So many sub-networks with a choice in every layer."""
    space = net.space()
    return lambda rng: [Pass(net.cut(space.sample(rng)), weight) for _ in range(number)]


def combinations(net: Elastic) -> list[Cut]:
    """Every combination of the granularities that are decided about, alike in all layers, smallest first.

    Raises:
        ElasticError: there are too many to list.
    """
    number = prod(len(decision.granularities) for decision in net.decisions)
    if number > MAX_COMBINATIONS:
        raise ElasticError(f"there are {number} combinations of granularities; say which are trained: subs=[...]")
    return by_size(net, [cut_of(net, shares) for shares in product(*(d.granularities for d in net.decisions))])


def cut_of(net: Elastic, shares: Sequence[Fraction]) -> Cut:
    """The sub-network with these shares of what is decided about, alike in all layers."""
    groups = net.axes.groups()
    kept = {
        axis.name: int(share * axis.units)
        for decision, share in zip(net.decisions, shares, strict=True)
        for axis in groups[decision.group]
    }
    dropped = net.axes.dropped(kept)
    return net.cut({name: units for name, units in kept.items() if net.axes.by_name[name].layer not in dropped})


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
