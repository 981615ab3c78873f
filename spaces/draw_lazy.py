"""What a drawing shows of a Lazy: its arguments, and what it gives for the first of their values."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archsearch.spaces.draw_show import show
from archsearch.spaces.draw_values import Lines, decisions_in, is_small, other_operands
from archsearch.spaces.facts import function_key
from archsearch.spaces.node import has_node
from archsearch.spaces.nodes import Lazy
from archsearch.spaces.picture import ELLIPSIS, Box, Flow, Line, Shown
from archsearch.spaces.resolve import expand_lazy, lazy_suffix
from archsearch.spaces.sites import Site

if TYPE_CHECKING:
    from archsearch.spaces.draw_parts import Parts

# Expansions of one Lazy, and Lazies in Lazies, as far as a reader follows.
MOST_EXPANSIONS, DEEPEST = 6, 4


def lazy_node(parts: Parts, site: Site, node: Lazy) -> Shown | None:
    if not any([has_node(value) for value in node.arguments.values()]):
        return expansion(parts, site, node, *lazy_suffix(site, node, {}))
    out = Lines()
    out.add(f"{show(node.function)}({', '.join(node.arguments)})", "title")
    large = {name: value for name, value in node.arguments.items() if has_node(value) and not is_small(value)}
    parts.values.arguments(out, site, {n: v for n, v in node.arguments.items() if n not in large})
    reads: dict[str, Any] = {}
    for name, value in node.arguments.items():
        argument = site.child(f".{name}", value)
        reads.update(decisions_in(argument))
        large.update({name: value} if any(other_operands(argument, name)) else {})
    paths = list(reads)
    first = [list(itertools.islice(reads[path].decision.options, 4 * MOST_EXPANSIONS)) for path in paths]
    products = itertools.product(*first)
    expanded: dict[str, Shown] = {}
    for answers in [] if large else products:
        suffix, arguments = lazy_suffix(site, node, dict(zip(paths, answers, strict=True)))
        if suffix not in expanded and len(expanded) == MOST_EXPANSIONS:
            break
        if suffix not in expanded:
            shown = expansion(parts, site, node, suffix, arguments)
            expanded[suffix] = shown or parts.note(site, "identity")
    else:
        if not large and all([len(some) == reads[path].decision.size for some, path in zip(first, paths, strict=True)]):
            return parts.block("lazy", site, out, Flow(tuple(expanded.values())))
    parts.whole = False
    more = parts.note(site, f"{ELLIPSIS} and so on, expanded when it is reached")
    return parts.block("lazy", site, out, Flow((*expanded.values(), more)))


def expansion(parts: Parts, site: Site, node: Lazy, suffix: str, arguments: dict[str, Any]) -> Shown | None:
    key = (function_key(node.function), repr(arguments))
    call = f"{show(node.function)}({', '.join([f'{name}={show(value)}' for name, value in arguments.items()])})"
    if key in parts.expanding or len(parts.expanding) >= DEEPEST:
        parts.whole = False
        again = "as above, and so on" if key in parts.expanding else "expanded when it is reached"
        lines = (Line(call, "title"), Line(f"{ELLIPSIS} {again}", "note"))
        return Box(parts.fresh(site.place + suffix), "reference", lines, facts={"place": site.place})
    parts.expanding.append(key)
    inside = expand_lazy(site, node, suffix, arguments)
    if suffix:
        shown: Shown | None = parts.option(inside, call)
    else:
        shown = parts.node(inside, site.place)
        shown = None if shown is None else replace(shown, lines=(Line(call, "note"), *shown.lines))
    parts.expanding.pop()
    return shown
