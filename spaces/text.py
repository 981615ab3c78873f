"""Spaces and architectures as text for a person."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archsearch.spaces.decisions import Decision
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.program import Compiler
from archsearch.spaces.resolved import Branches, Chain, Dag, Formula, Leaf, Link, Once, Skip
from archsearch.spaces.steps import ASK, ENTER, Step

if TYPE_CHECKING:
    from archsearch.spaces.architecture import Architecture
    from archsearch.spaces.space import Space

MAX_LISTED = 1_000


@dataclass
class Listed:
    """A decision of the listing: where it is asked, what may be answered, and in how many places it stands."""

    path: str
    decision: Decision
    uses: int = 1


def list_decisions(compiler: Compiler, limit: int = MAX_LISTED) -> tuple[list[Listed], bool]:
    """Every decision that a walk can reach, in the order of the walk, and whether that is all.

    A grammar has no end of decisions: the listing stops at `limit`.
    """
    listed: dict[str, Listed] = {}
    visited: set[tuple[int, str]] = set()
    entered: set[str] = set()
    stack: list[Any] = [iter(compiler.program(compiler.root))]
    complete = True
    steps_left = 20 * limit
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        step: Step = entry[4]
        steps_left -= 1
        if len(listed) >= limit or steps_left < 0:
            return list(listed.values()), False
        if step.kind == ASK:
            assert step.decision is not None
            known = listed.get(step.path)
            if known is None:
                listed[step.path] = Listed(step.path, step.decision)
            elif (id(step.site), step.path) not in visited:
                known.uses += 1
            visited.add((id(step.site), step.path))
            if step.programs is not None and step.decision.options is not None:
                answers = list(step.decision.options)
                if step.decision.kind == "integer":
                    # Of copies, the largest number holds all; not every number needs a look.
                    answers = answers[-64:]
                for answer in reversed(answers):
                    stack.append(iter(step.programs[answer]))
        elif step.kind == ENTER:
            assert step.programs is not None
            if step.path not in entered:
                entered.add(step.path)
                stack.append(iter(step.programs[None]))
        else:
            complete = turn(step, listed, stack) and complete
    return list(listed.values()), complete


def turn(step: Step, listed: Mapping[str, Listed], stack: list[Any]) -> bool:
    """Follow what is computed under every answer that it reads, where those are few."""
    assert step.programs is not None
    assert step.key is not None
    if step.widest is not None:
        stack.append(iter(step.programs[step.widest]))
        return True
    if step.reads is None:
        return False
    options = [listed[path].decision.options for path in step.reads if path in listed]
    size = 1
    for some in options:
        size *= len(some) if some is not None else 1_000
    if size > 64:
        return False
    programs = {}
    for answers in itertools.product(*[some for some in options if some is not None]):
        key = step.key(dict(zip(step.reads, answers, strict=False)))
        programs[key] = step.programs[key]
    for program in reversed(list(programs.values())):
        stack.append(iter(program))
    return True


def space_text(space: Space) -> str:
    """Every decision with its path, its options and how often it is used."""
    decisions, complete = list_decisions(space.compiler)
    width = max([len(d.path) for d in decisions], default=0)
    lines = []
    for d in decisions:
        uses = f"  (used {d.uses} times)" if d.uses > 1 else ""
        lines.append(f"  {d.path:<{width}}  {d.decision.kind}  {d.decision.text()}{uses}")
    head = f"{len(decisions)}{'' if complete else ' or more'} decisions"
    if not complete:
        lines.append("  ... and more, as a grammar is expanded")
    lines.extend([f"  require {' '.join(r.names)}" for r in space.require])
    return "\n".join([f"Space of {head}", *lines])


def architecture_text(arch: Architecture) -> str:
    """The architecture as an indented tree of values and modules, sizes still as they were written."""
    with deep_recursion():
        values = arch.values
        if isinstance(values, Mapping):
            return "\n".join([line for key, value in values.items() for line in entry_lines(key, value, 0)])
        return "\n".join(value_lines("", values, 0))


def entry_lines(key: str, value: Any, indent: int) -> list[str]:
    return value_lines(f"{key}: ", value, indent)


def value_lines(head: str, value: Any, indent: int) -> list[str]:
    pad = "  " * indent
    if isinstance(value, Once):
        value = value.part
    if isinstance(value, Chain) and len(value.parts) == 1 and not isinstance(value.parts[0], Chain | None):
        return value_lines(head, value.parts[0], indent)
    match value:
        case Leaf():
            return [f"{pad}{head}{leaf_text(value)}"]
        case Chain(parts=parts):
            steps = flatten(parts)
            if len(steps) == 1:
                return value_lines(head, steps[0], indent)
            if not steps:
                return [f"{pad}{head}identity"]
            return [f"{pad}{head}".rstrip() or f"{pad}sequential", *inner_lines(steps, indent + 1)]
        case Skip():
            return [f"{pad}{head}x +", *inner_lines(flatten((value.body,)), indent + 1)]
        case Branches():
            merge = value.merge if isinstance(value.merge, str) else "merge"
            lines = [f"{pad}{head}{merge} of"]
            for part in value.parts:
                lines.extend(value_lines("- ", part if part is not None else Chain("", ()), indent + 1))
            return lines
        case Dag():
            lines = [f"{pad}{head}graph of {', '.join(value.inputs)}"]
            for joint in (*value.vertices, *value.outputs):
                merge = joint.merge if isinstance(joint.merge, str) else "merge"
                how = f"= {merge} of" if len(joint.links) > 1 else "from" if joint.links else "is a source"
                lines.append(f"{pad}  {joint.name or 'output'} {how}")
                for link in joint.links:
                    lines.extend(link_lines(link, indent + 2))
                for then in (joint.merge, joint.op):
                    if not isinstance(then, str | None):
                        lines.extend(value_lines("then ", then, indent + 2))
            return lines
        case Mapping():
            if not value:
                return [f"{pad}{head}{{}}"]
            return [
                f"{pad}{head}".rstrip(),
                *[line for k, v in value.items() for line in entry_lines(k, v, indent + 1)],
            ]
    return [f"{pad}{head}{show(value)}"]


def link_lines(link: Link, indent: int) -> list[str]:
    if link.part is None:
        return [f"{'  ' * indent}{link.source}"]
    return value_lines(f"{link.source} through ", link.part, indent)


def inner_lines(parts: list[Any], indent: int) -> list[str]:
    return [line for part in parts for line in value_lines("", part, indent)]


def flatten(parts: tuple[Any, ...]) -> list[Any]:
    """Chains inside chains as one, identities dropped."""
    flat = []
    for part in parts:
        if isinstance(part, Once):
            part = part.part
        if isinstance(part, Chain):
            flat.extend(flatten(part.parts))
        elif part is not None:
            flat.append(part)
    return flat


def leaf_text(leaf: Leaf) -> str:
    target = leaf.target
    name = target.rpartition(":")[2].rpartition(".")[2] if isinstance(target, str) else target.__name__
    return f"{name}({', '.join([f'{k}={show(v)}' for k, v in leaf.arguments.items()])})"


def show(value: Any) -> str:
    if isinstance(value, Leaf):
        return leaf_text(value)
    if isinstance(value, Formula):
        return "from its input"
    if isinstance(value, Chain | Skip | Branches | Once | Dag):
        return "; ".join([line.strip() for line in value_lines("", value, 0)])
    return repr(value)
