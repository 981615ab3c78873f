"""Names for the classes of a source file and for their parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from archsearch.spaces.source_imports import camel
from archsearch.spaces.source_text import Atom, Expression, Group, Module
from archsearch.spaces.source_wires import variable

INPUTS = {
    "in_channels": "channels",
    "num_channels": "channels",
    "num_features": "channels",
    "groups": "channels",
    "in_features": "features",
    "normalized_shape": "features",
    "embed_dim": "features",
    "d_model": "features",
    "input_size": "features",
}
"""Parameters of torch's modules for the size of what reaches them."""

OUTPUTS = {"out_channels": "channels", "out_features": "features"}

SIZES = {*INPUTS, *OUTPUTS, "channels", "features", "hidden_channels", "hidden_features"}


LONGEST = 24
"""Characters of a name that says what a class is made of."""


def is_size(name: str) -> bool:
    """Whether it is the name of a number of channels or features."""
    return re.sub(r"_?\d+$", "", name) in SIZES


def parameter_names(uses: Sequence[Sequence[tuple[int, str]]], taken: Collection[str]) -> list[str]:
    """Names for the parameters of a class.

    >>> convolution = [(0, "in_channels")], [(1, "out_channels"), (3, "num_features")], [(2, "kernel_size")]
    >>> parameter_names(convolution, {"self"})
    ['in_channels', 'out_channels', 'kernel_size']
    >>> inside = [(1, "out_channels"), (2, "in_channels")]
    >>> parameter_names([[(0, "in_channels"), (3, "out_channels")], inside], {"self"})
    ['channels', 'hidden_channels']

    Args:
        uses: of each, the arguments that it is given for: position in the text, and name.
        taken: names that mean something else.
    """
    last = max([use for some in uses for use in some if use[1] in OUTPUTS], default=None)
    found: list[str] = []
    for some in uses:
        name = parameter_name([name for _, name in some], last in some)
        found.append(variable(name or "value", {*taken, *found}))
    return found


def parameter_name(names: Sequence[str], goes_out_last: bool) -> str:
    """For a size, whether it comes in, goes out, both, or is between; else what it is first given for."""
    goes_out = [OUTPUTS[name] for name in names if name in OUTPUTS]
    if goes_out and names[0] in INPUTS:
        return INPUTS[names[0]]
    if goes_out_last:
        return f"out_{goes_out[-1]}"
    if goes_out and any([name in ("in_channels", "in_features") for name in names]):
        return f"hidden_{goes_out[0]}"
    of_size = [name for name in names if name in SIZES]
    ways = [name for name in of_size if name.startswith(("in_", "out_"))]
    return (ways or of_size or list(names))[0]


def size_order(name: str) -> int:
    """Where a parameter stands: sizes first, what comes in before what goes out."""
    return (2 if name.startswith("out_") else 1 if name.startswith("hidden_") else 0) if is_size(name) else 3


def class_name(body: Module) -> str:
    """A name for a class: what it is made of, where that is short; else the last word that most of its
    places share, without a number where those differ."""
    made_of = [camel(re.sub(r"\dd$", "", name.removeprefix("nn."))) for name in callees(body) if name.startswith("nn.")]
    name = "".join(made_of)
    if body.forward is None and len(set(made_of)) == len(made_of) > 1 and len(name) <= LONGEST:
        return name
    words = [last_word(place) for place in body.places]
    if len(set(words)) > 1:
        words = [re.sub(r"^([^\W\d_]+)\d+$", r"\1", word) for word in words]
    word, times = Counter(words).most_common(1)[0] if words else ("", 0)
    if len(word.rstrip("0123456789")) > 1 and 2 * times > len(words):
        return camel(word)
    return "Block" if body.forward is None else "Graph"


GENERAL = frozenset({"op", "inputs", "merge", "outputs", "present", "project"})
"""Steps of places that say nothing about what stands there."""


def last_word(place: str) -> str:
    """The last name in a place; of one of several in the singular, or else the name before it.

    >>> [last_word(place) for place in ("stages[1].blocks[0]", "body(3,0.5).head", "units[0].more[1][0]", "cell2.op")]
    ['block', 'head', 'unit', 'cell2']
    """
    steps: list[tuple[str, str]] = re.findall(r"([^\W\d]\w*)|\[(\d+|\*)\]", re.sub(r"\([^()]*\)", "", place))
    indexed = False
    for word, index in reversed(steps):
        if index:
            indexed = True
        elif word not in GENERAL and not (indexed and singular(word) == word):
            return singular(word) if indexed else word
    return ""


def singular(word: str) -> str:
    """
    >>> [singular(word) for word in ("layers", "branches", "entries", "mass", "body")]
    ['layer', 'branch', 'entry', 'mass', 'body']
    """
    for end, instead in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("ss", "ss"), ("s", "")):
        if word.endswith(end) and len(word) > len(end) + 1:
            return word[: -len(end)] + instead
    return word


def callees(expression: Expression) -> list[str]:
    """The classes of the modules that hold no others, in order."""
    if isinstance(expression, Atom):
        return [expression.text.removesuffix("()")] if expression.kind == "nn.Module" else []
    parts = [*expression.children, *[v for _, v in expression.arguments]] if isinstance(expression, Module) else []
    parts += [value for _, value in expression.items] if isinstance(expression, Group) else []
    inside = [name for part in parts for name in callees(part)]
    return [expression.callee] if isinstance(expression, Module) and not inside else inside
