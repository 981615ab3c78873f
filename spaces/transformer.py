"""A decoder-only transformer worth searching: width, depth, and heads, feed-forward and activation per layer.

Pre-norm blocks (Vaswani et al. 2017, arXiv:1706.03762; Radford et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.spaces import nn
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Choice, Integer, Repeat, Residual, Sequential
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor
from archsearch.spaces.values import input

LAYERS = "archsearch.spaces.transformer_layers"


def layer(heads: Sequence[int], ratios: Sequence[int], head_dim: int) -> Sequential:
    """Attention and feed-forward, each with its residual."""
    attention = module(
        f"{LAYERS}:CausalAttention", num_heads=Choice(list(heads)), head_dim=head_dim, infer={"embed_dim": "features"}
    )
    hidden = Choice(list(ratios)) * input.features
    return Sequential(
        attention=Residual(Sequential(norm=nn.LayerNorm(), mix=attention), project=None),
        mlp=Residual(
            Sequential(
                norm=nn.LayerNorm(),
                up=nn.Linear(hidden),
                act=Choice({"gelu": nn.GELU(), "relu": nn.ReLU()}),
                down=nn.Linear(Choice([64, 128, 192], name="width")),
            ),
            project=None,
        ),
    )


def space(
    vocabulary: int = 256,
    length: int = 128,
    depth: tuple[int, int] = (2, 6),
    heads: Sequence[int] = (2, 4, 8),
    ratios: Sequence[int] = (2, 3, 4),
    head_dim: int = 32,
) -> Space:
    """The space; 108,038,772 architectures by default: 3 (18^2 + 18^3 + 18^4 + 18^5 + 18^6)."""
    width = Choice([64, 128, 192], name="width")
    model = Sequential(
        embed=nn.Embedding(vocabulary, width),
        positions=module(f"{LAYERS}:Positions", length=length, infer={"embed_dim": "features"}),
        layers=Repeat(layer(heads, ratios, head_dim), Integer(*depth)),
        norm=nn.LayerNorm(),
        head=nn.Linear(vocabulary, bias=False),
    )
    return Space(model, inputs={"ids": Tensor(length, dtype="int64", below=vocabulary)})
