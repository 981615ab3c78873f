"""DeepArchitect's own spaces (Negrinho & Gordon 2017, arXiv:1704.08792; Negrinho et al. 2019, arXiv:1909.13404).

Counts are of complete lists of answers; decisions with one option are no decisions.
"""

from __future__ import annotations

import math
from typing import Any

from archsearch.errors import SpaceError, did_you_mean
from archsearch.spaces import nn
from archsearch.spaces.nodes import Choice, Node, Optional, Permute, Repeat, Sequential
from archsearch.spaces.space import Space

UNITS = [32, 64, 128, 256]


def activation(name: str | None = None, kinds: tuple[str, ...] = ("relu", "sigmoid")) -> Choice:
    """A nonlinearity by name."""
    made = {"relu": nn.ReLU(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "elu": nn.ELU(), "selu": nn.SELU()}
    return Choice({kind: made[kind] for kind in kinds}, name=name)


def head(classes: int = 10) -> Sequential:
    return Sequential(nn.Linear(classes), nn.Softmax(dim=-1))


def ladder(step: int) -> Space:
    """The tutorial's ladder, steps 0 to 5: 64, 32, 8, 16, 48, 48 architectures."""
    width = Choice(UNITS, name="width")
    first = Sequential(nn.Linear(width), activation("activation"))
    second = Sequential(nn.Linear(2 * width), activation("activation"))
    times = Choice([1, 2, 4], name="times")
    match step:
        case 0:
            parts: list[Node] = [Sequential(nn.Linear(Choice(UNITS)), activation()) for _ in range(2)]
        case 1:
            parts = [Sequential(nn.Linear(Choice(UNITS)), activation("activation")) for _ in range(2)]
        case 2:
            parts = [first, second]
        case 3:
            parts = [first, Optional(second)]
        case 4:
            parts = [Repeat(first, times), Optional(second)]
        case 5:
            parts = [Repeat(first, times), Optional(Repeat(second, times))]
        case _:
            raise SpaceError(f"the ladder has steps 0 to 5, but got {step!r}")
    return Space(Sequential(*parts, head()), input_shape=(784,))


def keras_mlp(times: tuple[int, ...] = (1, 2, 4)) -> Space:
    """The README's MLP: 41,784 architectures (312 with `times=(1, 2)`)."""
    cell = Sequential(
        nn.Linear(Choice([256, 512, 1024])), activation("activation"), Optional(nn.Dropout(Choice([0.2, 0.5, 0.7])))
    )
    return Space(Sequential(Repeat(cell, Choice(list(times))), head()), input_shape=(784,))


def dnn(starter: bool = False) -> Space:
    """`dnn_net`: 5,400 architectures; the starter's variant 618,240."""
    kinds = ("relu", "sigmoid", "tanh") if starter else ("relu", "sigmoid", "tanh", "elu", "selu")
    cell = Sequential(
        nn.Linear(Choice([64, 128, 256, 512, 1024])),
        activation("activation", kinds),
        Permute(
            Optional(nn.Dropout(Choice([0.25, 0.5, 0.75])), name="dropout"),
            Optional(nn.BatchNorm1d(), name="batchnorm"),
            name="swap",
        ),
    )
    times = [1, 2, 4] if starter else [1, 2]
    return Space(Sequential(Repeat(cell, Choice(times)), head()), input_shape=(784,))


def logging_tutorial(times: tuple[int, ...] = (1, 2, 4)) -> Space:
    """Dense, dropout and batch normalisation in any order: 755,460 architectures (540 with `times=(1,)`)."""
    cell = Permute(
        Sequential(nn.Linear(Choice([64, 128, 256])), activation("activation", ("relu", "sigmoid", "tanh"))),
        Optional(nn.Dropout(Choice([0.25, 0.5, 0.6, 0.75])), name="dropout"),
        Optional(nn.BatchNorm1d(), name="batchnorm"),
        name="order",
    )
    return Space(Sequential(Repeat(cell, Choice(list(times))), head()), input_shape=(784,))


def tfref() -> Space:
    """The small convnet of 2017: 2,025 architectures."""

    def stage() -> Sequential:
        length = Choice([1, 3, 5])
        conv = nn.Conv2d(Choice([32, 48, 64, 96, 128]), length, padding="same")
        return Sequential(conv, nn.ReLU(), nn.MaxPool2d(2))

    return Space(
        Sequential(
            stage(),
            stage(),
            nn.Flatten(),
            nn.Linear(Choice([256, 512, 1024])),
            nn.ReLU(),
            nn.Dropout(Choice([0.25, 0.5, 0.75])),
            nn.Linear(10),
        ),
        input_shape=(3, 32, 32),
    )


def training() -> dict[str, Any]:
    """What the 2017 comparison searched jointly with the network: 4,096 ways of training."""
    rates = [10 ** (-2 - 5 * i / 31) for i in range(32)]
    factors = [10 ** (math.log10(0.01) + (math.log10(0.9) - math.log10(0.01)) * i / 7) for i in range(8)]
    return {
        "optimizer": Choice(["adam", "sgd_momentum"]),
        "learning_rate": Choice(rates),
        "rate_factor": Choice(factors),
        "rate_patience": Choice(list(range(4, 33, 4))),
    }


def deepconv(with_training: bool = False) -> Space:
    """The 2017 paper's comparison space: 60,466,176 architectures, 247,669,456,896 with their training."""
    filters = [48, 64, 80, 96, 112, 128]

    def motif(filters: list[int]) -> Repeat:
        body = Sequential(
            nn.Conv2d(Choice(filters), Choice([3, 5]), padding="same"),
            Permute(nn.ReLU(), nn.BatchNorm2d()),
            Optional(nn.Dropout(Choice([0.5, 0.1]))),
        )
        return Repeat(body, Choice([1, 2, 4, 8, 16, 32]), tied=True)

    def reduce(name: str) -> Node:
        length = Choice([3, 5, 7], name=name)
        return nn.Conv2d(Choice(filters), length, stride=2, padding=length // 2)

    model = Sequential(
        reduce("length1"),
        motif(filters),
        reduce("length2"),
        motif([2 * f for f in filters]),
        nn.Flatten(),
        nn.Linear(10),
    )
    if with_training:
        return Space({"model": model, **training()}, input_shape=(3, 32, 32))
    return Space(model, input_shape=(3, 32, 32))


SPACES = {
    "ladder": lambda: ladder(5),
    "keras_mlp": keras_mlp,
    "dnn": dnn,
    "logging_tutorial": logging_tutorial,
    "tfref": tfref,
    "deepconv": deepconv,
}


def space(name: str = "deepconv") -> Space:
    """One of DeepArchitect's spaces by name; the paper's comparison space by default (60,466,176)."""
    if name not in SPACES:
        raise SpaceError(f"deeparchitect has no space {name!r}; it has {', '.join(SPACES)}{did_you_mean(name, SPACES)}")
    return SPACES[name]()
