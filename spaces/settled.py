"""A settled network: the parts that a walk gave, each with its sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archsearch.errors import BuildError
from archsearch.spaces.mistakes import call
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Once, Part, Skip
from archsearch.spaces.sized import (
    Argument,
    Named,
    Signature,
    Sized,
    Tied,
    joint_parts,
    place_of,
    settled_structure,
)
from archsearch.spaces.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A part with all its sizes: what building, counting and printing start from.

    Attributes:
        part: what the walk gave, with its place.
        sized: what was found out about it.
    """

    part: Part
    sized: Sized

    @property
    def place(self) -> str:
        return place_of(self.part)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What reaches it."""
        return tuple([tensor(signature) for signature in self.sized.inputs])

    @property
    def output(self) -> Tensor | dict[str, Tensor]:
        """What leaves it; tensors by name where a graph with named outputs is the end of it."""
        output = self.sized.output
        if isinstance(output, Named):
            return {name: tensor(signature) for name, signature in output.signatures.items()}
        return tensor(output)

    @property
    def parameters(self) -> int:
        """Numbers that can be trained or frozen; weights that are one module count once."""
        return self.sized.parameters + count_tied(self.sized.tied)

    @property
    def flops(self) -> int:
        """Floating point operations of one forward pass at batch 1."""
        return self.sized.flops

    @property
    def arguments(self) -> dict[str, Any]:
        """Of a leaf: all that it is made with, inferred sizes included; `Settled` where a module is passed."""
        return {name: shown(value) for name, value in (self.sized.arguments or {}).items()}

    @property
    def children(self) -> tuple[Settled, ...]:
        """The parts inside, in order; then the projection of a Skip, or the merge of a Branches, if it is a part.

        Of a graph: those of its vertices and then of its outputs, each one's edges, merge and operation in turn.
        """
        return tuple([Settled(part, sized) for part, sized in inside(self.part, self.sized)])

    def joints(self) -> Iterator[tuple[Joint, Sized]]:
        """Of a graph: its vertices and then its outputs, each with its sizes."""
        assert isinstance(self.part, Dag)
        return zip((*self.part.vertices, *self.part.outputs), self.sized.children, strict=True)

    @property
    def project(self) -> Part:
        """What brings a Skip's input to its body's shape; None where that needs nothing."""
        return projection_of(self.part, self.sized) if isinstance(self.part, Skip) else None


def inside(part: Part, sized: Sized) -> list[tuple[Part, Sized]]:
    """What `Settled.children` holds."""
    sizes = sized.children
    if isinstance(part, Chain):
        found = list(zip(part.parts, sizes, strict=True))
    elif isinstance(part, Branches):
        merge = () if isinstance(part.merge, str) else (part.merge,)
        found = list(zip((*part.parts, *merge), sizes, strict=True))
    elif isinstance(part, Skip):
        found = list(zip((part.body, projection_of(part, sized)), sizes, strict=False))
    elif isinstance(part, Once):
        found = [(part.part, sizes[0])]
    elif isinstance(part, Dag):
        joints = zip((*part.vertices, *part.outputs), sizes, strict=True)
        found = [pair for joint, own in joints for pair in zip(joint_parts(joint), own.children, strict=True)]
    else:
        return []
    return [without_wrapper(own, own_sized) for own, own_sized in found]


def projection_of(skip: Skip, sized: Sized) -> Part:
    if len(sized.children) < 2:
        return None
    made = sized.project
    if isinstance(made, Leaf):
        place = f"{skip.place}.project" if skip.place else "project"
        return Leaf(place, made.target, made.arguments, made.infer)
    return skip.project if not isinstance(skip.project, str) else None


def tensor(signature: Signature) -> Tensor:
    shape, dtype = signature
    return Tensor(*shape, dtype=dtype)


def without_wrapper(part: Part, sized: Sized) -> tuple[Part, Sized]:
    """What a Lazy gave, at ``p(v1,v2)``, instead of the chain of one at ``p`` around it: they are one step."""
    while isinstance(part, Chain) and len(part.parts) == 1 and place_of(part.parts[0]).startswith(part.place + "("):
        part, sized = part.parts[0], sized.children[0]
    return part, sized


def shown(value: Any) -> Any:
    if isinstance(value, Argument):
        return Settled(value.part, value.sized)
    if isinstance(value, list | tuple):
        return type(value)([shown(item) for item in value])
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    return value


def count_tied(tied: frozenset[Tied]) -> int:
    """The numbers held by weights that are used at several places: each once."""
    whole = {entry.key for entry in tied if entry.name is None}
    return sum(entry.number for entry in tied if entry.name is None or entry.key not in whole)


def disagreement(settled: Settled) -> BuildError:
    """Which two places of one module came to different sizes."""
    seen: dict[str, tuple[int, str, Mapping[str, Any]]] = {}
    for place, once, sized in uses(settled):
        structure = settled_structure(once.part, sized.children[0])
        first = seen.setdefault(once.key, (structure, place, describe(Settled(once.part, sized.children[0]))))
        if first[0] != structure:
            here = describe(Settled(once.part, sized.children[0]))
            differ = [step for step in {**first[2], **here} if first[2].get(step) != here.get(step)]
            if not differ:
                return BuildError(
                    f"Shared({once.key!r}, weights=True) is one module, but its parts are put together in one way at "
                    f"{first[1] or 'root'} and in another at {place or 'root'}"
                )
            step = differ[0]
            return BuildError(
                f"Shared({once.key!r}, weights=True) is one module, but it would be {first[2].get(step, 'absent')} at "
                f"{first[1] or 'root'}{step} and {here.get(step, 'absent')} at {place or 'root'}{step}"
            )
    raise AssertionError("no two uses disagree")


def uses(settled: Settled) -> Iterator[tuple[str, Once, Sized]]:
    """Every `Once` with its place, arguments of leaves included."""
    if isinstance(settled.part, Once):
        yield settled.place, settled.part, settled.sized
    for child in settled.children:
        yield from uses(child)
    for value in settled.arguments.values():
        yield from [use for inside in modules_in(value) for use in uses(inside)]


def modules_in(value: Any) -> Iterator[Settled]:
    if isinstance(value, Settled):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from modules_in(item)


def describe(settled: Settled, root: str | None = None) -> dict[str, str]:
    """The leaves below a part, each by its place relative to the part's."""
    root = settled.place if root is None else root
    if isinstance(settled.part, Leaf):
        return {settled.place.removeprefix(root): call(settled.part.target, settled.arguments)}
    found: dict[str, str] = {}
    for child in settled.children:
        found |= describe(child, root)
    return found
