"""AutoFormer's vision transformers (Chen, Peng, Fu, Ling 2021, "AutoFormer: Searching Transformers for Visual
Recognition", arXiv:2107.00651, table 1).

Embedding dimension and depth are decided for the network, heads (of 64 each) and the ratio of the feed-forward layer
for each of its layers. Architectures: tiny 3 (4^12 + 4^13 + 4^14) = 1,056,964,608; small 3 (9^12 + 9^13 + 9^14) =
77,103,263,459,313; base 3 (9^14 + 9^15 + 9^16) = 6,245,364,340,204,353.
"""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.spaces import nn
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Choice, Derived, Repeat, Residual, Scope, Sequential
from archsearch.spaces.space import Space
from archsearch.spaces.values import input

LAYERS = "archsearch.spaces.autoformer_layers"


def layer(embed: Choice, heads: Sequence[int], ratios: Sequence[float], head_dim: int, grid: int) -> Scope:
    """Attention and feed-forward, each with its residual."""
    attention = module(
        f"{LAYERS}:RelativeAttention",
        num_heads=Choice(list(heads), name="heads"),
        head_dim=head_dim,
        grid=grid,
        reach=14,
        infer={"embed_dim": "features"},
    )
    wide = Derived(int, Choice(list(ratios), name="ratio") * input.features)
    return Scope(
        Sequential(
            attention=Residual(Sequential(norm=nn.LayerNorm(), mix=attention), project=None),
            mlp=Residual(
                Sequential(norm=nn.LayerNorm(), up=nn.Linear(wide), act=nn.GELU(), down=nn.Linear(embed)), project=None
            ),
        ),
        "heads",
        "ratio",
    )


def space(
    embeds: Sequence[int] = (192, 216, 240),
    heads: Sequence[int] = (3, 4),
    ratios: Sequence[float] = (3.5, 4.0),
    depths: Sequence[int] = (12, 13, 14),
    classes: int = 1000,
    image: int = 224,
    patch: int = 16,
    head_dim: int = 64,
) -> Space:
    """Supernet-tiny on ImageNet, 1,056,964,608 architectures.

    Args:
        embeds: dimensions of a token; one for the whole network.
        heads, ratios: what each layer decides.
        depths: numbers of layers.
        classes: outputs of the classifier, which reads the class token.
        image, patch: one side of the image and of a patch.
        head_dim: queries, keys and values of a head, whatever the embedding dimension.
    """
    embed = Choice(list(embeds), name="embed")
    grid = image // patch
    model = Sequential(
        patches=nn.Conv2d(embed, patch, stride=patch),
        tokens=module(f"{LAYERS}:Tokens", grid=grid),
        layers=Repeat(layer(embed, heads, ratios, head_dim, grid), Choice(list(depths), name="depth")),
        norm=nn.LayerNorm(),
        first=module(f"{LAYERS}:class_token"),
        head=nn.Linear(classes),
    )
    return Space(model, input_shape=(3, image, image))


def small() -> Space:
    """Supernet-small, 77,103,263,459,313 architectures."""
    return space((320, 384, 448), (5, 6, 7), (3.0, 3.5, 4.0), (12, 13, 14))


def base() -> Space:
    """Supernet-base, 6,245,364,340,204,353 architectures."""
    return space((528, 576, 624), (8, 9, 10), (3.0, 3.5, 4.0), (14, 15, 16))
