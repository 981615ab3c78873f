"""Settling: every size that was left open, the output's shape, parameters and FLOPs, before anything is built.

Sizes are a pure function of a part's structure and of the shapes and dtypes that reach it, and are remembered
per process, per leaf and per subtree; torch is asked once for each leaf that is new (`measure`).
FLOPs are what `torch.utils.flop_counter` counts at batch 1 in evaluation mode on the meta device, where attention
and recurrent layers come as the products that they are made of (it misses the CPU's fused kernels for them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from archsearch.errors import BuildError, ShapeError, SpaceError
from archsearch.spaces.merge import joined, merged, one, passed_on
from archsearch.spaces.mistakes import Failure, at, dtypes, explain
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.project import projection
from archsearch.spaces.resolved import Branches, Chain, Dag, Formula, Leaf, Once, Part, Skip
from archsearch.spaces.settle_graph import size_dag
from archsearch.spaces.settled import Settled, disagreement, without_wrapper
from archsearch.spaces.sized import (
    NOTHING,
    PARTS,
    SCALARS,
    Argument,
    Named,
    Signature,
    Signatures,
    Sized,
    Table,
    Tied,
    frozen_all,
    number,
    place_of,
    settled_structure,
    target_key,
)
from archsearch.spaces.targets import by_name, check_arguments, inferred, load
from archsearch.spaces.tensor import InputSize, Tensor

if TYPE_CHECKING:
    from archsearch.spaces.measure import Measured


def settle(part: Part, inputs: Sequence[Tensor]) -> Settled:
    """Every size of the network that a walk gave.

    A module that is an argument of another module is settled on the same input as that one: sizes that it leaves
    open are inferred from what reaches its owner.

    >>> from archsearch.spaces.resolved import Leaf
    >>> linear = Leaf("head", "torch.nn:Linear", {"out_features": 10}, {"in_features": "features"})
    >>> settled = settle(linear, [Tensor(64)])
    >>> settled.output, settled.parameters, settled.flops
    (Tensor(10), 650, 1280)

    Args:
        part: the resolved network; None is the identity.
        inputs: what reaches it, without the batch.

    Raises:
        ShapeError: a module cannot take what reaches it; names its place, both shapes, and what would fit.
        BuildError: a module cannot be made, or two places of one module (`weights=True`) disagree.
    """
    with deep_recursion():
        sized = size(part, tuple([(tensor.shape, tensor.dtype) for tensor in inputs]))
        result = Settled(*without_wrapper(part, sized))
        if len({entry.key for entry in sized.tied}) < len({(entry.key, entry.structure) for entry in sized.tied}):
            raise disagreement(result)
    return result


sizes: Table[Sized] = Table()
leaves: Table[Measured | Failure] = Table()


def size(part: Part, inputs: Signatures) -> Sized:
    """Sizes of a part for what reaches it; remembered where its structure has a number."""
    structure = number(part)
    if structure is not None:
        found = sizes.get((structure, inputs))
        if found is not None:
            return found
    match part:
        case Leaf():
            sized = size_leaf(part, inputs)
        case Chain():
            sized = size_chain(part, inputs)
        case Skip():
            sized = size_skip(part, inputs)
        case Branches():
            sized = size_branches(part, inputs)
        case Once():
            sized = size_once(part, inputs)
        case Dag():
            sized = size_dag(part, inputs, size)
        case None:
            sized = Sized(inputs, one(inputs, ""))
    if structure is not None:
        sizes.keep((structure, inputs), sized)
    return sized


def size_chain(chain: Chain, inputs: Signatures) -> Sized:
    reaching = inputs
    output: Signature | Named | None = None
    giver = ""
    children = []
    for part in chain.parts:
        if output is not None:
            reaching = (passed_on(output, giver, place_of(part) or chain.place),)
        child = size(part, reaching) if part is not None else Sized(reaching, one(reaching, chain.place))
        children.append(child)
        giver, output = place_of(part) or chain.place, child.output
    return joined(inputs, one(inputs, chain.place) if output is None else output, children)


def size_skip(skip: Skip, inputs: Signatures) -> Sized:
    source = one(inputs, skip.place)
    body = size(skip.body, inputs)
    output = passed_on(body.output, place_of(skip.body), skip.place)
    if output == source:
        return joined(inputs, source, [body])
    if skip.project is None:
        raise at(
            skip.place,
            f"x + body(x) needs equal shapes, but x has {source[0]} and body(x) {output[0]}"
            f"{dtypes(source, output)}; give project='auto' or a module",
        )
    if isinstance(skip.project, str):
        place = f"{skip.place}.project" if skip.place else "project"
        made = projection(source, output, skip.place)
        project = size_leaf(Leaf(place, made.target, made.arguments, made.infer), inputs)
    else:
        made = None
        project = size(skip.project, inputs)
        place = place_of(skip.project)
    projected = passed_on(project.output, place, skip.place)
    if projected != output:
        raise at(
            place if made is None else skip.place,
            f"the projection gives {projected[0]}, but the body at {place_of(skip.body) or skip.place or 'root'} "
            f"gives {output[0]}{dtypes(projected, output)}",
        )
    return joined(inputs, output, [body, project], project=made)


def size_branches(branches: Branches, inputs: Signatures) -> Sized:
    found: list[tuple[str, Signature]] = []
    children = size_each(branches.parts, branches.place, inputs, found)
    if not found:
        raise at(branches.place, "there is no branch to merge (a Repeat of 0, or a Subset of none)")
    if isinstance(branches.merge, str):
        output, dim = merged(found, branches.merge, branches.dim, branches.place)
        return joined(inputs, output, children, dim=dim)
    outputs = tuple([output for _, output in found])
    if branches.merge is None:
        children.append(Sized(outputs, one(outputs, branches.place)))
    else:
        children.append(size(branches.merge, outputs))
    return joined(inputs, children[-1].output, children)


def size_each(
    parts: Sequence[Part],
    place: str,
    inputs: Signatures,
    found: list[tuple[str, Signature]],
) -> list[Sized]:
    """The branches at a place, items as branches of their own, items among them too; `found` gets what each gives."""
    children = []
    for part in parts:
        if isinstance(part, Chain) and part.items:
            inside = size_each(part.parts, part.place, inputs, found)
            child = joined(inputs, inside[-1].output if inside else [*inputs, NOTHING][0], inside)
        else:
            child = size(part, inputs) if part is not None else Sized(inputs, one(inputs, place))
            found.append((place_of(part) or place, passed_on(child.output, place_of(part), place)))
        children.append(child)
    return children


def size_once(once: Once, inputs: Signatures) -> Sized:
    inside = size(once.part, inputs)
    own = Tied(once.key, settled_structure(once.part, inside), None, inside.parameters)
    return Sized(inputs, inside.output, 0, inside.flops, inside.tied | {own}, (inside,))


def size_leaf(leaf: Leaf, inputs: Signatures) -> Sized:
    from archsearch.spaces.measure import measure

    target, arguments = settle_arguments(leaf, inputs)
    key = (target_key(leaf.target), frozen_all(arguments), inputs, leaf.shape)
    found = leaves.get(key)
    if found is None:
        found = leaves.keep(key, measure(target, arguments, inputs, leaf.shape))
    if isinstance(found, Failure):
        raise explain(found, leaf, target, arguments, inputs)
    return Sized(inputs, found.output, found.parameters, found.flops, found.tied, arguments=arguments)


def settle_arguments(leaf: Leaf, inputs: Signatures) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The class or function, and all that it is called with."""
    target = load(leaf.target, leaf.place)
    given = {name: settle_value(value, leaf, inputs) for name, value in leaf.arguments.items()}
    infer = leaf.infer
    if isinstance(leaf.target, str):
        try:
            infer = by_name(target, given) | dict(infer)
            check_arguments(target, given, infer)
        except SpaceError as error:
            raise BuildError(f"{leaf.place or 'root'}: {error}") from error
    return target, given | {name: infer_size(name, rule, leaf, inputs) for name, rule in infer.items()}


