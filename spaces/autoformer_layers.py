"""The layers of `archsearch.spaces.autoformer`, in torch; imported when something is built.

B batch, H heads, N tokens (the class token, then a square grid of patches row by row), D features, E of a head.
"""

from __future__ import annotations

import torch
from torch import nn


class Tokens(nn.Module):
    """A grid of patches as tokens behind a class token, with learnt positions; (B, D, grid, grid) to (B, N, D)."""

    def __init__(self, num_channels: int, grid: int) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.randn(1, 1, num_channels) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, 1 + grid * grid, num_channels) * 0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.class_token.expand(x.shape[0], -1, -1)
        return torch.cat([first, x.flatten(2).transpose(1, 2)], 1) + self.positions


class RelativePositions(nn.Module):
    """A vector for every pair of tokens, (N, N, E): a learnt one for the rows between them and one for the columns.

    Args:
        grid: patches on a side.
        head_dim: E.
        reach: rows or columns further apart count as so many; entry 0 of each table is for the class token.
    """

    def __init__(self, grid: int, head_dim: int, reach: int) -> None:
        super().__init__()
        self.grid = grid
        self.reach = reach
        self.rows = nn.Parameter(torch.randn(2 * reach + 2, head_dim) * 0.02)
        self.columns = nn.Parameter(torch.randn(2 * reach + 2, head_dim) * 0.02)

    def forward(self) -> torch.Tensor:
        side = torch.arange(self.grid, device=self.rows.device)
        apart = (side - side[:, None]).clamp(-self.reach, self.reach) + self.reach + 1
        rows = apart.repeat_interleave(self.grid, 0).repeat_interleave(self.grid, 1)
        columns = apart.repeat(self.grid, self.grid)
        with_class = (1, 0, 1, 0)
        return self.rows[nn.functional.pad(rows, with_class)] + self.columns[nn.functional.pad(columns, with_class)]


class RelativeAttention(nn.Module):
    """Self-attention with relative positions of keys and values (Shaw et al. 2018, arXiv:1803.02155, on a grid).

    Args:
        embed_dim: D of the input and the output, (B, N, D).
        num_heads: each of `head_dim`, whatever D is.
        grid, reach: as in `RelativePositions`.
    """

    def __init__(self, embed_dim: int, num_heads: int, head_dim: int, grid: int, reach: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.qkv = nn.Linear(embed_dim, 3 * num_heads * head_dim)
        self.keys = RelativePositions(grid, head_dim, reach)
        self.values = RelativePositions(grid, head_dim, reach)
        self.out = nn.Linear(num_heads * head_dim, embed_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) + torch.einsum("bhne,nme->bhnm", q, self.keys())
        weights = (scores / self.head_dim**0.5).softmax(-1)
        y = weights @ v + torch.einsum("bhnm,nme->bhne", weights, self.values())
        out: torch.Tensor = self.out(y.transpose(1, 2).reshape(b, n, -1))
        return out


def class_token(x: torch.Tensor) -> torch.Tensor:
    """The first token; (B, N, D) to (B, D)."""
    return x[:, 0]
