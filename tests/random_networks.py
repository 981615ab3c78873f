"""Random networks: every kind of part, over images, sequences and vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from hypothesis import strategies as st

from archsearch import nn
from archsearch.spaces.nodes import Module
from archsearch.spaces.resolved import Branches, Chain, Leaf, Once, Part, Skip
from archsearch.spaces.tensor import Tensor

IMAGE = Tensor(4, 12, 12)
SEQUENCE = Tensor(6, 8)
VECTOR = Tensor(8)

Layers: TypeAlias = Sequence[Callable[[st.DrawFn], Module]]


def at(place: str, module: Module) -> Leaf:
    """The leaf that a described layer resolves to, with nothing open in it."""
    return Leaf(place, module.target, module.arguments, module.infer, module.shape)


IMAGE_LAYERS: Layers = [
    lambda draw: nn.Conv2d(
        draw(st.sampled_from([2, 4, 6])), draw(st.sampled_from([1, 3])), padding=draw(st.sampled_from([0, 1]))
    ),
    lambda draw: nn.Conv2d(4, 3, stride=2, padding=1, bias=draw(st.booleans())),
    lambda draw: nn.BatchNorm2d(),
    lambda draw: nn.GroupNorm(2),
    lambda draw: nn.ReLU(),
    lambda draw: nn.AvgPool2d(3, 1, 1),
    lambda draw: nn.Zero(),
]
SEQUENCE_LAYERS: Layers = [
    lambda draw: nn.Linear(draw(st.sampled_from([4, 8])), bias=draw(st.booleans())),
    lambda draw: nn.LayerNorm(),
    lambda draw: nn.Conv1d(draw(st.sampled_from([4, 6])), 3, padding=1),
    lambda draw: nn.MultiheadAttention(2),
    lambda draw: nn.GRU(4),
    lambda draw: nn.GELU(),
]
VECTOR_LAYERS: Layers = [
    lambda draw: nn.Linear(draw(st.sampled_from([4, 8]))),
    lambda draw: nn.BatchNorm1d(),
    lambda draw: nn.LayerNorm(),
    lambda draw: nn.Tanh(),
    lambda draw: nn.Identity(),
]


@st.composite
def networks(draw: st.DrawFn, layers: Layers, place: str = "", depth: int = 3) -> Part:
    kind = draw(st.sampled_from(["leaf", "none", "chain", "items", "skip", "branches", "once"][: 7 if depth else 2]))

    def several(minimum: int) -> tuple[Part, ...]:
        count = draw(st.integers(minimum, 3))
        return tuple([draw(networks(layers, f"{place}[{i}]", depth - 1)) for i in range(count)])

    match kind:
        case "leaf":
            return at(place, draw(st.sampled_from(layers))(draw))
        case "none":
            return None
        case "chain" | "items":
            return Chain(place, several(0), items=kind == "items")
        case "skip":
            return Skip(place, draw(networks(layers, f"{place}[0]", depth - 1)))
        case "branches":
            dim = draw(st.sampled_from([None, 1, -1]))
            return Branches(place, several(1), draw(st.sampled_from(["add", "mul", "concat"])), dim)
    # A Shared of nothing is nothing, so what is one module is at least a leaf.
    same = draw(networks(layers, f"{place}.tied", depth - 1)) or at(
        f"{place}.tied", draw(st.sampled_from(layers))(draw)
    )
    return Chain(
        place, (Once(f"key{place}", same), Once(f"key{place}", moved(same, f"{place}.tied", f"{place}.again")))
    )


def moved(part: Part, start: str, to: str) -> Part:
    """The same part at another place."""
    if part is None:
        return None
    if isinstance(part, Once):
        return Once(part.key, moved(part.part, start, to))
    place = to + part.place.removeprefix(start)
    match part:
        case Leaf():
            return Leaf(place, part.target, part.arguments, part.infer, part.shape)
        case Chain():
            return Chain(place, tuple([moved(p, start, to) for p in part.parts]), part.items)
        case Skip():
            return Skip(place, moved(part.body, start, to), part.project)
    assert isinstance(part, Branches)
    return Branches(place, tuple([moved(p, start, to) for p in part.parts]), part.merge, part.dim)


FAMILIES: dict[str, tuple[Layers, Tensor]] = {
    "image": (IMAGE_LAYERS, IMAGE),
    "sequence": (SEQUENCE_LAYERS, SEQUENCE),
    "vector": (VECTOR_LAYERS, VECTOR),
}
