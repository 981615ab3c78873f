"""Sub-networks against forward passes by hand, from weights that are indexed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from elastic_models import Sizes, inputs_of, model_of
from torch import nn
from torch.nn import functional

from archsearch.elastic.axes import Kept
from archsearch.elastic.declare import axis
from archsearch.elastic.families import family_of
from archsearch.elastic.network import Elastic
from archsearch.errors import ElasticError

Tensor = torch.Tensor


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal, of (B, H, T, E)."""
    t = q.shape[-2]
    scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(~torch.ones(t, t).tril().bool(), -math.inf)
    return scores.softmax(-1) @ v


def rows(units: list[int], size: int) -> list[int]:
    return [u * size + j for u in units for j in range(size)]


def llama_by_hand(state: dict[str, Tensor], sizes: Sizes, ids: Tensor, sub: dict[str, Any]) -> Tensor:
    """The logits of a Llama that keeps channels `width`, layers `layers`, and in each the units `ffn` and `heads`."""
    d, e = sub["width"], sizes.head_dim

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * state[name][d]

    def turned(x: Tensor) -> Tensor:
        half = e // 2
        angle = torch.arange(x.shape[-2])[:, None] / 10_000 ** (torch.arange(half) * 2 / e)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    x = state["model.embed_tokens.weight"][ids][..., d]
    for layer in sub["layers"]:
        at = f"model.layers.{layer}"
        shared = rows(sub["heads"][layer], e)
        queries = rows(rows(sub["heads"][layer], sizes.per_group), e)

        def linear(x: Tensor, name: str, out: list[int], into: list[int], at: str = at) -> Tensor:
            return x @ state[f"{at}.{name}.weight"][out][:, into].T + state[f"{at}.{name}.bias"][out]

        h = norm(x, f"{at}.input_layernorm.weight")
        q = linear(h, "self_attn.q_proj", queries, d).unflatten(-1, (-1, e)).transpose(1, 2)
        k, v = (linear(h, f"self_attn.{n}_proj", shared, d).unflatten(-1, (-1, e)).transpose(1, 2) for n in "kv")
        k, v = (turned(k).repeat_interleave(sizes.per_group, 1), v.repeat_interleave(sizes.per_group, 1))
        y = softmax_attention(turned(q), k, v).transpose(1, 2).flatten(-2)
        x = x + linear(y, "self_attn.o_proj", d, queries)
        h = norm(x, f"{at}.post_attention_layernorm.weight")
        m = sub["ffn"][layer]
        y = functional.silu(linear(h, "mlp.gate_proj", m, d)) * linear(h, "mlp.up_proj", m, d)
        x = x + linear(y, "mlp.down_proj", d, m)
    return norm(x, "model.norm.weight") @ state["lm_head.weight"][:, d].T


def gpt2_by_hand(state: dict[str, Tensor], sizes: Sizes, ids: Tensor, sub: dict[str, Any]) -> Tensor:
    """The logits of a GPT-2, as `llama_by_hand`."""
    d, e, whole = sub["width"], sizes.head_dim, sizes.groups * sizes.head_dim

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * state[f"{name}.weight"][d] + state[f"{name}.bias"][d]

    x = state["transformer.wte.weight"][ids][..., d] + state["transformer.wpe.weight"][: ids.shape[1]][:, d]
    for layer in sub["layers"]:
        at = f"transformer.h.{layer}"

        def linear(x: Tensor, name: str, out: list[int], into: list[int], at: str = at) -> Tensor:
            return x @ state[f"{at}.{name}.weight"][into][:, out] + state[f"{at}.{name}.bias"][out]

        h, heads = norm(x, f"{at}.ln_1"), rows(sub["heads"][layer], e)
        q, k, v = (
            linear(h, "attn.c_attn", [part * whole + i for i in heads], d).unflatten(-1, (-1, e)).transpose(1, 2)
            for part in range(3)
        )
        x = x + linear(softmax_attention(q, k, v).transpose(1, 2).flatten(-2), "attn.c_proj", d, heads)
        m = sub["ffn"][layer]
        y = functional.gelu(linear(norm(x, f"{at}.ln_2"), "mlp.c_fc", m, d), approximate="tanh")
        x = x + linear(y, "mlp.c_proj", d, m)
    return norm(x, "transformer.ln_f") @ state["lm_head.weight"][:, d].T


SUBS: list[dict[str, Any]] = [
    {"width": range(16), "layers": [0, 1, 2], "ffn": {}, "heads": {}},
    {"width": range(9), "layers": [0, 1, 2], "ffn": {0: range(5), 1: range(1), 2: range(12)}, "heads": {}},
    {"width": range(16), "layers": [0, 2], "ffn": {2: [1, 4, 11]}, "heads": {0: [1, 3], 2: [0]}},
    {"width": [0, 3, 4, 9, 15], "layers": [1, 2], "ffn": {1: [2]}, "heads": {1: [2, 3]}},
]


@pytest.mark.parametrize("sub", SUBS)
@pytest.mark.parametrize(("name", "by_hand"), [("llama", llama_by_hand), ("gpt2", gpt2_by_hand)])
def test_a_forward_pass_by_hand(name: str, by_hand: Any, sub: dict[str, Any]) -> None:
    sizes = Sizes(layers=3, groups=4, per_group=2 if name == "llama" else 1, width=16)
    model = model_of(name, sizes, dtype=torch.float64)
    net = Elastic(model, family_of(model).axes(model), [])
    ids = inputs_of(model)["input_ids"]
    kept: dict[str, Any] = {"width": list(sub["width"]), "layers": sub["layers"]}
    for kind, units in (("ffn", sizes.ffn), ("heads", sizes.groups)):
        kept |= {f"{kind}.{layer}": list(stay) for layer, stay in sub[kind].items()}
        sub = {**sub, kind: {layer: list(sub[kind].get(layer, range(units))) for layer in sub["layers"]}}
    sub = {**sub, "width": list(sub["width"])}
    with torch.no_grad():
        expected = by_hand(model.state_dict(), sizes, ids, sub)
        # Llama of transformers normalises and turns in float32, whatever the weights are.
        close = 1e-4 if name == "llama" else 1e-10
        torch.testing.assert_close(net(ids, kept).logits, expected, rtol=close, atol=close)
        torch.testing.assert_close(net.extract(kept)(ids).logits, expected, rtol=close, atol=close)


