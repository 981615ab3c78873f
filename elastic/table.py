"""Selection without a search (SortedNet): measure every sub-network once, then look up the best within a budget.

table = measured(net, evaluate)
table.save("net/table.json")
arch = Table.load("net/table.json", net).select(2e6)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.elastic.evaluate import Evaluate
from archsearch.elastic.network import Elastic
from archsearch.elastic.space import SubNetworks
from archsearch.errors import ArchsearchError, ElasticError, Infeasible, did_you_mean
from archsearch.spaces.space import Architecture

MAX_ROWS = 10_000
FORMAT = "archsearch table of sub-networks"


@dataclass(frozen=True)
class Row:
    """A measured sub-network.

    Attributes:
        arch: the architecture.
        metrics: what was measured, with "parameters", and with "flops" where inputs are known.
    """

    arch: Architecture
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """Measured sub-networks. It holds for the weights that were measured; measure again after training."""

    rows: tuple[Row, ...]

    def select(
        self, budget: float, *, cost: str = "parameters", metric: str = "loss", maximize: bool = False
    ) -> Architecture:
        """The best sub-network within a budget; of equally good ones the cheapest.

        Args:
            budget: the most that it may cost.
            cost: the metric that the budget is for.
            metric: what is best.
            maximize: whether more of it is better.

        Raises:
            Infeasible: even the cheapest costs more; says how much.
            ElasticError: there is no such metric.
        """
        within = [
            row for row in self.pareto(cost=cost, metric=metric, maximize=maximize) if row.metrics[cost] <= budget
        ]
        if not within:
            least = min(row.metrics[cost] for row in self.rows)
            raise Infeasible(f"no sub-network fits a budget of {budget:g}: the smallest costs {least:g} ({cost})")
        return within[-1].arch

    def pareto(self, *, cost: str = "parameters", metric: str = "loss", maximize: bool = False) -> list[Row]:
        """The sub-networks that no other beats in cost and metric together, the cheapest first.

        Raises:
            ElasticError: there is no such metric.
        """
        for name in (cost, metric):
            known = self.rows[0].metrics
            if name not in known:
                hint = did_you_mean(name, known) or f"; there is {', '.join(known)}"
                raise ElasticError(f"the table has no {name!r}{hint}")
        sign = -1.0 if maximize else 1.0
        front: list[Row] = []
        for row in sorted(self.rows, key=lambda row: (row.metrics[cost], sign * row.metrics[metric])):
            if not front or sign * row.metrics[metric] < sign * front[-1].metrics[metric]:
                front.append(row)
        return front

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON."""
        rows = [{"assignment": row.arch.assignment, "metrics": dict(row.metrics)} for row in self.rows]
        made = Path(path).with_suffix(".new")
        made.write_text(json.dumps({"format": FORMAT, "rows": rows}, indent=1), encoding="utf-8")
        made.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], net: Elastic | SubNetworks) -> Table:
        """The table in a file.

        Args:
            path: of the file.
            net: the super-network that it was measured on, or its space.

        Raises:
            ElasticError: the file holds something else, or sub-networks of another.
        """
        space = net if isinstance(net, SubNetworks) else net.space()
        try:
            data: Any = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(data, dict) or data.get("format") != FORMAT:
                raise ElasticError(f"{path} is no {FORMAT}")
            rows = [
                Row(space.architecture(row["assignment"]), {str(k): float(v) for k, v in row["metrics"].items()})
                for row in data["rows"]
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ElasticError(f"{path} is no {FORMAT}: {type(error).__name__}: {error}") from error
        except ElasticError:
            raise
        except ArchsearchError as error:
            raise ElasticError(f"{path} is of another super-network: {error}") from error
        if not rows:
            raise ElasticError(f"{path} is no {FORMAT}: it has no rows")
        return cls(tuple(rows))


def measured(
    net: Elastic | SubNetworks,
    measure: Evaluate | Callable[[Architecture], Mapping[str, float]],
    max_rows: int = MAX_ROWS,
) -> Table:
    """The table of all sub-networks.

    Args:
        net: a super-network, or its space (or a space constrained to fewer).
        measure: an `Evaluate`, or a function that gives the metrics of an architecture.
        max_rows: refuse more than so many sub-networks.

    Raises:
        ElasticError: there are more.
    """
    space = net if isinstance(net, SubNetworks) else net.space()
    if space.size() > max_rows:
        raise ElasticError(
            f"a table of all {space.size():,} sub-networks is more than max_rows={max_rows:,}; search them with a study"
        )
    free = ("parameters", "flops") if space.blueprint.inputs else ("parameters",)
    archs = list(space.enumerate())
    found = measure.many(archs) if isinstance(measure, Evaluate) else map(measure, archs)
    return Table(
        tuple(
            Row(arch, {**{name: float(getattr(arch, name)) for name in free}, **metrics})
            for arch, metrics in zip(archs, found, strict=True)
        )
    )
