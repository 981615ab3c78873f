"""What several values come to side by side: sums, products, and tensors joined along a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archsearch.spaces.mistakes import at, dtypes, shapes
from archsearch.spaces.sized import Named, Signature, Signatures, Sized, Tied


def joined(inputs: Signatures, output: Signature | Named, children: Sequence[Sized], **more: Any) -> Sized:
    """A part that has others inside: the sums of theirs."""
    parameters = flops = 0
    tied: frozenset[Tied] = frozenset()
    for child in children:
        parameters += child.parameters
        flops += child.flops
        if child.tied:
            tied |= child.tied
    return Sized(inputs, output, parameters, flops, tied, tuple(children), **more)


def one(inputs: Signatures, place: str) -> Signature:
    """The only input, where one is needed."""
    if not inputs:
        raise at(place, "nothing reaches it, and it makes nothing; put a module of no inputs there")
    if len(inputs) != 1:
        raise at(place, f"{len(inputs)} inputs reach it ({shapes(inputs)}), but it passes on one; start with a module")
    return inputs[0]


def passed_on(output: Signature | Named, source: str, reader: str) -> Signature:
    """What leaves a part that something reads.

    Args:
        source: the place of the part.
        reader: the place of what reads it.

    Raises:
        ShapeError: it is several tensors by name.
    """
    if isinstance(output, Named):
        raise at(
            reader,
            f"{source or 'a graph'} gives several outputs by name ({', '.join(output.signatures)}), which nothing "
            "can read: such a graph is the end of a model; give it one output, or put what reads it inside",
        )
    return output


def merged(
    found: Sequence[tuple[str, Signature]], how: str, dim: int | None, place: str
) -> tuple[Signature, int | None]:
    """What comes of merging, and the dimension of a concat as torch counts it.

    Args:
        found: shape and dtype of each value with the place that gives it; "" where that has none.
        how: "add", "mul" or "concat".
        dim: as it was given, for "concat".
        place: where they are merged.

    Raises:
        ShapeError: they do not fit; names both shapes, both places, and what to do.
    """
    if how == "concat":
        return concat(found, dim, place)
    first_place, first = found[0]
    for other_place, other in found[1:]:
        if other != first:
            raise at(
                place,
                f"merge={how!r} needs equal shapes, but {first_place or 'one branch'} gives {first[0]} "
                f"and {other_place or 'another branch'} gives {other[0]}{dtypes(first, other)}; "
                "put a module there that brings one to the other, or merge='concat'",
            )
    return first, None


def concat(found: Sequence[tuple[str, Signature]], dim: int | None, place: str) -> tuple[Signature, int]:
    """The shape of the values side by side, and the dimension as torch counts it.

    Channels are first in shapes of 3 and 4 sizes (images, volumes), and all there is in shapes of one; two sizes
    may be (channels, length) or (length, features), which `dim` has to say.
    """
    first_place, (first, dtype) = found[0]
    rank = len(first)
    if dim is None:
        if rank not in (1, 3, 4):
            raise at(
                place,
                f"merge='concat' of outputs of shape {first} is not clear; "
                + ("say dim=1 for (channels, length) or dim=2 for (length, features)" if rank == 2 else "say dim="),
            )
        joint = 1
    else:
        joint = dim if dim >= 0 else dim + rank + 1
        if not 1 <= joint <= rank:
            raise at(
                place,
                f"merge='concat' over dim={dim} does not fit outputs of shape {first}: "
                + ("0 is the batch" if joint == 0 else f"with the batch they have {rank + 1} dimensions"),
            )
    total = 0
    around = (*first[: joint - 1], *first[joint:])
    for other_place, (shape, kind) in found:
        if (*shape[: joint - 1], *shape[joint:]) != around or len(shape) != rank or kind != dtype:
            raise at(
                place,
                f"merge='concat' over dim={joint} needs shapes that are equal elsewhere, but "
                f"{first_place or 'a branch'} gives {first} and {other_place or 'another branch'} gives "
                f"{shape}{dtypes((first, dtype), (shape, kind))}; put a module there that brings one to the other",
            )
        total += shape[joint - 1]
    return ((*first[: joint - 1], total, *first[joint:]), dtype), joint