class Reducing(nn.Module):
    """A feed-forward that keeps what lies above the mean of its hidden units by their deviation, as Gemma 3n's does."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(6, 12), nn.Linear(12, 6)

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x)
        return torch.as_tensor(self.down((h - h.mean(-1, keepdim=True) - 0.3 * h.std(-1, keepdim=True)).relu()))


def test_a_reduction_over_the_hidden_units_is_over_those_that_stay() -> None:
    torch.manual_seed(0)
    model = Reducing().double()
    net = Elastic(model, [axis(model, "ffn", 12, outputs=["up"], inputs=["down"])], [])
    x = torch.randn(5, 6, dtype=torch.float64)
    units = [0, 1, 4, 7, 8]
    with torch.no_grad():
        h = x @ model.up.weight[units].T + model.up.bias[units]
        mean = h.sum(-1, keepdim=True) / 5
        deviation = ((h - mean).square().sum(-1, keepdim=True) / 4).sqrt()
        expected = (h - mean - 0.3 * deviation).clamp(min=0) @ model.down.weight[:, units].T + model.down.bias
        run = net(x, {"ffn": units})
        torch.testing.assert_close(run, expected, rtol=1e-12, atol=1e-12)
        assert torch.equal(run, net.extract({"ffn": units})(x))
        # Setting the others to zero is something else.
        mask = torch.zeros(12, dtype=torch.float64)
        mask[units] = 1
        h = model.up(x) * mask
        masked = model.down((h - h.mean(-1, keepdim=True) - 0.3 * h.std(-1, keepdim=True)).relu() * mask)
        assert (masked - run).abs().max() > 1e-2


class Normalised(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.embed, self.norm, self.head = nn.Linear(3, 8), norm, nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.norm(self.embed(x))))


@pytest.mark.parametrize("kind", ["layer", "rms", "batch"])
@pytest.mark.parametrize("kept", [3, [1, 2, 5], 8])
def test_norms_are_over_the_channels_that_stay(kind: str, kept: int | list[int]) -> None:
    torch.manual_seed(0)
    norm = {"layer": nn.LayerNorm(8), "rms": nn.RMSNorm(8, eps=1e-6), "batch": nn.BatchNorm1d(8)}[kind]
    model = Normalised(norm).double()
    with torch.no_grad():
        for tensor in (*norm.parameters(), *norm.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 2)
    model.eval()
    net = Elastic(model, [axis(model, "width", 8, outputs=["embed", "norm"], inputs=["head"])], [])
    units = list(range(kept)) if isinstance(kept, int) else kept
    x = torch.randn(4, 3, dtype=torch.float64)
    with torch.no_grad():
        h = (x @ model.embed.weight.T + model.embed.bias)[:, units]
        if kind == "batch":
            h = (h - norm.running_mean[units]) / (norm.running_var[units] + 1e-5).sqrt()  # type: ignore[index]
        elif kind == "layer":
            h = (h - h.mean(-1, keepdim=True)) / (h.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
        else:
            h = h / (h.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        h = h * norm.get_parameter("weight")[units]
        h = h if kind == "rms" else h + norm.get_parameter("bias")[units]
        expected = h @ model.head.weight[:, units].T + model.head.bias
        torch.testing.assert_close(net(x, {"width": kept}), expected, rtol=1e-12, atol=1e-12)
        assert torch.equal(net(x, {"width": kept}), net.extract({"width": kept})(x))


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"ffn": 0}, "ffn.0 keeps from 1 to 12 units, but got 0"),
        ({"ffn.1": 13}, "ffn.1 keeps from 1 to 12 units, but got 13"),
        ({"width": -1}, "width keeps from 1 to 16 units"),
        ({"ffn.1": []}, "ffn.1 keeps from 1 to 12 units"),
        ({"ffn.1": [3, 1]}, "each once and ascending"),
        ({"ffn.1": [1, 1]}, "each once and ascending"),
        ({"ffn.1": [11, 12]}, "ffn.1 has units 0 to 11"),
        ({"ffn.1": 2.5}, "a granularity is a share in"),
        ({"ffn.1": True}, "expected a number of units or a list of them"),
        # Two query heads stand in each group: of four of them three cannot stay, as there are two groups.
        ({"heads.0": 3}, "heads.0 keeps from 1 to 2 units, but got 3"),
        ({"layers": 4}, "layers keeps from 1 to 3 units"),
        ({"layers": [0, 2], "ffn.1": 4}, "ffn.1: its layer model.layers.1 is not kept"),
        ({"layers": [0, 2], "heads.1": 1}, "heads.1: its layer model.layers.1 is not kept"),
        ({"fnn": 4}, "no axis 'fnn'; there is Axes"),
        ({"ffn.3": 4}, "no axis 'ffn.3'"),
    ],
)
def test_wrong_cuts(kept: Kept, message: str) -> None:
    model = model_of("llama", Sizes(layers=3))
    net = Elastic(model, family_of(model).axes(model), [])
    for use in (net.extract, net.tensors, lambda sub: net(inputs_of(model), sub)):
        with pytest.raises(ElasticError, match=message):
            use(kept)
