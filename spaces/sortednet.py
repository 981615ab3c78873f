"""The sub-networks of a SortedNet (Valipour et al. 2023, "SortedNet: A Scalable and Generalized Framework for Training
Modular Deep Neural Networks", arXiv:2309.00255): along each dimension a trained network keeps its first units, alike in
all layers.

The values are shares of the units, and numbers of layers. `archsearch.elastic.SortedNet(model, ...).space()` is this
space for a given model, with its parameters and FLOPs.
"""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.spaces.nodes import Choice, Node
from archsearch.spaces.space import Space


def space(layers: Sequence[int] | None = (12, 16, 20, 24, 28, 32, 36, 40), **shares: Sequence[float]) -> Space:
    """The space; 8 architectures by default, the depths of Sorted LLaMA 13B (Valipour et al. 2023, arXiv:2309.08968).

    Args:
        layers: numbers of layers; None where all stay.
        shares: by dimension: `width=`, `ffn=`, `heads=`. 8 depths and 20 widths are 160 sub-networks.
    """
    root: dict[str, Node] = {} if layers is None else {"layers": Choice(list(layers), name="layers")}
    return Space(root | {name: Choice([float(share) for share in of]) for name, of in shares.items()})
