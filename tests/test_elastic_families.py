"""What the families declare: which groups, what the configuration says after a cut, and what cannot be cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from elastic_models import FAMILIES, Sizes, hf, inputs_of, model_of, outputs_of
from torch import nn

from archsearch.elastic.axes import Axes, Kept
from archsearch.elastic.declare import axes, axis, layers, tensors_of
from archsearch.elastic.families import family_of
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.network import Elastic
from archsearch.elastic.sortednet import SortedNet
from archsearch.errors import ElasticError

SIZES = Sizes(layers=3, groups=4, per_group=2, head_dim=4, ffn=16, width=32)

# Cuts, alike in all layers, after which a family's own class has the same model by its configuration. GPT-2 and BERT
# take the size of a head from the width and the heads, so that both are cut by one share.
UNIFORM: dict[str, list[Kept]] = {
    "apart": [
        {"ffn": 5},
        {"heads": 2},
        {"width": 16},
        {"layers": (0, 2)},
        {"ffn": 3, "heads": 1, "layers": (1,), "width": 8},
    ],
    "together": [
        {"ffn": 5},
        {"heads": 2, "width": 8},
        {"layers": (0, 2)},
        {"layers": 1, "ffn": 1, "heads": 1, "width": 4},
    ],
}


def network(name: str) -> Elastic:
    model = model_of(name, SIZES)
    return Elastic(model, family_of(model).axes(model), [])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_familys_own_class_has_the_cut_by_its_configuration(name: str) -> None:
    net = network(name)
    given = inputs_of(net.model)
    for kept in UNIFORM["together" if name in ("gpt2", "bert") else "apart"]:
        if "width" in kept and "width" not in net.axes.by_name:
            continue
        part: Any = net.extract(kept)
        settings = type(part.config).from_dict(part.config.to_dict())
        again = type(part)(settings).eval()
        missing, unexpected = again.load_state_dict(part.state_dict(), strict=True)
        assert not missing
        assert not unexpected
        with torch.no_grad():
            pairs = zip(outputs_of(again(**given)), outputs_of(part(**given)), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)


def test_head_sizes_that_would_follow_from_the_width_are_written_out() -> None:
    config = hf.Qwen2Config(
        vocab_size=29,
        hidden_size=16,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = hf.Qwen2ForCausalLM(config).eval()
    assert not hasattr(model.config, "head_dim")
    net = Elastic(model, family_of(model).axes(model), [])
    for kept in ({"heads": 1}, {"width": 8}):
        part: Any = net.extract(kept)
        assert part.config.head_dim == 4
        type(part)(part.config).load_state_dict(part.state_dict(), strict=True)
    assert not hasattr(model.config, "head_dim")
    assert not hasattr(net.extract({"ffn": 3}).config, "head_dim")


def test_the_hidden_width_that_gpt2_leaves_open_is_written_out() -> None:
    model = hf.GPT2LMHeadModel(
        hf.GPT2Config(vocab_size=29, n_embd=8, n_layer=2, n_head=2, n_positions=16, eos_token_id=1, bos_token_id=1)
    )
    assert model.config.n_inner is None
    net = Elastic(model, family_of(model).axes(model), [])
    part: Any = net.extract({"width": 4, "heads": 1})
    assert (part.config.n_embd, part.config.n_inner, part.config.n_head) == (4, 32, 1)
    type(part)(part.config).load_state_dict(part.state_dict(), strict=True)


def test_attributes_of_modules_follow() -> None:
    part: Any = network("gpt2").extract({"ffn.1": 7, "heads.2": 1, "width": 10, "layers": (1, 2)})
    first, second = part.transformer.h
    assert (first.mlp.c_fc.nf, first.mlp.c_proj.nx, second.mlp.c_fc.nf) == (7, 7, 16)
    attention = second.attn
    assert (attention.num_heads, attention.split_size, attention.c_attn.nf, attention.c_attn.nx) == (1, 4, 12, 10)
    assert (attention.embed_dim, attention.head_dim, attention.layer_idx, first.attn.layer_idx) == (10, 4, 1, 0)
    assert first.ln_1.normalized_shape == part.transformer.ln_f.normalized_shape == (10,)
    assert part.transformer.wte.embedding_dim == part.transformer.embed_dim == part.lm_head.in_features == 10
    bert: Any = network("bert").extract({"heads.0": 3})
    own = bert.bert.encoder.layer[0].attention.self
    assert (own.num_attention_heads, own.all_head_size, own.attention_head_size) == (3, 12, 4)
    llama: Any = network("llama").extract({"heads.0": 3, "ffn.0": 2, "width": 5})
    layer = llama.model.layers[0]
    assert (layer.mlp.intermediate_size, layer.mlp.hidden_size, layer.self_attn.head_dim) == (2, 5, 4)
    assert (layer.self_attn.q_proj.out_features, layer.self_attn.num_key_value_groups) == (24, 2)


def test_the_list_of_what_layers_are_goes_with_them() -> None:
    model = model_of("qwen2", Sizes(layers=3))
    kinds = model.config.layer_types  # type: ignore[union-attr]
    assert len(set(kinds)) == 2  # type: ignore[arg-type]
    net = Elastic(model, family_of(model).axes(model), [])
    part: Any = net.extract({"layers": (0, 2)})
    assert part.config.layer_types == [kinds[0], kinds[2]]  # type: ignore[index]
    assert model.config.layer_types == kinds  # type: ignore[union-attr]


@pytest.mark.parametrize("name", FAMILIES)
def test_axes_travel_as_json(name: str) -> None:
    import json

    found = network(name).axes
    again = Axes.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.absent == found.absent
    assert [axis.fixed for axis in again] == [axis.fixed for axis in found]


def gpt2(**more: Any) -> nn.Module:
    config = hf.GPT2Config(
        vocab_size=29, n_embd=8, n_layer=2, n_head=2, n_positions=16, eos_token_id=1, bos_token_id=1, **more
    )
    model: nn.Module = hf.GPT2LMHeadModel(config)
    return model


class WithMore(hf.LlamaForCausalLM):  # type: ignore[misc]
    """A head of which no family knows."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.value = nn.Linear(config.hidden_size, 1)


