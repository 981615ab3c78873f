"""Expressions of a source file, laid out as ruff's formatter lays them out."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

WIDTH = 120


@dataclass(frozen=True, slots=True)
class Atom:
    """What is written on one line: a literal or a name.

    Attributes:
        text: as written.
        kind: its type, as an annotation.
        name: of the argument that it is given for; "" for none.
        scoped: whether it is a variable or parameter, which means nothing in another class.
    """

    text: str
    kind: str = "Any"
    name: str = field(default="", compare=False)
    scoped: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A call, list, tuple or dict: `opening`, items each after its prefix (``kernel_size=``), `closing`."""

    opening: str
    items: tuple[tuple[str, Expression], ...]
    closing: str


@dataclass(frozen=True, slots=True)
class Each:
    """Equal items of a call: ``*[item for _ in range(times)]``."""

    item: Expression
    times: int


@dataclass(frozen=True, slots=True)
class Module:
    """An expression that makes a torch module.

    A container has `names` and `children`; any module may have `arguments`. One of a class that is yet to be
    written (a graph) has a `forward` in place of a `callee`.

    Attributes:
        callee: the class, as written.
        arguments: values after their prefixes ("" by position).
        names: of the children, in the module tree.
        children: the modules that a container holds.
        forward: the body of the method, for a class of its own.
        places: where in the network it stands.
    """

    callee: str
    arguments: tuple[tuple[str, Expression], ...] = ()
    names: tuple[str, ...] = ()
    children: tuple[Expression, ...] = ()
    forward: Forward | None = None
    places: tuple[str, ...] = field(default=(), compare=False)


Expression: TypeAlias = Atom | Group | Each | Module


@dataclass(frozen=True, slots=True)
class Forward:
    """A method: its parameters, assignments in order, and what it returns.

    Attributes:
        inputs: names of the parameters.
        steps: the name that is assigned, and the expression.
        result: what is returned.
        kind: the annotation of what is returned.
    """

    inputs: tuple[str, ...]
    steps: tuple[tuple[str, Expression], ...]
    result: Expression
    kind: str = "Tensor"


def call(function: str, *items: Expression, **named: Expression) -> Group:
    """A call of a function.

    >>> flat(call("torch.cat", Group("[", (("", Atom("a")), ("", Atom("b"))), "]"), dim=Atom("1")))
    'torch.cat([a, b], dim=1)'
    """
    given = [("", item) for item in items] + [(f"{name}=", item) for name, item in named.items()]
    return Group(f"{function}(", tuple(given), ")")


def quoted(text: str | bytes) -> str:
    """A string as ruff writes it: in double quotes, unless that needs more backslashes.

    >>> print(quoted("a'b"), quoted('say "x"'), quoted(b"a"))
    "a'b" 'say "x"' b"a"
    """
    # With a double quote inside, Python writes it in single ones.
    longer = repr(text + '"' if isinstance(text, str) else text + b'"')
    prefix, body = longer[:1].removeprefix("'"), longer.removeprefix("b")[1:-2].replace("\\'", "'")
    if body.count('"') <= body.count("'"):
        return prefix + '"' + body.replace('"', '\\"') + '"'
    return prefix + "'" + body.replace("'", "\\'") + "'"


def is_name(text: str) -> bool:
    """Whether it can be written after a dot, or as a keyword argument."""
    return text.isidentifier() and not keyword.iskeyword(text)


MOST_GAPS = 4


def is_positional(module: Module) -> bool:
    """Whether its children are called what `nn.Sequential(a, b, ...)` would call them.

    In a chain a few may be left out: an identity stands there.
    """
    names = module.names
    if not all([name.isdecimal() and str(int(name)) == name for name in names]):
        return False
    indices = [int(name) for name in names]
    gaps = MOST_GAPS if module.callee == "nn.Sequential" else 0
    return indices == sorted(set(indices)) and (not indices or indices[-1] - len(indices) < gaps)


def named_children(module: Module) -> tuple[tuple[str, Expression], ...]:
    """The arguments of a container that give its children their names: by position, or as an OrderedDict."""
    names, children = module.names, module.children
    pairs = tuple([(f"{quoted(name)}: ", child) for name, child in zip(names, children, strict=True)])
    if not children:
        return ()
    if module.callee == "nn.ModuleDict":
        return (("", Group("{", pairs, "}")),)
    if is_positional(module):
        return tuple([("", item) for item in positional(names, children)])
    if all([is_name(name) for name in names]):
        ordered = call("OrderedDict", **dict(zip(names, children, strict=True)))
    else:
        ordered = call("OrderedDict", Group("{", pairs, "}"))
    return (("", ordered),)


def positional(names: Sequence[str], children: Sequence[Expression]) -> list[Expression]:
    items: list[Expression] = []
    for name, child in zip(names, children, strict=True):
        items.extend([Atom("nn.Identity()", "nn.Module")] * (int(name) - len(items)))
        items.append(child)
    return shortened(items)


def shortened(items: Sequence[Expression]) -> list[Expression]:
    """Runs of three and more equal modules as one comprehension."""
    found: list[Expression] = []
    start = 0
    while start < len(items):
        end = start
        while end < len(items) and items[end] == items[start]:
            end += 1
        run = items[start:end]
        found.extend([Each(run[0], len(run))] if len(run) > 2 and isinstance(run[0], Module) else run)
        start = end
    return found


def written(expression: Expression) -> Atom | Group | Each:
    """A module as the call that makes it."""
    if not isinstance(expression, Module):
        return expression
    return Group(f"{expression.callee}(", (*named_children(expression), *expression.arguments), ")")


def flat(expression: Expression) -> str:
    """On one line, however long."""
    shown = written(expression)
    if isinstance(shown, Atom):
        return shown.text
    if isinstance(shown, Each):
        return f"*[{flat(shown.item)} for _ in range({shown.times})]"
    return shown.opening + ", ".join([prefix + flat(item) for prefix, item in shown.items]) + shown.closing


def lay_out(expression: Expression, indent: int, before: str = "", after: str = "") -> list[str]:
    """Lines of at most `WIDTH`, as ruff breaks them.

    Args:
        indent: spaces in front.
        before: what stands in front on the first line, ``self.head = `` or ``kernel_size=``.
        after: what follows on the last line, such as a comma.
    """
    shown = written(expression)
    margin, inner = " " * indent, " " * (indent + 4)
    line = f"{margin}{before}{flat(shown)}{after}"
    if len(line) <= WIDTH or isinstance(shown, Atom) or (isinstance(shown, Group) and not shown.items):
        return [line]
    if isinstance(shown, Each):
        last = f"{inner}for _ in range({shown.times})"
        return [f"{margin}{before}*[", *lay_out(shown.item, indent + 4), last, f"{margin}]{after}"]
    lines = [f"{margin}{before}{shown.opening}"]
    together = inner + ", ".join([prefix + flat(item) for prefix, item in shown.items])
    if len(together) <= WIDTH and shown.closing == ")" and shown.opening != "(":
        lines.append(together)
    else:
        lines.extend([part for prefix, item in shown.items for part in lay_out(item, indent + 4, prefix, ",")])
    return [*lines, f"{margin}{shown.closing}{after}"]
