"""Which architectures are the same network: a canonical form of the resolved structure.

Two forms are equal only where these rules prove it: chains are flattened and identities dropped; a merge of
one branch is that branch; the branches of commutative merges are sorted; adding zero is nothing; a module
that stands in several places stays one (LANGUAGE.md section 8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from archsearch.spaces.describe import dotted
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.resolved import Branches, Chain, Formula, Leaf, Once, Skip

Form = tuple[Any, ...]

IDENTITY: Form = ("chain",)
ZERO: Form = ("zero",)


def canonical_form(values: Any) -> Form:
    """The form of what an architecture resolves to: hashable, and with an order by `repr`."""
    with deep_recursion():
        return form(values, {})


def canonical_id(values: Any) -> str:
    """20 hexadecimal digits of the form's hash."""
    return hashlib.blake2b(repr(canonical_form(values)).encode(), digest_size=10).hexdigest()


def form(value: Any, shared: dict[str, int]) -> Form:
    """`shared` numbers the modules that stand in several places, in the order of the walk."""
    match value:
        case None:
            return IDENTITY
        case Chain(parts=parts):
            return chain([form(part, shared) for part in parts])
        case Leaf():
            return leaf(value, shared)
        case Once(key=key, part=part):
            return ("once", shared.setdefault(key, len(shared)), form(part, shared))
        case Skip(body=body, project=project):
            inner = form(body, shared)
            return (
                IDENTITY
                if inner == ZERO
                else ("skip", inner, project if project in ("auto", None) else form(project, shared))
            )
        case Branches():
            return branches(value, shared)
        case Formula(key=key):
            return ("formula", key)
        case Mapping():
            return ("dict", *[(key, form(inside, shared)) for key, inside in value.items()])
        case list() | tuple():
            return (type(value).__name__, *[form(inside, shared) for inside in value])
    return ("value", type(value).__name__, value if not callable(value) else dotted(value))


def chain(forms: list[Form]) -> Form:
    flat: list[Form] = []
    for one in forms:
        flat.extend(one[1:] if one[0] == "chain" else [one])
    return flat[0] if len(flat) == 1 else ("chain", *flat)


def leaf(value: Leaf, shared: dict[str, int]) -> Form:
    name = dotted(value.target)
    short = name.rpartition(":")[2]
    if name.startswith("torch.nn") and short == "Identity":
        return IDENTITY
    if name.startswith("archsearch.spaces") and short == "Zero":
        return ZERO
    arguments = sorted([(key, form(inside, shared)) for key, inside in value.arguments.items()], key=repr)
    return ("leaf", name, *arguments)


def branches(value: Branches, shared: dict[str, int]) -> Form:
    forms = [form(part, shared) for part in split(value.parts)]
    merge = value.merge if isinstance(value.merge, str) else form(value.merge, shared)
    if merge == "add":
        forms = [one for one in forms if one != ZERO] or [ZERO]
    if len(forms) == 1 and merge in ("add", "mul", "concat"):
        return forms[0]
    if merge in ("add", "mul") and not shared:
        forms.sort(key=repr)
    return ("merge", merge, value.dim, *forms)


def split(parts: tuple[Any, ...]) -> list[Any]:
    """Items count as so many branches."""
    found: list[Any] = []
    for part in parts:
        found.extend(split(part.parts) if isinstance(part, Chain) and part.items else [part])
    return found