@pytest.mark.parametrize(
    ("make", "group", "reason"),
    [
        (lambda: model_of("gemma"), "width", "its embeddings are scaled by the root of the whole width"),
        (lambda: gpt2(scale_attn_by_inverse_layer_idx=True), "layers", "scaled by the index of the layer"),
        (lambda: gpt2(add_cross_attention=True), "heads", "its cross-attention has heads"),
        (lambda: gpt2(add_cross_attention=True), "width", "its cross-attention has heads and a width"),
        (lambda: WithMore(model_of("llama").config), "width", "it is not known what of value belongs to a channel"),
    ],
)
def test_what_cannot_be_cut_is_no_axis_and_the_error_says_why(make: Any, group: str, reason: str) -> None:
    model = make()
    granularities: dict[str, Any] = {group: [1 / 2, 1]}
    with pytest.raises(ElasticError, match=f"the model has no axes '{group}': .*{reason}.*; there is .*ffn"):
        SortedNet(model, **granularities)
    MatFormer(model, [1 / 4, 1 / 2, 1])  # which needs none of it


def test_a_model_that_is_not_what_its_configuration_says() -> None:
    model = nn.Linear(2, 2)
    model.config = model_of("llama").config
    with pytest.raises(
        ElasticError, match="Linear is a llama by its configuration, whose layers are expected in layers"
    ):
        MatFormer(model)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"bert", "vit"}))
def test_generation_with_a_cache_is_greedy_decoding(name: str) -> None:
    model = model_of(name, SIZES, dtype=torch.float64)
    net = Elastic(model, family_of(model).axes(model), [])
    ids = inputs_of(model, length=7)["input_ids"]
    cuts: list[Kept] = [{"ffn": 2}, {"ffn": 4}, {"ffn": 8}, {}, {"layers": (0, 2), "ffn.2": 3, "heads": 2}]
    said = []
    for kept in cuts:
        part: Any = net.extract(kept)
        part.generation_config.eos_token_id = None  # on to the end
        cached = part.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=9, do_sample=False, use_cache=True
        )
        plain = ids
        with torch.no_grad():
            for _ in range(9):
                plain = torch.cat([plain, net(plain, kept).logits[:, -1].argmax(-1, keepdim=True)], 1)
        assert torch.equal(cached, plain)
        said.append(cached[:, 7:].flatten().tolist())
    assert len({tuple(tokens) for tokens in said}) > 1


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_first_layers_keys_and_values_are_the_same_at_every_granularity(name: str) -> None:
    net = network(name)
    given = inputs_of(net.model)
    with torch.no_grad():
        caches = [net(given, {"ffn": units}, use_cache=True).past_key_values for units in (2, 4, 8, 16)]
    for cache in caches[1:]:
        assert torch.equal(cache.layers[0].keys, caches[0].layers[0].keys)
        assert torch.equal(cache.layers[0].values, caches[0].layers[0].values)
        assert not torch.equal(cache.layers[1].keys, caches[0].layers[1].keys)


class Mixer(nn.Module):
    """A model of one's own: layers that mix the features of points."""

    def __init__(self, width: int = 6, hidden: int = 12, depth: int = 3) -> None:
        super().__init__()
        self.enter = nn.Linear(2, width)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {"norm": nn.LayerNorm(width), "up": nn.Linear(width, hidden), "down": nn.Linear(hidden, width)}
            )
            for _ in range(depth)
        )
        self.leave = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.enter(x)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)
            x = x + layer["down"](layer["up"](layer["norm"](x)).relu())
        return torch.as_tensor(self.leave(x))


def test_axes_of_a_model_of_ones_own() -> None:
    """As in the documentation."""
    model = Mixer()
    paths = [f"layers.{i}" for i in range(3)]
    declared = [
        layers(model, "layers"),
        *[
            axis(model, f"ffn.{i}", 12, outputs=[f"{path}.up"], inputs=[f"{path}.down"], layer=path)
            for i, path in enumerate(paths)
        ],
        axis(
            model,
            "width",
            6,
            outputs=["enter", *[f"{path}.{name}" for path in paths for name in ("norm", "down")]],
            inputs=["leave", *[f"{path}.up" for path in paths]],
        ),
    ]
    net = SortedNet(model, axes=declared, ffn=[1 / 4, 1 / 2, 1], width=[1 / 2, 1], layers=[1, 2, 3])
    x = torch.randn(5, 2)
    for arch in net.space().enumerate():
        part = net.extract(arch)
        with torch.no_grad():
            assert torch.equal(net(x, arch), part(x))
        assert arch.parameters == sum(p.numel() for p in part.parameters())
    assert set(net.axes.runs) == set(tensors_of(model)) - {"leave.bias"}
    assert axes(model, declared) == net.axes
