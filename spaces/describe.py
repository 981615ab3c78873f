"""A space as JSON: kinds, labels, bounds, names, dotted classes, arguments, and functions by what they say.

The record stores it, so that a study is only continued on the space that it was begun with.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archsearch.spaces.decisions import Decision, IntegerRange, Options, RealRange
from archsearch.spaces.graph import Graph
from archsearch.spaces.node import Node, deep_recursion, is_scalar
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
from archsearch.spaces.prior import rounded
from archsearch.spaces.require import Require
from archsearch.spaces.values import InputValue

if TYPE_CHECKING:
    from archsearch.spaces.space import Space


def describe(space: Space) -> dict[str, Any]:
    """The space as JSON-able data; equal for equal declarations in any process."""
    with deep_recursion():
        return {
            "space": describe_node(space.root),
            "inputs": {
                name: {"shape": list(t.shape), "dtype": t.dtype, "below": t.below} for name, t in space.inputs.items()
            },
            "require": [describe_require(r) for r in space.require],
            "where": [describe_function(f) for f in space.where],
        }


def describe_node(node: Any) -> Any:
    match node:
        case Choice() if node.branches is not None:
            branches = {label: describe_node(branch) for label, branch in node.branches.items()}
            return {"kind": "Choice", **named(node), **describe_prior(node.decision), "branches": branches}
        case Choice() | Integer() | Real():
            kind = "Choice" if isinstance(node, Choice) else type(node).__name__
            return {"kind": kind, **named(node), **describe_decision(node.decision)}
        case Derived():
            values = {step: describe_node(child) for step, child in node.children()}
            return {"kind": "Derived", "function": describe_function(node.function), "values": values}
        case InputValue():
            return {"kind": "input", "field": node.field}
        case Module():
            described = {
                "kind": "Module",
                "class": dotted(node.target),
                "arguments": {name: describe_node(value) for name, value in node.arguments.items()},
            }
            if node.infer:
                described["infer"] = {
                    k: v if isinstance(v, str) else describe_function(v) for k, v in node.infer.items()
                }
            if node.shape is not None:
                described["shape"] = describe_function(node.shape)
            return described
        case Sequential():
            return {"kind": "Sequential", "parts": describe_members(node)}
        case Parallel():
            return {
                "kind": "Parallel",
                "branches": describe_members(node),
                "merge": describe_node(node.merge),
                "dim": node.dim,
            }
        case Residual():
            return {"kind": "Residual", "body": describe_node(node.node), "project": describe_node(node.project)}
        case Optional():
            present = describe_prior(node.decision)
            return {"kind": "Optional", **named(node), **present, "node": describe_node(node.node)}
        case Repeat():
            body = (
                describe_node(node.node)
                if isinstance(node.node, Node | Mapping | list | tuple)
                else ({"kind": "function of the index", "function": describe_function(node.node)})
            )
            return {"kind": "Repeat", "times": describe_node(node.times), "tied": node.tied, "node": body}
        case Permute():
            return {"kind": "Permute", **named(node), "members": describe_members(node)}
        case Subset():
            bounds = {"minimum": node.minimum, "maximum": node.maximum}
            return {"kind": "Subset", **named(node), **bounds, "members": describe_members(node)}
        case Lazy():
            arguments = {name: describe_node(value) for name, value in node.arguments.items()}
            return {"kind": "Lazy", "function": describe_function(node.function), "arguments": arguments}
        case Graph():
            return describe_graph(node)
        case Scope():
            own = {"require": [describe_require(r) for r in node.require]} if node.require else {}
            return {"kind": "Scope", "names": list(node.names), **own, "node": describe_node(node.node)}
        case Shared():
            return {"kind": "Shared", "name": node.name, "weights": node.weights, "node": describe_node(node.node)}
        case Mapping():
            return {"kind": "dict", "items": {str(key): describe_node(value) for key, value in node.items()}}
        case list() | tuple():
            return {"kind": type(node).__name__, "items": [describe_node(value) for value in node]}
    return describe_plain(node)


def describe_graph(node: Graph) -> dict[str, Any]:
    vertices = {
        name: {
            "inputs": describe_node(vertex.inputs),
            "merge": describe_node(vertex.merge),
            "dim": vertex.dim,
            "node": describe_node(vertex.node),
        }
        for name, vertex in node.vertices.items()
    }
    return {
        "kind": "Graph",
        "inputs": list(node.inputs),
        "vertices": vertices,
        "outputs": describe_node(node.outputs),
        "merge": describe_node(node.merge),
        "unused": node.unused,
        "dead": node.dead,
        "max_edges": node.max_edges,
        "dim": node.dim,
    }


def named(node: Any) -> dict[str, str]:
    return {} if node.name is None else {"name": node.name}


def describe_members(node: Any) -> dict[str, Any]:
    return {step: describe_node(member) for step, member in node.members.items()}


def describe_decision(decision: Decision) -> dict[str, Any]:
    if isinstance(decision, IntegerRange | RealRange):
        return {"low": decision.low, "high": decision.high, "log": decision.log}
    return {
        "options": [list(o) if isinstance(o, tuple) else o for o in decision.options],
        **describe_prior(decision),
    }


def describe_prior(decision: Options) -> dict[str, list[float]]:
    """The probabilities of the options, where the user gave a prior: it changes what is proposed."""
    return {} if decision.prior is None else {"prior": rounded(decision.prior)}


def describe_plain(value: Any) -> Any:
    if is_scalar(value):
        return value
    if callable(value):
        return describe_function(value)
    return {"kind": "value", "class": dotted(type(value)), "text": text_without_address(value)}


def text_without_address(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} object" if " at 0x" in text else text


def describe_require(require: Require) -> dict[str, Any]:
    return {"names": list(require.names), "function": describe_function(require.function)}


def dotted(target: Callable[..., Any] | str) -> str:
    if isinstance(target, str):
        return target
    return f"{getattr(target, '__module__', '')}:{getattr(target, '__qualname__', type(target).__qualname__)}"


def describe_function(function: Callable[..., Any]) -> dict[str, Any]:
    """A function by its qualified name, a hash of its source, and the plain values that it closes over.

    The source, not the bytecode, is hashed, since bytecode differs between versions of Python; comments and
    layout do not count. The module is left out: a study file is loaded under a name of its own.
    """
    if isinstance(function, functools.partial):
        given = {**{f"[{i}]": value for i, value in enumerate(function.args)}, **function.keywords}
        return {
            **describe_function(function.func),
            "partial": {name: describe_node(value) for name, value in given.items()},
        }
    described: dict[str, Any] = {"function": getattr(function, "__qualname__", type(function).__qualname__)}
    source = source_of(function)
    if source is not None:
        described["source"] = hashlib.blake2b(source.encode(), digest_size=8).hexdigest()
    closed = closure_values(function)
    if closed:
        described["closure"] = closed
    return described


def closure_values(function: Callable[..., Any]) -> dict[str, Any]:
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    values = {}
    for name, cell in zip(code.co_freevars if code is not None else (), cells, strict=False):
        try:
            content = cell.cell_contents
        except ValueError:
            continue
        if is_plain(content):
            values[name] = describe_node(content)
    return values


def is_plain(value: Any) -> bool:
    """A scalar, or a tuple, list or dict of such."""
    if isinstance(value, Mapping):
        return all([isinstance(key, str) and is_plain(item) for key, item in value.items()])
    return all([is_plain(item) for item in value]) if isinstance(value, list | tuple) else is_scalar(value)


def source_of(function: Callable[..., Any]) -> str | None:
    """The source without comments, blank lines and indentation of the whole; None where there is none."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None
    lines = source.splitlines()
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, IndentationError, SyntaxError):
        pass  # a lambda inside a larger expression is no program of its own; its lines stand as they are
    return "\n".join([line.rstrip() for line in lines if line.strip()])


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """Where two descriptions differ, as lines for a person; functions are compared by `functions_only`."""
    if isinstance(before, dict) and isinstance(after, dict):
        lines = []
        for key in [*before, *[k for k in after if k not in before]]:
            step = f"{where}.{key}" if where and not str(key).startswith(("[", ".")) else f"{where}{key}"
            if key not in after:
                lines.append(f"{step}: no longer there")
            elif key not in before:
                lines.append(f"{step}: new")
            else:
                lines.extend(differences(before[key], after[key], step))
        return lines
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            line
            for i, (b, a) in enumerate(zip(before, after, strict=True))
            for line in differences(b, a, f"{where}[{i}]")
        ]
    return [] if type(before) is type(after) and before == after else [f"{where}: was {before!r}, is {after!r}"]


def without_functions(description: Any) -> Any:
    """A description with every function's source left out: what counts as the structure."""
    if isinstance(description, dict):
        return {
            k: without_functions(v) for k, v in description.items() if not ("function" in description and k == "source")
        }
    if isinstance(description, list):
        return [without_functions(item) for item in description]
    return description
