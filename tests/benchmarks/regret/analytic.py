"""Made-up spaces whose best value is known: by construction, by enumeration or by dynamic programming.

Nothing was tuned to them. Their scores have no unit, so regret is in standard deviations of random architectures'.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise, permutations, product
from statistics import stdev
from typing import Any

import numpy as np
from benchmarks.regret.tasks import Assignment, Kind, Task

from archsearch.spaces import nasbench201
from archsearch.spaces.architecture import answers_id
from archsearch.spaces.nodes import Boolean, Choice, Integer, Lazy, Optional, Permute, Real, Repeat, Subset
from archsearch.spaces.space import Space

DRAWS = 1_000

Score = Callable[[Assignment], float]


def task(name: str) -> Task:
    made: Callable[[str], Task] = MAKERS[name]
    return made(name)


def normalised(
    name: str, space: Space, report: Score, best: float, kind: Kind, noise: float = 0.0, budget: int = 200
) -> Task:
    """A task whose unit is the standard deviation of random reports, with normal noise of so many of them on scores."""
    rng = random.Random(0)
    draws = [report(space.sample(rng).assignment) for _ in range(DRAWS)]
    unit = stdev(draws)

    def evaluate(assignment: Assignment) -> dict[str, float]:
        value = report(assignment)
        drawn = random.Random(answers_id(assignment)).gauss(0.0, noise * unit) if noise else 0.0
        return {"score": value + drawn, "report": value}

    return Task(name, space, evaluate, best, worst=min(draws), unit=unit, kind=kind, budget=budget)


def normal(rng: random.Random, scale: float, *shape: int) -> Any:
    """A table of normal numbers."""
    return np.array([rng.gauss(0.0, scale) for _ in range(math.prod(shape))]).reshape(shape)


LAYER = {
    "kernel": (1, 3, 5, 7),
    "width": (16, 32, 64, 128),
    "act": ("relu", "gelu", "silu", "tanh"),
    "norm": ("none", "batch", "layer"),
}
DEPTHS = range(1, 9)


def tree(name: str, most: int = DEPTHS[-1]) -> Task:
    """One to eight layers: effects of every answer, alike in all layers but for a part of their own, of act with norm,
    of neighbouring kernels and widths, and of depth, best inside its range; a long tail of bad ones."""
    rng = random.Random(101)
    common = [normal(rng, 1.0, len(options)) for options in LAYER.values()]
    own = [[normal(rng, 0.5, len(options)) for options in LAYER.values()] for _ in DEPTHS]
    inside = normal(rng, 0.5, 4, 3)
    near = [normal(rng, 0.5, 4, 4) for _ in range(2)]
    combos = list(product(*[range(len(options)) for options in LAYER.values()]))

    def layer_effect(i: int, a: Sequence[int]) -> float:
        return float(sum([common[d][a[d]] + own[i][d][a[d]] for d in range(4)]) + inside[a[2], a[3]])

    def between(a: Sequence[int], b: Sequence[int]) -> float:
        return float(near[0][a[0], b[0]] + near[1][a[1], b[1]])

    def total(value: float, depth: int) -> float:
        return -math.exp(-0.5 * (value / depth - 0.1 * (depth - 5) ** 2))

    def report(assignment: Assignment) -> float:
        depth = assignment["layers"]
        layers = [
            [options.index(assignment[f"layers[{i}].{key}"]) for key, options in LAYER.items()] for i in range(depth)
        ]
        value = sum([layer_effect(i, a) for i, a in enumerate(layers)])
        return total(value + sum([between(a, b) for a, b in pairwise(layers)]), depth)

    effects = np.array([[layer_effect(i, a) for a in combos] for i in range(len(DEPTHS))])
    moves = np.array([[between(a, b) for b in combos] for a in combos])
    reached, best = effects[0], -math.inf
    for depth in range(1, most + 1):
        best = max(best, total(float(reached.max()), depth))
        if depth < most:
            reached = effects[depth] + (reached[:, None] + moves).max(axis=0)
    layer = {key: Choice(list(options)) for key, options in LAYER.items()}
    space = Space({"layers": Repeat(layer, Integer(1, most))})
    return normalised(name, space, report, best, "tree", noise=0.5 if name == "tree_noisy" else 0.0)


LEAVES = ("conv1", "conv3", "conv5", "pool", "attention", "skip")
JOINS = ("chain", "add", "mul")
GRAMMAR_DEPTH = 6
DECAY = 0.6


def expression(depth: int) -> Any:
    """A leaf, or two expressions joined."""
    leaf = Choice(list(LEAVES))
    if depth == 0:
        return leaf
    below = Lazy(expression, depth=depth - 1)
    return Choice({"leaf": leaf, "pair": {"join": Choice(list(JOINS)), "left": below, "right": below}})


def grammar(name: str, depth: int = GRAMMAR_DEPTH) -> Task:
    """Expressions up to six joins deep: effects of every symbol and of a join with what stands below it, less the
    deeper they stand."""
    rng = random.Random(102)
    symbols = LEAVES + JOINS
    effect = dict(zip(symbols, normal(rng, 1.0, len(symbols)).tolist(), strict=True))
    joined = {(join, side): dict(zip(symbols, normal(rng, 1.0, len(symbols)).tolist(), strict=True))
              for join in JOINS for side in ("left", "right")}  # fmt: skip

    def value(assignment: Assignment, path: str) -> tuple[str, float]:
        """The symbol at a place and the value of what stands there."""
        kind = assignment[path]
        if kind != "pair":
            leaf = assignment.get(f"{path}.leaf", kind)
            return leaf, effect[leaf]
        join = assignment[f"{path}.pair.join"]
        found = effect[join]
        for side in ("left", "right"):
            symbol, below = value(assignment, f"{path}.pair.{side}")
            found += joined[join, side][symbol] + DECAY * below
        return join, found

    best = {leaf: effect[leaf] for leaf in LEAVES}
    for _ in range(depth):
        deeper = {
            join: effect[join]
            + sum([max([joined[join, s][c] + DECAY * best[c] for c in best]) for s in ("left", "right")])
            for join in JOINS
        }
        best = {leaf: effect[leaf] for leaf in LEAVES} | deeper
    space = Space({"net": Lazy(expression, depth=depth)})
    return normalised(name, space, lambda assignment: value(assignment, "net")[1], max(best.values()), "tree")


BLOCKS = range(4, 9)
OPS = ("conv", "depthwise", "attention", "mlp")
SIZES = (1, 2, 3, 4)


def hierarchy(name: str, stages: int = 5) -> Task:
    """Five stages of four to eight blocks, 215 decisions on average. Only a stage's number of blocks, its first block's
    op, its second's width and its third's kernel matter; each goes with the one before."""
    rng = random.Random(103)
    block = {
        "op": Choice(list(OPS)),
        "kernel": Choice(list(SIZES)),
        "width": Choice(list(SIZES)),
        "act": Choice(["relu", "gelu", "silu"]),
        "norm": Choice(["none", "batch", "layer"]),
        "gate": Optional({"ratio": Choice([2, 4, 8]), "place": Choice(["in", "out"])}),
    }
    space = Space({f"s{i}": Repeat(block, Integer(BLOCKS[0], BLOCKS[-1])) for i in range(stages)})
    matter: list[tuple[str, Sequence[Any]]] = []
    for i in range(stages):
        matter += [(f"s{i}", BLOCKS), (f"s{i}[0].op", OPS), (f"s{i}[1].width", SIZES), (f"s{i}[2].kernel", SIZES)]
    effects = [normal(rng, 1.0, len(options)) for _, options in matter]
    pairs = [normal(rng, 0.7, len(a), len(b)) for (_, a), (_, b) in pairwise(matter)]

    def report(assignment: Assignment) -> float:
        picked = [options.index(assignment[path]) for path, options in matter]
        value = sum([float(table[i]) for table, i in zip(effects, picked, strict=True)])
        return value + sum([float(table[i, j]) for table, i, j in zip(pairs, picked, picked[1:], strict=False)])

    reached = effects[0]
    for effect, pair in zip(effects[1:], pairs, strict=True):
        reached = effect + (reached[:, None] + pair).max(axis=0)
    return normalised(name, space, report, float(reached.max()), "tree")


WIDTHS, MLP_DEPTHS, WARMUP = (8, 512), (1, 12), (10, 1000)
OPTIMISERS = {"sgd": (0.0, -1.5), "adam": (-0.4, -3.0), "lion": (-0.6, -4.0)}


def mixed(name: str) -> Task:
    """A learning rate whose best value follows from optimiser and width, a width that goes with a depth, optimisers
    with hyperparameters of their own, dropout that pays where the network is wide, and warm-up."""
    space = Space(
        {
            "lr": Real(1e-5, 1e-1, log=True),
            "width": Integer(*WIDTHS, log=True),
            "depth": Integer(*MLP_DEPTHS),
            "optimiser": Choice(
                {
                    "sgd": {"momentum": Real(0.0, 0.99), "nesterov": Boolean()},
                    "adam": {"beta1": Real(0.8, 0.99), "beta2": Real(0.9, 0.9999)},
                    "lion": {"beta": Real(0.8, 0.99)},
                }
            ),
            "dropout": Optional({"rate": Real(0.0, 0.6), "place": Choice(["in", "hidden", "out"])}),
            "warmup": Optional(Integer(*WARMUP, log=True)),
        }
    )
    place = {"in": -0.3, "hidden": 0.3, "out": 0.0}

    def capacity(width: int, depth: int) -> float:
        return -0.4 * (math.log2(width) + 0.6 * depth - 11.0) ** 2 - 0.02 * depth**2

    def dropout(width: int) -> float:
        return 0.25 * (math.log2(width) - 6.0)

    def warmup(steps: int) -> float:
        return 0.5 - 0.5 * (math.log10(steps) - 2.2) ** 2

    def report(a: Assignment) -> float:
        width, optimiser = a["width"], a["optimiser"]
        offset, log_lr = OPTIMISERS[optimiser]
        value: float = offset + capacity(width, a["depth"])
        # Too large a rate diverges: worse than anything else, but not endlessly.
        value -= min(8.0, 2.0 * (math.log10(a["lr"]) - log_lr + 0.1 * (math.log2(width) - 7.0)) ** 2)
        if optimiser == "sgd":
            momentum, nesterov = a["optimiser.sgd.momentum"], a["optimiser.sgd.nesterov"]
            value += 0.2 * nesterov - 4.0 * (momentum - 0.9) ** 2
        elif optimiser == "adam":
            beta1, beta2 = a["optimiser.adam.beta1"], a["optimiser.adam.beta2"]
            value -= 30.0 * (beta1 - 0.92) ** 2 + 0.5 * (math.log10(1 - beta2) + 2.5) ** 2
        else:
            value -= 30.0 * (a["optimiser.lion.beta"] - 0.95) ** 2
        if a["dropout"]:
            rate = a["dropout.present.rate"]
            value += dropout(width) + place[a["dropout.present.place"]] - 10.0 * (rate - 0.3) ** 2
        if a["warmup"]:
            value += warmup(a["warmup.present"])
        return value

    # What numbers other than these three cost is 0 at its least, which lies inside their ranges.
    shapes = [
        capacity(width, depth) + max(0.0, dropout(width) + max(place.values()))
        for width in range(WIDTHS[0], WIDTHS[1] + 1)
        for depth in range(MLP_DEPTHS[0], MLP_DEPTHS[1] + 1)
    ]
    offsets = {name: offset + (0.2 if name == "sgd" else 0.0) for name, (offset, _) in OPTIMISERS.items()}
    best = max(shapes) + max(offsets.values()) + max([0.0, *map(warmup, range(WARMUP[0], WARMUP[1] + 1))])
    return normalised(name, space, report, best, "mixed")


PATHS = (("n3.n0",), ("n1.n0", "n3.n1"), ("n2.n0", "n3.n2"), ("n1.n0", "n2.n1", "n3.n2"))


def cell(name: str) -> Task:
    """NAS-Bench-201's cell: what its ways from input to output are worth together, which saturates; each is worth more
    the more it computes, up to a point, and none is worth anything through `none`."""
    rng = random.Random(104)
    space = nasbench201.space()
    work = {"none": 0.0, "skip_connect": 0.0, "nor_conv_1x1": 1.0, "nor_conv_3x3": 2.0, "avg_pool_3x3": 0.4}
    edges = sorted({edge for path in PATHS for edge in path})
    liking = {edge: dict(zip(work, normal(rng, 0.3, len(work)).tolist(), strict=True)) for edge in edges}

    def report(assignment: Assignment) -> float:
        ops = {edge: assignment[f"cell.{edge}"] for edge in edges}
        value = 0.0
        for path in PATHS:
            if all([ops[edge] != "none" for edge in path]):
                depth = sum([work[ops[edge]] for edge in path])
                value += math.exp(-0.5 * (depth - 3.0) ** 2) + 0.2
                value += 0.3 * math.tanh(sum([liking[edge][ops[edge]] for edge in path]))
        return math.tanh(0.25 * value)

    best = max([report(arch.assignment) for arch in space.enumerate()])
    return normalised(name, space, report, best, "flat")


MEMBERS, PARTS, MOST_PARTS = 6, 8, 5


def order(name: str) -> Task:
    """An order of six, two to five of eight parts, and a mode: what stands before what and next to what, what goes with
    what, and whether the parts suit the mode and what stands first."""
    rng = random.Random(105)
    before, beside = normal(rng, 1.0, MEMBERS, MEMBERS), normal(rng, 1.0, MEMBERS, MEMBERS)
    worth, together = normal(rng, 1.0, PARTS), normal(rng, 0.7, PARTS, PARTS)
    first, suits = normal(rng, 0.7, MEMBERS, PARTS), normal(rng, 0.7, 4, PARTS)
    space = Space(
        {
            "order": Permute(*range(MEMBERS)),
            "parts": Subset([f"p{i}" for i in range(PARTS)], 2, MOST_PARTS),
            "mode": Choice(["a", "b", "c", "d"]),
        }
    )

    def of_order(answer: Sequence[int]) -> float:
        value = sum([before[i, j] for i, j in combinations(answer, 2)])
        return float(value + sum([beside[i, j] for i, j in pairwise(answer)]))

    def of_parts(chosen: Sequence[int]) -> float:
        return float(sum([worth[i] for i in chosen]) + sum([together[i, j] for i, j in combinations(chosen, 2)]))

    def fit(leader: int, mode: int, chosen: Iterable[int]) -> float:
        return float(sum([first[leader, i] + suits[mode, i] for i in chosen]))

    def report(assignment: Assignment) -> float:
        answer = assignment["order"]
        chosen = chosen_parts(assignment)
        return of_order(answer) + of_parts(chosen) + fit(answer[0], "abcd".index(assignment["mode"]), chosen)

    leading = [max([of_order((i, *r)) for r in permutations(set(range(MEMBERS)) - {i})]) for i in range(MEMBERS)]
    subsets = [chosen for n in range(2, MOST_PARTS + 1) for chosen in combinations(range(PARTS), n)]
    best = max([
        leading[leader] + of_parts(chosen) + fit(leader, mode, chosen)
        for leader in range(MEMBERS) for mode in range(4) for chosen in subsets
    ])  # fmt: skip
    return normalised(name, space, report, best, "tree")


def chosen_parts(assignment: Assignment) -> list[int]:
    """The parts that are taken; not asked is what has to be taken, or cannot be since there are enough."""
    chosen: list[int] = []
    for i in range(PARTS):
        if assignment.get(f"parts[{i}]", len(chosen) < MOST_PARTS):
            chosen.append(i)
    return chosen


TRAPS, TRAP_SIZE = 4, 3


def trap(name: str) -> Task:
    """Twelve choices of four in four groups: a group is worth the more the more of its answers are 0, up to 0.7, but 1
    where it is one certain triple without a 0 (Goldberg's deceptive trap)."""
    rng = random.Random(106)
    space = Space({f"g{i}": [Choice([0, 1, 2, 3]) for _ in range(TRAP_SIZE)] for i in range(TRAPS)})
    needles = [tuple([1 + int(3 * rng.random()) for _ in range(TRAP_SIZE)]) for _ in range(TRAPS)]

    def report(assignment: Assignment) -> float:
        value = 0.0
        for i, needle in enumerate(needles):
            answers = tuple([assignment[f"g{i}[{j}]"] for j in range(TRAP_SIZE)])
            value += 1.0 if answers == needle else 0.7 * answers.count(0) / TRAP_SIZE
        return value

    return normalised(name, space, report, float(TRAPS), "flat")


MAKERS: dict[str, Callable[[str], Task]] = {
    "tree": tree,
    "tree_noisy": tree,
    "grammar": grammar,
    "hierarchy": hierarchy,
    "mixed": mixed,
    "cell": cell,
    "order": order,
    "trap": trap,
}
