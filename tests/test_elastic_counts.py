"""How many parameters a sub-network has: a formula by hand, the count of the cut, and the model that is built."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from elastic_models import FAMILIES, Sizes, hf, model_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from archsearch.elastic.declare import axes, axis
from archsearch.elastic.families import family_of
from archsearch.elastic.network import Elastic

# Decoders: biases of queries, keys and values, of the attention's output, of the feed-forward (both sides); vectors of
# the width in a layer, and of the size of a head.
DECODERS = {
    "llama": (1, 1, 1, 2, 0),
    "mistral": (0, 0, 0, 2, 0),
    "qwen2": (1, 0, 0, 2, 0),
    "qwen3": (0, 0, 0, 2, 2),
    "gemma": (0, 0, 0, 2, 0),
    "gemma2": (0, 0, 0, 4, 0),
    "phi3": (0, 0, 0, 2, 0),
}


def formula(name: str, s: Sizes, d: int, ffn: list[int], groups: list[int]) -> int:
    """The parameters of a model with these widths, hidden units and groups of heads of its layers."""
    total = 0
    for m, g in zip(ffn, groups, strict=True):
        if name in DECODERS:
            qkv_bias, out_bias, ffn_bias, norms, head_norms = DECODERS[name]
            q, kv = g * s.per_group * s.head_dim, g * s.head_dim
            total += d * q + 2 * d * kv + q * d + 3 * d * m
            total += qkv_bias * (q + 2 * kv) + out_bias * d + ffn_bias * (2 * m + d)
            total += norms * d + head_norms * s.head_dim
        else:
            q = g * s.head_dim
            total += 4 * d * q + 3 * q + d + 2 * d * m + m + d + 4 * d
    v = s.vocabulary
    if name in DECODERS:
        return total + v * d * (1 if s.tied else 2) + d
    if name == "gpt2":
        return total + v * d * (1 if s.tied else 2) + 64 * d + 2 * d
    if name == "bert":  # words, positions, token types, a norm; the head's linear layer, norm, words and biases of them
        return total + v * (d + 1) * (1 if s.tied else 2) + 64 * d + 2 * d + 2 * d + (d * d + d) + 2 * d
    patches = 4
    return total + (2 * 4 * 4 * d + d) + (patches + 1) * d + d + 2 * d + 5 * d + 5


@pytest.mark.parametrize("name", FAMILIES)
@given(data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_parameters_by_the_formula(name: str, data: st.DataObject) -> None:
    groups, layers = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    sizes = Sizes(
        layers=layers,
        groups=groups,
        per_group=data.draw(st.integers(1, 2)),
        head_dim=data.draw(st.sampled_from([2, 4])),
        ffn=data.draw(st.integers(1, 9)),
        width=2 * groups * data.draw(st.integers(1, 4)),
        tied=data.draw(st.booleans()),
    )
    model = model_of(name, sizes)
    net = Elastic(model, family_of(model).axes(model), [])
    width = sizes.width if name in DECODERS else sizes.groups * sizes.head_dim
    whole = formula(name, sizes, width, [sizes.ffn] * layers, [groups] * layers)
    assert whole == sum(p.numel() for p in model.parameters()) == net.blueprint().parameters(net.cut(None))

    stay = sorted(data.draw(st.sets(st.integers(0, layers - 1), min_size=1)))
    ffn = {i: data.draw(st.integers(1, sizes.ffn)) for i in stay}
    heads = {i: data.draw(st.integers(1, groups)) for i in stay}
    kept: dict[str, int | list[int]] = {"layers": stay} | {f"ffn.{i}": m for i, m in ffn.items()}
    if name == "phi3":  # one axis for all layers
        heads = dict.fromkeys(stay, heads[stay[0]])
        kept["heads"] = heads[stay[0]]
    else:
        kept |= {f"heads.{i}": g for i, g in heads.items()}
    if "width" in net.axes.by_name:
        kept["width"] = width = data.draw(st.integers(1, width))
    expected = formula(name, sizes, width, list(ffn.values()), list(heads.values()))
    assert net.blueprint().parameters(net.cut(kept)) == expected
    assert sum(p.numel() for p in net.extract(kept).parameters()) == expected


@pytest.mark.parametrize(
    ("width", "millions"),
    [(256, (12.6, 8.4, 6.3, 5.2)), (512, (50.3, 33.6, 25.2, 21.0)), (1536, (453.0, 302.0, 226.5, 188.7))],
)
def test_the_sizes_of_the_papers_models(width: int, millions: tuple[float, ...]) -> None:
    """Table 4 of MatFormer (arXiv:2310.07707): 16 layers, matrices alone, hidden widths of 4, 2, 1 and 1/2 widths."""
    with torch.device("meta"):
        config = hf.GPT2Config(
            vocab_size=8, n_positions=8, n_embd=width, n_layer=16, n_head=16, eos_token_id=1, bos_token_id=1
        )
        model = hf.GPT2LMHeadModel(config)
    net = Elastic(model, family_of(model).axes(model), [])
    matrices = {name: tuple(p.shape) for name, p in model.named_parameters() if ".h." in name and p.ndim == 2}
    counts = [net.cut({"ffn": 4 * width // share}).numel(matrices) for share in (1, 2, 4, 8)]
    ratios = (1, 1 / 2, 1 / 4, 1 / 8)
    assert counts == [16 * int(4 * width**2 + 2 * width * 4 * width * r) for r in ratios]
    assert tuple(round(n / 1e6, 1) for n in counts) == millions


def test_one_layer_of_twice_the_hidden_width_adds_what_gemma_3n_says() -> None:
    with torch.device("meta"):
        config = hf.LlamaConfig(
            vocab_size=8,
            hidden_size=2048,
            intermediate_size=16384,
            num_hidden_layers=2,
            num_attention_heads=8,
            pad_token_id=0,
        )
        model = hf.LlamaForCausalLM(config)
    net = Elastic(model, family_of(model).axes(model), [])
    one, both = (net.blueprint().parameters(net.cut(kept)) for kept in ({"ffn": 8192}, {"ffn.1": 8192}))
    assert both - one == 3 * 2048 * 8192


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_and_flops_grow_with_every_granularity(name: str) -> None:
    model = model_of(name, Sizes(ffn=16, groups=4, head_dim=4, width=16, layers=4))
    family = family_of(model)
    net = Elastic(model, family.axes(model), [], family.inputs(model))
    blueprint = net.blueprint()
    for group, members in net.axes.groups().items():
        cuts = [net.cut({group: members[0].units * i // 4}) for i in (1, 2, 3, 4)]
        for small, large in pairwise(cuts):
            assert blueprint.parameters(small) < blueprint.parameters(large)
            assert blueprint.flops(small) < blueprint.flops(large)


def test_buffers_are_no_parameters() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.norm, self.down = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 4)

    model = Model()
    declared = axes(model, [axis(model, "ffn", 6, outputs=["up", "norm"], inputs=["down"])])
    net = Elastic(model, declared, [])
    for units in (1, 4, 6):
        part = net.extract({"ffn": units})
        assert net.blueprint().parameters(net.cut({"ffn": units})) == 4 * units + units + 2 * units + units * 4 + 4
        assert part.norm.running_var.shape == (units,)  # type: ignore[union-attr]
        assert part.norm.num_features == units  # type: ignore[union-attr]
