"""When two small graphs are the same network, by trying every order of their operations.

Written apart from `archsearch.spaces`: values are terms in which every sum is multiplied out, so more graphs are
the same here than there.
"""

from __future__ import annotations

import itertools
from typing import Any

from archsearch.spaces.resolved import Chain, Dag, Joint, Leaf, Once, Part

Term = tuple[Any, ...]


class Terms:
    """The operations of a graph, each with the terms that it reads."""

    def __init__(self) -> None:
        self.ops: list[tuple[str, str | None, tuple[Term, ...]]] = []

    def part(self, part: Part, terms: tuple[Term, ...]) -> Term:
        match part:
            case Chain(parts=parts):
                for inside in parts:
                    terms = (self.part(inside, terms),)
                return terms[0]
            case Dag():
                return self.dag(part, terms)[""]
            case Once(key=key, part=Leaf() as leaf):
                return self.leaf(leaf, terms, key)
            case Leaf():
                return self.leaf(part, terms, None)
        (term,) = terms
        return term

    def leaf(self, leaf: Leaf, terms: tuple[Term, ...], key: str | None) -> Term:
        name = str(leaf.target).rpartition(":")[2]
        if name == "Identity":
            return terms[0]
        if name == "Zero":
            return ("zero", *terms) if terms[0][0] != "zero" else terms[0]
        if name == "ReLU" and (name, None, terms) in self.ops:
            return ("op", self.ops.index((name, None, terms)))
        self.ops.append((name, key, terms))
        return ("op", len(self.ops) - 1)

    def sees_nothing(self, term: Term) -> bool:
        if term[0] == "zero":
            return True
        inside = self.ops[term[1]][2] if term[0] == "op" else term[1:] if term[0] != "x" else ()
        return bool(inside) and all([self.sees_nothing(one) for one in inside])

    def merged(self, how: str, terms: list[Term]) -> Term:
        if how == "concat":
            terms = [one for term in terms for one in (term[1:] if term[0] == how else (term,))]
            return (how, *terms)
        if how == "mul" and any(term[0] == "zero" for term in terms):
            return min([term for term in terms if term[0] == "zero"], key=self.length)
        if how == "add":
            seeing = [term for term in terms if not self.sees_nothing(term)]
            if not seeing:
                return min(terms, key=self.length)
            terms = seeing
        terms = [one for term in terms for one in (term[1:] if term[0] == how else (term,))]
        return (how, *sorted(terms)) if len(terms) > 1 else terms[0]

    def length(self, term: Term) -> int:
        inside = self.ops[term[1]][2] if term[0] == "op" else term[1:] if term[0] != "x" else ()
        return 1 + sum([self.length(one) for one in inside])

    def dag(self, dag: Dag, terms: tuple[Term, ...]) -> dict[str, Term]:
        known = dict(zip(dag.inputs, terms, strict=True))

        def joint(joint: Joint) -> Term:
            found = [self.part(link.part, (known[link.source],)) for link in joint.links]
            if found and not isinstance(joint.merge, str):
                found = [self.part(joint.merge, tuple(found))]
            elif len(found) > 1:
                found = [self.merged(str(joint.merge), found)]
            return self.part(joint.op, tuple(found))

        for vertex in dag.vertices:
            known[vertex.name] = joint(vertex)
        return {output.name: joint(output) for output in dag.outputs}


def evaluated(dag: Dag) -> tuple[Terms, Term, list[int]]:
    """The terms of a graph of one input and one output, and the operations that its output needs."""
    terms = Terms()
    end = terms.dag(dag, (("x",),))[""]
    needed: list[int] = []

    def visit(term: Term) -> None:
        if term[0] == "op":
            if term[1] not in needed:
                needed.append(term[1])
                for one in terms.ops[term[1]][2]:
                    visit(one)
        elif term[0] != "x":
            for one in term[1:]:
                visit(one)

    visit(end)
    return terms, end, needed


def num_operations(dag: Dag) -> int:
    return len(evaluated(dag)[2])


def brute_force(dag: Dag) -> str:
    """The smallest text of all orders of the operations, and of all names of what is shared."""
    terms, end, needed = evaluated(dag)
    keys = sorted({key for i in needed if (key := terms.ops[i][1]) is not None})
    used_once = [key for key in keys if sum([terms.ops[i][1] == key for i in needed]) == 1]
    found = []
    for order in itertools.permutations(range(len(needed))):
        index = dict(zip(needed, order, strict=True))

        def moved(term: Term, index: dict[int, int] = index) -> Term:
            if term[0] == "op":
                return ("op", index[term[1]])
            inside = [moved(one) for one in term[1:]]
            return (term[0], *(sorted(inside) if term[0] in ("add", "mul") else inside))

        for names in itertools.permutations(range(len(keys))):
            name = dict(zip(keys, names, strict=True)) | dict.fromkeys(used_once)
            rows = sorted(
                [
                    (index[i], terms.ops[i][0], name.get(terms.ops[i][1] or ""), [moved(t) for t in terms.ops[i][2]])
                    for i in needed
                ]
            )
            found.append(repr((rows, moved(end))))
    return min(found)
