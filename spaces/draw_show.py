"""Values, shapes and counts of a drawing in a few characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from archsearch.spaces.picture import ELLIPSIS, TIMES
from archsearch.spaces.resolved import Branches, Chain, Dag, Formula, Leaf, Once, Part, Skip
from archsearch.spaces.targets import label
from archsearch.spaces.tensor import Tensor


def counted(number: int) -> str:
    """
    >>> counted(1234), counted(73306), counted(1_531_546)
    ('1,234', '73,306', '1.53 M')
    """
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:,}"


def show(value: Any, most: int = 60) -> str:
    """A value in a few characters."""
    if isinstance(value, Leaf):
        return leaf_text(value, value.arguments)
    if isinstance(value, Formula):
        return "from its input"
    if isinstance(value, Chain | Skip | Branches | Dag | Once):
        return "; ".join([leaf_text(leaf, leaf.arguments) for leaf in leaves_in(value)]) or "identity"
    if isinstance(value, Mapping):
        text = "{" + ", ".join([f"{key}: {show(inside)}" for key, inside in value.items()]) + "}"
    elif isinstance(value, list | tuple):
        text = ", ".join([show(inside) for inside in value])
        text = f"[{text}]" if isinstance(value, list) else f"({text}{',' if len(value) == 1 else ''})"
    elif isinstance(value, float):
        text = repr(value) if len(repr(value)) < 9 else f"{value:.4g}"
    elif hasattr(value, "part"):
        return show(value.part)
    elif callable(value):
        text = getattr(value, "__name__", type(value).__name__)
    else:
        text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS


def leaf_text(leaf: Leaf, arguments: Mapping[str, Any]) -> str:
    return f"{label(leaf.target)}({argument_text(arguments)})"


def argument_text(arguments: Mapping[str, Any]) -> str:
    return ", ".join([f"{name}={show(value)}" for name, value in arguments.items()])


def leaves_in(part: Part) -> Iterator[Leaf]:
    match part:
        case Leaf():
            yield part
        case Chain(parts=parts):
            for inside in parts:
                yield from leaves_in(inside)
        case Once():
            yield from leaves_in(part.part)
        case Skip():
            yield from leaves_in(part.body)
        case Branches():
            for inside in (*part.parts, *([] if isinstance(part.merge, str) else [part.merge])):
                yield from leaves_in(inside)
        case Dag():
            for joint in (*part.vertices, *part.outputs):
                for link in joint.links:
                    yield from leaves_in(link.part)
                if not isinstance(joint.merge, str):
                    yield from leaves_in(joint.merge)
                yield from leaves_in(joint.op)


def shape_text(output: Tensor | Mapping[str, Tensor]) -> str:
    """
    >>> shape_text(Tensor(128, dtype="int64"))
    '128 int64'
    """
    if isinstance(output, Mapping):
        return ", ".join([f"{name}: {shape_text(tensor)}" for name, tensor in output.items()])
    sizes = f" {TIMES} ".join([str(size) for size in output.shape]) or "scalar"
    return sizes if output.dtype == "float32" else f"{sizes} {output.dtype}"
