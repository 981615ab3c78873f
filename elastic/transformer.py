"""A decoder-only Transformer and a ViT in plain torch, whose sizes may differ from layer to layer.

The file stands alone: a sub-model that was cut out of one of these is shipped with a copy of it, and
`Transformer(TransformerConfig.from_dict(...))` loads its weights where archsearch is not installed.

Pre-norm blocks, as what both papers of nested networks train. Sizes are read from the weights, and no module keeps a
width of its own, so that a cut has nothing to forget.

Letters of shapes: B examples, T tokens (of an image: patches), D width, H heads, G groups of heads that share keys and
values, K numbers of a head, V vocabulary.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROTARY_BASE = 10_000.0
EPSILON = 1e-6

# Keys of the configurations that have an entry for each layer.
PER_LAYER = ("heads", "groups", "hidden")

C = TypeVar("C", bound="Sizes")


@dataclass(frozen=True)
class Sizes:
    """What the configurations of both models have.

    Attributes:
        width: channels of the residual stream.
        layers: how many blocks.
        heads: of every layer, or an entry for each.
        head_dim: numbers of a head.
        hidden: units of every layer's feed-forward, or an entry for each.
        dropout: the probability, on what every half of a block adds, and on the embeddings.
    """

    model_type = ""

    width: int = 64
    layers: int = 4
    heads: int | Sequence[int] = 4
    head_dim: int = 16
    hidden: int | Sequence[int] = 256
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if kind is bool and type(value) is not bool:
                raise ValueError(f"{field.name} must be true or false, but it is {value!r}")
            if kind is int and field.name not in PER_LAYER and (type(value) is not int or value < 1):
                raise ValueError(f"{field.name} must be a number of at least 1, but it is {value!r}")
        if not isinstance(self.dropout, float | int) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), but it is {self.dropout!r}")
        for key in ("heads", "hidden"):
            self._spread(key)

    def _spread(self, key: str) -> None:
        """Have one entry for each layer, so that a configuration says the sizes in one way only."""
        value = getattr(self, key)
        each = tuple(value) if isinstance(value, Sequence) else (value,) * self.layers
        if len(each) != self.layers or not all(type(n) is int and n >= 1 for n in each):
            raise ValueError(
                f"{key} must be a number, or a list with a number for each of the {self.layers} layers, "
                f"but it is {value!r}"
            )
        object.__setattr__(self, key, each)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON, with `model_type`."""
        data = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {"model_type": self.model_type, **data}

    @classmethod
    def from_dict(cls: type[C], data: Mapping[str, Any]) -> C:
        """The configuration that `to_dict` gave.

        Raises:
            ValueError: it is of another model, or has unknown keys or sizes that cannot be.
        """
        kind = data.get("model_type", cls.model_type)
        unknown = sorted(set(data) - {field.name for field in fields(cls)} - {"model_type"})
        if kind != cls.model_type or unknown:
            what = f"model_type {kind!r}" if kind != cls.model_type else f"the unknown keys {', '.join(unknown)}"
            raise ValueError(f"expected a configuration of {cls.model_type}, but it has {what}")
        return cls(**{key: value for key, value in data.items() if key != "model_type"})


@dataclass(frozen=True)
class TransformerConfig(Sizes):
    """A decoder-only Transformer.

    Attributes:
        vocabulary: how many tokens there are: 256 bytes by default.
        context: the longest sequence.
        groups: of heads that share keys and values, in every layer, or an entry for each; by default as many as heads.
        gated: SwiGLU (Shazeer 2020, arXiv:2002.05202) for GELU in the feed-forward, with a third matrix.
        norm: RMSNorm or LayerNorm.
        bias: whether linear layers (and LayerNorm) have biases.
        tied: whether the head is the embedding.
    """

    model_type = "archsearch-transformer"

    vocabulary: int = 256
    context: int = 128
    groups: int | Sequence[int] | None = None
    gated: bool = False
    norm: Literal["rms", "layer"] = "rms"
    bias: bool = False
    tied: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups is None:
            object.__setattr__(self, "groups", self.heads)
        self._spread("groups")
        for i, (heads, groups) in enumerate(zip(per_layer(self.heads), per_layer(self.groups), strict=True)):
            if heads % groups:
                raise ValueError(f"layer {i}: {heads} heads cannot be {groups} groups of one size")
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even for rotary positions, but it is {self.head_dim}")
        if self.norm not in ("rms", "layer"):
            raise ValueError(f"norm must be 'rms' or 'layer', but it is {self.norm!r}")


