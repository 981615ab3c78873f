"""NAS-Bench-Graph (Qin et al., 2022, arXiv:2206.09166): cells of four computing nodes for graph neural networks.

The search sees validation accuracy, regret is measured on test accuracy, both in percentage points (means of three
seeds). Every raw genotype can be proposed: what is not in the table as it stands is by the benchmark's rule the same
network as one that is, and twenty-four that compute nothing fail.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from benchmarks.regret.data import table
from benchmarks.regret.tasks import Assignment, Task

from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import Choice
from archsearch.spaces.space import Space

OPS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
# The data set of proteins was measured with these alone.
PROTEINS_OPS = ("gcn", "sage", "arma", "fc", "skip")
SOURCES = ("x", "v0", "v1", "v2")


def space(ops: tuple[str, ...] = OPS) -> Space:
    """The cell as a graph of labels: a node reads the input or a node before it; what nobody reads is concatenated."""
    vertices = {
        f"v{i}": Vertex(Choice(list(ops)), inputs=Choice(list(SOURCES[: i + 1])) if i else "x") for i in range(4)
    }
    return Space(Graph(vertices, inputs="x", outputs=[], unused="concat"))


@cache
def rows() -> dict[tuple[int, ...], int]:
    """The row of the table by raw genotype (links of the last three nodes, four ops); -1 fails."""
    canon = table("nbgraph_canon")
    keys: Any = canon[["link_1", "link_2", "link_3", "op_0", "op_1", "op_2", "op_3"]].to_numpy().tolist()
    return dict(zip(map(tuple, keys), canon["row"].tolist(), strict=True))


def task(name: str) -> Task:
    data = name.removeprefix("nbgraph_")
    scores, reports = ((100 * table("nbgraph")[f"{data}_{part}"]).tolist() for part in ("val", "test"))
    number = {op: i for i, op in enumerate(OPS)}
    row = rows()

    def evaluate(assignment: Assignment) -> dict[str, float]:
        links = [SOURCES.index(assignment[f"v{i}.inputs"]) for i in (1, 2, 3)]
        found = row[(*links, *[number[assignment[f"v{i}.op"]] for i in range(4)])]
        if found < 0:
            return {"score": math.nan, "report": math.nan}
        return {"score": scores[found], "report": reports[found]}

    made = space(PROTEINS_OPS if data == "proteins" else OPS)
    known = [value for value in reports if math.isfinite(value)]
    best_score = max([value for value in scores if math.isfinite(value)])
    return Task(name, made, evaluate, best=max(known), worst=min(known), best_score=best_score)
