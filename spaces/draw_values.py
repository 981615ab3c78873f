"""Decisions and values as lines of a drawing: what may be chosen, and the path that the record keeps."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archsearch.spaces.decisions import BOOLEAN, Decision, IntegerRange, RealRange
from archsearch.spaces.draw_show import show
from archsearch.spaces.graph import Graph
from archsearch.spaces.node import Node, has_node
from archsearch.spaces.nodes import (
    Choice,
    Derived,
    Integer,
    Lazy,
    Module,
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
from archsearch.spaces.picture import ELLIPSIS, TIMES, Decided, Line
from archsearch.spaces.program import num_subsets, shared_site
from archsearch.spaces.sites import Site, join
from archsearch.spaces.values import InputValue, size_at

# More options than this, or more characters, are abbreviated.
MOST_OPTIONS, MOST_CHARACTERS = 8, 80

INFIX = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: TIMES,
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.pow: "**",
}
SIGNS = frozenset([*INFIX, operator.neg])


def options_text(decision: Decision) -> str:
    """What may be answered, in a few characters.

    >>> options_text(BOOLEAN), options_text(IntegerRange(1, 4))
    ('yes | no', '1 to 4')
    """
    if isinstance(decision, IntegerRange | RealRange):
        return decision.text()
    if decision.kind == "permute":
        return f"{len(decision.options)} orders"
    if decision.options == BOOLEAN.options:
        return "yes | no"
    return some_of([option if isinstance(option, str) else show(option) for option in decision.options])


def some_of(words: list[str]) -> str:
    """Words, those in the middle left out where they are many."""
    text = " | ".join(words)
    if len(words) <= MOST_OPTIONS and (len(text) <= MOST_CHARACTERS or len(words) < 3):
        return text
    kept = words[:5]
    while len(kept) > 1 and len(" | ".join(kept)) > MOST_CHARACTERS:
        kept.pop()
    if len(kept) + 1 == len(words):
        return text
    return " | ".join([*kept, ELLIPSIS, words[-1]]) + f" ({len(words)} options)"


@dataclass
class Lines:
    """Lines of a node so far, and the decisions that they show."""

    lines: list[Line] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)

    def add(self, text: str, style: str = "text") -> None:
        self.lines.append(Line(text, style))


class Values:
    """Writes values and decisions; knows which paths have been shown."""

    def __init__(self) -> None:
        self.shown: set[str] = set()
        self.shared: set[str] = set()

    def path_of(self, site: Site, name: str | None) -> str:
        return (site.path or "root") if name is None else site.frame.path(name, site.place)

    def decision(self, out: Lines, label: str, decision: Decision, path: str, what: str = "") -> None:
        """Show a decision; where it has been shown, only that it is used."""
        label = f"{label}: " if label else ""
        if path in self.shown:
            out.add(f"{label}{what}as {path}", "use")
            return
        self.shown.add(path)
        out.decided.append(Decided(path, decision))
        out.add(f"{label}{what}{options_text(decision)}", "decision")
        out.add(path, "path")

    def write(self, out: Lines, site: Site, label: str) -> None:
        """Add the lines of the value, or of the small module, at a site."""
        node = site.node
        match node:
            case Choice() if node.decision.size == 1 and node.branches is None:
                out.add(f"{label} = {show(node.decision.options[0])}")
            case Choice():
                self.choice(out, site, node, label)
            case Integer() if node.decision.size == 1:
                out.add(f"{label} = {node.decision.low}")
            case Integer() | Real():
                self.decision(out, label, node.decision, self.path_of(site, node.name))
            case Derived() | InputValue():
                self.derived(out, site, label)
            case Module():
                self.module(out, site, node, label)
            case Optional():
                self.decision(out, label, node.decision, self.path_of(site, node.name), "present: ")
                self.write(out, site.child(".present", node.node), label)
            case Repeat():
                self.times(out, site, node, label)
                self.write(out, copy_site(site, node), f"{label}[i]")
            case Scope():
                self.write(out, site.scoped(), label)
            case Shared():
                inside = shared_site(site, node)
                if inside.path in self.shared:
                    out.add(f"{label}: as {inside.path}", "use")
                else:
                    self.shared.add(inside.path)
                    self.write(out, inside, label)
            case Permute():
                if node.decision.size > 1:
                    self.decision(out, label, node.decision, self.path_of(site, node.name), "any order: ")
                self.write_all(out, site, node.members, label)
            case Subset():
                out.add(f"{label}: {subset_text(node)}")
                for step, member, path, asked in subset_members(site, node):
                    if asked:
                        self.decision(out, f"{label}{step}", BOOLEAN, path)
                    self.write(out, member, f"{label}{step}")
            case Lazy():
                out.add(f"{label} = {show(node.function)}({', '.join(node.arguments)})")
                self.write_all(out, site, {f".{name}": value for name, value in node.arguments.items()}, "")
            case Mapping():
                self.write_all(out, site, {f".{key}": value for key, value in node.items()}, label)
            case list() | tuple() if has_node(node):
                self.write_all(out, site, {f"[{i}]": value for i, value in enumerate(node)}, label)
            case _:
                out.add(f"{label} = {show(node)}")

    def write_all(self, out: Lines, site: Site, members: Mapping[str, Any], label: str) -> None:
        for step, member in members.items():
            self.write(out, site.child(step, member), join(label, step))

    def choice(self, out: Lines, site: Site, node: Choice, label: str) -> None:
        if node.decision.size > 1:
            self.decision(out, label, node.decision, self.path_of(site, node.name))
        for option, branch in (node.branches or {}).items():
            if has_node(branch) or branch is not None:
                self.write(out, site.child(f".{option}", branch), f"{option}")

    def module(self, out: Lines, site: Site, node: Module, label: str) -> None:
        plain = {name: value for name, value in node.arguments.items() if not has_node(value)}
        out.add(f"{label} = {node.label}({', '.join([f'{name}={show(value)}' for name, value in plain.items()])})")
        for name, value in node.arguments.items():
            if has_node(value):
                self.write(out, site.child(f".{name}", value), f"{label}.{name}")

    def arguments(self, out: Lines, site: Site, arguments: Mapping[str, Any]) -> None:
        """The arguments of a module: the plain ones together, then what is open."""
        plain = [f"{name}={show(value)}" for name, value in arguments.items() if not has_node(value)]
        if plain:
            out.add(", ".join(plain))
        for name, value in arguments.items():
            if has_node(value):
                self.write(out, site.child(f".{name}", value), name)

    def times(self, out: Lines, site: Site, node: Repeat, label: str = "") -> None:
        """How often a Repeat repeats."""
        head = f"{label}: " if label else ""
        times = node.times
        alike = ", all alike" if node.tied else ""
        sign = f"{TIMES} "
        if isinstance(times, Choice | Integer) and getattr(times, "branches", None) is None:
            if times.decision.size > 1:
                self.decision(out, label, times.decision, self.path_of(site, times.name), sign)
                if alike:
                    out.add("all alike", "note")
                return
            times = times.decision.options[0]
        if isinstance(times, Node):
            self.write(out, site.child(".times", times), f"{head}{sign}".strip())
        else:
            out.add(f"{head}{sign}{times}{alike}", "title" if not label else "text")

    def derived(self, out: Lines, site: Site, label: str) -> None:
        """A value that follows from others, and the decisions among those."""
        inside, others = list(decisions_in(site)), list(other_operands(site, label))
        new = [(path, node) for path, node in inside if path not in self.shown]
        self.shown.update([path for path, _ in new])
        text = f"{label} = {formula(site)}"
        out.add(text, "decision" if new else "use" if inside or others else "text")
        for path, node in new:
            out.decided.append(Decided(path, node.decision))
            alone = len(new) == 1 and node.name is None
            out.add(path if alone else f"{path}: {options_text(node.decision)}", "path")
        for operand, name in others:
            self.write(out, operand, name)


def formula(site: Site) -> str:
    """A value node as an expression; an unnamed decision stands as its options."""
    node = site.node
    match node:
        case InputValue():
            return repr(node)
        case Choice() | Integer() | Real():
            if node.decision.options is not None and node.decision.size == 1:
                return show(node.decision.options[0])
            return node.name if node.name is not None else f"({options_text(node.decision)})"
        case Derived():
            operands = [formula(site.child(step, child)) for step, child in node.children()]
            sign = INFIX.get(node.function)
            if sign is not None and len(operands) == 2:
                nested = [isinstance(child, Derived) and child.function in SIGNS for _, child in node.children()]
                left, right = [f"({text})" if inner else text for text, inner in zip(operands, nested, strict=True)]
                return f"{left} {sign} {right}"
            if node.function is operator.neg:
                return f"-({operands[0]})" if isinstance(node.operands[0], Derived) else f"-{operands[0]}"
            if node.function is size_at:
                return f"{operands[0]}[{operands[1]}]"
            name = getattr(node.function, "__name__", "function")
            return f"{'f' if name == '<lambda>' else name}({', '.join(operands)})"
        case list() | tuple():
            return f"({', '.join([formula(site.child(f'[{i}]', child)) for i, child in enumerate(node)])})"
    if isinstance(node, Node):
        return re.split(r"[.\[\]]+", site.place.rstrip("]"))[-1] or type(node).__name__
    return show(node)


def decisions_in(site: Site) -> Iterator[tuple[str, Any]]:
    """The decisions of a Derived's operands with their paths."""
    node = site.node
    if is_plain(node):
        yield (site.path or "root") if node.name is None else site.frame.path(node.name, site.place), node
    elif isinstance(node, Derived):
        for step, child in node.children():
            yield from decisions_in(site.child(step, child))
    elif isinstance(node, list | tuple):
        for i, child in enumerate(node):
            yield from decisions_in(site.child(f"[{i}]", child))


