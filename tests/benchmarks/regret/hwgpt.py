"""HW-GPT-Bench (Sukthanker et al., 2024, arXiv:2405.10299): 10,000 sub-networks of GPT-2 small.

The objectives are perplexity and the latency on an A100 in milliseconds; `hwgpt_X` is perplexity alone (which follows
size), `hwgpt_X_limit` perplexity with a latency of at most 16 ms, `hwgpt_X_front` both.

Where X is `pool`, the rows of the table are a Pool, and nothing else can be proposed. Where X is `fitted`, every
sub-network of the space has a value, by a model fitted to the table: for each embedding dimension, number of layers and
bias, the logarithm is a sum of quadratic functions of every layer's heads and MLP ratio. On rows held out (`errors`,
five folds) it is off by 0.11% in perplexity and 0.28% in latency (root mean square), with rank correlations within
those groups of .997 and .998. Its best values follow by dynamic programming.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from benchmarks.regret.data import table
from benchmarks.regret.tasks import Assignment, Task
from benchmarks.regret.trace import hypervolume

from archsearch.searchers.contract import Direction, Limit
from archsearch.spaces.nodes import Boolean, Choice, Repeat
from archsearch.spaces.pool import Pool
from archsearch.spaces.space import Space

Array: TypeAlias = npt.NDArray[np.float64]
Group: TypeAlias = tuple[int, int, bool]

EMBED_DIMS, NUM_LAYERS, NUM_HEADS, MLP_RATIOS = (192, 384, 768), (10, 11, 12), (4, 8, 12), (2, 3, 4)
METRICS = {"perplexity": "perplexity", "latency_ms": "lat_ms_a100"}
LIMIT_MS = 16.0
# Just beyond the worst of the table.
REFERENCE = {"perplexity": 42.0, "latency_ms": 30.0}
# Of two sums whose log latencies agree to this, the one with the larger perplexity is dropped.
STEP = 2e-5


def space() -> Space:
    """The sub-networks that the table is a random sample of."""
    layer = {"num_heads": Choice(list(NUM_HEADS)), "mlp_ratio": Choice(list(MLP_RATIOS))}
    return Space(
        {
            "embed_dim": Choice(list(EMBED_DIMS)),
            "bias": Boolean(),
            "layers": Repeat(layer, Choice(list(NUM_LAYERS))),
        }
    )


@cache
def groups() -> dict[Group, tuple[Array, Array]]:
    """Of the table's rows by embedding dimension, number of layers and bias: places in the lists of heads and of MLP
    ratios, shape (rows, 2 num_layers), and logarithms of the metrics, shape (rows, 2)."""
    rows = table("hwgpt_s")
    found = {}
    for (embed_dim, num_layers, bias), part in rows.groupby(["embed_dim", "n_layer", "bias"]):
        heads = np.array([list(x)[:num_layers] for x in part["n_head"]])
        ratios = np.array([list(x)[:num_layers] for x in part["mlp_ratio"]])
        found_at = [np.searchsorted(NUM_HEADS, heads), np.searchsorted(MLP_RATIOS, ratios)]
        places = np.hstack(found_at).astype(float)
        logs = np.log(part[list(METRICS.values())].to_numpy(float))
        found[int(embed_dim), int(num_layers), bool(bias)] = (places, logs)
    return found


def fit(places: Array, logs: Array) -> Array:
    """Contributions to the logarithms, shape (columns of places + 1, 3 options, 2 metrics); the last are constant."""
    columns = places.shape[1]
    # Orthogonal over the three places, so that shrinking a quadratic effect leaves the linear one alone.
    bases = np.array([[-1.0, 0.0, 1.0], [1.0, -2.0, 1.0]])
    design = np.hstack([base[places.astype(int)] for base in bases])
    center = design.mean(axis=0)
    gram = (design - center).T @ (design - center) + np.eye(2 * columns)
    weights = np.linalg.solve(gram, (design - center).T @ (logs - logs.mean(axis=0)))
    effects = np.einsum("bo,bcm->com", bases, weights.reshape(2, columns, 2))
    constant = logs.mean(axis=0) - center @ weights
    return np.concatenate([effects, np.broadcast_to(constant, (1, 3, 2))])


def predict(effects: Array, places: Array) -> Array:
    """Logarithms of the metrics, shape (rows, 2)."""
    columns = np.arange(places.shape[1])
    predicted: Array = effects[columns, places.astype(int)].sum(axis=1) + effects[-1, 0]
    return predicted


@cache
def fitted() -> dict[Group, Array]:
    return {group: fit(*data) for group, data in groups().items()}


def errors(folds: int = 5) -> dict[str, tuple[float, float]]:
    """Held-out errors by metric: root mean square of the logarithm, and mean rank correlation within the groups."""
    from scipy.stats import spearmanr

    found = {}
    for m, name in enumerate(METRICS):
        squares, ranks = [], []
        for places, logs in groups().values():
            fold = np.random.default_rng(0).integers(0, folds, len(logs))
            predicted = np.empty(len(logs))
            for k in range(folds):
                predicted[fold == k] = predict(fit(places[fold != k], logs[fold != k]), places[fold == k])[:, m]
            squares += ((predicted - logs[:, m]) ** 2).tolist()
            ranks.append(float(spearmanr(predicted, logs[:, m])[0]))
        found[name] = (float(np.mean(squares)) ** 0.5, float(np.mean(ranks)))
    return found


def fitted_metrics(assignment: Assignment) -> dict[str, float]:
    """Perplexity and latency by the fitted model."""
    num_layers = assignment["layers"]
    effects = fitted()[assignment["embed_dim"], num_layers, assignment["bias"]]
    layers = range(num_layers)
    places = [NUM_HEADS.index(assignment[f"layers[{i}].num_heads"]) for i in layers]
    places += [MLP_RATIOS.index(assignment[f"layers[{i}].mlp_ratio"]) for i in layers]
    logs = effects[np.arange(len(places)), places].sum(axis=0) + effects[-1, 0]
    return {name: math.exp(float(value)) for name, value in zip(METRICS, logs, strict=True)}


def front_of_sums(effects: Array) -> Array:
    """The front of a group's sub-networks, shape (points, 2), latency ascending: decision after decision, what is
    dominated is dropped."""
    front = effects[-1, :1]
    for options in effects[:-1]:
        sums = (front[:, None] + options[None]).reshape(-1, 2)
        sums = sums[np.lexsort((sums[:, 0], np.floor(sums[:, 1] / STEP)))]
        front = sums[sums[:, 0] < np.concatenate([[np.inf], np.minimum.accumulate(sums[:, 0])[:-1]])]
    return np.exp(front)


@cache
def fitted_front() -> Array:
    """Points (perplexity, latency) among which are all on the front of the space, to about 0.01%."""
    return np.concatenate([front_of_sums(effects) for effects in fitted().values()])


def task_of(name: str, made: Space, metrics: Callable[[Assignment], dict[str, float]], points: Array) -> Task:
    """A task in a space whose front is among these points (perplexity, latency)."""
    kind: Any = "tree" if "fitted" in name else "pool"
    if name.endswith("_front"):
        best = hypervolume([(REFERENCE["perplexity"] - p, REFERENCE["latency_ms"] - t) for p, t in points.tolist()])
        objectives: dict[str, Direction] = {"perplexity": "minimize", "latency_ms": "minimize"}
        return Task(name, made, metrics, best, 0.0, kind=kind, objectives=objectives, reference=REFERENCE)

    def evaluate(assignment: Assignment) -> dict[str, float]:
        found = metrics(assignment)
        value = -found["perplexity"]
        return {"score": value, "report": value, "latency_ms": found["latency_ms"]}

    limits = {"latency_ms": Limit(maximum=LIMIT_MS)} if name.endswith("_limit") else {}
    allowed = points[points[:, 1] <= LIMIT_MS] if limits else points
    best, worst = -float(allowed[:, 0].min()), -REFERENCE["perplexity"]
    return Task(name, made, evaluate, best, worst, kind=kind, constraints=limits)


@cache
def measured() -> tuple[Pool, dict[tuple[Any, ...], dict[str, float]], Array]:
    """The rows of the table as a pool, their metrics by their answers, and these as points (perplexity, latency)."""
    members: list[dict[str, Any]] = []
    for (embed_dim, num_layers, bias), (places, _) in groups().items():
        for row in places.astype(int).tolist():
            member = {"embed_dim": embed_dim, "bias": bias, "layers": num_layers}
            for i, (heads, ratio) in enumerate(zip(row[:num_layers], row[num_layers:], strict=True)):
                member |= {f"layers[{i}].num_heads": NUM_HEADS[heads], f"layers[{i}].mlp_ratio": MLP_RATIOS[ratio]}
            members.append(member)
    points = np.exp(np.concatenate([logs for _, logs in groups().values()]))
    metrics = [dict(zip(METRICS, point, strict=True)) for point in points.tolist()]
    by_answers = dict(zip([tuple(member.values()) for member in members], metrics, strict=True))
    return Pool(space(), members), by_answers, points


def task(name: str) -> Task:
    if "fitted" in name:
        return task_of(name, space(), fitted_metrics, fitted_front())
    pool, by_answers, points = measured()
    return task_of(name, pool, lambda assignment: by_answers[tuple(assignment.values())], points)
