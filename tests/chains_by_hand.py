"""The networks of the published chains, written by hand from their papers: parameters, FLOPs, and what they compute.

Nothing here comes from the code under test: loops over heads and pairs of tokens, complex numbers for rotations.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

State = dict[str, torch.Tensor]

# A quarter, as a multiple of 8 (18 would lose more than a tenth at 16, so it is 24).
GATES = {72: 24, 96: 24, 120: 32, 144: 40, 160: 40, 240: 64, 320: 80, 336: 88, 448: 112, 480: 120, 640: 160, 672: 168}
GATES[960] = 240


def ofa_parameters(a: dict[str, Any], classes: int) -> int:
    """Convolutions without bias and two numbers a channel for each normalisation; gates with bias."""
    total = 3 * 16 * 9 + 2 * 16 + (16 * 9 + 2 * 16) + (16 * 16 + 2 * 16)
    total += 160 * 960 + 2 * 960 + 960 * 1280 + 1280 * classes + classes
    before = 16
    for u, width in enumerate((24, 40, 80, 112, 160)):
        for i in range(a[f"units[{u}].depth"]):
            at = f"units[{u}].more[{i - 1}]" if i else f"units[{u}].first"
            wide = before * a[f"{at}.expansion"]
            total += before * wide + wide * a[f"{at}.kernel"] ** 2 + wide * width + 2 * (wide + wide + width)
            if u in (1, 3, 4):
                total += 2 * wide * GATES[wide] + wide + GATES[wide]
            before = width
    return total


def autoformer_parameters(a: dict[str, Any], classes: int) -> int:
    d = a["embed"]
    total: int = (3 * 16 * 16 * d + d) + 198 * d + 2 * d + d * classes + classes
    for i in range(a["depth"]):
        inside, wide = 64 * a[f"layers[{i}].heads"], int(a[f"layers[{i}].ratio"] * d)
        total += 4 * d + (3 * inside * (d + 1)) + (inside + 1) * d + (d + 1) * wide + (wide + 1) * d + 4 * 30 * 64
    return total


def llama_parameters(a: dict[str, Any], vocabulary: int) -> int:
    d = a["width"]
    total: int = 2 * vocabulary * d + d
    for i in range(a["depth"]):
        heads = a[f"layers[{i}].heads"]
        kv_heads, wide = heads // a[f"layers[{i}].group"], int(a[f"layers[{i}].ratio"] * d)
        total += 2 * d + 64 * d * (2 * heads + 2 * kv_heads) + 3 * d * wide
    return total


def autoformer_flops(a: dict[str, Any], classes: int) -> int:
    """Two for every product and sum: 197 tokens; scores and sums of values, each with its relative positions."""
    d, tokens = a["embed"], 197
    total: int = 2 * 196 * (3 * 16 * 16) * d + 2 * d * classes
    for i in range(a["depth"]):
        inside, wide = 64 * a[f"layers[{i}].heads"], int(a[f"layers[{i}].ratio"] * d)
        total += 2 * tokens * (4 * d * inside + 2 * d * wide) + 8 * tokens**2 * inside
    return total


def llama_flops(a: dict[str, Any], vocabulary: int, length: int) -> int:
    """Two for every product and sum; attention counts the future that it leaves out."""
    d = a["width"]
    total: int = 2 * length * vocabulary * d
    for i in range(a["depth"]):
        heads = a[f"layers[{i}].heads"]
        kv_heads, wide = heads // a[f"layers[{i}].group"], int(a[f"layers[{i}].ratio"] * d)
        total += 2 * length * (64 * d * (2 * heads + 2 * kv_heads) + 3 * d * wide) + 4 * length**2 * 64 * heads
    return total


def hard_swish(x: torch.Tensor) -> torch.Tensor:
    return x * (x + 3).clamp(0, 6) / 6


def ofa_by_hand(state: State, a: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    def normalised(x: torch.Tensor, at: str) -> torch.Tensor:
        mean, var, scale, shift = [
            state[f"{at}.bn.{k}"][:, None, None] for k in ("running_mean", "running_var", "weight", "bias")
        ]
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    def pointwise(x: torch.Tensor, at: str) -> torch.Tensor:
        return torch.einsum("bchw,dc->bdhw", x, state[f"{at}.weight"][:, :, 0, 0])

    def spatial(x: torch.Tensor, at: str, stride: int, groups: int) -> torch.Tensor:
        weight = state[f"{at}.conv.weight"]
        padded = functional.pad(x, [weight.shape[-1] // 2] * 4)
        return normalised(functional.conv2d(padded, weight, stride=stride, groups=groups), at)

    def bottleneck(x: torch.Tensor, at: str, stride: int, act: Any, squeeze: bool) -> torch.Tensor:
        if f"{at}.expand.conv.weight" in state:
            x = act(normalised(pointwise(x, f"{at}.expand.conv"), f"{at}.expand"))
        x = act(spatial(x, f"{at}.depthwise", stride, x.shape[1]))
        assert squeeze == (f"{at}.depthwise.se.reduce.weight" in state)
        if squeeze:
            se = f"{at}.depthwise.se"
            gate = pointwise(x.mean((2, 3), keepdim=True), f"{se}.reduce") + state[f"{se}.reduce.bias"][:, None, None]
            gate = pointwise(gate.clamp(min=0), f"{se}.expand") + state[f"{se}.expand.bias"][:, None, None]
            x = x * (gate + 3).clamp(0, 6) / 6
        return normalised(pointwise(x, f"{at}.project.conv"), f"{at}.project")

    x = hard_swish(spatial(x, "stem", 2, 1))
    x = x + bottleneck(x, "block.0", 1, torch.relu, False)
    strides, squeezes = (2, 2, 2, 1, 2), (False, True, False, True, True)
    for u, (stride, squeeze) in enumerate(zip(strides, squeezes, strict=True)):
        act = torch.relu if u < 2 else hard_swish
        x = bottleneck(x, f"units.{u}.first", stride, act, squeeze)
        for i in range(a[f"units[{u}].depth"] - 1):
            x = x + bottleneck(x, f"units.{u}.more.{i}.0", 1, act, squeeze)
    x = hard_swish(normalised(pointwise(x, "head.expand.conv"), "head.expand")).mean((2, 3), keepdim=True)
    x = hard_swish(pointwise(x, "head.mix.conv")).flatten(1)
    return x @ state["head.classifier.weight"].T + state["head.classifier.bias"]


def layer_norm(x: torch.Tensor, state: State, at: str) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * state[f"{at}.weight"] + state[f"{at}.bias"]


def linear(x: torch.Tensor, state: State, at: str) -> torch.Tensor:
    y = x @ state[f"{at}.weight"].T
    return y + state[f"{at}.bias"] if f"{at}.bias" in state else y


def relative_by_hand(state: State, at: str, grid: int, reach: int) -> torch.Tensor:
    """One pair of tokens after the other; token 0 is the class token."""
    n = 1 + grid * grid
    rows, columns = state[f"{at}rows"], state[f"{at}columns"]
    found = torch.zeros(n, n, rows.shape[1])
    for i in range(n):
        for j in range(n):
            row = column = 0
            if i and j:
                (r, c), (s, d) = divmod(i - 1, grid), divmod(j - 1, grid)
                row, column = [max(-reach, min(reach, apart)) + reach + 1 for apart in (s - r, d - c)]
            found[i, j] = rows[row] + columns[column]
    return found


def autoformer_by_hand(state: State, a: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    grid, patch, head_dim = x.shape[-1] // 8, 8, 8
    weight = state["patches.weight"].flatten(1)
    tokens = [state["tokens.class_token"][:, 0].expand(len(x), -1)]
    for r in range(grid):
        for c in range(grid):
            piece = x[:, :, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch].flatten(1)
            tokens.append(piece @ weight.T + state["patches.bias"])
    h = torch.stack(tokens, 1) + state["tokens.positions"]
    for i in range(a["depth"]):
        at = f"layers.{i}.attention.0"
        heads = a[f"layers[{i}].heads"]
        y = layer_norm(h, state, f"{at}.norm")
        q, k, v = linear(y, state, f"{at}.mix.qkv").split(heads * head_dim, -1)
        keys, values = [relative_by_hand(state, f"{at}.mix.{w}.", grid, 14) for w in ("keys", "values")]
        outputs = []
        for head in range(heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            scores = ((k[:, None, :, part] + keys) * q[:, :, None, part]).sum(-1) / math.sqrt(head_dim)
            chance = scores.exp() / scores.exp().sum(-1, keepdim=True)
            outputs.append((chance[..., None] * (v[:, None, :, part] + values)).sum(2))
        h = h + linear(torch.cat(outputs, -1), state, f"{at}.mix.out")
        y = linear(layer_norm(h, state, f"layers.{i}.mlp.0.norm"), state, f"layers.{i}.mlp.0.up")
        h = h + linear(y * (1 + torch.erf(y / math.sqrt(2))) / 2, state, f"layers.{i}.mlp.0.down")
    return linear(layer_norm(h, state, "norm")[:, 0], state, "head")


def llama_by_hand(state: State, a: dict[str, Any], ids: torch.Tensor) -> torch.Tensor:
    head_dim, base, epsilon = 8, 10_000.0, 1e-5

    def norm(x: torch.Tensor, at: str) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * state[f"{at}.weight"]

    def turned(x: torch.Tensor) -> torch.Tensor:
        """Pairs (i, i + 4) as complex numbers, multiplied by e^(i t theta)."""
        rates = torch.tensor([base ** (-2 * i / head_dim) for i in range(head_dim // 2)])
        turn = torch.polar(torch.ones(()), torch.outer(torch.arange(float(x.shape[1])), rates))
        y = torch.complex(*x.chunk(2, -1)) * turn
        return torch.cat([y.real, y.imag], -1)

    h = state["embed.weight"][ids]
    length = ids.shape[1]
    for i in range(a["depth"]):
        at = f"layers.{i}.attention.0"
        heads, group = a[f"layers[{i}].heads"], a[f"layers[{i}].group"]
        y = norm(h, f"{at}.norm")
        q, k, v = [linear(y, state, f"{at}.mix.{w}").split(head_dim, -1) for w in "qkv"]
        assert (len(q), len(k), len(v)) == (heads, heads // group, heads // group)
        outputs = []
        for head in range(heads):
            scores = turned(q[head]) @ turned(k[head // group]).mT / math.sqrt(head_dim)
            future = torch.arange(length) > torch.arange(length)[:, None]
            chance = scores.masked_fill(future, -math.inf).softmax(-1)
            outputs.append(chance @ v[head // group])
        h = h + linear(torch.cat(outputs, -1), state, f"{at}.mix.out")
        at = f"layers.{i}.mlp.0"
        y = norm(h, f"{at}.norm")
        gate = linear(y, state, f"{at}.wide.gate.proj")
        h = h + linear(gate * gate.sigmoid() * linear(y, state, f"{at}.wide.up"), state, f"{at}.down")
    return linear(norm(h, "norm"), state, "head" if "head.weight" in state else "head.embedding")
