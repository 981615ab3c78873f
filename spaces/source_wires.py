"""The class of a graph: its modules by path, and a method that names the values between them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Sequence
from typing import Any

from archsearch.spaces.source_text import Atom, Expression, Forward, Group, Module, call, flat, is_name, quoted

IDENTITY = Atom("nn.Identity()", "nn.Module")

LONGEST = 90
"""Characters of a sum on one line."""


class Wires:
    """Collects the modules and the steps of one graph.

    Args:
        inputs: what reaches it, by name.

    Attributes:
        inputs: the parameters of the method.
    """

    def __init__(self, inputs: Sequence[str]) -> None:
        self.variables = {"self", "torch", "nn"}
        self.inputs = [self.variable(name) for name in inputs]
        self.placed: list[tuple[tuple[str, ...], Expression]] = []
        self.steps: list[tuple[str, Expression]] = []

    def variable(self, name: str) -> str:
        """A new variable, called like something in the space."""
        found = variable(name, self.variables)
        self.variables.add(found)
        return found

    def through(self, path: tuple[str, ...], module: Expression, given: Sequence[Expression]) -> Expression:
        """What a module makes of values; it is registered at `path`. An identity is no module."""
        self.placed.append((path, module))
        return given[0] if module == IDENTITY and len(given) == 1 else call(reference(path), *given)

    def merged(self, how: str, terms: Sequence[Expression], dim: int, target: str) -> Expression:
        """Several values as one.

        Args:
            how: "add", "mul" or "concat".
            terms: the values.
            dim: of torch.cat.
            target: the variable that it is for.
        """
        if how == "concat":
            return call("torch.cat", Group("[", tuple([("", term) for term in terms]), "]"), Atom(str(dim)))
        sign = " + " if how == "add" else " * "
        if len(terms) > 2 and "inplace=True" in "".join([flat(module) for _, module in self.placed]):
            # A module that writes over a value does so before the first two are added.
            names = [self.variable(f"{target}_{i}") for i in range(len(terms))]
            self.steps.extend(zip(names, terms, strict=True))
            terms = [Atom(name) for name in names]
        text = flat(terms[0])
        for term in terms[1:]:
            if len(text) + len(flat(term)) > LONGEST and sign in text:
                self.steps.append((target, Atom(text)))
                text = target
            text += sign + flat(term)
        return Atom(text)

    def assign(self, target: str, value: Expression) -> None:
        self.steps.append((target, value))

    def module(self, place: str, result: Expression, kind: str = "Tensor") -> Module:
        """The graph as a module of a class of its own."""
        steps = list(self.steps)
        if steps and isinstance(result, Atom) and steps[-1][0] == result.text:
            result = steps.pop()[1]
        for i, (target, value) in enumerate(steps):
            later = " ".join([flat(after) for _, after in steps[i + 1 :]] + [flat(result)])
            if not re.search(rf"\b{target}\b", later):
                steps[i] = ("_", value)
        names, children = nested(self.placed)
        return Module("", (), names, children, Forward(tuple(self.inputs), tuple(steps), result, kind), (place,))


def variable(name: str, taken: Collection[str]) -> str:
    """A name for a variable: in lower case, no keyword, and not taken.

    >>> variable("N1", {"n1"}), variable("lambda", ())
    ('n1_2', 'lambda_')
    """
    base = re.sub(r"\W", "_", name).lower()
    base = f"{base}_" if keyword.iskeyword(base) else base if base.isidentifier() else f"_{base}"
    found, number = base, 2
    while found in taken:
        found, number = f"{base}_{number}", number + 1
    return found


def reference(path: tuple[str, ...]) -> str:
    """A module below `self`; what holds others is an nn.ModuleDict.

    >>> reference(("n2", "inputs", "0", "op"))
    'self.n2.inputs["0"].op'
    """
    first, *rest = path
    text = f"self.{first}" if is_name(first) else f"self.get_submodule({quoted(first)})"
    return text + "".join([f".{name}" if is_name(name) else f"[{quoted(name)}]" for name in rest])


def nested(placed: Sequence[tuple[tuple[str, ...], Expression]]) -> tuple[tuple[str, ...], tuple[Expression, ...]]:
    """Names and modules of the outermost level; an nn.ModuleDict holds what is further down.

    An identity is left out, but what would hold it keeps its turn, which the order of a state_dict follows.
    """
    tree: dict[str, Any] = {}
    for path, module in placed:
        level = tree
        for name in path[:-1]:
            level = level.setdefault(name, {})
        if module != IDENTITY:
            level[path[-1]] = module

    def made(node: Any) -> Expression | None:
        if not isinstance(node, dict):
            return node  # type: ignore[no-any-return]
        names, children = inside(node)
        return Module("nn.ModuleDict", (), names, children) if names else None

    def inside(node: dict[str, Any]) -> tuple[tuple[str, ...], tuple[Expression, ...]]:
        found = {name: child for name, value in node.items() if (child := made(value)) is not None}
        return tuple(found), tuple(found.values())

    return inside(tree)
