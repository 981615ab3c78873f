"""The attention layers of `archsearch.spaces.transformer`, in torch; imported when something is built."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class CausalAttention(nn.Module):
    """Causal self-attention with `num_heads` heads of `head_dim` (Vaswani et al. 2017); (B, T, D) to (B, T, D)."""

    def __init__(self, embed_dim: int, num_heads: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.qkv = nn.Linear(embed_dim, 3 * num_heads * head_dim)
        self.out = nn.Linear(num_heads * head_dim, embed_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, _ = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: torch.Tensor = self.out(y.transpose(1, 2).reshape(b, t, -1))
        return out


class Positions(nn.Module):
    """Adds a learnt vector for each position; (B, T, D) to (B, T, D)."""

    def __init__(self, length: int, embed_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(length, embed_dim) * 0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight[: x.shape[1]]
