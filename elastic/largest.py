"""The largest sub-network within a budget, without measuring any: what `archsearch extract --max-parameters` cuts."""

from __future__ import annotations

import itertools
from typing import Any

from archsearch.elastic.axes import Layers
from archsearch.elastic.mixnmatch import Cost, least_slope, price_of
from archsearch.elastic.space import SubNetworks
from archsearch.errors import ElasticError, Infeasible
from archsearch.spaces.space import Architecture

MAX_UNIFORM = 10_000


def largest(space: SubNetworks, budget: float, cost: Cost = "parameters") -> Architecture:
    """The sub-network within a budget that costs most: of those that decide alike for all layers, and where layers
    decide for themselves about `ffn`, of those that MatFormer's rule mixes (`archsearch.elastic.mixnmatch`).

    Args:
        space: of a super-network.
        budget: the most that it may cost.
        cost: "parameters", "flops", or a function of an architecture.

    Raises:
        Infeasible: even the smallest costs more; says how much.
        ElasticError: there are more than 10,000.
    """
    price = price_of(cost)
    archs = uniform(space)
    if any(d.group == "ffn" and d.per_layer and d.group not in space.steps for d in space.decisions):
        archs = [*least_slope(space), *archs]
    costs = [price(arch) for arch in archs]
    within = [i for i, value in enumerate(costs) if value <= budget]
    if not within:
        raise Infeasible(f"no sub-network fits a budget of {budget:g}: the smallest costs {min(costs):g} ({cost})")
    return archs[max(within, key=costs.__getitem__)]


def uniform(space: SubNetworks) -> list[Architecture]:
    """The sub-networks that decide alike for all layers, in every combination of what is decided."""
    groups = space.blueprint.axes.groups()
    options: dict[str, list[Any]] = {}
    for decision in space.decisions:
        axis = groups[decision.group][0]
        whole = isinstance(axis, Layers)
        options[decision.group] = [int(s * axis.units) if whole else float(s) for s in decision.granularities]
        if decision.group in space.steps:
            raise ElasticError(f"steps of {decision.group}: the largest is looked for among granularities alone")
    combinations = list(itertools.islice(itertools.product(*options.values()), MAX_UNIFORM + 1))
    if len(combinations) > MAX_UNIFORM:
        raise ElasticError(f"there are more than {MAX_UNIFORM:,} combinations of granularities; name one instead")
    return [architecture(space, dict(zip(options, values, strict=True))) for values in combinations]


def architecture(space: SubNetworks, values: dict[str, Any]) -> Architecture:
    """The architecture in which every layer decides so."""
    return Architecture(space, space.walk(lambda _, path: values[path.partition("[")[0]]))
