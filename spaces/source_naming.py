"""Names for the classes of a source file and for their parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from archsearch.spaces.source_imports import camel
from archsearch.spaces.source_text import Expression, Group, Module
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


def is_size(name: str) -> bool:
    """Whether it is the name of a number of channels or features."""
    return re.sub(r"_?\d+$", "", name) in SIZES


def parameter_names(uses: Sequence[Sequence[str]]) -> list[str]:
    """Names for parameters, each from the names of the arguments that it is given for, in order.

    >>> parameter_names([["in_channels"], ["out_channels", "num_features"], ["kernel_size"], ["kernel_size"]])
    ['in_channels', 'out_channels', 'kernel_size', 'kernel_size_2']
    >>> parameter_names([["in_channels", "out_channels", "num_features"], ["out_channels", "in_channels"]])
    ['channels', 'hidden_channels']
    """
    found: list[str] = []
    for names in uses:
        found.append(variable(parameter_name(names) or "value", {"self", "nn", "torch", *found}))
    return found


def parameter_name(names: Sequence[str]) -> str:
    """For a size that comes in and goes out, or is between, what it is of; else the name that says most."""
    goes_out = [OUTPUTS[name] for name in names if name in OUTPUTS]
    if goes_out and names[0] in INPUTS:
        return INPUTS[names[0]]
    if goes_out and any([name in ("in_channels", "in_features") for name in names]):
        return f"hidden_{goes_out[0]}"
    of_size = [name for name in names if name in SIZES]
    ways = [name for name in of_size if name.startswith(("in_", "out_"))]
    return (ways or of_size or list(names))[0]


def class_name(body: Module) -> str:
    """A name for a class: the last word that most of its places share, else what it is made of."""
    words = Counter([last_word(place) for place in body.places])
    word, times = words.most_common(1)[0] if words else ("", 0)
    if word and 2 * times > len(body.places) and not re.fullmatch(r"[A-Za-z]?_?\d*", word):
        return camel(word)
    if body.forward is not None:
        return "Graph"
    made_of = [re.sub(r"\dd$", "", name.rpartition(".")[2]) for name in callees(body)]
    return "".join([camel(name) for name in made_of]) if 1 < len(made_of) <= 4 else "Block"


def last_word(place: str) -> str:
    """The last name in a place; of one of several in the singular, or else the name before it.

    >>> [last_word(place) for place in ("stages[1].blocks[0]", "body(3,0.5).head", "units[0].more[1][0]", "[2]")]
    ['block', 'head', 'unit', '']
    """
    steps: list[tuple[str, str]] = re.findall(r"([^\W\d]\w*)|\[(\d+|\*)\]", re.sub(r"\([^()]*\)", "", place))
    for i in range(len(steps) - 1, -1, -1):
        word = steps[i][0]
        if word and i == len(steps) - 1:
            return word
        if word and singular(word) != word:
            return singular(word)
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


def callees(expression: Expression) -> Iterator[str]:
    """The classes of the modules that hold no others, in order."""
    parts = [*expression.children, *[v for _, v in expression.arguments]] if isinstance(expression, Module) else []
    parts += [value for _, value in expression.items] if isinstance(expression, Group) else []
    inside = [name for part in parts for name in callees(part)]
    yield from inside
    if isinstance(expression, Module) and not inside:
        yield expression.callee
