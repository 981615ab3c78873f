"""Options of a drawing in a line each, and members that are alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from archsearch.spaces.describe import describe_node
from archsearch.spaces.draw_show import show
from archsearch.spaces.draw_values import formula, is_small
from archsearch.spaces.node import Node
from archsearch.spaces.nodes import Module, Residual, Sequential
from archsearch.spaces.picture import ARROW, ELLIPSIS
from archsearch.spaces.sites import Site

# Characters of an option that is written in its box.
LONGEST_TEXT = 400


def closed_text(node: Any, site: Site) -> str | None:
    """A closed part as a line of text; None where it is too much for that."""
    match node:
        case None:
            return "identity"
        case Module():
            if not is_small(node):
                return None
            arguments = [f"{k}={formula(site.child(f'.{k}', v))}" for k, v in node.arguments.items()]
            return f"{node.label}({', '.join(arguments)})" if arguments else node.label
        case Sequential():
            texts = [closed_text(v, site.child(step, v)) for step, v in node.members.items() if v is not None]
            if None in texts:
                return None
            text = f" {ARROW} ".join([text for text in texts if text]) or "identity"
        case Residual() if node.project is None or isinstance(node.project, str):
            inside = closed_text(node.node, site.child("[0]", node.node))
            if inside is None:
                return None
            text = f"x + ({inside})"
        case _:
            return None if isinstance(node, Node) else show(node)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + ELLIPSIS


def rows(members: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    """The members, those in a row that are declared alike together."""
    steps: list[str] = []
    held: Any = None
    for step, member in members.items():
        if member is None:
            continue
        if steps and step[0] == "[" and steps[0][0] == "[" and alike(held, member):
            steps.append(step)
            continue
        if steps:
            yield steps, held
        steps, held = [step], member
    if steps:
        yield steps, held


def alike(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and describe_node(a) == describe_node(b))
