"""The sub-networks of a MatFormer (Devvrit et al. 2023, "MatFormer: Nested Transformer for Elastic Inference",
arXiv:2310.07707): each layer of a trained transformer keeps the first units of its feed-forward layer.

The values are shares of the units. `archsearch.elastic.MatFormer(model).space()` is this space for a given model, with
its parameters and FLOPs.
"""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.spaces.nodes import Choice, Node, Repeat
from archsearch.spaces.space import Space


def space(
    layers: int = 16,
    granularities: Sequence[float] = (1 / 8, 1 / 4, 1 / 2, 1),
    heads: Sequence[float] | None = None,
) -> Space:
    """The space; 4^16 = 4,294,967,296 architectures by default (section 4.1: 16 layers; S, M, L and XL).

    Args:
        layers: of the transformer.
        granularities: shares of the hidden units.
        heads: shares of the attention heads, where they are nested too (appendix F.2: 1/4, 1/2, 3/4, 1).
    """
    root: dict[str, Node] = {"ffn": Repeat(Choice([float(share) for share in granularities]), layers)}
    if heads is not None:
        root["heads"] = Repeat(Choice([float(share) for share in heads]), layers)
    return Space(root)
