"""What settling finds out about a part, apart from the place where it stands.

A part's sizes are a pure function of its structure and of what reaches it, so they are remembered: two
structures are the same where their numbers (`structures`) are. Both tables are bounded; a forgotten
entry is found out again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from archsearch.spaces.resolved import Branches, Chain, Dag, Formula, Joint, Leaf, Once, Part, Skip

Signature: TypeAlias = tuple[tuple[int, ...], str]
"""Shape without the batch, and dtype."""

Signatures: TypeAlias = tuple[Signature, ...]

NOTHING: Signature = ((), "float32")
"""Stands where a signature is needed and there is no input."""

PARTS = (Leaf, Chain, Skip, Branches, Once, Dag)

LIMIT = 200_000
"""Entries a table keeps before it starts anew."""


@dataclass(frozen=True, slots=True)
class Named:
    """What leaves a graph with named outputs: one signature for each, by name. Nothing reads such a dict."""

    signatures: Mapping[str, Signature]


@dataclass(frozen=True, slots=True)
class Tied:
    """Weights of a `Once`: counted once in a model, wherever they are used.

    Attributes:
        key: the name of the part that is one module.
        structure: what it settled to; all uses must agree.
        name: of one parameter; None stands for all of the part's own.
        number: how many numbers it holds.
    """

    key: str
    structure: int
    name: str | None
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Sized:
    """One part, settled for what reaches it.

    Attributes:
        inputs: what reaches it.
        output: what leaves it; for items in a Branches, what leaves the last of them. `Named` of a graph with
            named outputs.
        parameters: of its own, those of `tied` left out.
        flops: of one forward pass at batch 1.
        tied: weights that other places may share.
        children: one for each part inside, then the projection or the merge where it is a part. Of a Dag, one
            for each joint, whose children are those of its `joint_parts`.
        arguments: of a leaf, all of them settled; `Argument` where a module stands.
        project: the leaf that was made to project (its place is relative), for a Skip with "auto".
        dim: of a concat (of a Branches or a joint), as torch counts it.
    """

    inputs: tuple[Signature, ...]
    output: Signature | Named
    parameters: int = 0
    flops: int = 0
    tied: frozenset[Tied] = frozenset()
    children: tuple[Sized, ...] = ()
    arguments: Mapping[str, Any] | None = None
    project: Part = None
    dim: int | None = None


@dataclass(frozen=True, slots=True)
class Argument:
    """A module that is an argument of a leaf, with its sizes; what it costs is counted in the leaf."""

    part: Part
    sized: Sized


Found = TypeVar("Found")


class Table(dict[Hashable, Found]):
    """A bounded memory."""

    def keep(self, key: Hashable, value: Found) -> Found:
        if len(self) >= LIMIT:
            self.clear()
        self[key] = value
        return value


class Numbers:
    """Numbers for structures: equal structures get one number, and a number is never used again."""

    def __init__(self) -> None:
        self.table: Table[int] = Table()
        self.next = 0

    def __call__(self, key: Hashable) -> int:
        number = self.table.get(key)
        if number is None:
            self.next += 1
            number = self.table.keep(key, self.next)
        return number


structures = Numbers()

SCALARS = frozenset({int, float, bool, str, type(None)})


class Same:
    """A key for an object that has no value to compare by: itself."""

    __slots__ = ("item",)

    def __init__(self, item: object) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.item is other.item

    def __hash__(self) -> int:
        return id(self.item)


def frozen(value: Any) -> Hashable:
    """A key that tells values apart with their type, also inside lists and dicts."""
    kind = type(value)
    if kind in SCALARS:
        return (kind, value)
    if kind is tuple or kind is list:
        return (kind, *[frozen(item) for item in value])
    if kind is dict:
        return (kind, *[(frozen(key), frozen(item)) for key, item in value.items()])
    if isinstance(value, Argument):
        return ("argument", settled_structure(value.part, value.sized), value.sized.inputs)
    return Same(value)


def frozen_all(arguments: Mapping[str, Any]) -> Hashable:
    kinds = tuple([type(value) for value in arguments.values()])
    if SCALARS.issuperset(kinds):
        return (tuple(arguments.items()), kinds)
    return tuple([(name, frozen(value)) for name, value in arguments.items()])


def settled_structure(part: Part, sized: Sized) -> int:
    """The number of what a part came to: equal where the same modules were made of it."""
    inside: Iterable[Any]
    match part:
        case None:
            return structures(None)
        case Once():
            return structures(("once", part.key, settled_structure(part.part, sized.children[0])))
        case Leaf():
            assert sized.arguments is not None
            return structures(("settled", target_key(part.target), frozen_all(sized.arguments)))
        case Chain():
            inside = part.parts
        case Skip():
            inside = (part.body, sized.project if part.project == "auto" else part.project)
        case Branches():
            inside = (*part.parts, None if isinstance(part.merge, str) else part.merge)
        case Dag():
            return settled_dag(part, sized)
    made = tuple([settled_structure(p, s) for p, s in zip(inside, sized.children, strict=False)])
    how = part.merge if isinstance(part, Branches) and isinstance(part.merge, str) else ""
    return structures(("settled", type(part), how, sized.dim, made))


def settled_dag(dag: Dag, sized: Sized) -> int:
    index = sources(dag)
    rows = []
    for joint, settled in zip((*dag.vertices, *dag.outputs), sized.children, strict=True):
        made = [settled_structure(p, s) for p, s in zip(joint_parts(joint), settled.children, strict=True)]
        links = [(index[link.source], link.part is None) for link in joint.links]
        merge = joint.merge if isinstance(joint.merge, str) else joint.merge is None
        rows.append((tuple(links), merge, settled.dim, joint.op is None, tuple(made)))
    return structures(("settled", Dag, len(dag.inputs), tuple([joint.name for joint in dag.outputs]), tuple(rows)))


def sources(dag: Dag) -> dict[str, int]:
    """What can be read in a graph, by number: its names mean nothing outside."""
    return {name: i for i, name in enumerate((*dag.inputs, *[joint.name for joint in dag.vertices]))}


def joint_parts(joint: Joint) -> tuple[Part, ...]:
    """The parts at a joint: of its links, the merge, the operation; identities left out."""
    parts = [link.part for link in joint.links if link.part is not None]
    if joint.links and joint.merge is not None and not isinstance(joint.merge, str):
        parts.append(joint.merge)
    if joint.op is not None:
        parts.append(joint.op)
    return tuple(parts)


def place_of(part: Part) -> str:
    while isinstance(part, Once):
        part = part.part
    return "" if part is None else part.place


def target_key(target: Any) -> Hashable:
    return target if isinstance(target, str | type) else Same(target)


def number(part: Part) -> int | None:
    """The number of a part's structure, places left out; None where a `Formula` makes it differ by its input.

    The part keeps it.
    """
    if part is None:
        return structures(())
    found: int | None = getattr(part, "structure", 0)
    if found != 0:
        return found
    key: Any
    if isinstance(part, Leaf):
        key = leaf_key(part)
    elif isinstance(part, Chain):
        key = ["items" if part.items else "chain"]
        for child in part.parts:
            key.append(number(child))
    elif isinstance(part, Skip):
        key = ["skip", number(part.body)]
        key.append(part.project if isinstance(part.project, str) else number(part.project))
    elif isinstance(part, Branches):
        key = ["branches", part.dim, part.merge] if isinstance(part.merge, str) else ["branches", 0]
        if not isinstance(part.merge, str):
            key.append(number(part.merge))
        for child in part.parts:
            key.append(number(child))
    elif isinstance(part, Dag):
        key = dag_key(part)
    else:
        key = ["once", part.key, number(part.part)]
    result = None if key is None or open_inside(part, key) else structures(tuple(key))
    object.__setattr__(part, "structure", result)
    return result


def open_inside(part: Part, key: list[Any]) -> bool:
    """Whether a number inside is None (a Branches' `dim` may be None as well)."""
    if isinstance(part, Leaf | Dag):
        return False
    return None in (key[2:] if isinstance(part, Branches) else key)


def dag_key(dag: Dag) -> list[Any] | None:
    index = sources(dag)
    key: list[Any] = ["dag", len(dag.inputs), tuple([joint.name for joint in dag.outputs])]
    for joint in (*dag.vertices, *dag.outputs):
        links = []
        for link in joint.links:
            inside = number(link.part)
            if inside is None:
                return None
            links.append((index[link.source], inside))
        merge = joint.merge if isinstance(joint.merge, str) else number(joint.merge)
        op = number(joint.op)
        if merge is None or op is None:
            return None
        key.append((tuple(links), merge, joint.dim, op))
    return key


def leaf_key(leaf: Leaf) -> list[Any] | None:
    arguments = leaf.arguments
    kinds = [type(value) for value in arguments.values()]
    frozen_arguments: Any
    if SCALARS.issuperset(kinds):
        frozen_arguments = (tuple(arguments.items()), tuple(kinds))
    else:
        found = []
        for name, value in arguments.items():
            key = open_key(value)
            if key is None:
                return None
            found.append((name, key))
        frozen_arguments = tuple(found)
    infer: Any = tuple(leaf.infer.items())
    return [target_key(leaf.target), frozen_arguments, infer, leaf.shape]


def open_key(value: Any) -> Hashable:
    """Like `frozen` for an argument before it is settled; None where a Formula is inside."""
    if isinstance(value, Formula):
        return None
    if isinstance(value, PARTS):
        inside = number(value)
        return None if inside is None else ("part", inside)
    if isinstance(value, list | tuple | dict):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        keys: list[Any] = [(frozen(name), open_key(item)) for name, item in pairs]
        return None if any(key is None for _, key in keys) else (type(value), *keys)
    return frozen(value)
