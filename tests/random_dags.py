"""Random graphs of values, and other ways to say the same."""

from __future__ import annotations

import random
from dataclasses import replace

from archsearch.spaces.resolved import Chain, Dag, Joint, Leaf, Link, Once, Part

IDENTITY = Leaf("", "torch.nn:Identity", {}, {})
ZERO = Leaf("", "archsearch.spaces.layers:Zero", {}, {})


def module(name: str) -> Leaf:
    """A module with weights, as far as anyone can tell."""
    return Leaf("", f"some.package:{name}", {"width": 16}, {"in_features": "features"})


def weightless(name: str = "ReLU") -> Leaf:
    return Leaf("", f"torch.nn:{name}", {}, {})


MODULES = [module("A"), module("B")]


def random_part(rng: random.Random, depth: int, zeros: bool) -> Part:
    """An operation: mostly a module, sometimes none, zeros, a chain, or a graph of its own."""
    kind = rng.randrange(12)
    if kind < 5:
        return rng.choice(MODULES)
    if kind < 7:
        return rng.choice([None, IDENTITY])
    if kind == 7:
        return ZERO if zeros else None
    if kind == 8:
        return weightless()
    if kind == 9:
        return Chain("", (random_part(rng, 0, zeros), random_part(rng, 0, zeros)))
    if kind == 10:
        return Once(rng.choice("st"), MODULES[0])
    return random_dag(rng, depth - 1, zeros=zeros) if depth else None


def random_dag(
    rng: random.Random, depth: int = 1, inputs: tuple[str, ...] = ("x",), outputs: int = 1, zeros: bool = True
) -> Dag:
    """A graph in which vertices may be dead. Without `zeros`, all values depend on an input or a source."""
    known = list(inputs)
    vertices: list[Joint] = []
    for i in range(rng.randrange(1, 6)):
        links = tuple(
            [Link(rng.choice(known), random_part(rng, depth, zeros)) for _ in range(rng.choice([1, 1, 2, 2, 3]))]
        )
        if rng.random() < 0.1:
            vertices.append(Joint(f"v{i}", "", (), "add", None, module("Source")))
        else:
            merges: list[Part | str] = ["add", "add", "add", "mul", "concat", module("Merge")]
            merge = rng.choice(merges)
            vertices.append(Joint(f"v{i}", "", links, merge, None, random_part(rng, depth, zeros)))
        known.append(f"v{i}")
    ends = []
    for i in range(outputs):
        links = tuple([Link(source, None) for source in {known[-1], *rng.choices(known, k=rng.randrange(3))}])
        how = "add" if rng.random() < 0.6 else "concat"
        ends.append(Joint("" if outputs == 1 else f"o{i}", "", links, how, None))
    return Dag("", inputs, tuple(vertices), tuple(ends))


def live(dag: Dag) -> Dag:
    """A graph without the vertices that no output needs."""
    needed = {link.source for joint in dag.outputs for link in joint.links}
    kept: list[Joint] = []
    for joint in reversed(dag.vertices):
        if joint.name in needed:
            kept.insert(0, joint)
            needed.update([link.source for link in joint.links])
    return replace(dag, vertices=tuple(kept))


def said_otherwise(dag: Dag, rng: random.Random) -> Dag:
    """The same graph with its vertices renamed, in another order of computing, and its sums in another order."""
    names = {name: f"w{i}" for i, name in enumerate(rng.sample([v.name for v in dag.vertices], len(dag.vertices)))}
    names |= {name: name for name in dag.inputs}

    def renamed(joint: Joint) -> Joint:
        links = [Link(names[link.source], reworded(link.part, rng)) for link in joint.links]
        if joint.merge in ("add", "mul"):
            rng.shuffle(links)
        return replace(joint, name=names.get(joint.name, joint.name), links=tuple(links), op=reworded(joint.op, rng))

    left = [renamed(vertex) for vertex in dag.vertices]
    order: list[Joint] = []
    while left:
        ready = [v for v in left if all(link.source not in [w.name for w in left] for link in v.links)]
        order.append(rng.choice(ready))
        left.remove(order[-1])
    return Dag(
        "", dag.inputs, tuple(order), tuple([renamed(joint) for joint in rng.sample(dag.outputs, len(dag.outputs))])
    )


def reworded(part: Part, rng: random.Random) -> Part:
    if isinstance(part, Dag):
        return said_otherwise(part, rng)
    if isinstance(part, Chain):
        return Chain("", tuple([reworded(inside, rng) for inside in part.parts]))
    if isinstance(part, Once):
        return Once({"s": "t", "t": "s"}[part.key], part.part)
    return part


def in_more_words(dag: Dag, rng: random.Random) -> Dag:
    """The same graph with relays, partial sums, zeros, and operations moved between edges and vertices.

    The graph has no zeros, since a sum of nothing else would get another shape by one more of them.
    """
    vertices: list[Joint] = []

    def relay(link: Link) -> Link:
        """What the edge brings, as a vertex of its own."""
        name = f"r{len(vertices)}"
        vertices.append(Joint(name, "", (link,), "add", None))
        return Link(name, rng.choice([None, IDENTITY]))

    def reworded_joint(joint: Joint) -> Joint:
        links = list(joint.links)
        if joint.merge in ("add", "mul") and len(links) > 2 and rng.random() < 0.5:
            some = [links.pop(rng.randrange(len(links))) for _ in range(2)]
            name = f"r{len(vertices)}"
            vertices.append(Joint(name, "", tuple(some), joint.merge, None))
            links.append(Link(name, None))
        if joint.merge == "add" and links and rng.random() < 0.4:
            links.append(Link(rng.choice(dag.inputs), ZERO))
        links = [relay(link) if rng.random() < 0.3 else link for link in links]
        return replace(joint, links=tuple(links))

    for vertex in dag.vertices:
        new = reworded_joint(vertex)
        if new.op is not None and rng.random() < 0.3:
            vertices.append(replace(new, name=f"{new.name}_", op=None))
            new = Joint(new.name, "", (Link(f"{new.name}_", None),), "add", None, new.op)
            if rng.random() < 0.5:
                new = replace(new, links=(Link(new.links[0].source, new.op),), op=None)
        vertices.append(new)
    outputs = tuple([reworded_joint(joint) for joint in dag.outputs])
    return Dag("", dag.inputs, tuple(vertices), outputs)