def other_operands(site: Site, label: str) -> Iterator[tuple[Site, str]]:
    """The operands of a Derived that decide more than one value, with what to call them."""
    node = site.node
    if isinstance(node, Derived):
        inside = node.children()
    elif isinstance(node, list | tuple):
        inside = [(f"[{i}]", child) for i, child in enumerate(node)]
    else:
        return
    for step, child in inside:
        operand = site.child(step, child)
        if isinstance(child, Derived | list | tuple):
            yield from other_operands(operand, f"{label}{step}")
        elif has_node(child) and not isinstance(child, Integer | Real | InputValue) and not is_plain(child):
            yield operand, f"{label}{step}"


def is_plain(node: Any) -> bool:
    """A decision that stands for one of several plain values."""
    return isinstance(node, Choice | Integer | Real) and node.decision.size > 1 and not getattr(node, "branches", None)


def copy_site(site: Site, node: Repeat) -> Site:
    """A copy of a Repeat that stands for all: `[i]`, or `[*]` where all are alike."""
    return site.child("[i]", node.node, "[*]" if node.tied else None)


def subset_text(node: Subset) -> str:
    low, high, n = node.minimum, node.maximum, len(node.members)
    if low == high:
        return f"{low} of {n}"
    return f"{low} to {high} of {n}" if (low, high) != (0, n) else f"any of {n}"


