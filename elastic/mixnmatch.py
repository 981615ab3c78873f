"""Mix'n'Match: the sub-network for a budget, with a granularity for every layer (MatFormer, section 3.3).

The paper's rule needs no evaluation: widths do not fall with depth, and rise as slowly as possible, so that at most two
neighbouring granularities are used, the smaller one in the first layers. With g granularities and L layers that leaves
(g - 1) L + 1 sub-networks, from the smallest to the whole.

The rule is a heuristic, and does not always hold: of all 256 sub-networks of a 4-layer model of bytes other orders of
the same size were better (the rule's ranked 4th of 18), and of the published Gemma 3n models the better ones widen
single early layers. What it costs on your data is

    loss(mix_n_match(net, budget)) - loss(mix_n_match(net, budget, policy="coordinate", loss=loss))
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

from archsearch.elastic.network import Elastic
from archsearch.elastic.space import Decision, SubNetworks
from archsearch.errors import ElasticError, Infeasible
from archsearch.spaces.space import Architecture

Policy: TypeAlias = Literal["least_slope", "coordinate", "exhaustive"]
Cost: TypeAlias = Literal["parameters", "flops"] | Callable[[Architecture], float]
Loss: TypeAlias = Callable[[Architecture], float]
# The granularity of each layer, by its place among the granularities.
Levels: TypeAlias = tuple[int, ...]

MAX_EXHAUSTIVE = 65_536


def mix_n_match(
    net: Elastic | SubNetworks,
    budget: float,
    policy: Policy = "least_slope",
    *,
    cost: Cost = "parameters",
    loss: Loss | None = None,
    group: str = "ffn",
) -> Architecture:
    """A sub-network within a budget, chosen without training.

    Args:
        net: a super-network in which every layer decides about the group, or its space.
        budget: the most that it may cost.
        policy: "least_slope", the paper's rule, finds the largest of its sub-networks that fits; "coordinate" widens
            one layer by one granularity at a time, that after which the loss is lowest, until no more fits: at most
            (g - 1) L^2 losses; "exhaustive" compares all that fit, up to 65,536.
        cost: "parameters", "flops", or a function that grows with every layer's width, such as a measured latency.
        loss: of an architecture, such as `lambda arch: Evaluate(net, batches).of(arch)["loss"]`; only
            "least_slope" needs none.
        group: of axes that is decided. What else is decided stays whole.

    Raises:
        Infeasible: even the smallest costs more; says how much.
        ElasticError: layers do not decide about the group, a loss is missing, or there are too many for "exhaustive".
    """
    mix = Mix(net, group)
    price = price_of(cost)
    smallest = mix.architecture((0,) * mix.layers)
    least = price(smallest)
    if not least <= budget:
        name = getattr(cost, "__name__", type(cost).__name__) if callable(cost) else cost
        raise Infeasible(f"no sub-network fits a budget of {budget:g}: the smallest costs {least:g} ({name})")
    if policy == "least_slope":
        return last_within([mix.architecture(levels) for levels in mix.least_slope()], budget, price)
    if policy not in ("coordinate", "exhaustive"):
        raise ElasticError(f"policy: expected 'least_slope', 'coordinate' or 'exhaustive', but got {policy!r}")
    if loss is None:
        raise ElasticError(f"policy={policy!r} compares losses: give loss=lambda arch: ...")
    if policy == "coordinate":
        return widened(mix, budget, price, loss)
    if mix.num_levels**mix.layers > MAX_EXHAUSTIVE:
        raise ElasticError(
            f"policy='exhaustive' takes up to {MAX_EXHAUSTIVE:,} sub-networks, but {mix.num_levels} granularities in "
            f"{mix.layers} layers are {mix.num_levels**mix.layers:,}; use 'coordinate', or a study"
        )
    every = itertools.product(range(mix.num_levels), repeat=mix.layers)
    return min((arch for arch in map(mix.architecture, every) if price(arch) <= budget), key=loss)


def least_slope(net: Elastic | SubNetworks, group: str = "ffn") -> list[Architecture]:
    """All (g - 1) L + 1 sub-networks of the paper's rule, the smallest first; see `mix_n_match`.

    Raises:
        ElasticError: layers do not decide about the group.
    """
    mix = Mix(net, group)
    return [mix.architecture(levels) for levels in mix.least_slope()]


class Mix:
    """The sub-networks that choose a granularity for every layer.

    Args:
        net: see `mix_n_match`.
        group: see `mix_n_match`.

    Attributes:
        layers: how many layers decide, L.
        num_levels: how many granularities there are, g.
    """

    def __init__(self, net: Elastic | SubNetworks, group: str) -> None:
        self.space = net if isinstance(net, SubNetworks) else net.space()
        self.decision = per_layer(self.space, group)
        self.num_levels = len(self.decision.granularities)
        self.layers = len(self.space.blueprint.axes.groups()[group])

    def architecture(self, levels: Levels) -> Architecture:
        """The architecture with these levels, whole in all else."""
        left = iter(levels)

        def decide(decision: Any, path: str) -> Any:
            if path.startswith(f"{self.decision.group}["):
                return float(self.decision.granularities[next(left)])
            return decision.options[-1]

        return Architecture(self.space, self.space.walk(decide))

    def least_slope(self) -> Iterator[Levels]:
        """Base level i in the first layers and i + 1 in the last k, for every i and k."""
        for base in range(self.num_levels - 1):
            for last in range(self.layers):
                yield (base,) * (self.layers - last) + (base + 1,) * last
        yield (self.num_levels - 1,) * self.layers


def per_layer(space: SubNetworks, group: str) -> Decision:
    """The decision that every layer takes about a group."""
    found = [decision for decision in space.decisions if decision.group == group and decision.per_layer]
    if not found or group in space.steps:
        have = ", ".join(d.group for d in space.decisions if d.per_layer and d.group not in space.steps)
        raise ElasticError(
            f"Mix'n'Match chooses a granularity of {group!r} for every layer, but here layers choose among "
            f"granularities of {have or 'nothing'}; make a MatFormer, and its space() without steps"
        )
    return found[0]


def price_of(cost: Cost) -> Callable[[Architecture], float]:
    if callable(cost):
        return cost
    if cost not in ("parameters", "flops"):
        raise ElasticError(f"cost: expected 'parameters', 'flops' or a function of an architecture, but got {cost!r}")
    return lambda arch: float(getattr(arch, cost))


def last_within(archs: Sequence[Architecture], budget: float, price: Callable[[Architecture], float]) -> Architecture:
    """The last of architectures in the order of their costs that fits, by bisection: a cost may be a measurement."""
    low, high = 0, len(archs)  # archs[low] fits, archs[high] does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if price(archs[middle]) <= budget else (low, middle)
    return archs[low]


def widened(mix: Mix, budget: float, price: Callable[[Architecture], float], loss: Loss) -> Architecture:
    """The policy "coordinate"."""
    levels: Levels = (0,) * mix.layers
    while True:
        best: tuple[float, Levels] = (math.inf, ())
        for i, level in enumerate(levels):
            if level + 1 < mix.num_levels:
                wider = (*levels[:i], level + 1, *levels[i + 1 :])
                arch = mix.architecture(wider)
                if price(arch) <= budget:
                    best = min(best, (loss(arch), wider))
        if not best[1]:
            return mix.architecture(levels)
        levels = best[1]
