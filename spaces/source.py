"""An architecture as the text of a Python file that makes the same model with torch alone."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

from torch import nn

from archsearch.errors import BuildError
from archsearch.spaces.build import build
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.resolved import Once
from archsearch.spaces.settled import Settled
from archsearch.spaces.source_classes import Class, Classes, atoms, modules, parts_of, rebuilt, with_parts
from archsearch.spaces.source_names import OWN, Names
from archsearch.spaces.source_print import (
    class_lines,
    docstring,
    has_attributes,
    kind_of_result,
    model_lines,
    variables,
)
from archsearch.spaces.source_text import Atom, Expression, Module, flat
from archsearch.spaces.source_tree import Tree
from archsearch.spaces.source_values import Values
from archsearch.spaces.source_wires import variable
from archsearch.spaces.tensor import Tensor


def source(settled: Settled, inputs: Mapping[str, Tensor], answers: Mapping[str, Any]) -> str:
    """The text of a Python file with a class `Model` that is the network.

    Args:
        settled: the network with its sizes.
        inputs: what reaches it, by name.
        answers: what was decided, by path; for the docstring.

    Raises:
        BuildError: a class, function or value of the space cannot be written into another file.
    """
    with deep_recursion():
        names = Names(lambda value, name: Values(names, lambda _: None).of(value, name, ""))
        tree = Tree(names, settled, modules_of(settled))
        root = settled
        while isinstance(root.part, Once):
            root = root.children[0]
        made = tree.part(root, "")
        # An activation or an identity is all there is.
        network = made if isinstance(made, Module) else Module(flat(made).removesuffix("()"))
        before = {local.name: local.made for local in tree.locals.values()}
        same_order = drawn(network, before, set(tree.drawn)) == tree.drawn
        network, before = held_as_attributes(network, before)
        classes = Classes(names.imports.taken, [*before.values(), *parts_of(network)])
        before = dict(zip(before, classes.model, strict=False))
        network = with_parts(network, classes.model[len(before) :])
        parameters = dict(zip(parameter_names(network, inputs), inputs.values(), strict=True))
        body = write_classes(classes.found, network, before, list(parameters))
    for name in OWN:
        if re.search(rf"\b{name}\b", "\n".join(body)):
            names.use(name)
    about = description(settled, parameters, answers, names.outside, same_order)
    lines = [*docstring(about, 0), "", *names.imports.lines(names.unevaluated)]
    if names.constants:
        lines.extend(["", *[line for text in names.constants.values() for line in text.splitlines()]])
    for text in names.copied.values():
        lines.extend(["", "", *text.splitlines()])
    return "\n".join([*lines, *body, ""])


def parameter_names(network: Module, inputs: Iterable[str]) -> list[str]:
    """What the model's method calls the inputs of a space; `x` the one without a name."""
    if network.forward is not None:
        return list(network.forward.inputs)
    found: list[str] = []
    for name in inputs:
        found.append(variable(name, {"self", *found}))
    return ["x"] if found == ["input"] else found


