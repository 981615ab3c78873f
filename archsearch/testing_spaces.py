"""Spaces on which searchers are tested: some by hand, and random ones that mix every word of the language."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

from archsearch.errors import Infeasible, SizeTooHard, SpaceError
from archsearch.spaces import nn
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import (
    Boolean,
    Choice,
    Integer,
    Lazy,
    Node,
    Optional,
    Parallel,
    Permute,
    Real,
    Repeat,
    Residual,
    Scope,
    Sequential,
    Shared,
    Subset,
)
from archsearch.spaces.pool import Pool
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor

# Modules keep this many features, so that every random network can be built.
FEATURES = 8
# A random space of at most so many architectures is small: a test may list it.
SMALL = 48


def grammar(depth: int) -> Any:
    return Choice({"leaf": Choice([1, 2, 3]), "both": [grammar(depth - 1), grammar(depth - 1)]}) if depth else Boolean()


def finite_spaces() -> dict[str, Space]:
    """Small spaces with an end, of every kind that has tripped a searcher up."""
    wide = Space({"a": Integer(1, 9), "b": Choice({"none": None, "some": Integer(1, 9)}), "c": Boolean()})
    return {
        "flat": Space({"a": Choice([1, 2, 3]), "b": Boolean(), "c": Choice(["x", "y"])}),
        "conditional": Space(
            {"a": Choice({"none": None, "deep": {"b": Integer(1, 4), "c": Boolean()}}), "d": Boolean()}
        ),
        "lopsided": Space(Choice({"one": None, "many": [Integer(1, 5), Integer(1, 5)]})),
        "grammar": Space(Lazy(grammar, depth=Choice([1, 2]))),
        "constrained": Space(
            {"a": Integer(1, 6), "b": Integer(1, 6)}, require=[lambda a, b: a < b], where=[lambda arch: arch["a"] != 2]
        ),
        "islands": Space({"a": Integer(1, 3), "b": Integer(1, 3), "c": Integer(1, 3)}, require=[equal, equal_too]),
        "pool": Pool(wide, wide.sample(random.Random(0), 14)),
        "prior": Space(
            {"a": Choice([1, 2, 3], prior=[50, 49, 1]), "b": Choice({"x": None, "y": Boolean()}, prior={"x": 99})}
        ),
        "tuples": Space({"a": Choice([(1, 2), (3, 4), (5, 6)]), "b": Integer(1, 9)}),
        "one": Space({"a": Choice([1])}),
        "one is left": Space({"a": Integer(1, 9)}, where=[lambda arch: arch["a"] == 7]),
    }


def equal(a: int, b: int) -> bool:
    return a == b


def equal_too(b: int, c: int) -> bool:
    return b == c


def real_spaces() -> dict[str, Space]:
    """Spaces with a Real."""
    return {
        "learning rate": Space({"lr": Real(1e-4, 1e-1, log=True), "a": Choice([1, 2])}),
        "conditional": Space({"a": Choice({"none": None, "deep": {"b": Real(0.0, 1.0)}})}),
    }


def endless_spaces() -> dict[str, Space]:
    """Grammars without an end: one whose draws end, one where some do not, and one where two draws in three do not."""

    def chain() -> Choice:
        return Choice({"end": None, "more": Sequential(nn.Dropout(Choice([0.1, 0.2])), Lazy(chain))})

    def tree() -> Choice:
        return Choice({"end": None, "more": Parallel(Lazy(tree), Lazy(tree), Lazy(tree), merge="add")})

    def term() -> Choice:  # few decisions, so that all its neighbours may be looked at, and some of them do not end
        return Choice({"x": None, "not": {"of": Lazy(term)}, "and": {"of": Lazy(term), "with": Lazy(term)}})

    return {
        "chain": Space(Lazy(chain), max_decisions=500),
        "tree": Space({"model": Lazy(tree), "x": Integer(1, 10**6, log=True)}, max_decisions=100),
        "term": Space({"term": Lazy(term)}, max_decisions=60),
    }


def random_spaces(seed: int = 0, small: bool = True) -> Iterator[Space]:
    """Random spaces without a Real, one after the other and without end.

    Args:
        seed: of all of them.
        small: those of 2 to 48 architectures; otherwise those of more.
    """
    for number in itertools.count():
        try:
            space = random_space(f"{seed}/{number}")
            size = space.size()
        except (SpaceError, SizeTooHard):  # what was drawn contradicts itself, or is hard to count
            continue
        if 2 <= size <= SMALL if small else SMALL < size < math.inf:
            try:
                first = next(space.enumerate(), None) if small else space.sample(random.Random(seed))
            except Infeasible:
                continue
            if first is not None:
                yield space


@functools.cache
def first_random_spaces(number: int, seed: int, small: bool) -> tuple[Space, ...]:
    """The first so many of `random_spaces`; found once."""
    return tuple(itertools.islice(random_spaces(seed, small), number))


def random_space(seed: str) -> Space:
    """A random space; a SpaceError where what was drawn contradicts itself."""
    rng = random.Random(seed)
    maker = Maker(rng)
    ports = ("x", "y") if rng.random() < 0.5 else ("x",)
    depth = rng.choice([1, 1, 2])
    model = maker.graph(depth, ports) if len(ports) > 1 or rng.random() < 0.3 else Sequential(maker.part(depth))
    root: dict[str, Any] = {"model": model}
    for name in rng.sample(["lr", "width", "bias"], rng.choice([0, 0, 1, 2])):
        root[name] = maker.value()
    require = []
    if rng.random() < 0.3:
        root["low"], root["high"] = Integer(1, 3), Integer(1, 3)
        require = [lambda low, high: low < high]
    where = [keeps_most] if rng.random() < 0.3 else []
    return Space(root, inputs={name: Tensor(FEATURES) for name in ports}, require=require, where=where)


def keeps_most(arch: Architecture) -> bool:
    return int(arch.id[:4], 16) % 4 != 0


class Maker:
    """Draws parts of a space.

    Args:
        rng: what draws them.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.cell = self.part(0)

    def value(self) -> Node:
        """A value that is decided; some have names, which are shared."""
        values: list[Node] = [
            Choice([0.1, 0.2]),
            Choice(["sgd", "adam", "lion"]),
            Choice([(1, 2), (2, 1)]),
            Boolean(),
            Boolean(name="flag"),
            Integer(1, 3),
            Integer(1, 16, log=True),
            Choice({"fixed": 1, "free": Integer(2, 4)}),
        ]
        return self.rng.choice(values)

    def layer(self) -> Node:
        """A module of FEATURES to FEATURES."""
        layers = [
            nn.Linear(FEATURES),
            nn.LayerNorm(),
            nn.Tanh(),
            nn.Linear(FEATURES, bias=Boolean()),
            nn.Dropout(Choice([0.1, 0.2])),
            nn.Dropout(Choice([0.1, 0.2], name="drop")),
            nn.ELU(Integer(1, 3)),
            Choice([nn.ReLU(), nn.Tanh()]),
        ]
        return self.rng.choice(layers)

    def part(self, depth: int) -> Any:
        """A part of a network, with parts inside down to a depth."""
        if depth == 0:
            return self.layer()
        inside = self.part(depth - 1)
        match self.rng.randrange(13):
            case 0:
                return Choice({"left": inside, "right": self.part(depth - 1), "none": None})
            case 1:
                return Optional(inside)
            case 2:
                return Optional(inside, name="flag")
            case 3:
                return Repeat(inside, self.rng.choice([Integer(0, 2), Choice([1, 3])]))
            case 4:
                return Repeat(inside, Integer(1, 3), tied=True)
            case 5:
                return Repeat(Scope(Sequential(inside, nn.Dropout(Choice([0.3, 0.4], name="s"))), "s"), 2)
            case 6:
                return Sequential(inside, named=Residual(self.layer()))
            case 7:
                return Parallel(Repeat(inside, Choice([1, 2])), nn.Tanh(), merge="add")
            case 8:
                return Permute(inside, *[nn.Tanh(), nn.LayerNorm()][: self.rng.randrange(1, 3)])
            case 9:
                return Subset([inside, self.layer(), nn.ReLU()], self.rng.randrange(2), 2)
            case 10:
                return self.grammar(inside)
            case 11:
                return Sequential(Shared(self.cell, "cell"), inside, Shared(self.cell, "cell"))
        return self.graph(depth, ("x",))

    def grammar(self, leaf: Any) -> Lazy:
        def rule(depth: int) -> Any:
            if depth == 0:
                return leaf
            return Choice({"stop": nn.Tanh(), "more": Sequential(leaf, Lazy(rule, depth=depth - 1))})

        return Lazy(rule, depth=Integer(0, 1))

    def graph(self, depth: int, ports: tuple[str, ...]) -> Graph:
        """One to three vertices: decided sources, edges that may not be there, a limit on their number."""
        known = list(ports)
        vertices = {}
        for name in ("a", "b", "c")[: self.rng.randrange(1, 4)]:
            op = self.part(max(0, depth - 1)) if self.rng.random() < 0.4 else None
            vertices[name] = Vertex(op, inputs=self.sources(known), merge=self.rng.choice(["add", "add", "mul"]))
            known.append(name)
        dead = self.rng.choice(["reject", "prune"])
        limit = self.rng.choice([None, None, 3, 4])
        return Graph(vertices, inputs=ports, outputs=self.ends(known), merge="add", dead=dead, max_edges=limit)

    def ends(self, known: list[str]) -> Any:
        sources = self.sources(known)
        return list(sources.items()) if isinstance(sources, dict) else sources

    def sources(self, known: list[str]) -> Any:
        match self.rng.randrange(6):
            case 0:
                return self.rng.choice(known)
            case 1:
                return (Choice(known[-2:]), self.rng.choice([nn.Linear(FEATURES), self.layer(), self.edge()]))
            case 2:
                return Subset(known, 1, min(2, len(known)))
            case 3:
                return Subset([(name, self.edge()) for name in known[-2:]])
            case 4:
                return {name: self.edge() for name in known[-2:]}
        return [known[-1], (Choice([*known[:2], None]), self.rng.choice([self.layer(), self.edge()]))]

    def edge(self) -> Any:
        """An operation on an edge, or none; there may be no edge."""
        return self.rng.choice(
            [
                None,
                Optional(self.layer()),
                Lazy(lambda there: nn.Tanh() if there else None, there=Boolean()),
                Choice({"none": None, "skip": nn.Identity(), "layer": nn.Linear(FEATURES)}),
            ]
        )
