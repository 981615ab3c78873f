"""A decoder-only language model as Llama (Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models",
arXiv:2302.13971), with the grouped-query attention of Llama 2 (arXiv:2307.09288).

Width and depth are decided for the network; for each layer how many query heads it has, how many of them share a head
of keys and values, and how many times wider its feed-forward layer is. Of its points with one option each, Llama 2 7B
and Llama 3 8B have the published number of parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from archsearch.errors import SpaceError
from archsearch.spaces import nn
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Choice, Derived, Node, Parallel, Repeat, Residual, Scope, Sequential, Shared
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor
from archsearch.spaces.values import input

LAYERS = "archsearch.spaces.llama_layers"


def layer(
    width: Choice,
    heads: Sequence[int],
    groups: Sequence[int],
    ratios: Sequence[float],
    head_dim: int,
    rotary_base: float,
    epsilon: float,
) -> Scope:
    """Attention and SwiGLU (Shazeer 2020, arXiv:2002.05202), each normalised before and with its residual."""
    queries = Choice(list(heads), name="heads")
    attention = module(
        f"{LAYERS}:GroupedAttention",
        num_heads=queries,
        kv_heads=queries // Choice(list(groups), name="group"),
        head_dim=head_dim,
        rotary_base=rotary_base,
    )
    wide = Derived(int, Choice(list(ratios), name="ratio") * input.features)
    gated = Parallel(
        gate=Sequential(proj=nn.Linear(wide, bias=False), act=nn.SiLU()), up=nn.Linear(wide, bias=False), merge="mul"
    )
    body = Sequential(
        attention=Residual(Sequential(norm=nn.RMSNorm(eps=epsilon), mix=attention), project=None),
        mlp=Residual(
            Sequential(norm=nn.RMSNorm(eps=epsilon), wide=gated, down=nn.Linear(width, bias=False)), project=None
        ),
    )
    return Scope(body, "heads", "group", "ratio")


def space(
    vocabulary: int = 32_000,
    context: int = 1024,
    widths: Sequence[int] = (512, 768, 1024),
    depths: Sequence[int] = (8, 12, 16),
    heads: Sequence[int] = (8, 12, 16),
    groups: Sequence[int] = (1, 2, 4),
    ratios: Sequence[float] = (2.0, 2.75, 3.5),
    head_dim: int = 64,
    tied: bool = False,
    rotary_base: float = 10_000.0,
    epsilon: float = 1e-5,
) -> Space:
    """The space; 239,299,779,515,370,709,196,889 architectures by default: 3 (27^8 + 27^12 + 27^16).

    Args:
        vocabulary: number of tokens.
        context: tokens in a sequence.
        widths, depths: of the network.
        heads: of queries in a layer, each with `head_dim` features whatever the width.
        groups: how many of them share a head of keys and values; each divides each of `heads`.
        ratios: width of a layer's feed-forward layer by the network's.
        tied: whether the last layer uses the weights of the first.
        rotary_base: 10,000 up to Llama 2, 500,000 in Llama 3.
        epsilon: of the normalisations.

    Raises:
        SpaceError: a group does not divide the heads.
    """
    for number, group in itertools.product(heads, groups):
        if number % group:
            raise SpaceError(f"llama's groups must divide its heads, but got {number} heads in groups of {group}")
    width = Choice(list(widths), name="width")
    embed: Node = nn.Embedding(vocabulary, width)
    head: Node = nn.Linear(vocabulary, bias=False)
    if tied:
        embed = Shared(embed, "embedding", weights=True)
        head = module(f"{LAYERS}:tied_head", embedding=embed)
    each = layer(width, heads, groups, ratios, head_dim, rotary_base, epsilon)
    model = Sequential(
        embed=embed,
        layers=Repeat(each, Choice(list(depths), name="depth")),
        norm=nn.RMSNorm(eps=epsilon),
        head=head,
    )
    return Space(model, inputs={"ids": Tensor(context, dtype="int64", below=vocabulary)})
