"""Three search spaces, in archsearch's language and as plain data from which each peer's form is made.

cell       NAS-Bench-201's cell: six choices of five operations
cnn        a network of 1 to 8 layers, four decisions a layer: 19 decisions on average
hierarchy  10 stages of 5 blocks: 200 decisions on average
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archsearch.spaces import nn
from archsearch.spaces.nodes import Boolean, Choice, Integer, Module, Repeat, Sequential
from archsearch.spaces.space import Space

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
LAYER: dict[str, tuple[Any, ...]] = {
    "filters": (16, 32, 64, 128),
    "kernel": (1, 3, 5),
    "activation": ("relu", "gelu", "silu"),
    "norm": (False, True),
}


@dataclass(frozen=True)
class Asked:
    """A decision: asked always, or where the answer to `parent` is one of `when`."""

    name: str
    options: tuple[Any, ...]
    parent: str | None = None
    when: tuple[Any, ...] = ()


def cell() -> list[Asked]:
    return [Asked(f"edge{i}", OPERATIONS) for i in range(6)]


def cnn() -> list[Asked]:
    depths = tuple(range(1, 9))
    layers = [
        Asked(f"layer{i}_{name}", options, "depth", depths[i - 1 :]) for i in depths for name, options in LAYER.items()
    ]
    return [Asked("depth", depths), *layers]


def hierarchy() -> list[Asked]:
    decisions: list[Asked] = []
    for i in range(50):
        kind = f"block{i}_kind"
        decisions += [
            Asked(kind, ("conv", "pool")),
            Asked(f"block{i}_channels", (16, 32, 64), kind, ("conv",)),
            Asked(f"block{i}_kernel", (1, 3, 5), kind, ("conv",)),
            Asked(f"block{i}_features", (8, 16, 32)),
            Asked(f"block{i}_rate", (0.1, 0.2)),
        ]
    return decisions


SPACES = {"cell": cell, "cnn": cnn, "hierarchy": hierarchy}


def our_cell() -> Space:
    return Space([Choice(list(OPERATIONS)) for _ in range(6)])


def our_cnn() -> Space:
    layer = Module(
        "package.layers:Layer",
        {
            "filters": Choice([16, 32, 64, 128]),
            "kernel": Choice([1, 3, 5]),
            "activation": Choice(["relu", "gelu", "silu"]),
            "norm": Boolean(),
        },
    )
    return Space(Repeat(layer, Integer(1, 8)))


def our_hierarchy() -> Space:
    kind = Choice({"conv": nn.Conv2d(Choice([16, 32, 64]), Choice([1, 3, 5]), padding="same"), "pool": nn.MaxPool2d(3)})
    block: Any = Sequential(kind, nn.Linear(Choice([8, 16, 32])), nn.Dropout(Choice([0.1, 0.2])))
    return Space(Sequential(*[Repeat(block, 5) for _ in range(10)]))


OURS = {"cell": our_cell, "cnn": our_cnn, "hierarchy": our_hierarchy}
