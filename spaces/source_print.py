"""The text of classes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

from archsearch.spaces.source_classes import Class, atoms
from archsearch.spaces.source_text import (
    WIDTH,
    Atom,
    Expression,
    Group,
    Module,
    call,
    is_name,
    lay_out,
    named_children,
    quoted,
)
from archsearch.spaces.source_wires import reference

SHOWN = 3
"""Places that a class names."""


def class_lines(found: Class, kinds: Mapping[str, str]) -> list[str]:
    """A class for a part that repeats, or for a graph.

    Args:
        found: the class.
        kinds: by class, what is returned by those that return no tensor.
    """
    return [
        f"class {found.name}({base_of(found.body)}):",
        *docstring(f"At {places_text(found.body.places)}.", 4),
        "",
        *constructor(found.parameters, {}, found.body),
        *method(found.body, ("x",), kinds),
    ]


def model_lines(
    body: Module, before: Mapping[str, Expression], inputs: Sequence[str], kinds: Mapping[str, str]
) -> list[str]:
    """The class of the whole network.

    Args:
        body: the network.
        before: modules that stand at several places, by the name of the variable.
        inputs: names of what reaches it.
        kinds: as in `class_lines`.
    """
    head = [f"class Model({base_of(body)}):", *docstring("The network.", 4)]
    if not (body.children or body.arguments or body.forward):
        return head
    return [*head, "", *constructor([], before, body), *method(body, inputs, kinds)]


def docstring(text: str, indent: int) -> list[str]:
    """Text between triple quotes, in ASCII; paragraphs apart, what is indented by itself."""
    safe = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').encode("ascii", "backslashreplace").decode()
    margin = " " * indent
    lines = []
    for line in safe.splitlines():
        own = line[: len(line) - len(line.lstrip())]
        lines.extend(
            textwrap.wrap(
                line,
                WIDTH - indent - 6,
                subsequent_indent=f"{own}    " if own else "",
                break_long_words=False,
                break_on_hyphens=False,
            )
            or [""]
        )
    lines[0] = f'"""{lines[0]}'
    if len(lines) > 1:
        lines.append('"""')
    else:
        lines[0] += '"""'
    return [f"{margin}{line}".rstrip() for line in lines]


def places_text(places: Sequence[str]) -> str:
    """The first of several places, and how many others there are; on one line where the first leaves room for that."""
    texts = []
    for number in range(min(SHOWN, len(places)), 0, -1):
        left = len(places) - number
        more = f" and {left} more place{'s' if left > 1 else ''}" if left else ""
        texts.append(", ".join([place or "the root" for place in places[:number]]) + more)
    return next((text for text in texts if len(text) < WIDTH - 14), texts[-1])


def has_attributes(body: Module) -> bool:
    """Whether its class holds the modules as attributes, and not as the arguments of a container."""
    is_chain = body.callee == "nn.Sequential" and len(body.names) > 1
    return body.forward is not None or (is_chain and all([is_name(name) for name in body.names]))


def base_of(body: Module) -> str:
    return "nn.Module" if has_attributes(body) else body.callee


def constructor(parameters: Sequence[Atom], before: Mapping[str, Expression], body: Module) -> list[str]:
    """The method that makes the modules."""
    lines = signature("__init__", [f"{p.text}: {p.kind}" for p in parameters], "None")
    waiting = dict(before)
    if not has_attributes(body):
        lines.extend(made_for(body, waiting))
        items = (*named_children(body), *body.arguments)
        return [*lines, *lay_out(Group("super().__init__(", items, ")"), 8)]
    lines.append("        super().__init__()")
    for name, child in zip(body.names, body.children, strict=True):
        lines.extend(made_for(child, waiting))
        if is_name(name):
            lines.extend(lay_out(child, 8, f"self.{name} = "))
        else:
            lines.extend(lay_out(call("self.add_module", Atom(quoted(name)), child), 8))
    return lines


def made_for(expression: Expression, waiting: dict[str, Expression]) -> list[str]:
    """The variables that an expression needs and that are not made yet."""
    lines = []
    for name in [name for name in waiting if name in variables(expression)]:
        if name in waiting:
            made = waiting.pop(name)
            lines.extend([*made_for(made, waiting), *lay_out(made, 8, f"{name} = ")])
    return lines


def variables(expression: Expression) -> set[str]:
    """The variables that an expression mentions."""
    return {word for atom in atoms(expression) if atom.scoped for word in re.findall(r"[\w.]+", atom.text)}


def method(body: Module, inputs: Sequence[str], kinds: Mapping[str, str]) -> list[str]:
    """The method that computes, where the class does not inherit it."""
    if not has_attributes(body):
        return []
    kind = kind_of_result(body, kinds)
    if body.forward is None:
        lines = ["", *signature("forward", [f"{name}: Tensor" for name in inputs], kind)]
        given = [Atom(name) for name in inputs]
        for name in body.names[:-1]:
            lines.extend(lay_out(call(reference((name,)), *given), 8, "x = "))
            given = [Atom("x")]
        return [*lines, *lay_out(call(reference((body.names[-1],)), *given), 8, "return ")]
    lines = ["", *signature("forward", [f"{name}: Tensor" for name in body.forward.inputs], kind)]
    for target, value_made in body.forward.steps:
        lines.extend(lay_out(value_made, 8, f"{target} = "))
    return [*lines, *lay_out(body.forward.result, 8, "return ")]


def kind_of_result(body: Expression, kinds: Mapping[str, str]) -> str:
    """The annotation of what a module returns."""
    if not isinstance(body, Module):
        return "Tensor"
    if body.forward is not None:
        return body.forward.kind
    if body.callee in kinds:
        return kinds[body.callee]
    return kind_of_result(body.children[-1], kinds) if body.callee == "nn.Sequential" and body.children else "Tensor"


def signature(name: str, parameters: Sequence[str], kind: str) -> list[str]:
    """The first lines of a method."""
    items = ["self", *parameters]
    line = f"    def {name}({', '.join(items)}) -> {kind}:"
    if len(line) <= WIDTH:
        return [line]
    together = "        " + ", ".join(items)
    inside = [together] if len(together) <= WIDTH else [f"        {item}," for item in items]
    return [f"    def {name}(", *inside, f"    ) -> {kind}:"]
