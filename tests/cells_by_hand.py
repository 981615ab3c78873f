"""The networks of the published cells, written by hand from their papers: what they compute, and their parameters.

Nothing here comes from the code under test: plain functions on a state dict, which also say where each weight stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

State = dict[str, torch.Tensor]
Edges = Sequence[tuple[str, int]]


def conv(s: State, at: str, x: torch.Tensor, stride: Any = 1, dilation: int = 1) -> torch.Tensor:
    """Padded so that at stride 1 the size stays; each channel alone where the weight has one channel, but x more."""
    weight = s[f"{at}.weight"]
    padding = [dilation * (kernel // 2) for kernel in weight.shape[2:]]
    return functional.conv2d(x, weight, None, stride, padding, dilation, x.shape[1] // weight.shape[1])


def bn(s: State, at: str, x: torch.Tensor) -> torch.Tensor:
    mean, var, weight, bias = [
        s[f"{at}.{name}"].view(1, -1, 1, 1) for name in ("running_mean", "running_var", "weight", "bias")
    ]
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def relu_conv_bn(s: State, at: str, x: torch.Tensor, stride: Any = 1) -> torch.Tensor:
    return bn(s, f"{at}.2", conv(s, f"{at}.1", x.relu(), stride))


def depthwise(s: State, at: str, x: torch.Tensor, stride: int = 1, dilation: int = 1) -> torch.Tensor:
    return bn(s, f"{at}.3", conv(s, f"{at}.2", conv(s, f"{at}.1", x.relu(), stride, dilation)))


def factorized_reduce(s: State, at: str, x: torch.Tensor) -> torch.Tensor:
    """Pixels of even rows and columns, and those of odd ones (zeros beyond the edge)."""
    x = x.relu()
    even = x[:, :, ::2, ::2]
    odd = torch.zeros_like(even)
    found = x[:, :, 1::2, 1::2]
    odd[:, :, : found.shape[2], : found.shape[3]] = found
    both = [torch.einsum("oi,bihw->bohw", s[f"{at}.conv{i}.weight"][..., 0, 0], v) for i, v in enumerate((even, odd))]
    return bn(s, f"{at}.bn", torch.cat(both, 1))


def pool(x: torch.Tensor, kind: str, stride: int) -> torch.Tensor:
    """3x3; the border is not counted."""
    if kind == "max":
        padded = functional.pad(x, (1, 1, 1, 1), value=-torch.inf)
        return padded.unfold(2, 3, stride).unfold(3, 3, stride).amax((4, 5))
    padded, ones = functional.pad(x, (1, 1, 1, 1)), functional.pad(torch.ones_like(x), (1, 1, 1, 1))
    total, number = [v.unfold(2, 3, stride).unfold(3, 3, stride).sum((4, 5)) for v in (padded, ones)]
    return total / number


def auxiliary(s: State, at: str, x: torch.Tensor) -> torch.Tensor:
    x = functional.avg_pool2d(x.relu(), 5, 3)
    x = bn(s, f"{at}.3", conv(s, f"{at}.2", x)).relu()
    x = bn(s, f"{at}.6", torch.einsum("oihw,bihw->bo", s[f"{at}.5.weight"], x)[..., None, None]).relu()
    return x.flatten(1) @ s[f"{at}.9.weight"].T + s[f"{at}.9.bias"]


def stacked(
    s: State,
    kinds: Sequence[bool],
    x: torch.Tensor,
    cell: Callable[[str, bool, torch.Tensor, torch.Tensor], torch.Tensor],
    relu: bool,
    head: int,
) -> dict[str, torch.Tensor]:
    """The network of NASNet and DARTS; the auxiliary classifier where it has weights."""
    stem = bn(s, "stem.op.1", conv(s, "stem.op.0", x))
    outs = [("stem", stem), ("stem", stem)]
    result = {}
    for i, reduces in enumerate(kinds):
        (before, h0), (last, h1) = outs[-2:]
        same = before == last
        at0, at1 = [f"cell{i}.inputs.{j}.op" if same else f"cell{i}.{name}" for j, name in enumerate((before, last))]
        h0 = factorized_reduce(s, at0, h0) if i and kinds[i - 1] else relu_conv_bn(s, at0, h0)
        outs.append((f"cell{i}", cell(f"cell{i}.merge", reduces, h0, relu_conv_bn(s, at1, h1))))
        if reduces and not any(kinds[i + 1 :]) and "auxiliary.op.9.bias" in s:
            result["aux"] = auxiliary(s, "auxiliary.op", outs[-1][1])
    x = outs[-1][1]
    x = (x.relu() if relu else x).mean((2, 3))
    result["logits"] = x @ s[f"head.op.{head}.weight"].T + s[f"head.op.{head}.bias"]
    return result


def nasnet_kinds(cells: int) -> list[bool]:
    return ([False] * cells + [True]) * 2 + [False] * cells


def nasnet_by_hand(s: State, a: dict[str, Any], x: torch.Tensor, cells: int) -> dict[str, torch.Tensor]:
    def operation(at: str, name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
        match name:
            case "identity":
                return x if stride == 1 else factorized_reduce(s, f"{at}.reduce", x)
            case "sep3" | "sep5" | "sep7":
                return depthwise(s, f"{at}.1", depthwise(s, f"{at}.0", x, stride))
            case "dil3":
                return depthwise(s, at, x, stride, 2)
            case "conv1x7_7x1":
                return relu_conv_bn(s, f"{at}.1", relu_conv_bn(s, f"{at}.0", x, (1, stride)), (stride, 1))
        return pool(x, name[:3], stride)

    def cell(at: str, reduces: bool, h0: torch.Tensor, h1: torch.Tensor) -> torch.Tensor:
        states = {"h0": h0, "h1": h1}
        unread = set()
        for b in range(5):
            total: Any = 0
            for j in range(2):
                path = f"b{b}.inputs[{j}]"
                source, name = [a[f"{'reduction' if reduces else 'normal'}.{path}{end}"] for end in ("", ".op")]
                stride = 2 if reduces and source in ("h0", "h1") else 1
                total = total + operation(f"{at}.b{b}.inputs.{j}.op.{name}", name, states[source], stride)
                unread.discard(source)
            states[f"b{b}"] = total
            unread.add(f"b{b}")
        return torch.cat([states[name] for name in sorted(unread)], 1)

    return stacked(s, nasnet_kinds(cells), x, cell, relu=True, head=3)


def nasnet_parameters(
    a: dict[str, Any], channels: int, cells: int, classes: int, joined: tuple[int, int] | None = None
) -> int:
    """Convolutions without bias and two numbers a channel for each normalisation.

    Args:
        joined: how many states the normal and the reduction cell concatenate, if not the blocks that nothing reads.
    """

    def inside(kind: str, c: int) -> int:
        total = 0
        for b in range(5):
            for j in range(2):
                source, name = a[f"{kind}.b{b}.inputs[{j}]"], a[f"{kind}.b{b}.inputs[{j}].op"]
                if name.startswith("sep"):
                    total += 2 * (int(name[3]) ** 2 * c + c * c + 2 * c)
                elif name == "dil3":
                    total += 9 * c + c * c + 2 * c
                elif name == "conv1x7_7x1":
                    total += 2 * (7 * c * c + 2 * c)
                elif name == "identity" and kind == "reduction" and source in ("h0", "h1"):
                    total += c * c + 2 * c
        return total

    if joined is None:
        joined = (len(unread_blocks(a, "normal")), len(unread_blocks(a, "reduction")))
    c, wide = channels, [3 * channels, 3 * channels]
    total = 27 * wide[0] + 2 * wide[0]
    for reduces in nasnet_kinds(cells):
        c *= 2 if reduces else 1
        total += sum([w * c + 2 * c for w in wide]) + inside("reduction" if reduces else "normal", c)
        wide = [wide[1], joined[reduces] * c]
    return total + wide[1] * classes + classes


def unread_blocks(a: dict[str, Any], kind: str) -> list[int]:
    read = [a[f"{kind}.b{b}.inputs[{j}]"] for b in range(5) for j in range(2)]
    return [b for b in range(5) if f"b{b}" not in read]


def read_inputs(a: dict[str, Any]) -> set[tuple[str, str]]:
    """Which inputs of which cell are read by a block."""
    return {(p.split(".")[0], v) for p, v in a.items() if v in ("h0", "h1")}


def darts_by_hand(s: State, normal: Edges, reduce: Edges, x: torch.Tensor, cells: int) -> dict[str, torch.Tensor]:
    def operation(at: str, name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
        match name:
            case "skip_connect":
                return x if stride == 1 else factorized_reduce(s, at, x)
            case "sep_conv_3x3" | "sep_conv_5x5":
                return depthwise(s, f"{at}.1", depthwise(s, f"{at}.0", x, stride))
            case "dil_conv_3x3" | "dil_conv_5x5":
                return depthwise(s, at, x, stride, 2)
        return pool(x, name[:3], stride)

    def cell(at: str, reduces: bool, c0: torch.Tensor, c1: torch.Tensor) -> torch.Tensor:
        states = [c0, c1]
        for i in range(4):
            total: Any = 0
            for name, source in (reduce if reduces else normal)[2 * i : 2 * i + 2]:
                where = f"{at}.n{i}.{('c0', 'c1', 'n0', 'n1', 'n2')[source]}.{name}"
                total = total + operation(where, name, states[source], 2 if reduces and source < 2 else 1)
            states.append(total)
        return torch.cat(states[2:], 1)

    kinds = [i in (cells // 3, 2 * cells // 3) for i in range(cells)]
    return stacked(s, kinds, x, cell, relu=False, head=2)


def genotype(a: dict[str, Any], kind: str) -> list[tuple[str, int]]:
    """The edges of a cell of DARTS, as papers write it, from answers."""
    names = ("c0", "c1", "n0", "n1", "n2")
    return [(a[f"{kind}.n{i}.{n}"], j) for i in range(4) for j, n in enumerate(names) if f"{kind}.n{i}.{n}" in a]


def hierarchical_by_hand(s: State, a: dict[str, Any], x: torch.Tensor, cells: int, flat: bool) -> torch.Tensor:
    def conv_bn_relu(at: str, x: torch.Tensor) -> torch.Tensor:
        return bn(s, f"{at}.1", conv(s, f"{at}.0", x)).relu()

    def primitive(at: str, name: str, x: torch.Tensor) -> torch.Tensor:
        match name:
            case "identity":
                return x
            case "separable3":
                return conv_bn_relu(f"{at}.1", conv(s, f"{at}.0", x))
            case "max3":
                return pool(x, "max", 1)
            case "avg3":
                return functional.avg_pool2d(x, 3, 1, 1)
        return conv_bn_relu(at, x)

    def motif(at: str, path: str, x: torch.Tensor, nodes: int, low: bool) -> torch.Tensor:
        states = [x]
        for i in range(1, nodes):
            found = []
            for j in range(i):
                name = a[f"{path}.n{i}.n{j}"]
                where = f"{at}.n{i}.n{j}.{name}"
                if name != "none":
                    found.append(primitive(where, name, states[j]) if low else motif(where, name, states[j], 4, True))
            states.append(found[0] if i == 1 else conv_bn_relu(f"{at}.n{i}.op", torch.cat(found, 1)))
        return states[-1]

    x = conv_bn_relu("stem", x)
    for i in range(3 * cells):
        x = motif(f"body.{2 * i}", "cell", x, 11 if flat else 5, flat)
        x = conv(s, f"body.{2 * i + 1}.0", x, 2 if i % cells == cells - 1 else 1)
        x = conv_bn_relu(f"body.{2 * i + 1}.1", x)
    return x.mean((2, 3)) @ s["head.2.weight"].T + s["head.2.bias"]


def cells_over_motifs(nodes: int, motifs: int, inside: int) -> int:
    """How many cells there are whose edges choose among motifs of `inside` forms each, unused ones undecided.

    For every set of motifs, the wirings that use all of it, by inclusion and exclusion.
    """
    chain, others = nodes - 1, (nodes - 1) * (nodes - 2) // 2
    return sum(math.comb(motifs, used) * inside**used * using_all(used, chain, others) for used in range(1, motifs + 1))


def using_all(used: int, chain: int, others: int) -> int:
    return sum((-1) ** j * math.comb(used, j) * (used - j) ** chain * (used - j + 1) ** others for j in range(used))