def subset_members(site: Site, node: Subset) -> Iterator[tuple[str, Site, str, bool]]:
    """The members of a Subset: the step, the site inside, the path of its boolean, and whether it is ever asked."""
    base = site.path if node.name is None else site.frame.path(node.name, site.place)
    chosen = {0}
    left = len(node.members)
    for step, member in node.members.items():
        left -= 1
        with_it = {c for c in chosen if num_subsets(left, node.minimum - c - 1, node.maximum - c - 1)}
        without = {c for c in chosen if num_subsets(left, node.minimum - c, node.maximum - c)}
        yield step, site.child(step, None).child(".present", member), join(base, step), bool(with_it & without)
        chosen = {c + 1 for c in with_it} | without


def is_small(node: Any) -> bool:
    """Whether a module can be written in lines: it is a plain one, or an argument that is none."""
    if isinstance(node, Module):
        return all([is_small(value) for value in node.arguments.values()])
    if isinstance(node, Sequential | Residual | Parallel | Graph | Lazy):
        return False
    if isinstance(node, Choice):
        return all([is_small(branch) for branch in (node.branches or {}).values()])
    if isinstance(node, Optional | Scope | Shared):
        return is_small(node.node)
    if isinstance(node, Repeat):
        return (isinstance(node.node, Node) or has_node(node.node)) and is_small(node.node)
    if isinstance(node, Permute | Subset):
        return all([is_small(member) for member in node.members.values()])
    if isinstance(node, Derived):
        return all([is_small(child) for _, child in node.children()])
    if isinstance(node, Mapping):
        return all([is_small(value) for value in node.values()])
    if isinstance(node, list | tuple):
        return all([is_small(value) for value in node])
    return True
