"""The layers of `archsearch.spaces.llama`, in torch; imported when something is built.

B batch, H query heads, T positions, D features, E of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def rotate(x: torch.Tensor, base: float) -> torch.Tensor:
    """Rotary position embedding (Su et al. 2021, arXiv:2104.09864); (B, H, T, E) to the same.

    Entries i and i + E/2 turn by t base^(-2i/E) at position t, as in the checkpoints of the transformers library.
    """
    half = x.shape[-1] // 2
    rates = base ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class GroupedAttention(nn.Module):
    """Causal attention whose keys and values serve several query heads (Ainslie et al. 2023, arXiv:2305.13245).

    Args:
        embed_dim: D of the input and the output, (B, T, D).
        num_heads: of queries, each of `head_dim`.
        kv_heads: of keys and values; divides `num_heads`.
        rotary_base: of `rotate`.
    """

    def __init__(self, embed_dim: int, num_heads: int, kv_heads: int, head_dim: int, rotary_base: float) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.rotary_base = rotary_base
        self.q = nn.Linear(embed_dim, num_heads * head_dim, bias=False)
        self.k = nn.Linear(embed_dim, kv_heads * head_dim, bias=False)
        self.v = nn.Linear(embed_dim, kv_heads * head_dim, bias=False)
        self.out = nn.Linear(num_heads * head_dim, embed_dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = [layer(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for layer in (self.q, self.k, self.v)]
        q, k = rotate(q, self.rotary_base), rotate(k, self.rotary_base)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        out: torch.Tensor = self.out(y.transpose(1, 2).flatten(-2))
        return out


def tied_head(x: torch.Tensor, *, embedding: nn.Embedding) -> torch.Tensor:
    """Logits by the embedding's own weights (Press & Wolf 2017, arXiv:1608.05859); (B, T, D) to (B, T, vocabulary)."""
    return functional.linear(x, embedding.weight)
