"""What a drawing of a space shows: every decision where it is made, with its path and its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archsearch.spaces.draw_architecture import input_boxes
from archsearch.spaces.draw_parts import Parts
from archsearch.spaces.draw_show import show
from archsearch.spaces.facts import FactTable
from archsearch.spaces.graph import Graph
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.nodes import Lazy, Repeat
from archsearch.spaces.picture import Arrow, Box, Diagram, Flow, Line, Shown, chained
from archsearch.spaces.sites import Frame, Site
from archsearch.spaces.values import is_module

if TYPE_CHECKING:
    from archsearch.spaces.space import Space


def space_diagram(space: Space) -> Diagram:
    """The whole space; what repeats stands once, as `[i]`."""
    with deep_recursion():
        parts = Parts()
        site = Site(space.root, "", "", Frame(), "", FactTable())
        entries = space.root.items() if isinstance(space.root, Mapping) else [("", space.root)]
        models = [key for key, node in entries if may_be_model(node)]
        model = "model" if "model" in models else models[0] if len(models) == 1 else None
        beside: list[Shown] = []
        flow = Flow()
        for key, node in entries:
            here = site.child(f".{key}", node) if isinstance(space.root, Mapping) else site
            if key == model:
                inside = parts.several([here], here.place)
                sources = input_boxes(parts, space.inputs)
                end = Box(parts.fresh("output"), "output", (Line("output", "title"),))
                body = chained([*inside, end], None, None)
                arrows = [Arrow(source.id, body.nodes[0].id) for source in sources]
                flow = Flow((*sources, *body.nodes), (*arrows, *body.arrows))
            else:
                beside.append(parts.entry(key, here))
        title = [heading(parts)]
        title.extend([Line(f"required: {show(r.function)}({', '.join(r.names)})", "note") for r in space.require])
        title.extend([Line(f"where: {show(function)}", "note") for function in space.where])
        return Diagram(tuple(title), flow, (*beside, *parts.keys))


def may_be_model(node: Any) -> bool:
    if isinstance(node, Repeat) and callable(node.node):
        return is_module(node.copy(0))
    return is_module(node) or isinstance(node, Graph | Lazy)


def heading(parts: Parts) -> Line:
    paths = parts.values.shown
    number = f"{len(paths)}{'' if parts.whole else ' or more'} decision{'' if len(paths) == 1 else 's'}"
    copies = "; [i] stands for every copy" if any(["[i]" in path for path in paths]) else ""
    return Line(f"Space of {number}{copies}", "title")