def modules_of(settled: Settled) -> nn.Module:
    """The network as modules; without numbers, where its classes can be made so."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return build(settled, device="meta")
        except BuildError:
            return build(settled, device="cpu")


def drawn(network: Module, before: Mapping[str, Expression], random: set[str]) -> list[str]:
    """The places of the modules that draw random weights, in the order in which the file makes them."""
    waiting = dict(before)
    found: list[str] = []

    def visit(expression: Expression) -> None:
        for part in parts_of(expression):
            visit(part)
        if isinstance(expression, Module) and expression.places[:1] and expression.places[0] in random:
            found.append(expression.places[0])

    def make(expression: Expression) -> None:
        for name in [name for name in waiting if name in variables(expression)]:
            if name in waiting:
                make(waiting.pop(name))
        visit(expression)

    for statement in network.children if has_attributes(network) else (network,):
        make(statement)
    return found


def held_as_attributes(network: Module, before: Mapping[str, Expression]) -> tuple[Module, dict[str, Expression]]:
    """Modules of several places whose first is an attribute of the model: `self.embed` instead of a variable."""
    left = dict(before)
    if not has_attributes(network):
        return network, left
    children = list(network.children)
    used: set[str] = set()
    for i, (name, child) in enumerate(zip(network.names, children, strict=True)):
        mentioned = variables(child)
        (only,) = mentioned if len(mentioned) == 1 else ("",)
        if child == next(atoms(child), None) and only in left and only not in used:
            made = left.pop(only)
            used |= needed(made, left)
            renamed = {only: f"self.{name}"}
            children = [*children[:i], made, *[rename(later, renamed) for later in children[i + 1 :]]]
            left = {key: rename(other, renamed) for key, other in left.items()}
        else:
            used |= needed(child, left)
    return replace(network, children=tuple(children)), left


def needed(expression: Expression, before: Mapping[str, Expression]) -> set[str]:
    """The variables that an expression mentions, and those that making them mentions."""
    found = variables(expression)
    for name in list(found & set(before)):
        found |= needed(before[name], before)
    return found


def rename(expression: Expression, new: Mapping[str, str]) -> Expression:
    """An expression with other names for some variables."""
    if isinstance(expression, Atom):
        if not expression.scoped:
            return expression
        return replace(expression, text=re.sub(r"\w+", lambda word: new.get(word[0], word[0]), expression.text))
    return rebuilt(expression, [rename(part, new) for part in parts_of(expression)])


def write_classes(
    found: Mapping[str, Class], network: Module, before: Mapping[str, Expression], inputs: Sequence[str]
) -> list[str]:
    """All classes, each after those that it uses, and then the model's."""
    lines: list[str] = []
    kinds: dict[str, str] = {}
    done: set[str] = set()

    def write(*bodies: Expression) -> None:
        for name in [module.callee for body in bodies for module in modules(body)]:
            if name in found and name not in done:
                done.add(name)
                write(found[name].body)
                kind = kind_of_result(found[name].body, kinds)
                kinds.update({name: kind} if kind != "Tensor" else {})
                lines.extend(["", "", *class_lines(found[name], kinds)])

    write(*before.values(), network)
    return [*lines, "", "", *model_lines(network, before, inputs, kinds)]


def description(
    settled: Settled, inputs: Mapping[str, Tensor], answers: Mapping[str, Any], outside: set[str], same_order: bool
) -> str:
    """What stands at the top of the file."""
    decided = [f"    {path} = {answer!r}" for path, answer in answers.items()]
    output = settled.output
    gives = {"": output} if isinstance(output, Tensor) else output
    needs = f"torch and {', '.join(sorted(outside))}" if outside else "torch alone"
    seed = "are drawn in the order of `build(seed=...)`: `torch.manual_seed(0)` gives those of `build(seed=0)`"
    if not same_order:
        seed = "are drawn in another order than by `build(seed=...)`, so that a seed gives others"
    return "\n".join(
        [
            f"A model in PyTorch, written by archsearch {metadata.version('archsearch')}.",
            "",
            *(["It is the architecture with these answers:", "", *decided] if answers else ["Nothing was open in it."]),
            "",
            f"Takes {', '.join([signature_text(n, t) for n, t in inputs.items()])}.",
            f"Gives {', '.join([signature_text(n, t) for n, t in gives.items()])}.",
            f"It has {settled.parameters:,} parameters. The file needs {needs}.",
            "",
            "Parameters and buffers are called as in the model of `Architecture.build()`, so that `load_state_dict` "
            f"takes the weights of that one. Initial weights {seed}.",
        ]
    )


def signature_text(name: str, tensor: Tensor) -> str:
    """
    >>> signature_text("ids", Tensor(128, dtype="int64"))
    'ids (batch, 128) int64'
    """
    shape = f"({', '.join(['batch', *map(str, tensor.shape)])})" if tensor.shape else "(batch,)"
    return f"{name} {shape} {tensor.dtype}".strip()
