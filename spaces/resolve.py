"""From answers to what they mean: values, and parts where modules stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archsearch.errors import SpaceError
from archsearch.spaces.decisions import typed
from archsearch.spaces.facts import function_key
from archsearch.spaces.graph import Graph
from archsearch.spaces.node import Node, deep_recursion, has_node, is_scalar
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
    member_key,
)
from archsearch.spaces.resolved import Branches, Chain, Dag, Formula, Joint, Leaf, Link, Once, Part, Skip
from archsearch.spaces.sites import Site, join
from archsearch.spaces.values import InputValue, is_module

PARTS = (Leaf, Chain, Skip, Branches, Once, Dag)


def resolve(site: Site, answers: Mapping[str, Any]) -> Any:
    """The meaning of the node at a site under `answers`.

    Modules become `archsearch.spaces.resolved` parts, values Python values; a Derived that reads
    `A.input` becomes a `Formula`.
    """
    with deep_recursion():
        return meaning(site, answers)


def meaning(site: Site, answers: Mapping[str, Any]) -> Any:
    if site.closed is not None:
        return site.closed[0]
    value = find_meaning(site, answers)
    # Parts are frozen, so that all architectures can hold the same; other values may not be.
    if isinstance(value, PARTS) and not site.facts.of(site.node).open:
        site.closed = (value,)
    return value


def find_meaning(site: Site, answers: Mapping[str, Any]) -> Any:
    node = site.node
    match node:
        case Choice():
            return of_choice(site, node, answers)
        case Integer() | Real():
            return own_answer(site, node, answers)
        case Derived():
            return of_derived(site, node, answers)
        case InputValue():
            return Formula(site.place, lambda size: getattr(size, node.field), ("input", node.field))
        case Module():
            arguments = {k: meaning(site.child(f".{k}", v), answers) for k, v in node.arguments.items()}
            return Leaf(site.place, node.target, arguments, node.infer, node.shape)
        case Sequential():
            return Chain(site.place, parts_of(site, node.members, answers))
        case Parallel():
            merge = node.merge
            if isinstance(merge, Node):
                merge = as_part(meaning(site.child(".merge", merge), answers), site)
            return Branches(site.place, parts_of(site, node.members, answers), merge, node.dim)
        case Residual():
            project = node.project
            if isinstance(project, Node):
                project = as_part(meaning(site.child(".project", project), answers), site)
            return Skip(site.place, as_part(meaning(site.child("[0]", node.node), answers), site), project)
        case Optional():
            if not answers[own_path(site, node.name)]:
                return None
            return wrap(site, meaning(site.child(".present", node.node), answers))
        case Repeat():
            return of_repeat(site, node, answers)
        case Permute():
            order = own_answer(site, node, answers)
            steps = {member_key(step): (step, member) for step, member in node.members.items()}
            picked = [steps[key] for key in order]
            return items(site, [meaning(site.child(step, member), answers) for step, member in picked], node)
        case Subset():
            return of_subset(site, node, answers)
        case Lazy():
            suffix, arguments = lazy_suffix(site, node, answers)
            inside = expand_lazy(site, node, suffix, arguments)
            value = meaning(inside, answers)
            return wrap(site, value) if suffix else value
        case Graph():
            return of_graph(site, answers)
        case Scope():
            return meaning(site.scoped(), answers)
        case Shared():
            path = site.frame.path(node.name, site.place)
            value = meaning(site.inside(node.node, site.frame.shared(), path, path), answers)
            return Once(path, value) if node.weights and isinstance(value, PARTS) else value
        case Mapping():
            return {key: meaning(site.child(f".{key}", child), answers) for key, child in node.items()}
        case list():
            return [meaning(site.child(f"[{i}]", child), answers) for i, child in enumerate(node)]
        case tuple():
            inside_all = [meaning(site.child(f"[{i}]", child), answers) for i, child in enumerate(node)]
            return tuple(inside_all)
    return node


def own_path(site: Site, name: str | None) -> str:
    return (site.path or "root") if name is None else site.frame.path(name, site.place)


def own_answer(site: Site, node: Any, answers: Mapping[str, Any]) -> Any:
    """The answer of a decision; the only option where there is one."""
    if node.decision.size == 1:
        return node.decision.options[0]
    return answers[own_path(site, node.name)]


def of_choice(site: Site, node: Choice, answers: Mapping[str, Any]) -> Any:
    answer = own_answer(site, node, answers)
    if node.branches is None:
        return answer
    inside = site.child(f".{answer}", node.branches[answer])
    if inside.chosen is not None:
        return inside.chosen[0]
    value = wrap(site, meaning(inside, answers))
    if inside.closed is not None:
        inside.chosen = (value,)
    return value


def wrap(site: Site, value: Any) -> Any:
    """A part one step further in keeps that step in the module tree."""
    if isinstance(value, PARTS):
        return Chain(site.place, (value,), isinstance(value, Chain) and value.items)
    return value


def items(site: Site, values: list[Any], node: Any) -> Any:
    """Items: a chain of parts, or a list of values."""
    if any([isinstance(value, PARTS) for value in values]) or is_module(node):
        return Chain(site.place, tuple([one_module(as_part(value, site)) for value in values]), items=True)
    return values


def one_module(part: Part) -> Part:
    """An item is one module: items inside it are a chain."""
    return replace(part, items=False) if isinstance(part, Chain) and part.items else part


def as_part(value: Any, site: Site) -> Part:
    if value is None or isinstance(value, PARTS):
        return value
    if isinstance(value, list):
        return Chain(site.place, tuple([as_part(item, site) for item in value]), items=True)
    if isinstance(value, Formula):
        raise SpaceError(
            f"{site.place or 'root'}: which module stands here cannot follow from A.input; put A.input into the "
            "arguments of the module"
        )
    raise SpaceError(f"{site.place or 'root'}: a module was expected here, but got the value {value!r}")


def parts_of(site: Site, members: Mapping[str, Any], answers: Mapping[str, Any]) -> tuple[Part, ...]:
    parts = []
    for step, child in members.items():
        if child is not None:
            inside = site.child(step, child)
            parts.append(as_part(meaning(inside, answers), inside))
    return tuple(parts)


def of_repeat(site: Site, node: Repeat, answers: Mapping[str, Any]) -> Any:
    times = node.times
    if isinstance(times, Choice | Integer) and getattr(times, "branches", None) is None:
        times = own_answer(site, times, answers)
    elif isinstance(times, Node):
        times = meaning(site.child(".times", times), answers)
    copies = []
    for i in range(times):
        copy = site.children.get(f"[{i}]") or site.child(f"[{i}]", node.copy(i), "[*]" if node.tied else None)
        copies.append(meaning(copy, answers))
    return items(site, copies, node)


def of_graph(site: Site, answers: Mapping[str, Any]) -> Dag:
    from archsearch.spaces.wiring import plan_of

    plan = plan_of(site)
    wiring = plan.wiring(answers)
    joints = []
    is_value = plan.node.is_value
    for i, ((reader, inside), links) in enumerate(zip(plan.readers, wiring.links, strict=True)):
        if i < plan.num_vertices and i not in wiring.live:
            continue
        read = [
            Link(source, None if slot.node is None else as_part(meaning(slot.node, answers), slot.node))
            for slot, source in links
        ]
        if i >= plan.num_vertices:
            read.extend([Link(name, None) for name in plan.unread(wiring)])
        merge = reader.merge
        if isinstance(merge, Node):
            merge = as_part(meaning(inside.child(".merge", merge), answers), inside)
        operation = None
        # At an output, ".op" is the operation of an edge whose source is decided; it has none of its own.
        if i < plan.num_vertices:
            op = inside.child(".op", reader.node)
            operation = meaning(op, answers)
            if not is_value:
                operation = as_part(operation, op)
        joints.append(Joint(reader.name, inside.place, tuple(read), merge, reader.dim, operation))
    num_live = len(wiring.live)
    return Dag(site.place, plan.node.inputs, tuple(joints[:num_live]), tuple(joints[num_live:]))


def of_subset(site: Site, node: Subset, answers: Mapping[str, Any]) -> Any:
    base = site.path if node.name is None else site.frame.path(node.name, site.place)
    members = []
    chosen = 0
    left = len(node.members)
    for step, member in node.members.items():
        left -= 1
        present = answers.get(join(base, step))
        if present is None:
            # Not asked because it is forced: out when full, in when all that are left are needed.
            present = chosen < node.maximum and chosen + left < node.minimum
        if present:
            chosen += 1
            outer = site.child(step, None)
            members.append(wrap(outer, meaning(outer.child(".present", member), answers)))
    return items(site, members, node)


def of_derived(site: Site, node: Derived, answers: Mapping[str, Any]) -> Any:
    values = [meaning(site.child(step, child), answers) for step, child in node.children()]
    if any([has_formula(value) for value in values]):
        key = (function_key(node.function), *[value_key(value) for value in values], *node.values)
        return Formula(site.place, lambda size: call(site, node, [settled(value, size) for value in values]), key)
    return call(site, node, values)


def value_key(value: Any) -> Any:
    if isinstance(value, Formula):
        return value.key
    if isinstance(value, list | tuple):
        return tuple([value_key(item) for item in value])
    return typed(value)


def has_formula(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any([has_formula(item) for item in value])
    return isinstance(value, Formula)


def settled(value: Any, size: Any) -> Any:
    if isinstance(value, Formula):
        return value.evaluate(size)
    if isinstance(value, list | tuple):
        return type(value)([settled(item, size) for item in value])
    return value


def call(site: Site, node: Derived, values: list[Any]) -> Any:
    """The value of a Derived; a closed node that it returns is resolved at its place."""
    result = node.compute(values, site.place or "root")
    if not has_node(result):
        return result
    if site.facts.of(result).open:
        raise SpaceError(f"{site.place or 'root'}: a Derived may return a closed node only; use Lazy for {result!r}")
    return meaning(Site(result, site.place, site.path, site.frame, site.owner, site.facts), {})


def lazy_suffix(site: Site, node: Lazy, answers: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The step ``(v1,v2)`` of a Lazy's expansion, and the values of its arguments."""
    arguments = {}
    shown = []
    for name, argument in node.arguments.items():
        value = arguments[name] = resolve(site.child(f".{name}", argument), answers) if has_node(argument) else argument
        if site.facts.of(argument).open:
            if not (is_scalar(value) or isinstance(value, tuple)):
                raise SpaceError(
                    f"{site.place or 'root'}: Lazy's argument {name} must be a scalar or a tuple, but got {value!r}"
                )
            shown.append(show_value(value))
    return (f"({','.join(shown)})" if shown else ""), arguments


def show_value(value: Any) -> str:
    if isinstance(value, str) and value.isidentifier() and value not in ("true", "false", "null"):
        return value
    return json.dumps(value, separators=(",", ":"))


def expand_lazy(site: Site, node: Lazy, suffix: str, arguments: Mapping[str, Any]) -> Site:
    """The site of what a Lazy's function returns; the function is called once for each expansion."""
    key = f"={suffix}"
    inside = site.children.get(key)
    if inside is None:
        expansion = node.expand(arguments, site.place or "root")
        inside = site.children[key] = Site(
            expansion, site.place + suffix, site.path + suffix, site.frame, site.owner, site.facts
        )
    return inside
