"""Settling a graph: each vertex in the order of computing, on what reaches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from archsearch.spaces.merge import joined, merged, one, passed_on
from archsearch.spaces.mistakes import at, shapes
from archsearch.spaces.resolved import Dag, Joint, Part
from archsearch.spaces.sized import Named, Signature, Signatures, Sized, place_of

Size: TypeAlias = Callable[[Part, Signatures], Sized]


def size_dag(dag: Dag, inputs: Signatures, size: Size) -> Sized:
    """Sizes of a graph.

    Args:
        dag: the graph.
        inputs: what reaches it.
        size: settles a part inside, for what reaches that.

    Raises:
        ShapeError: so many inputs do not reach it as it names, or what an edge brings does not fit.
    """
    if len(inputs) != len(dag.inputs):
        names = f"{len(dag.inputs)} input{'s' if len(dag.inputs) > 1 else ''} ({', '.join(dag.inputs)})"
        reach = (
            f"{len(inputs)} reach{'es' if len(inputs) == 1 else ''} it ({shapes(inputs)})" if inputs else "none does"
        )
        raise at(
            dag.place,
            f"the graph takes {names}, but {reach}; inputs come from the space where it is the first module, and as "
            "many as the edges where it merges a vertex",
        )
    reaching = dict(zip(dag.inputs, inputs, strict=True))
    children = []
    for joint in dag.vertices:
        child, reaching[joint.name] = size_joint(joint, reaching, size)
        children.append(child)
    ends = {}
    for joint in dag.outputs:
        child, ends[joint.name] = size_joint(joint, reaching, size)
        children.append(child)
    return joined(inputs, ends[""] if list(ends) == [""] else Named(ends), children)


def size_joint(joint: Joint, reaching: Mapping[str, Signature], size: Size) -> tuple[Sized, Signature]:
    """Sizes of a vertex or output, and what leaves it.

    Args:
        reaching: what the inputs of the graph and the vertices above give, by name.
    """
    children: list[Sized] = []

    def through(part: Part, inputs: Signatures) -> Signature:
        children.append(size(part, inputs))
        return passed_on(children[-1].output, place_of(part), joint.place)

    sources = tuple([reaching[link.source] for link in joint.links])
    found = []
    for link, source in zip(joint.links, sources, strict=True):
        if link.part is None:
            found.append((f"{joint.place}.{link.source}", source))
        else:
            found.append((place_of(link.part), through(link.part, (source,))))
    reach = tuple([signature for _, signature in found])
    dim = None
    if not isinstance(joint.merge, str):
        if joint.merge is not None and found:
            reach = (through(joint.merge, reach),)
    elif len(found) > 1:
        output, dim = merged(found, joint.merge, joint.dim, joint.place)
        reach = (output,)
    output = one(reach, joint.place) if joint.op is None else through(joint.op, reach)
    return joined(sources, output, children, dim=dim), output