def size_argument(part: Part, inputs: Signatures) -> Sized:
    """A module that is an argument, on the input of its owner.

    What the owner does with it is the owner's matter, so a single module is not run, only its sizes are inferred;
    its parameters and FLOPs are among the owner's.
    """
    if isinstance(part, Leaf):
        return Sized(inputs, [*inputs, NOTHING][0], arguments=settle_arguments(part, inputs)[1])
    if isinstance(part, Once):
        inside = size_argument(part.part, inputs)
        own = Tied(part.key, settled_structure(part.part, inside), None, inside.parameters)
        return Sized(inputs, inside.output, tied=inside.tied | {own}, children=(inside,))
    return size(part, inputs)


def settle_value(value: Any, leaf: Leaf, inputs: Signatures) -> Any:
    """An argument: formulas evaluated, modules settled on the leaf's own input."""
    if type(value) in SCALARS:
        return value
    if isinstance(value, Formula):
        place = value.place or leaf.place
        found = locate(place, lambda: value.evaluate(InputSize(one(inputs[:1], place)[0])))
        return settle_value(found, leaf, inputs)
    if isinstance(value, PARTS):
        return Argument(value, size_argument(value, inputs))
    if isinstance(value, list | tuple):
        return type(value)([settle_value(item, leaf, inputs) for item in value])
    if isinstance(value, dict):
        return {key: settle_value(item, leaf, inputs) for key, item in value.items()}
    return value


def infer_size(name: str, rule: Any, leaf: Leaf, inputs: Signatures) -> Any:
    if not inputs:
        raise at(leaf.place, f"{name} follows from what reaches it, but nothing does; give {name}=")
    return locate(leaf.place, lambda: inferred(rule, [shape for shape, _ in inputs]), f"to infer {name}: ")


def locate(place: str, find: Callable[[], Any], why: str = "") -> Any:
    """What `find` returns; what it raises, with the place."""
    try:
        return find()
    except (ShapeError, SpaceError) as error:
        if str(error).startswith(f"{place or 'root'}:"):
            raise
        raise at(place, f"{why}{error}") from error
    except Exception as error:
        raise at(place, f"{why}{type(error).__name__}: {error}") from error