@dataclass(frozen=True)
class ViTConfig(Sizes):
    """A vision Transformer.

    Attributes:
        image: height and width of the images.
        patch: height and width of a patch; it divides the image.
        channels: of an image.
        classes: how many there are.
    """

    model_type = "archsearch-vit"

    image: int = 28
    patch: int = 4
    channels: int = 1
    classes: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image % self.patch:
            raise ValueError(f"patches of {self.patch} do not divide images of {self.image}")


def per_layer(value: int | Sequence[int] | None) -> tuple[int, ...]:
    """The entries of a key of a configuration, which has one for each layer once it is made."""
    assert isinstance(value, tuple), value
    return value


class Attention(nn.Module):
    """Multi-head attention with groups of heads that share keys and values (Ainslie et al. 2023, arXiv:2305.13245).

    Heads of one group stand together: heads 0 to H/G - 1 are of group 0.
    """

    def __init__(self, width: int, heads: int, groups: int, head_dim: int, *, bias: bool, causal: bool) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.causal = causal
        self.q = nn.Linear(width, heads * head_dim, bias=bias)
        self.k = nn.Linear(width, groups * head_dim, bias=bias)
        self.v = nn.Linear(width, groups * head_dim, bias=bias)
        self.out = nn.Linear(heads * head_dim, width, bias=bias)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        q, k, v = (
            project(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for project in (self.q, self.k, self.v)
        )  # [B, H, T, K], [B, G, T, K]
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        grouped = q.shape[1] != k.shape[1]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, enable_gqa=grouped)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + K/2) of every head by the angle of its position.

    Args:
        x: [B, H, T, K].
        cos: of the angles, [T, K/2].
        sin: likewise.
    """
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class FeedForward(nn.Module):
    """down(gelu(up x)), or gated down(silu(gate x) * up x)."""

    def __init__(self, width: int, hidden: int, *, gated: bool, bias: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=bias) if gated else None
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        units = F.gelu(self.up(x)) if self.gate is None else F.silu(self.gate(x)) * self.up(x)
        y: Tensor = self.down(units)
        return y


class Block(nn.Module):
    """x + attention(norm x), then x + ffn(norm x)."""

    def __init__(
        self, config: Sizes, layer: int, *, groups: int, gated: bool, norm: str, bias: bool, causal: bool
    ) -> None:
        super().__init__()
        heads, hidden = per_layer(config.heads)[layer], per_layer(config.hidden)[layer]
        self.attention_norm = make_norm(norm, config.width, bias)
        self.attention = Attention(config.width, heads, groups, config.head_dim, bias=bias, causal=causal)
        self.ffn_norm = make_norm(norm, config.width, bias)
        self.ffn = FeedForward(config.width, hidden, gated=gated, bias=bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = x + self.dropout(self.attention(self.attention_norm(x), rotary))
        y: Tensor = x + self.dropout(self.ffn(self.ffn_norm(x)))
        return y


def make_norm(kind: str, width: int, bias: bool) -> nn.Module:
    return nn.RMSNorm(width, EPSILON) if kind == "rms" else nn.LayerNorm(width, EPSILON, bias=bias)


class Transformer(nn.Module):
    """A decoder-only Transformer: logits of the next token at every position.

    Positions are rotary (Su et al. 2021, arXiv:2104.09864): they live inside a head, so that cuts of width and heads
    meet no table of positions, and have no weights. `embed`, `layers` and `read` are the steps of `forward`, for those
    who need what is between two layers.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            Block(config, i, groups=groups, gated=config.gated, norm=config.norm, bias=config.bias, causal=True)
            for i, groups in enumerate(per_layer(config.groups))
        )
        self.norm = make_norm(config.norm, config.width, config.bias)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        frequencies = ROTARY_BASE ** (-torch.arange(0, config.head_dim, 2) / config.head_dim)
        angles = torch.outer(torch.arange(config.context), frequencies)  # [T, K/2]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        if config.tied:
            self.head.weight = self.embedding.weight
        initialise(self)

    def forward(self, ids: Tensor) -> Tensor:
        """Tokens [B, T] -> logits [B, T, V]."""
        x, rotary = self.embed(ids)
        for layer in self.layers:
            x = layer(x, rotary)
        return self.read(x)

    def embed(self, ids: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Tokens [B, T] -> what the first layer takes: [B, T, D], and cosines and sines of the positions, [T, K/2]."""
        length = ids.shape[1]
        if length > self.cos.shape[0]:
            raise ValueError(f"a sequence has at most {self.cos.shape[0]} tokens here, but got {length}")
        return self.dropout(self.embedding(ids)), (self.cos[:length], self.sin[:length])

    def read(self, x: Tensor) -> Tensor:
        """What the last layer gave, [B, T, D] -> logits [B, T, V]."""
        logits: Tensor = self.head(self.norm(x))
        return logits


class ViT(nn.Module):
    """A vision Transformer (Dosovitskiy et al. 2020, arXiv:2010.11929): logits of classes.

    Positions are learned, as images have one size and few patches. The patches are averaged and there is no class
    token, as in Beyer et al. 2022 (arXiv:2205.01580), where it is as good or better. Linear layers have biases and
    norms are LayerNorm, as in the paper.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(config.channels, config.width, kernel_size=config.patch, stride=config.patch)
        self.positions = nn.Parameter(torch.empty((config.image // config.patch) ** 2, config.width))
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            Block(config, i, groups=heads, gated=False, norm="layer", bias=True, causal=False)
            for i, heads in enumerate(per_layer(config.heads))
        )
        self.norm = make_norm("layer", config.width, True)
        self.head = nn.Linear(config.width, config.classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, channels, image, image] -> logits [B, classes]."""
        x = self.embed(images)
        for layer in self.layers:
            x = layer(x)
        return self.read(x)

    def embed(self, images: Tensor) -> Tensor:
        """Images -> what the first layer takes, [B, T, D]."""
        x: Tensor = self.dropout(self.patches(images).flatten(2).transpose(1, 2) + self.positions)
        return x

    def read(self, x: Tensor) -> Tensor:
        """What the last layer gave, [B, T, D] -> logits [B, classes]."""
        logits: Tensor = self.head(self.norm(x).mean(1))
        return logits


def initialise(model: Transformer | ViT) -> None:
    """Normal weights of deviation 0.02, those that write to the residual stream smaller by its number of writers, so
    that its variance does not grow with depth (GPT-2)."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.ndim > 1:
            writes = name.endswith(("attention.out.weight", "ffn.down.weight"))
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.layers) if writes else 1))


def build(data: Mapping[str, Any]) -> Transformer | ViT:
    """The model of a configuration as plain data, with fresh weights.

    Raises:
        ValueError: its `model_type` is another, or see `from_dict`.
    """
    kind = data.get("model_type")
    if kind == TransformerConfig.model_type:
        return Transformer(TransformerConfig.from_dict(data))
    if kind == ViTConfig.model_type:
        return ViT(ViTConfig.from_dict(data))
    known = f"{TransformerConfig.model_type} or {ViTConfig.model_type}"
    raise ValueError(f"expected the model_type {known}, but got {kind!r}")
