"""Random spaces: names, scopes, shared parts, conditionals, repeats, lazies and constraints mixed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from archsearch.errors import SpaceError
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.nodes import (
    Boolean,
    Choice,
    Integer,
    Lazy,
    Module,
    Optional,
    Parallel,
    Permute,
    Repeat,
    Require,
    Residual,
    Scope,
    Sequential,
    Shared,
    Subset,
)
from archsearch.spaces.space import Space


class Maker:
    """Makes random nodes.

    Args:
        priors: where half of the decisions get a prior from; apart from `rng`, so that a seed gives the same structure
            with priors and without.
        pairs: whether half of the readers have an edge whose source and operation are both decided.
    """

    def __init__(
        self, rng: random.Random, graphs: bool = False, priors: random.Random | None = None, pairs: bool = False
    ) -> None:
        self.rng = rng
        self.graphs = graphs
        self.priors = priors
        self.pairs = pairs
        # Uses of a name that a Lazy gives must state its prior, so all do.
        k, source = self.prior(2), self.prior(2)
        self.d = self.probability()
        self.named: dict[str, Callable[[], Any]] = {
            "k": lambda: Choice([1, 3], name="k", prior=k),
            "d": lambda: Boolean(name="d", prior=self.d),
            "n": lambda: Integer(1, 2, name="n"),
            "source": lambda: Choice(["x", "y"], name="source", prior=source),
        }
        self.cells = {name: self.module(1, shared=False) for name in ("cell", "stem")}

    def prior(self, size: int) -> list[int] | None:
        if self.priors is None or self.priors.random() < 0.5:
            return None
        return [self.priors.randrange(1, 6) for _ in range(size)]

    def probability(self) -> float | None:
        return None if self.priors is None or self.priors.random() < 0.5 else self.priors.randrange(1, 10) / 10

    def choice(self, options: Any) -> Choice:
        return Choice(options, prior=self.prior(len(options)))

    def optional(self, node: Any, name: str | None = None) -> Optional:
        return Optional(node, name=name, prior=self.probability() if name is None else self.d)

    def value(self) -> Any:
        kind = self.rng.randrange(6)
        if kind == 0:
            return self.named[self.rng.choice(["k", "d", "n"])]()
        if kind == 1:
            return self.named["k"]() * 2 + 1
        if kind == 2:
            return self.choice([16, 32])
        if kind == 3:
            return self.choice([7])
        return self.rng.randrange(4)

    def leaf(self) -> Module:
        return Module("package.mod:Leaf", {name: self.value() for name in self.rng.sample(["a", "b"], 1)})

    def module(self, depth: int, shared: bool = True) -> Any:
        if depth == 0:
            return self.leaf()

        def inside() -> Any:
            return self.module(depth - 1, shared)

        kind = self.rng.randrange(13)
        if self.graphs and self.rng.random() < 0.4:
            return self.graph(depth)
        match kind:
            case 0:
                return self.choice({"left": inside(), "right": inside(), "none": None})
            case 1:
                return self.optional(inside(), name=self.rng.choice([None, "d"]))
            case 2:
                times = self.rng.choice([1, 2, Integer(0, 2), Integer(1, 2, name="n"), Integer(1, 2, name="n") - 1])
                return Repeat(inside(), times, tied=self.rng.random() < 0.3)
            case 3:
                return Sequential(inside(), named=inside())
            case 4:
                return Residual(inside())
            case 5:
                return Parallel(inside(), Repeat(inside(), self.choice([1, 2])))
            case 6:
                return Permute(self.leaf(), self.leaf())
            case 7:
                return Subset([inside(), self.leaf(), self.leaf()], self.rng.randrange(2), self.rng.choice([2, 3]))
            case 8:
                body = inside()
                return Lazy(lambda n: Sequential(*[body] * n) if n > 1 else body, n=Integer(1, 2))
            case 9:
                return self.grammar(self.rng.choice([1, 2]))
            case 10:
                k = self.named["k"]()
                return Repeat(
                    Scope(Sequential(Module("p:C", {"size": k, "pad": k // 2}), inside()), "k"), Integer(1, 2)
                )
            case 11 if shared:
                name = self.rng.choice(["cell", "stem"])
                return Shared(self.cells[name], name)
        return self.leaf()

    def grammar(self, depth: int) -> Lazy:
        leaf = self.leaf()
        prior = self.prior(2)

        def rule(depth: int) -> Any:
            if depth == 0:
                return leaf
            return Choice({"stop": None, "more": Sequential(leaf, Lazy(rule, depth=depth - 1))}, prior=prior)

        return Lazy(rule, depth=depth)

    def graph(self, depth: int) -> Graph:
        """Two inputs, up to three vertices: decided sources, optional and nested edges, names across vertices."""
        vertices = {}
        known = ["x", "y"]
        for name in ["a", "b", "c"][: self.rng.randrange(1, 4)]:
            merge = self.rng.choice(["add", "concat", "mul", self.leaf()])
            op = None if self.rng.random() < 0.5 else self.module(depth - 1, shared=False)
            vertices[name] = Vertex(op, inputs=self.sources(known, depth), merge=merge)
            known.append(name)
        several = self.rng.random() < 0.2
        outputs = self.sources(known, depth)
        if isinstance(outputs, dict):
            outputs = list(outputs.items())
        return Graph(
            vertices,
            inputs=("x", "y"),
            outputs={"one": outputs, "two": self.rng.choice(known)} if several else outputs,
            unused=self.rng.choice([None, "concat"]) if not several else None,
            dead=self.rng.choice(["reject", "prune"]),
            max_edges=self.rng.choice([None, None, 3, 4]),
        )

    def sources(self, known: list[str], depth: int) -> Any:
        rng = self.rng
        if self.pairs and rng.random() < 0.5:
            return self.with_pair(known, depth)
        match rng.randrange(9):
            case 0:
                return rng.choice(known)
            case 1:
                return (rng.choice(known), self.edge(depth))
            case 2:
                return self.choice([*known[-2:], None] if rng.random() < 0.5 else known)
            case 3:
                return self.named["source"]()
            case 4:
                return [(self.choice(known[-2:]), self.edge(depth)), rng.choice(known)]
            case 5:
                return Subset(known, rng.randrange(2), rng.choice([1, 2, 2]))
            case 6:
                return Subset([(name, self.edge(depth)) for name in known[-2:]], rng.randrange(2))
            case 7:
                return {name: self.edge(depth) for name in rng.sample(known, 2)}
        return [] if rng.random() < 0.2 else [Subset(["x", "y"], 1, name="both"), known[-1]]

    def with_pair(self, known: list[str], depth: int) -> Any:
        """Sources among which is a pair, alone or not, whose source is decided and perhaps None."""
        options = [*known[-2:], None] if self.rng.random() < 0.5 else known[-2:]
        source = self.named["source"]() if self.rng.random() < 0.2 else self.choice(options)
        pair = (source, self.edge(depth))
        match self.rng.randrange(4):
            case 0:
                return pair
            case 1:
                return [self.rng.choice(known), pair]
            case 2:
                return Subset([pair, self.rng.choice(known)], self.rng.randrange(2))
        return [pair]

    def edge(self, depth: int) -> Any:
        """An operation on an edge; half of them may be None."""
        inside = self.leaf() if depth < 2 else self.module(depth - 1, shared=False)
        match self.rng.randrange(7):
            case 0:
                return self.optional(inside)
            case 1:
                return self.optional(inside, name="d")
            case 2:
                return self.choice({"none": None, "inside": inside, "leaf": self.leaf()})
            case 3:
                return Lazy(lambda n: [None, inside, self.cells["cell"]][n], n=Integer(0, 1))
            case 4:
                return self.choice({"maybe": self.optional(self.leaf()), "leaf": self.leaf()})
        return inside


def make_space(
    seed: int, depth: int = 2, graphs: bool = False, priors: bool = False, pairs: bool = False
) -> Space | None:
    """A random space, with random priors or without; None where the language refuses what was drawn."""
    rng = random.Random(seed)
    maker = Maker(rng, graphs, random.Random(seed + 1) if priors else None, pairs)
    try:
        model = maker.graph(depth) if graphs else maker.module(depth)
    except SpaceError:
        return None
    root: dict[str, Any] = {"model": model, "x": maker.value(), "y": Integer(1, 3)}
    if rng.random() < 0.5:
        root["more"] = maker.module(1)
    require = []
    if rng.random() < 0.4:
        root["z"] = maker.named["k"]()
        require = [Require(lambda k, y: k <= y, "k", "y")]
    try:
        return Space(root, require=require)
    except SpaceError:
        return None
